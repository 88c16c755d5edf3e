# SPDX-License-Identifier: GPL-3.0-or-later
# test_http - a line for each HTTP request as it is answered.

import re

from peers import nginx, web

LINE = re.compile(r"apptap: (\S+)\[\d+\] ([A-Z]+) (\S+) (\d{3}|no answer)(?: ([a-z]+/\S+))?(?: (\d\S* [kM]?B)(, cut short| .*)?)?$", re.M)


def lines(run):
    """(program, method, URL, status, type, size) of each."""
    return [found[:6] for found in LINE.findall(run.said)]


def http(t, command, **kw):
    t.only_apptap()
    return t.tap(command, options=["-q", "--http"], **kw)


def test_two(t):
    """Several streams of one connection."""
    t.keep(nginx.serve(t))
    run = http(t, ["curl", "-sS", "--http2", "-Z", "https://localhost/hello", "https://localhost/none?a=b", "-I",
                   "https://localhost/agent"]).ok()
    t.equal(sorted(lines(run)), [("curl", "HEAD", "https://localhost/agent", "200", "text/plain", "0 B"),
                                 ("curl", "HEAD", "https://localhost/hello", "200", "text/plain", "0 B"),
                                 ("curl", "HEAD", "https://localhost/none?a=b", "404", "text/html", "0 B")])


def test_two_with_bodies(t):
    www = t.keep(nginx.serve(t))
    with open(f"{www}/large", "wb") as file:
        file.write(bytes(3000000))
    run = http(t, ["curl", "-sS", "--http2", "https://localhost/hello", "-o", "/dev/null", "https://localhost/large",
                   "-o", "/dev/null"]).ok()
    t.equal(lines(run), [("curl", "GET", "https://localhost/hello", "200", "text/plain", "29 B"),
                         ("curl", "GET", "https://localhost/large", "200", "text/plain", "3.0 MB")])


def kinds(t, url):
    get = ["curl", "-sS", "--http1.1"]
    paths = ["chunked", "gzip?x=1", "empty", "binary", "moved", "text"]
    run = http(t, [*get, *[word for path in paths for word in ("-o", "/dev/null", f"{url}/{path}")]]).ok()
    found = lines(run)
    t.equal([line[:4] for line in found],
            [("curl", "GET", f"{url}/{path}", {"empty": "204", "moved": "302"}.get(path, "200")) for path in paths])
    t.equal([line[4] for line in found], ["text/plain", "text/plain", "", "application/octet-stream", "", "text/plain"])
    t.equal([line[5] for line in found if "gzip" not in line[2]], ["960 B", "0 B", "256 B", "0 B", "960 B"], "sizes")
    run = http(t, [*get, "-I", f"{url}/text", "--next", *get[1:], "-d", "body", "-H", "Expect: 100-continue", f"{url}/text"]).ok()
    t.equal([line[1:4] + line[5:] for line in lines(run)], [("HEAD", f"{url}/text", "200", "0 B"), ("POST", f"{url}/text", "200", "960 B")])
    run = http(t, [*get, f"{url}/until-the-end"]).ok()
    t.equal([line[2:4] + line[5:] for line in lines(run)], [(f"{url}/until-the-end", "200", "960 B")])
    run = http(t, [*get, f"{url}/short"])
    t.has(run.said, f"GET {url}/short 200 4 B, cut short")


def test_one_in_tls(t):
    kinds(t, t.keep(web.serve(t, tls=True)))


def test_one_without_tls(t):
    kinds(t, t.keep(web.serve(t)))


def test_pipelined_and_switched(t):
    url = t.keep(web.serve(t))
    code = """
        import socket, sys
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        for path in "/text", "/empty", "/chunked":
            s.sendall(f"GET {path} HTTP/1.1\\r\\nHost: named\\r\\n\\r\\n".encode())
        s.sendall(b"GET /switch HTTP/1.1\\r\\nHost: named\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n")
        while s.recv(65536): pass
    """
    run = http(t, t.python(code, url.rpartition(":")[2])).ok()
    t.equal([line[1:4] for line in lines(run)], [("GET", "http://named/text", "200"), ("GET", "http://named/empty", "204"),
                                                 ("GET", "http://named/chunked", "200"), ("GET", "http://named/switch", "101")])


def test_bad_input_harms_nothing(t):
    """What looks like HTTP and is not gets through as without apptap; other flows are seen on."""
    url = t.keep(web.serve(t))
    code = """
        import socket, sys
        port = int(sys.argv[1])
        bad = socket.create_connection(("127.0.0.1", port))
        bad.sendall(b"GET / HTTP/1.1\\r\\nHost\\x00: \\x1b[31m\\r\\n: \\r\\n\\r\\n")
        good = socket.create_connection(("127.0.0.1", port))
        good.sendall(b"GET /text HTTP/1.1\\r\\nHost: good\\r\\nConnection: close\\r\\n\\r\\n")
        while good.recv(65536): pass
        bad.shutdown(socket.SHUT_WR)
        while bad.recv(65536): pass
    """
    run = http(t, t.python(code, url.rpartition(":")[2])).ok()
    t.has(run.said, "GET http://good/text 200")
    t.lacks(run.said, "\x1b", "\x00")
