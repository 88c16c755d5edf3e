# SPDX-License-Identifier: GPL-3.0-or-later
# test_dump - what conversations say, as hex and text on standard error.

import os
import pty
import re

from peers import nginx, sockets

ROW = re.compile(r"^([<>]) 0x([0-9a-f]+):  ((?:[0-9a-f]{2,4} )+) *(\S+)$", re.M)


def said(text, mark):
    """The bytes that the rows of one direction stand for; their offsets have no gap."""
    found = b""
    for direction, offset, digits, _ in ROW.findall(text):
        if direction == mark:
            assert int(offset, 16) == len(found), f"offset {offset} after {len(found)} bytes"
            found += bytes.fromhex(digits.replace(" ", ""))
    return found


def test_inside_tls(t):
    t.only_apptap()
    t.keep(nginx.serve(t))
    run = t.tap(["curl", "-sS", "--http1.1", "https://localhost:8443/hello"], options=["--dump"]).ok()
    t.has(run.said, "> localhost", "< localhost", "GET./hello.HTTP/")
    t.true(said(run.said, ">").startswith(b"GET /hello HTTP/1.1\r\n"), "the request")
    t.true(said(run.said, "<").startswith(b"HTTP/1.1 200"), "the response")
    t.true(said(run.said, "<").endswith(run.stdout), "the response's body")
    t.lacks(run.said, "\x1b")


def every_byte(connection):
    connection.sendall(bytes(range(256)) * 1000)
    while connection.recv(4096):
        pass


def test_without_tls_and_bounded(t):
    """A server that speaks first; no byte of it gets out raw."""
    t.only_apptap()
    server = t.keep(sockets.Server(t, every_byte))
    code = """
        import socket, sys
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        n = 0
        while n < 256000: n += len(s.recv(65536))
        s.sendall(b"bye")
    """
    run = t.tap(t.python(code, str(server.port)), options=["-q", "--dump", "--dump-bytes", "1000"]).ok()
    t.equal(said(run.said, "<"), (bytes(range(256)) * 4)[:1000], "what was shown")
    t.equal(said(run.said, ">"), b"bye", "what the program said")
    t.has(run.said, "no more of this side is shown")
    t.equal([c for c in run.said if c != "\n" and not " " <= c <= "~"], [], "control characters")


def test_colours_on_a_terminal(t):
    t.only_apptap()
    t.keep(nginx.serve(t))
    for extra, coloured in (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)):
        master, slave = pty.openpty()
        tap = t.popen([t.apptap, "run", "-q", "--upstream-ca", f"{t.pki}/ca.pem", "--dump", "--", "curl", "-sS",
                       "https://localhost:8443/hello"], t.environment(extra), stderr=slave)
        os.close(slave)
        seen = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:    # the other end is closed
                break
            seen += part
            if not part:
                break
        t.equal(tap.wait(20), 0, "status")
        os.close(master)
        t.equal(b"\x1b[33m> 0x0000:" in seen, coloured, f"colours with {extra}")
        t.equal(b"\x1b" in seen, coloured, f"escapes with {extra}")
