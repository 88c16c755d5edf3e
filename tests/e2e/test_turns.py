# SPDX-License-Identifier: GPL-3.0-or-later
# test_turns - a conversation in the clear that turns to TLS, or seems to, in odd ways.

import contextlib
import ssl

from e2e import wireshark
from e2e.scenario import only
from peers import authority, sockets

# A client: `say` and `hear` lines in the clear, then secure() and the same in TLS.
CLIENT = """
import socket, ssl, sys, time
port = int(sys.argv[1])
raw = socket.create_connection(("127.0.0.1", port))
raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
context = ssl.create_default_context()
def say(text): raw.sendall(text.encode() + b"\\r\\n")
def hear():
    text = b""
    while not text.endswith(b"\\n"):
        got = raw.recv(1)
        if not got: break
        text += got
    return text.decode().strip()
def secure():
    global raw
    raw = context.wrap_socket(raw, server_hostname="localhost")
{what}
"""


def server_context(t, **kw):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(f"{t.pki}/good.pem", f"{t.pki}/good.key")
    for name, value in kw.items():
        setattr(made, name, value)
    return made


def server(t, greeting, answers, context=None):
    """Greets, answers each line as `answers` say ({line: answer}, others with themselves), and
    turns to TLS behind the answer "go"."""
    def handler(connection):
        if greeting:
            connection.sendall(greeting.encode() + b"\r\n")
        while True:
            with connection.makefile("rb", buffering=0) as lines, contextlib.suppress(ConnectionError):
                line = b""
                line = lines.readline()
            if not line:
                return
            answer = answers.get(line.decode().strip(), line.decode().strip())
            connection.sendall(answer.encode() + b"\r\n")
            if answer.endswith("go"):
                try:
                    connection = context.wrap_socket(connection, server_side=True)
                except (ssl.SSLError, ConnectionError):
                    return    # the scenario looks at what the client got
    return t.keep(sockets.Server(t, handler))


def client(t, port, what, **kw):
    return t.tap(t.python(CLIENT.format(what=what), port), **kw)


TURN = """
hear(); say("STARTTLS"); hear(); secure(); say("secret"); print(hear(), raw.version())
"""


def test_by_any_name(t):
    """What was spoken is named where it is known; it is opened either way."""
    for greeting, ask, name in (("220 mx.test ready", "STARTTLS", "smtp"), ("200 news.test", "STARTTLS", "nntp"),
                                ("* OK ready", "a1 STARTTLS", "imap"), ("hello", "UPGRADE", "unknown"),
                                ("<stream>", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "xmpp")):
        origin = server(t, greeting, {ask: "go"}, server_context(t))
        done = client(t, origin.port, TURN.replace("STARTTLS", ask), capture=True).ok()
        t.equal(done.text, "secret TLSv1.3\n", name)
        flow = done.flow(protocol="tcp")
        t.equal((flow["verdict"], flow["tls"]["starttls"]), ("opened", name), "the flow")
        wireshark.sound(done.capture)


def test_many_turns_before(t):
    """Each in its order, and no byte lost or doubled."""
    origin = server(t, "220 ready", {"STARTTLS": "go"}, server_context(t))
    done = client(t, origin.port, """
hear()
for n in range(50): say(f"line {n} " + "x" * 300); assert hear().startswith(f"line {n} x"), n
say("STARTTLS"); hear(); secure(); say("secret"); print(hear())
""").ok()
    t.equal(done.text, "secret\n", "the answer")
    t.equal(done.flow(protocol="tcp")["verdict"], "opened", "verdict")


def test_hello_in_pieces(t):
    """Split and with a pause: the first byte alone looks like a Ctrl-V and is let go only later."""
    origin = server(t, "220 ready", {"STARTTLS": "go"}, server_context(t))
    done = client(t, origin.port, """
hear(); say("STARTTLS"); hear()
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
end = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
first = True
def turn(step):
    global first
    while True:
        try: answer, over = step(), True
        except ssl.SSLWantReadError: answer, over = None, False
        data = outgoing.read()
        if data and first:
            first = False
            for part in data[:1], data[1:4], data[4:7], data[7:200], data[200:]: raw.sendall(part); time.sleep(0.05)
        elif data: raw.sendall(data)
        if over: return answer
        incoming.write(raw.recv(65536))
turn(end.do_handshake)
turn(lambda: end.write(b"secret\\r\\n"))
print(turn(lambda: end.read(100)).decode().strip())
""").ok()
    t.equal(done.text, "secret\n", "the answer")
    t.equal(done.flow(protocol="tcp")["verdict"], "opened", "verdict")


def test_what_only_begins_like_a_hello(t):
    """It is passed on: at once where it can be known, else after a moment."""
    origin = server(t, "220 ready", {})
    done = client(t, origin.port, r"""
hear()
for text in "\x16", "\x16\x03", "\x16\x03\x01\x02\x00\x02 no hello", "\x16Ctrl-V":
    raw.sendall(text.encode())
    if len(text) < 3: time.sleep(1)
    say(" end"); print(ascii(hear()))
""").ok()
    t.equal(done.text.split("\n")[:4], [ascii(text + " end") for text in (
        "\x16", "\x16\x03", "\x16\x03\x01\x02\x00\x02 no hello", "\x16Ctrl-V")], "the echoes")
    t.equal(done.flow(protocol="tcp")["verdict"], "relayed", "verdict")


def test_a_lone_byte_is_answered(t):
    """The origin gets it though nothing follows."""
    def handler(connection):
        connection.sendall(b"?")
        connection.sendall(b"got %d" % connection.recv(1)[0])
    origin = t.keep(sockets.Server(t, handler))
    done = t.tap(t.python("""
        import socket, sys
        raw = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        raw.recv(1); raw.sendall(b"\\x16"); print(raw.recv(100).decode())
        """, origin.port)).ok()
    t.equal(done.text, "got 22\n", "the answer")


def test_much_before(t):
    """Behind more than is watched nothing is opened, and all arrives."""
    origin = server(t, "220 ready", {"STARTTLS": "go"}, server_context(t))
    done = client(t, origin.port, """
hear()
context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
for n in range(10): say("x" * 10000); assert hear() == "x" * 10000
say("STARTTLS"); hear(); secure(); say("secret"); print(hear())
""").ok()
    t.equal(done.text, "secret\n", "the answer")
    t.equal(done.flow(protocol="tcp")["verdict"], "relayed", "verdict")


def test_left_alone(t):
    """Passed where the person says so: the origin's own certificate is seen."""
    origin = server(t, "220 ready", {"STARTTLS": "go"}, server_context(t))
    for options, reason in (["--tls", "pass"], "--tls pass"), (["--ignore-hosts", "localhost"], "--ignore-hosts"):
        done = client(t, origin.port, f"context.load_verify_locations('{t.pki}/ca.pem')" + TURN, options=options).ok()
        t.equal(done.text, "secret TLSv1.3\n", "the answer")
        flow = done.flow(protocol="tcp")
        t.equal((flow["verdict"], flow["reason"], flow["tls"]["starttls"]), ("passed", reason, "smtp"), "the flow")


def test_through_a_proxy(t):
    """CONNECT: the certificate is judged by the name that the app wants, not the proxy's."""
    def handler(connection):
        with connection.makefile("rb") as lines:
            t.equal(lines.readline(), b"CONNECT localhost:443 HTTP/1.1\r\n", "the request")
            while lines.readline().strip():
                pass
        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with server_context(t).wrap_socket(connection, server_side=True) as secured:
            while not secured.recv(4096).endswith(b"\r\n\r\n"):
                pass
            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
    proxy = t.keep(sockets.Server(t, handler))
    done = t.tap(["curl", "-sS", "-x", f"http://127.0.0.1:{proxy.port}", "https://localhost/"], capture=True,
                 options=["-v"]).ok()
    t.equal(done.text, "secret", "the answer")
    flow = done.flow(protocol="tcp")
    t.equal((flow["verdict"], flow["tls"]["starttls"], flow["tls"]["sni"]), ("opened", "connect", "localhost"), "the flow")
    t.has(done.said, f"localhost:{proxy.port} connect TLSv1.3 opened")
    t.equal(wireshark.column(done.capture, "tls && http.response", "http.content_length_header"), ["6"], "decrypted")


# The first conversation may be lost; the second must not be.
TWICE = """
context.load_verify_locations(sys.argv[2] + "/ca.pem")
context.load_cert_chain(sys.argv[2] + "/app.pem", sys.argv[2] + "/app.key")
for time in range(2):
    if time: raw = socket.create_connection(("127.0.0.1", port))
    try:
        hear(); say("STARTTLS"); hear(); secure(); say("secret"); print(hear() or "nothing", flush=True)
    except (ssl.SSLError, ConnectionError): print("lost", flush=True)
"""


def insisting(t, version):
    authority.leaf(t.pki, "app", ["app.test"], usage="clientAuth")
    context = server_context(t, verify_mode=ssl.CERT_REQUIRED, minimum_version=version, maximum_version=version)
    context.load_verify_locations(f"{t.pki}/ca.pem")
    origin = server(t, "220 ready", {"STARTTLS": "go"}, context)
    command = t.python(CLIENT.format(what=TWICE), origin.port, t.pki)
    t.equal(t.straight(command).ok().text, "secret\nsecret\n", "straight")
    t.only_apptap()
    done = t.tap(command).ok()
    words = done.text.split()
    t.true(words[0] in ("lost", "nothing") and words[1] == "secret", f"what the app got: {words}")
    flows = [f for f in done.flows if f.get("tls")]
    t.equal(flows[1]["verdict"], "passed", "the second verdict")
    t.has(flows[0]["reason"], "its next connection there passes unopened")
    t.has(flows[1]["reason"], "before")


@only("root")
def test_client_certificate_insisted_on_1_2(t):
    insisting(t, ssl.TLSVersion.TLSv1_2)


@only("root")
def test_client_certificate_insisted_on_1_3(t):
    insisting(t, ssl.TLSVersion.TLSv1_3)


@only("root")
def test_alert_after_the_handshake(t):
    """The app hears what the origin said of it."""
    context = server_context(t, verify_mode=ssl.CERT_REQUIRED, minimum_version=ssl.TLSVersion.TLSv1_3)
    context.load_verify_locations(f"{t.pki}/ca.pem")
    origin = server(t, "220 ready", {"STARTTLS": "go"}, context)
    done = client(t, origin.port, """
hear(); say("STARTTLS"); hear(); secure()
try: print(hear() or "nothing")
except OSError as error: print(getattr(error, "reason", error))
""").ok()
    t.equal(done.text, "TLSV13_ALERT_CERTIFICATE_REQUIRED\n", "what the app got")


@only("root")
def test_client_certificate_asked_for(t):
    """As MariaDB does: there is none, and it is opened."""
    context = server_context(t, verify_mode=ssl.CERT_OPTIONAL)
    context.load_verify_locations(f"{t.pki}/ca.pem")
    origin = server(t, "220 ready", {"STARTTLS": "go"}, context)
    done = client(t, origin.port, TURN).ok()
    t.equal(done.text, "secret TLSv1.3\n", "the answer")
    flow = done.flow(protocol="tcp")
    t.equal(flow["verdict"], "opened", "verdict")
    t.has(flow["reason"], "no client certificate")


def test_plaintext_is_one_conversation(t):
    """With --plaintext what was said in the clear comes first, then what was said in TLS; a
    conversation that never turns to TLS is not in it."""
    origin = server(t, "220 mx.test ready", {"STARTTLS": "go"}, server_context(t))
    plain = f"{t.home}/plain.pcapng"
    done = client(t, origin.port, TURN + """
raw = socket.create_connection(("127.0.0.1", port)); hear(); say("never secret"); hear()
""", options=("--plaintext", plain, "--plaintext-port", f"{origin.port}:25")).ok()
    t.equal([f["verdict"] for f in done.flows], ["opened", "relayed"], "verdicts")
    wireshark.sound(plain)
    t.equal(len(set(wireshark.column(plain, "tcp", "tcp.stream"))), 1, "conversations")
    said = b"".join(bytes.fromhex(p) for p in wireshark.column(plain, "tcp.len > 0", "tcp.payload"))
    t.equal(said, b"220 mx.test ready\r\nSTARTTLS\r\ngo\r\nsecret\r\nsecret\r\n", "all of it, in its order")
