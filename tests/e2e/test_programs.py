# SPDX-License-Identifier: GPL-3.0-or-later
# test_programs - real programs, unchanged and unaware: curl, wget, Python, Node.js, git, Java.

from e2e.scenario import PYTHON, only
from e2e import wireshark
from peers import dns, git, nginx, sockets


def decrypted_paths(done):
    """Every request's path that tshark reads from the capture, HTTP/1 and 2."""
    found = []
    for row in wireshark.rows(done.capture, "http.request.uri || http2.headers.path", "http.request.uri",
                              "http2.headers.path"):
        found += [value for field in row for value in field.split(",") if value]
    return found


def opened(t, done, path, **fields):
    flow = done.flow(protocol="tcp", verdict="opened")
    t.equal(flow["tls"]["certificate"], "trusted", "certificate")
    for name, value in fields.items():
        t.equal(flow["tls"][name], value, name)
    t.has(decrypted_paths(done), path)
    wireshark.sound(done.capture)
    return flow


def test_curl_http1(t):
    t.keep(nginx.serve(t))
    done = t.tap(["curl", "-sS", "https://localhost:8443/hello"], capture=True).ok()
    t.equal(done.text, "hello from 8443 over HTTP/1.1\n", "the answer")
    t.equal(done.stderr, done.stderr if not done.direct else b"", "stderr")
    opened(t, done, "/hello", version="TLSv1.3", alpn="http/1.1", sni="localhost")


def test_curl_http2(t):
    t.keep(nginx.serve(t))
    done = t.tap(["curl", "-sS", "https://localhost/hello"], capture=True).ok()
    t.equal(done.text, "hello from 443 over HTTP/2.0\n", "the answer")
    opened(t, done, "/hello", version="TLSv1.3", alpn="h2")


def test_curl_many_at_once_http2(t):
    www = t.keep(nginx.serve(t))
    for n in range(40):
        with open(f"{www}/file{n}", "wb") as file:
            file.write(b"%d\n" % n * 20000)
    names = [f"https://localhost/file{n}" for n in range(40)]
    done = t.tap(["curl", "-sS", "--parallel", "--parallel-immediate", "--fail",
                  *[a for n, url in enumerate(names) for a in ("-o", f"{t.home}/{n}", url)]]).ok()
    for n in range(40):
        with open(f"{t.home}/{n}", "rb") as file:
            t.equal(file.read(), b"%d\n" % n * 20000, f"file {n}")
    t.true(all(f["verdict"] == "opened" for f in done.flows), "every flow opened")


def test_curl_plain_http(t):
    t.keep(nginx.serve(t))
    done = t.tap(["curl", "-sS", "http://localhost/hello"], capture=True).ok()
    t.equal(done.text, "hello from 80 over HTTP/1.1\n", "the answer")
    t.equal(done.flow(protocol="tcp")["verdict"], "relayed", "verdict")
    t.has(decrypted_paths(done), "/hello")
    wireshark.sound(done.capture)


def test_curl_keepalive_and_reuse(t):
    t.keep(nginx.serve(t))
    done = t.tap(["curl", "-sS", "https://localhost:8443/hello", "https://localhost:8443/agent"], capture=True).ok()
    t.has(done.text, "hello from 8443", "curl/")
    opened(t, done, "/agent")


def test_curl_by_address(t):
    t.keep(nginx.serve(t, ("127.0.0.1", "198.51.100.1", "2001:db8::1")))
    for address in "127.0.0.1", "198.51.100.1", "2001:db8::1":
        done = t.tap(["curl", "-sS", sockets.url(address, 443, "/hello")], capture=True).ok()
        t.has(done.text, "hello from 443")
        opened(t, done, "/hello")


def test_curl_by_name(t):
    t.keep(dns.serve(t))
    t.keep(nginx.serve(t))
    done = t.tap(["curl", "-sS", "https://www.origin.test/hello"], capture=True).ok()
    t.has(done.text, "hello from 443")
    t.equal(opened(t, done, "/hello", sni="www.origin.test")["name"], "www.origin.test", "name")


def test_wget(t):
    t.need("wget")
    t.keep(nginx.serve(t))
    environment = {}
    if t.direct_mode:
        with open(f"{t.home}/.wgetrc", "w") as file:
            file.write(f"ca_certificate={t.pki}/ca.pem\n")
    done = t.tap(["wget", "-q", "-O", "-", "https://localhost:8443/hello"], env=environment, capture=True).ok()
    t.has(done.text, "hello from 8443")
    opened(t, done, "/hello")


def test_python_urllib(t):
    t.keep(nginx.serve(t))
    done = t.tap(t.python("""
        import urllib.request
        print(urllib.request.urlopen("https://localhost:8443/hello").read().decode())
        """), capture=True).ok()
    t.has(done.text, "hello from 8443")
    opened(t, done, "/hello")


def test_python_ssl(t):
    t.keep(sockets.Server(t, sockets.echo, context=server_context(t)))
    server = t.keep(sockets.Server(t, sockets.echo, context=server_context(t)))
    done = t.tap(t.python("""
        import socket, ssl, sys
        context = ssl.create_default_context()
        with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as raw:
            with context.wrap_socket(raw, server_hostname="localhost") as s:
                for n in range(100):
                    s.sendall(b"%d" % n * 50)
                    got = b""
                    while len(got) < len(b"%d" % n * 50):
                        got += s.recv(9999)
                    assert got == b"%d" % n * 50
                print(s.version(), s.getpeername()[0])
        """, server.port)).ok()
    t.equal(done.text.split(), ["TLSv1.3", "127.0.0.1"], "version and peer")
    t.equal(done.flow(verdict="opened")["tls"]["alpn"] if "alpn" in done.flow()["tls"] else "", "", "alpn")


def server_context(t):
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{t.pki}/good.pem", f"{t.pki}/good.key")
    return context


def test_node(t):
    t.need("node")
    t.keep(nginx.serve(t))
    done = t.tap(["node", "-e", """
        require("dns").setDefaultResultOrder("ipv4first");
        fetch("https://localhost:8443/hello").then(r => r.text()).then(x => process.stdout.write(x));
        require("https").get("https://localhost:8443/agent", r => r.resume()).on("error", e => { console.error(e); process.exit(9); });
        """], capture=True).ok()
    t.has(done.text, "hello from 8443")
    t.has(decrypted_paths(done), "/hello", "/agent")
    wireshark.sound(done.capture)


def test_git_clone(t):
    t.keep(git.serve(t))
    place = f"{t.home}/clone"
    done = t.tap(["git", "clone", "-q", "https://localhost/repository.git", place], capture=True).ok()
    with open(f"{place}/file7") as file:
        t.equal(file.read(), "7\n" * 2000, "a file of the clone")
    t.true(any(p.startswith("/repository.git/info/refs") for p in decrypted_paths(done)), "info/refs is in the capture")
    t.true(any(f["process"]["name"].startswith("git-remote-http") for f in done.flows), "the process is git-remote-http")
    wireshark.sound(done.capture)


@only("root", limit=90)
def test_java(t):
    t.need("java")
    t.need("javac")
    t.keep(nginx.serve(t))
    with open(f"{t.home}/Get.java", "w") as file:
        file.write("""
            public class Get { public static void main(String[] a) throws Exception {
                System.out.print(new String(new java.net.URL(a[0]).openStream().readAllBytes())); } }""")
    if t.direct_mode:
        from e2e.world import Skip
        raise Skip("direct: Java does not know the test's authority")
    done = t.tap(["java", f"{t.home}/Get.java", "https://localhost:8443/hello"], limit=80).ok()
    t.has(done.text, "hello from 8443")


def test_openssl_client(t):
    t.keep(sockets.openssl_server(t, "-rev"))
    done = t.tap(["sh", "-c", "{ echo stressed; sleep 0.3; } | openssl s_client -connect 127.0.0.1:4433 "
                  "-servername localhost -quiet -verify_return_error -no_ign_eof"]).ok()
    t.has(done.text, "desserts")
    t.equal(done.flow(protocol="tcp")["verdict"], "opened", "verdict")


def test_python_requests(t):
    """Where the requests package is installed: its own bundle is extended too."""
    import subprocess
    if subprocess.run([PYTHON, "-c", "import requests"], stderr=subprocess.DEVNULL).returncode:
        from e2e.world import Skip
        raise Skip("python3-requests is not installed")
    t.keep(nginx.serve(t))
    done = t.tap(t.python("import requests; print(requests.get('https://localhost:8443/hello').text)"),
                 env={"REQUESTS_CA_BUNDLE": f"{t.pki}/ca.pem"} if t.direct_mode else None).ok()
    t.has(done.text, "hello from 8443")
