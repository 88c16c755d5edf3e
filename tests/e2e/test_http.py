# SPDX-License-Identifier: GPL-3.0-or-later
# test_http - a line for each HTTP request as it is answered.

import base64
import json
import os
import re
import shlex
import signal
import subprocess

from e2e import wireshark
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


def test_upgrade_that_is_declined(t):
    """curl offers h2c on each request; this nginx answers in HTTP/1.1."""
    t.keep(nginx.serve(t))
    url = "http://127.0.0.1/hello"
    run = http(t, ["curl", "-sS", "--http2", url, "-o", "/dev/null", url, "-o", "/dev/null"]).ok()
    t.equal(lines(run), [("curl", "GET", url, "200", "text/plain", "28 B")] * 2)


UPLOAD_AFTER_ANSWER = """
import socket
s = socket.create_connection(("127.0.0.1", 80))
said = s.makefile("rb")
def answered():
    head = iter(lambda: said.readline().strip().lower(), b"")
    said.read(next(int(line.split()[1]) for line in list(head) if line.startswith(b"content-length")))
s.sendall(b"POST /hello HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: 100000\\r\\n\\r\\n")
answered()
s.sendall(bytes(100000) + b"GET /agent HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
answered()
"""


def test_answered_before_the_body(t):
    """nginx answers from the head alone; what is said behind the body is heard too."""
    t.keep(nginx.serve(t))
    run = http(t, ["python3", "-c", UPLOAD_AFTER_ANSWER]).ok()
    t.equal([found[1:4] for found in lines(run)], [("POST", "http://localhost/hello", "200"),
                                                   ("GET", "http://localhost/agent", "200")])


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


# --- HAR ---

STRINGS = {"request": ("method", "url", "httpVersion"), "response": ("statusText", "httpVersion", "redirectURL")}


def entries(t, path):
    """The entries of a HAR file, once what HAR 1.2 demands of each is seen to be there."""
    t.equal(os.stat(path).st_mode & 0o777, 0o600, "mode")
    with open(path) as file:
        log = json.load(file)["log"]
    t.equal((log["version"], log["creator"]["name"], type(log["creator"]["version"])), ("1.2", "apptap", str), "log")
    for entry in log["entries"]:
        t.true(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["startedDateTime"]), "startedDateTime")
        timings = entry["timings"]
        t.true(all(timings[key] >= 0 for key in ("send", "wait", "receive")), f"timings {timings}")
        t.true(abs(entry["time"] - sum(n for n in timings.values() if n > 0)) < 0.01, "the time is the timings' sum")
        t.equal(type(entry["cache"]), dict, "cache")
        t.true(entry["serverIPAddress"] and isinstance(entry["connection"], str), "the connection")
        t.true(entry["_process"]["pid"] > 0 and entry["_process"]["name"], "the process")
        for which, keys in STRINGS.items():
            message = entry[which]
            t.true(all(isinstance(message[key], str) for key in keys), f"strings of {which}")
            t.true(all(isinstance(message[key], int) for key in ("headersSize", "bodySize")), f"sizes of {which}")
            for key in ("headers", "cookies", *(["queryString"] if which == "request" else [])):
                t.true(all(isinstance(pair["name"], str) and isinstance(pair["value"], str) for pair in message[key]), key)
        t.equal(type(entry["response"]["status"]), int, "status")
        content = entry["response"]["content"]
        t.true(isinstance(content["size"], int) and isinstance(content["mimeType"], str), "content")
        t.true(content.get("encoding", "base64") == "base64", "encoding")
    return log["entries"]


def body(entry):
    content = entry["response"]["content"]
    return base64.b64decode(content["text"]) if "encoding" in content else content.get("text", "").encode()


def test_har(t):
    t.only_apptap()
    url = t.keep(web.serve(t, tls=True))
    path = f"{t.home}/out.har"
    get = ["curl", "-sS", "--http1.1"]
    words = [word for name in ("text?a=b%20c&d&e=%00", "chunked", "gzip", "empty", "binary", "moved", "short")
             for word in ("-o", "/dev/null", f"{url}/{name}")]
    post = ["--next", "-sS", "-H", "Cookie: id=7; other=x y", "-d", "said=this", "-o", "/dev/null", f"{url}/cookies"]
    t.tap([*get, *words, *post], options=["--har", path])
    found = entries(t, path)
    t.equal([e["response"]["status"] for e in found], [200, 200, 200, 204, 200, 302, 200, 200], "statuses")
    t.equal([body(e) for e in found], [web.TEXT, web.TEXT, web.TEXT, b"", bytes(range(256)), b"", b"half", web.TEXT], "bodies")
    content = found[2]["response"]["content"]
    t.equal((content["size"], content["compression"]), (960, 960 - found[2]["response"]["bodySize"]), "gzip")
    t.equal([(q["name"], q["value"]) for q in found[0]["request"]["queryString"]], [("a", "b c"), ("d", ""), ("e", "%00")], "query")
    t.equal(found[5]["response"]["redirectURL"], "/text", "redirect")
    t.equal(found[6]["response"]["_error"], "cut short", "the short one")
    last = found[7]
    t.equal([(c["name"], c["value"]) for c in last["request"]["cookies"]], [("id", "7"), ("other", "x y")], "cookies")
    t.equal(last["request"]["postData"]["text"], "said=this", "postData")
    t.equal(last["request"]["postData"]["mimeType"], "application/x-www-form-urlencoded", "mimeType")
    t.equal(last["response"]["cookies"], [{"name": "id", "value": "set-cookie-secret", "path": "/", "httpOnly": True, "secure": True,
                                           "sameSite": "Lax"}, {"name": "theme", "value": "dark"}], "cookies set")
    t.equal((last["serverIPAddress"], last["_process"]["name"]), ("127.0.0.1", "curl"), "whose")


def test_har_of_two_bounded(t):
    t.only_apptap()
    www = t.keep(nginx.serve(t))
    with open(f"{www}/large", "wb") as file:
        file.write(b"0123456789" * 300000)
    path = f"{t.home}/out.har"
    t.tap(["curl", "-sS", "-o", "/dev/null", "https://localhost/large"], options=["--har", path, "--har-body", "1000"]).ok()
    entry, = entries(t, path)
    t.equal((entry["request"]["httpVersion"], entry["response"]["content"]["size"]), ("HTTP/2.0", 3000000), "h2")
    t.equal(body(entry), b"0123456789" * 100, "as much as was asked for")
    t.has(entry["response"]["content"]["comment"], "the first 1000 of 3000000 bytes")
    t.tap(["curl", "-sS", "-o", "/dev/null", "https://localhost/large"], options=["--har", path]).ok()
    entry, = entries(t, path)
    t.equal(len(body(entry)), 1 << 20, "1 MiB by default")


def test_har_is_whole_when_it_ends_early(t):
    """After each entry, so also when apptap is killed; and after SIGINT."""
    t.only_apptap()
    url = t.keep(web.serve(t))
    for number in signal.SIGKILL, signal.SIGINT:
        path = f"{t.home}/{number}.har"
        tap = t.start(["sh", "-c", f"curl -s -o /dev/null {url}/text {url}/chunked -o /dev/null; echo done; read x"],
                      options=["--har", path], stdin=subprocess.PIPE)
        tap.expect("done")
        t.until(lambda where=path: len(entries(t, where)) == 2, "two entries while it runs")
        tap.signal(number)
        tap.process.stdin.close()
        tap.wait(30)
        t.equal([e["request"]["url"] for e in entries(t, path)], [f"{url}/text", f"{url}/chunked"], "after its end")


def test_har_in_jq(t):
    t.only_apptap()
    t.need("jq")
    t.keep(nginx.serve(t))
    path = f"{t.home}/out.har"
    t.tap(["curl", "-sS", "https://localhost/hello"], options=["--har", path]).ok()
    found = subprocess.run(["jq", "-r", ".log.entries[] | [._process.name, .request.method, .request.url, .response.status] | @tsv", path],
                           stdout=subprocess.PIPE, check=True, timeout=20)
    t.equal(found.stdout, b"curl\tGET\thttps://localhost/hello\t200\n", "what jq reads")


def test_har_that_cannot_be_written(t):
    t.only_apptap()
    run = t.tap(["true"], options=["--har", f"{t.folder}/none/out.har"])
    t.true(run.status != 0, "a status")
    t.has(run.said, "cannot write the HAR file")


# --- redacted ---

def test_redacted(t):
    """Every way out of a run with secrets in each place that is hidden."""
    t.only_apptap()
    t.keep(nginx.serve(t))
    url = t.keep(web.serve(t, tls=True))
    base = f"{t.home}/out"
    headers = ["-H", "Cookie: id=cookie-secret", "-u", "me:basic-secret", "-H", "Proxy-Authorization: proxy-secret", "-H", "X-Kept: kept"]
    get = ["curl", "-sS", *headers, "-o", "/dev/null"]
    code = " ".join(map(shlex.quote, [*get, "--http1.1", f"{url}/cookies"])) + "; " + " ".join(map(shlex.quote, [*get, "https://localhost/hello"]))
    run = t.tap(["sh", "-c", code], options=["--redact", "--dump", "--http", "--har", f"{base}.har", "--keylog", f"{base}.keys",
                                             "--plaintext", f"{base}.plain.pcapng", "-w", f"{base}.pcapng"]).ok()
    secrets = [b"cookie-secret", b"basic-secret", base64.b64encode(b"me:basic-secret"), b"proxy-secret"]
    for name in ".har", ".keys", ".plain.pcapng", ".pcapng":
        with open(base + name, "rb") as file:
            content = file.read()
        t.equal([s for s in secrets if s in content], [], f"secrets in {name}")
        t.equal(b"TLSK" in content or b"KSLT" in content, False, f"TLS secrets in {name}")
    t.equal(os.stat(f"{base}.keys").st_size, 0, "size of the key log")
    t.equal([s for s in secrets if s in run.stderr], [], "secrets on the terminal")
    one, two = entries(t, f"{base}.har")
    for entry in one, two:
        found = {h["name"].lower(): h["value"] for h in entry["request"]["headers"]}
        t.equal((found["cookie"], found["x-kept"]), ("*" * len("id=cookie-secret"), "kept"), "headers")
        t.true(set(found["authorization"]) == set(found["proxy-authorization"]) == {"*"}, "authorizations")
        t.equal(entry["request"]["cookies"], [], "cookies")
    t.equal([e["response"]["status"] for e in (one, two)], [200, 200], "statuses")
    t.equal(body(one), web.TEXT, "the body")
    t.equal(one["response"]["cookies"], [], "cookies set")
    plain = f"{base}.plain.pcapng"
    wireshark.readable(plain, wireshark.sound(plain))
    t.equal(wireshark.column(plain, "http.request", "http.cookie"), ["*" * 16], "the cookie in Wireshark")
    t.equal(wireshark.rows(plain, "http2.headers.path", "http2.headers.path", "http2.headers.cookie"), [["/hello", "*" * 16]], "h2's")
    t.equal(wireshark.column(plain, "http2.headers.status", "http2.headers.status"), ["200"], "h2's answer")
