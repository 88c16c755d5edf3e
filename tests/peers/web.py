# SPDX-License-Identifier: GPL-3.0-or-later
# web - a small HTTP/1.1 server of every kind of answer, with TLS and without.

import contextlib
import gzip
import http.server
import ssl
import threading

TEXT = b"plain text, said again. " * 40


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body, *fields, status=200):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        if not any(name == "Transfer-Encoding" for name, _ in fields) and status >= 200 and status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        plain = ("Content-Type", "text/plain; charset=utf-8")
        if path == "/chunked":
            half = len(TEXT) // 2
            parts = [TEXT[:half], TEXT[half:], b""]
            self.answer(b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts), plain, ("Transfer-Encoding", "chunked"))
        elif path == "/gzip":
            self.answer(gzip.compress(TEXT), plain, ("Content-Encoding", "gzip"))
        elif path == "/empty":
            self.answer(b"", status=204)
        elif path == "/binary":
            self.answer(bytes(range(256)), ("Content-Type", "application/octet-stream"))
        elif path == "/moved":
            self.answer(b"", ("Location", "/text"), status=302)
        elif path == "/cookies":
            self.answer(TEXT, plain, ("Set-Cookie", "id=set-cookie-secret; Path=/; HttpOnly; Secure; SameSite=Lax"),
                        ("Set-Cookie", "theme=dark"))
        elif path == "/switch":
            self.answer(b"not HTTP any more", ("Connection", "Upgrade"), ("Upgrade", "websocket"), status=101)
            self.close_connection = True
        elif path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
        elif path == "/until-the-end":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(TEXT)
        else:
            self.answer(TEXT, plain)

    do_POST = do_HEAD = do_PUT = do_GET

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serve(t, tls=False, address="127.0.0.1"):
    """Yields the server's URL, without a path."""
    server = http.server.ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{t.pki}/good.pem", f"{t.pki}/good.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http{'s' if tls else ''}://{'localhost' if tls else address}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
