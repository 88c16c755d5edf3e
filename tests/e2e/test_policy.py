# SPDX-License-Identifier: GPL-3.0-or-later
# test_policy - what is opened, what passes, and what is remembered for the next time.

import ssl

from peers import nginx, sockets

# Leaves in the three ways that programs refuse a certificate they do not know; what
# reached it is printed.
PINNING = """
import hashlib, socket, ssl, sys
port, how, name = int(sys.argv[1]), sys.argv[2], "localhost"
def once():
    if how == "alert":          # knows one authority, and it is not ours
        context = ssl.create_default_context(cafile=sys.argv[3])
    else:
        context = ssl.create_default_context()
        context.load_verify_locations(sys.argv[3])
    context.set_alpn_protocols(["http/1.1"])
    raw = socket.create_connection(("127.0.0.1", port))
    if how == "silent":         # says hello, looks at what comes, and goes
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        end = context.wrap_bio(incoming, outgoing, server_hostname=name)
        try: end.do_handshake()
        except ssl.SSLWantReadError: pass
        raw.sendall(outgoing.read()); answer = raw.recv(65536); raw.close()
        return "looked" if answer else "nothing"
    try:
        end = context.wrap_socket(raw, server_hostname=name)
    except ssl.SSLError as e:
        raw.close(); return e.reason
    # The usual way: at the key, once the handshake is done.
    wanted = hashlib.sha256(ssl.PEM_cert_to_DER_cert(open(sys.argv[4]).read())).digest()
    if hashlib.sha256(end.getpeercert(True)).digest() != wanted:
        end.close(); return "not the one"
    end.sendall(b"ping"); return end.recv(99).decode()
print(once()); print(once())
"""


def server(t):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{t.pki}/good.pem", f"{t.pki}/good.key")
    context.set_alpn_protocols(["http/1.1"])
    return t.keep(sockets.Server(t, sockets.echo, context=context))


def pinning(t, how, *options, port=None):
    done = t.tap(t.python(PINNING, port or server(t).port, how, f"{t.pki}/ca.pem", f"{t.pki}/good.pem"), options=options).ok()
    return done, done.text.split("\n")[:2], [(f["verdict"], f.get("reason", "")) for f in done.flows]


def test_pinned_by_alert(t):
    done, said, flows = pinning(t, "alert")
    t.equal(said[0], "CERTIFICATE_VERIFY_FAILED", "first")
    t.equal([v for v, _ in flows], ["failed", "pinned"], "verdicts")
    t.has(flows[0][1], "pinned: its next")


def test_pinned_by_its_key(t):
    """A program that finds another key than it knows leaves without a word; its next
    connection there meets the origin itself."""
    done, said, flows = pinning(t, "key", "-v")
    t.equal(said, ["not the one", "ping"], "what it saw")
    t.equal([v for v, _ in flows], ["opened", "pinned"], "verdicts")
    t.has(flows[0][1], "pinned: its next connection there passes unopened")
    t.has(done.said, "1 opened, 1 pinned")


def test_pinned_without_a_word(t):
    t.keep(nginx.serve(t))
    _, said, flows = pinning(t, "silent", port=8443)
    t.equal(said, ["looked", "looked"], "what it saw")
    t.equal([v for v, _ in flows], ["failed", "pinned"], "verdicts")


def test_no_pin_bypass(t):
    _, said, flows = pinning(t, "key", "--no-pin-bypass")
    t.equal(said, ["not the one", "not the one"], "what it saw")
    t.equal(flows, [("opened", ""), ("opened", "")], "verdicts")


def test_pins_are_kept_across_runs(t):
    options = ("--pins", f"{t.home}/pins")
    pinning(t, "key", *options)
    _, said, flows = pinning(t, "key", *options)
    t.equal(said, ["ping", "ping"], "what it saw the next time")
    t.equal([v for v, _ in flows], ["pinned", "pinned"], "verdicts")
    with open(f"{t.home}/pins") as file:
        t.has(file.read(), "python3", "\tlocalhost\n")


def test_a_look_is_no_pin(t):
    """`openssl s_client </dev/null` leaves without a word too, but in order."""
    port = server(t).port
    done = t.tap(["sh", "-c", f"for n in 1 2; do openssl s_client -connect 127.0.0.1:{port} -servername localhost </dev/null; done"]).ok()
    t.equal([f["verdict"] for f in done.flows], ["opened", "opened"], "verdicts")


def test_a_spare_connection_is_no_pin(t):
    """A browser takes its leave of a connection that it had in store, without a word: it has
    used another to the same host."""
    done = t.tap(t.python("""
        import socket, ssl, struct, sys
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        def connect(): return context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), server_hostname="localhost")
        def talk(s):
            s.sendall(b"ping")
            return s.recv(99).decode()
        first, spare = connect(), connect()
        print(talk(first))
        spare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        spare.close()
        print(talk(first), talk(connect()))
        """, server(t).port)).ok()
    t.equal(done.text.split(), ["ping", "ping", "ping"], "what was answered")
    t.equal([(f["verdict"], f.get("reason", "")) for f in done.flows], [("opened", "")] * 3, "verdicts")


def test_curl_pinned(t):
    t.need("curl")
    t.keep(nginx.serve(t))
    url = "https://localhost/hello"
    key = "openssl x509 -in %s -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64"
    done = t.tap(["sh", "-c", f"key=$({key % (t.pki + '/good.pem')}); for n in 1 2; do "
                  f"curl -s -o /dev/null -w '%{{http_code}} ' --cacert {t.pki}/ca.pem --pinnedpubkey sha256//$key {url}; "
                  "echo $?; done"]).ok()
    t.has(done.text.split("\n")[1], "200 0")
    t.equal([f["verdict"] for f in done.flows][-1], "pinned", "the second")


def test_hosts_are_chosen(t):
    web = server(t)
    client = """
import socket, ssl, sys
for name in sys.argv[2:]:
    context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
    s = context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), server_hostname=name)
    s.sendall(b"ping"); print(s.recv(9).decode())
"""
    names = ("one.origin.test", "two.origin.test")
    for options, wanted in ((("--ignore-hosts", r"^one\."), ["passed", "opened"]),
                            (("--allow-hosts", r"^one\."), ["opened", "passed"]),
                            (("--ignore-hosts", "nobody", "--ignore-hosts", r"TWO\..*:\d+$"), ["opened", "passed"]),
                            (("--ignore-hosts", rf"127\.0\.0\.1:{web.port}"), ["passed", "passed"])):
        done = t.tap(t.python(client, web.port, *names), options=options).ok()
        t.equal(done.text, "ping\nping\n", "answers")
        t.equal([f["verdict"] for f in done.flows], wanted, f"verdicts with {options}")
        t.has(next(f["reason"] for f in done.flows if f["verdict"] == "passed"), options[0])


def test_wrong_expression(t):
    done = t.tool("run", "--allow-hosts", "a(b", "--", "true")
    t.equal(done.status, 64, "status")
    t.has(done.said, "--allow-hosts", "a(b", "missing closing parenthesis")


# The head of a QUIC Initial (RFC 9000 17.2.2), and then an ordinary datagram.
QUIC = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
s.connect((sys.argv[1], int(sys.argv[2])))
s.send(bytes([0xc3, 0, 0, 0, 1, 8]) + bytes(range(8)) + b"\\0\\0" + bytes(1184))
try: print(len(s.recv(9999)))
except ConnectionRefusedError: print("refused")
"""


def test_quic_is_refused_at_once(t):
    echo = t.keep(sockets.Datagrams(t, lambda data, peer: data))
    for options, said, verdict in (((), "refused\n", "blocked"), (("--quic", "pass"), "1200\n", "relayed"),
                                   (("--tls", "pass"), "1200\n", "relayed")):
        done = t.tap(t.python(QUIC, "127.0.0.1", echo.port), options=options).ok()
        t.equal(done.text, said if not done.direct else "1200\n", f"what it saw with {options}")
        flow = done.flow(protocol="udp")
        t.equal(flow["verdict"], verdict, f"verdict with {options}")
        t.has(flow["reason"], "QUIC")
