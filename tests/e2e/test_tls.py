# SPDX-License-Identifier: GPL-3.0-or-later
# test_tls - how TLS is recognised and opened, whatever it is cut into, and what is left alone.

import contextlib
import socket
import ssl
import time

from e2e import wireshark
from peers import nginx, sockets

# A TLS client over a MemoryBIO, so that the test decides how its bytes leave.
# send(raw, bytes, first) does it; the answer to "ping" is printed.
CLIENT = """
import socket, ssl, struct, sys, time
port = int(sys.argv[1])
context = ssl.create_default_context()
alpn = []
def send(raw, data, first): raw.sendall(data)
{change}
if alpn: context.set_alpn_protocols(alpn)
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
end = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
raw = socket.create_connection(("127.0.0.1", port))
raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
first = True
def turn(step):
    global first
    while True:
        try: answer, done = step(), True
        except ssl.SSLWantReadError: answer, done = None, False
        data = outgoing.read()
        if data: send(raw, data, first); first = False
        if done: return answer
        got = raw.recv(65536)
        if got: incoming.write(got)
        else: incoming.write_eof()
turn(end.do_handshake)
turn(lambda: end.write(b"ping"))
print(turn(lambda: end.read(100)).decode(), end.version(), end.selected_alpn_protocol())
"""


def context(t, alpn=(), **kw):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(f"{t.pki}/good.pem", f"{t.pki}/good.key")
    if alpn:
        made.set_alpn_protocols(list(alpn))
    for name, value in kw.items():
        setattr(made, name, value)
    return made


def client(t, change=""):
    server = t.keep(sockets.Server(t, sockets.echo, context=context(t, ["one", "two"])))
    done = t.tap(t.python(CLIENT.format(change=change), server.port), capture=True).ok()
    return done


def is_opened(t, done):
    flow = done.flow(protocol="tcp")
    t.equal(flow["verdict"], "opened", "verdict")
    t.equal(flow["tls"]["sni"], "localhost", "sni")
    wireshark.sound(done.capture)
    return flow


def test_whole_hello(t):
    done = client(t)
    t.equal(done.text, "ping TLSv1.3 None\n", "the answer")
    is_opened(t, done)


def test_hello_one_byte_a_segment(t):
    done = client(t, """
def send(raw, data, first):
    for n in range(len(data)): raw.sendall(data[n:n+1]); first and time.sleep(0.0005)
""")
    t.equal(done.text, "ping TLSv1.3 None\n", "the answer")
    is_opened(t, done)


def test_hello_larger_than_a_segment(t):
    done = client(t, "alpn = [b'two'.decode()] + ['filler-%04d' % n for n in range(400)]")
    t.equal(done.text, "ping TLSv1.3 two\n", "the answer")
    is_opened(t, done)


def test_hello_in_many_records(t):
    """RFC 8446 5.1: a handshake message may be cut into records."""
    done = client(t, """
def send(raw, data, first):
    if not first: return raw.sendall(data)
    body = data[5:]
    for n in range(0, len(body), 50):
        part = body[n:n+50]
        raw.sendall(data[:3] + struct.pack(">H", len(part)) + part)
""")
    t.equal(done.text, "ping TLSv1.3 None\n", "the answer")
    is_opened(t, done)


def test_hello_with_a_pause_inside(t):
    done = client(t, """
def send(raw, data, first):
    raw.sendall(data[:3]); time.sleep(0.2); raw.sendall(data[3:])
""")
    t.equal(done.text, "ping TLSv1.3 None\n", "the answer")
    is_opened(t, done)


def test_version_1_2(t):
    done = client(t, "context.maximum_version = ssl.TLSVersion.TLSv1_2")
    t.equal(done.text, "ping TLSv1.2 None\n", "the answer")
    t.equal(is_opened(t, done)["tls"]["version"], "TLSv1.2", "version")


def test_origin_of_1_2_only(t):
    server = t.keep(sockets.Server(t, sockets.echo, context=context(t, maximum_version=ssl.TLSVersion.TLSv1_2)))
    done = t.tap(t.python(CLIENT.format(change=""), server.port)).ok()
    t.equal(done.text, "ping TLSv1.2 None\n", "the app gets the origin's version")


def test_alpn_is_the_origins_choice(t):
    done = client(t, "alpn = ['two', 'one']")
    t.equal(done.text, "ping TLSv1.3 one\n", "the answer")
    t.equal(is_opened(t, done)["tls"]["alpn"], "one", "alpn")


def test_no_alpn_in_common(t):
    straight = None
    for straight in (True, False):
        server = t.keep(sockets.Server(t, sockets.echo, context=context(t)))
        done = t.tap(t.python(CLIENT.format(change="alpn = ['other']"), server.port), straight=straight).ok()
        t.equal(done.text, "ping TLSv1.3 None\n", "the answer")


def test_tls_1_2_and_1_3_decrypt(t):
    t.keep(nginx.serve(t))
    for arguments, version in ((["--tls-max", "1.2"], "TLSv1.2"), (["--tlsv1.3"], "TLSv1.3")):
        for port, field in ((8443, "http.request.uri"), (443, "http2.headers.path")):
            done = t.tap(["curl", "-sS", *arguments, f"https://localhost:{port}/hello?{version}"], capture=True).ok()
            t.has(",".join(wireshark.column(done.capture, field, field)), f"/hello?{version}")
            t.equal(done.flow(protocol="tcp")["tls"]["version"], version, "version")


def test_ciphers_of_1_2(t):
    t.keep(nginx.serve(t))
    for cipher in "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305":
        done = t.tap(["curl", "-sS", "--tls-max", "1.2", "--ciphers", cipher, "https://localhost:8443/hello"], capture=True).ok()
        t.has(wireshark.column(done.capture, "http.request.uri", "http.request.uri"), "/hello")


def test_ciphers_of_1_3(t):
    t.keep(nginx.serve(t))
    for cipher in "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256":
        done = t.tap(["curl", "-sS", "--tls13-ciphers", cipher, "https://localhost:8443/hello"], capture=True).ok()
        t.has(wireshark.column(done.capture, "http.request.uri", "http.request.uri"), "/hello")


def test_origin_with_rsa(t):
    from peers import authority
    pem, key = authority.leaf(f"{t.pki}", f"rsa-{t.who}", ["localhost"], rsa=True)
    t.keep(nginx.serve(t, certificate=pem, key=key))
    for arguments in (["--tlsv1.3"], ["--tls-max", "1.2"]):
        done = t.tap(["curl", "-sS", *arguments, "https://localhost/hello"]).ok()
        t.equal(done.flow(protocol="tcp")["verdict"], "opened", "verdict")


def test_openssl_s_server(t):
    for version in "-tls1_2", "-tls1_3":
        with sockets.openssl_server(t, "-www", version):
            done = t.tap(["curl", "-sS", "https://localhost:4433/"]).ok()
            t.has(done.text, "s_server")
            t.equal(done.flow(protocol="tcp")["verdict"], "opened", "verdict")


def test_tls_on_any_port(t):
    server = t.keep(sockets.Server(t, sockets.echo, port=25, context=context(t)))
    done = t.tap(t.python(CLIENT.format(change=""), server.port)).ok()
    t.equal(done.text, "ping TLSv1.3 None\n", "the answer")
    t.equal(done.flow(protocol="tcp")["verdict"], "opened", "verdict")


def test_plain_bytes_on_443(t):
    server = t.keep(sockets.Server(t, sockets.echo, port=443))
    done = t.tap(t.python("""
        import socket, sys
        s = socket.create_connection(("127.0.0.1", 443))
        for data in (b"\\x00\\x01\\x02", b"GET / HTTP/1.1", bytes(range(256)) * 100):
            s.sendall(data)
            got = b""
            while len(got) < len(data): got += s.recv(65536)
            assert got == data
        """, server.port)).ok()
    t.equal(done.flow(protocol="tcp")["verdict"], "relayed", "verdict")


def test_nearly_tls_is_untouched(t):
    """Bytes that begin as a TLS record and are none; the app then waits, or ends."""
    heard = []

    def answer(connection):
        heard.append(connection.recv(65536))
        connection.sendall(b"heard")
        connection.close()
    server = t.keep(sockets.Server(t, answer))
    done = t.tap(t.python("""
        import socket, sys
        for data, shut in ((b"\\x16\\x03\\x01hello world, this is no TLS", False), (b"\\x16", True), (b"\\x16\\x03\\x01\\x02\\x00\\x01", True)):
            s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            s.settimeout(10)
            s.sendall(data)
            if shut: s.shutdown(socket.SHUT_WR)
            assert s.recv(99) == b"heard"
        """, server.port)).ok()
    t.equal(heard, [b"\x16\x03\x01hello world, this is no TLS", b"\x16", b"\x16\x03\x01\x02\x00\x01"], "what came")
    t.equal({f["verdict"] for f in done.flows if f["protocol"] == "tcp"}, {"relayed"}, "verdicts")


def test_server_speaks_first(t):
    """A banner comes at once, though the app says nothing by which to know the protocol."""
    def banner(connection):
        connection.sendall(b"220 ready\r\n")
        sockets.echo(connection)
    for context_ in (None,):
        server = t.keep(sockets.Server(t, banner, context=context_))
        done = t.tap(t.python("""
            import socket, sys, time
            s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            began = time.monotonic()
            assert s.recv(99) == b"220 ready\\r\\n"
            took = time.monotonic() - began
            s.sendall(b"EHLO me\\r\\n")
            assert s.recv(99) == b"EHLO me\\r\\n"
            print(took)
            """, server.port)).ok()
        t.true(float(done.text) < t.scaled(0.25, 1), f"the banner took {done.text.strip()} s")
        t.equal(done.flow(protocol="tcp")["verdict"], "relayed", "verdict")


def test_server_speaks_at_once_every_time(t):
    """The banner may come in the same instant as the connect's answer: it is never overlooked."""
    def banner(connection):
        connection.sendall(b"220 ready\r\n")
        connection.recv(9)
    server = t.keep(sockets.Server(t, banner))
    done = t.tap(t.python("""
        import socket, sys
        for n in range(100):
            s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            s.settimeout(3)
            try: assert s.recv(99) == b"220 ready\\r\\n"
            except TimeoutError: print(n, "had no banner")
            s.close()
        """, server.port)).ok()
    t.equal(done.text, "", "what was missing")


def test_pass_leaves_tls_alone(t):
    t.keep(nginx.serve(t))
    done = t.tap(["curl", "-sS", "--cacert", f"{t.pki}/ca.pem", "https://localhost/hello"], options=["--tls", "pass"],
                 capture=True).ok()
    t.has(done.text, "hello from 443")
    t.equal(done.flow(protocol="tcp")["verdict"], "passed", "verdict")
    wireshark.sound(done.capture)


def test_app_that_trusts_only_its_own(t):
    """A pinning app refuses us; that is said, and it is no crash."""
    t.only_apptap()
    t.keep(nginx.serve(t))
    done = t.tap(t.python("""
        import socket, ssl, sys
        context = ssl.create_default_context(cafile=sys.argv[1])
        try:
            context.wrap_socket(socket.create_connection(("127.0.0.1", 443)), server_hostname="localhost")
        except ssl.SSLCertVerificationError as e:
            print("refused")
        """, f"{t.pki}/ca.pem"), env={"SSL_CERT_FILE": None}).ok()
    if done.text == "refused\n":
        flow = done.flow(protocol="tcp")
        t.equal(flow["verdict"], "failed", "verdict")
        t.true(flow.get("reason"), "a reason is given")


def test_origin_that_fails_the_handshake(t):
    """An origin that speaks no TLS on its TLS port: the app sees an error, not a hang."""
    server = t.keep(sockets.Server(t, lambda c: (c.recv(9999), c.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"), c.close())))
    for straight in True, False:
        done = t.tap(["curl", "-sS", "--max-time", "10", f"https://localhost:{server.port}/"], straight=straight)
        t.equal(done.status, 35, "curl's status")


def test_truncated_answer_is_seen_as_such(t):
    """The origin closes TCP without close_notify in mid-answer: so it is at the app."""
    def cut(connection):
        connection.recv(9999)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\npart")
        sock = socket.socket(fileno=connection.detach())
        sock.close()
    said = []
    for straight in True, False:
        server = t.keep(sockets.Server(t, cut, context=context(t, num_tickets=0)))
        done = t.tap(["curl", "-sS", f"https://localhost:{server.port}/"], straight=straight)
        said.append((done.status, done.text))
    t.equal(said[1], said[0], "status and text as without apptap")


def test_truncated_question_is_seen_as_such(t):
    """The app ends with close_notify or without: the origin sees which."""
    for notify in True, False:
        said = []

        def read(connection):
            connection.suppress_ragged_eofs = False
            try:
                while connection.recv(999): pass
                said.append("finished")
            except OSError as e:
                # Not reset, as by an app that has a ticket unread.
                said.append("cut off" if "UNEXPECTED_EOF" in str(e) else str(e))
            connection.close()
        for straight in True, False:
            server = t.keep(sockets.Server(t, read, context=context(t, options=0, num_tickets=0)))
            t.tap(t.python("""
                import socket, ssl, sys
                context = ssl.create_default_context()
                s = context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), server_hostname="localhost")
                s.sendall(b"part")
                if sys.argv[2] == "True":
                    try: s.unwrap()
                    except ssl.SSLError: pass
                s.close()
                """, server.port, notify), straight=straight).ok()
            t.until(lambda: len(said) == (1 if straight else 2), "the origin has seen the end")
        t.equal(said[1], said[0], f"what the origin sees, close_notify {notify}")
    t.equal(said[0], "cut off", "a missing one is noticed")


def test_resumption(t):
    """An app that takes up its session has one that is taken up at the origin too; both legs decrypt."""
    for version in "TLSv1_2", "TLSv1_3":
        reused = []

        def answer(connection):
            reused.append(connection.session_reused)
            connection.recv(999)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\npong")
        server = t.keep(sockets.Server(t, answer, port=443 if version == "TLSv1_3" else 8443, context=context(t)))
        done = t.tap(t.python("""
            import socket, ssl, sys
            context = ssl.create_default_context()
            context.maximum_version = ssl.TLSVersion[sys.argv[2]]
            session = None
            for n in range(4):
                raw = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
                s = context.wrap_socket(raw, server_hostname="localhost", session=session)
                s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
                data = b""
                while part := s.recv(999): data += part
                assert data.endswith(b"pong"), data
                print(s.session_reused)
                session = s.session
                s.close()
            """, server.port, version), capture=True).ok()
        server.join()
        t.equal(done.text.split(), ["False", "True", "True", "True"], f"resumed at the app with {version}")
        t.equal(reused, [False, True, True, True], f"resumed at the origin with {version}")
        wireshark.sound(done.capture)
        read = wireshark.column(done.capture, "http.response", "tcp.stream")
        t.equal(len(read), 4, f"answers that tshark decrypts with {version}")


def test_large_bodies(t):
    """Up and down through two TLS ends: 30 MB each way, SHA-256 equal."""
    size, seen = 30 << 20, []

    def work(connection):
        seen.append(take(connection, size))
        seen.append(sockets.pour(connection, size))
    server = t.keep(sockets.Server(t, work, context=context(t)))
    done = t.tap(t.python(f"""
        import hashlib, socket, ssl, sys
        sys.path.insert(0, {t.root_of_peers()!r})
        from peers import sockets
        s = ssl.create_default_context().wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), server_hostname="localhost")
        print(sockets.pour(s, {size}))
        digest, left = hashlib.sha256(), {size}
        while left:
            data = s.recv(65536); assert data
            digest.update(data); left -= len(data)
        print(digest.hexdigest())
        """, server.port)).ok()
    server.join()
    t.equal(done.text.split(), seen, "SHA-256")


def take(connection, size):
    import hashlib
    digest = hashlib.sha256()
    while size:
        data = connection.recv(65536)
        if not data:
            raise AssertionError(f"{size} bytes are missing")
        digest.update(data)
        size -= len(data)
    return digest.hexdigest()


def test_app_closes_in_the_handshake(t):
    """The app goes away after half a hello, and right after a whole one: nothing is left behind."""
    def listen(connection):
        with contextlib.suppress(ConnectionResetError):
            sockets.drain(connection)
    server = t.keep(sockets.Server(t, listen))
    began = time.monotonic()
    done = t.tap(t.python("""
        import socket, ssl, struct, sys
        out = ssl.MemoryBIO()
        end = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
        try: end.do_handshake()
        except ssl.SSLWantReadError: hello = out.read()
        for data in hello[:50], hello:
            for linger in 0, 1:
                s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
                s.sendall(data)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", linger, 0))
                s.close()
        """, server.port)).ok()
    t.true(time.monotonic() - began < t.scaled(4, 8), f"took {time.monotonic() - began:.1f} s though the app is gone")
    t.equal(len(done.flows), 4, "flows")
    server.join()


def test_time_to_first_byte(t):
    """Opening TLS adds milliseconds, not a delay that is seen: 20 small requests in turn."""
    t.keep(nginx.serve(t))
    began = time.monotonic()
    t.tap(["sh", "-c", "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "
           "curl -sS -o /dev/null https://localhost:8443/hello || exit 1; done"]).ok()
    t.true(time.monotonic() - began < t.scaled(6, 25), f"20 requests took {time.monotonic() - began:.1f} s")
