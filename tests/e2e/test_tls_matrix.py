# SPDX-License-Identifier: GPL-3.0-or-later
# test_tls_matrix - each TLS library against two servers, in every version, ALPN offer and kind of key.
#
# One program a library makes all its connections one after the other, first straight and then
# through apptap: see peers/tls_client.py for what it is told and tells. Of each cell the bytes must
# be whole, version and ALPN as they were straight, and the capture must hold the same bytes,
# decrypted by tshark. What a client cannot do straight must fail through apptap as well; that may
# be so of TLS 1.0 and 1.1 alone.

import os
import subprocess

from e2e import wireshark
from e2e.scenario import PYTHON, Skip, only
from peers import authority, nginx, sockets

VERSIONS = ["1.0", "1.1", "1.2", "1.3"]
OFFERS = ["-", "http/1.1", "h2,http/1.1"]
SERVERS = {("nginx", "RSA"): 3441, ("nginx", "ECDSA"): 3442, ("s_server", "RSA"): 4441, ("s_server", "ECDSA"): 4442}
END = b"the end of the body\n"
H2_FRAME_HEAD, H2_DATA = 9, 0

CONFIG = """
	ssl_ciphers DEFAULT:@SECLEVEL=0;
	server {{ listen 127.0.0.1:{rsa} ssl http2; ssl_certificate {pki}/matrix.pem; ssl_certificate_key {pki}/matrix.key; }}
	server {{ listen 127.0.0.1:{ecdsa} ssl http2; ssl_certificate {pki}/good.pem; ssl_certificate_key {pki}/good.key; }}
"""


def requests(folder):
    """GET /body as the plain clients send it: HTTP/1.0, and one HTTP/2 stream (RFC 9113 3.4, RFC 7541 6)."""
    block = b"\x82\x87\x04\x05/body\x01\x09localhost"    # GET, https, literal :path and :authority
    frames = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]) + bytes([0, 0, len(block), 1, 5, 0, 0, 0, 1]) + block
    for name, data in (("h1", b"GET /body HTTP/1.0\r\n\r\n"), ("h2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames)):
        with open(f"{folder}/request.{name}", "wb") as file:
            file.write(data)

def unpack(answer):
    """The body of an answer in HTTP/1 or HTTP/2."""
    if answer.startswith(b"HTTP/1"):
        return answer.split(b"\r\n\r\n", 1)[1]
    body, at = b"", 0
    while at + H2_FRAME_HEAD <= len(answer):
        size = int.from_bytes(answer[at:at + 3], "big")
        if answer[at + 3] == H2_DATA:
            body += answer[at + H2_FRAME_HEAD:at + H2_FRAME_HEAD + size]
        at += H2_FRAME_HEAD + size
    return body

class Matrix:
    def __init__(self, t, raw, without):
        self.t, self.raw = t, raw
        self.body = sockets.block(t.scaled(32, 4) << 10) + END
        versions = VERSIONS if not t.sanitized else ["1.2", "1.3"]
        self.cells = [(server, kind, version, offer) for server, kind in SERVERS for version in versions for offer in OFFERS
                      if (server, version) != without]
        self.serve()

    def serve(self):
        t = self.t
        authority.leaf(t.pki, "matrix", ["localhost"], rsa=True)
        www = t.keep(nginx.serve(t, more=CONFIG.format(rsa=SERVERS["nginx", "RSA"], ecdsa=SERVERS["nginx", "ECDSA"], pki=t.pki),
                                   versions="TLSv1 TLSv1.1 TLSv1.2 TLSv1.3"))
        # s_server's come from the folder that it was started in, the scenario's, and say their headers.
        head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(self.body)}\r\n\r\n".encode()
        for path, data in ((f"{www}/body", self.body), (f"{t.folder}/body", head + self.body)):
            with open(path, "wb") as file:
                file.write(data)
        for name, kind in (("matrix", "RSA"), ("good", "ECDSA")):
            t.keep(sockets.openssl_server(t, "-HTTP", "-alpn", "http/1.1", "-cipher", "DEFAULT:@SECLEVEL=0",
                                          port=SERVERS["s_server", kind], name=name))

    def play(self, command, **kw):
        """[(version, ALPN) or None] of the cells, and what each was answered."""
        t = self.t
        folder = f"{t.home}/answers{t.counter}"
        os.mkdir(folder)
        os.chmod(folder, 0o777)
        requests(folder)
        lines = "".join(f"{n} {SERVERS[s, k]} {v} {o}\n" for n, (s, k, v, o) in enumerate(self.cells))
        done = t.tap([*command, folder], limit=t.scaled(60, 150), stdin=lines.encode(), **kw).ok()
        said = [line.split() for line in done.text.splitlines()]
        t.equal([int(s[0]) for s in said], list(range(len(self.cells))), "the cells that were played")
        for s in said:
            if s[1] != "failed":
                with open(f"{folder}/{s[0]}", "rb") as file:
                    self.is_whole(int(s[0]), file.read(), self.raw, "answer")
        return done, [None if s[1] == "failed" else tuple(s[1:]) for s in said], said

    def is_whole(self, n, answer, raw, what):
        found = unpack(answer) if raw else answer
        self.t.true(found == self.body, f"{self.cells[n]}: the {what} has {len(found)} bytes, not the {len(self.body)} sent")

    def decrypts(self, capture, agreed):
        """Every connection's answer stands in the capture, read with nothing but the capture."""
        streams = wireshark.column(capture, "tcp.flags.syn == 1 && tcp.flags.ack == 1", "tcp.stream")
        self.t.equal(len(streams), len(self.cells), "connections in the capture")
        answers = wireshark.followed(capture, [s for s, a in zip(streams, agreed) if a])
        for n, ways in zip([n for n, a in enumerate(agreed) if a], answers):
            self.is_whole(n, max(ways, key=len), True, "capture")

    def show(self, agreed):
        """A row for each server and kind of key, a column for each offer: what was agreed."""
        def short(version, alpn):
            version = "1.0" if version == "TLSv1" else version.removeprefix("TLSv")
            return f"{version} {alpn.split(',')[0].replace('http/1.1', 'h1')}"

        def cell(n):
            return "refused" if agreed[n] is None else short(*agreed[n])
        columns = list(dict.fromkeys((v, o) for _, _, v, o in self.cells))
        lines = ["".join([f"{'offered':16}"] + [f"{short(v, o):>9}" for v, o in columns])]
        for server, kind in SERVERS:
            row = [cell(n) for n, c in enumerate(self.cells) if c[:2] == (server, kind)]
            lines.append(f"{server + ' ' + kind:16}" + "".join(f"{text:>9}" for text in row))
        self.t.show(*lines)

def play(t, command, raw=False, trust=None, without=None):
    """trust: variables that tell the straight run of the test's authority; without: a server
    and a version that the client cannot be used with."""
    straight = dict(trust or {}, STRAIGHT="1")
    matrix = Matrix(t, raw, without)
    _, wanted, said = matrix.play(command, straight=True, env=straight)
    for n, cell in enumerate(matrix.cells):
        t.true(wanted[n] or cell[2] < "1.2", f"{cell}: without apptap {' '.join(said[n])}")
    done, found, said = matrix.play(command, capture=True, env=straight if t.direct_mode else None)
    for n, cell in enumerate(matrix.cells):
        t.equal(found[n], wanted[n], f"{cell} ({' '.join(said[n])})")
    if not t.direct_mode:
        opened = [f for f in done.flows if f["protocol"] == "tcp" and f["verdict"] == "opened"]
        t.equal(len(opened), sum(a is not None for a in found), "flows that were opened")
        matrix.decrypts(done.capture, found)
    matrix.show(found)

def library(t, name):
    return f"{t.root_of_peers()}/peers/{name}"

@only("user", limit=90)
def test_openssl(t):
    play(t, [PYTHON, library(t, "tls_client.py"), "curl"])

@only("user", limit=90)
def test_python(t):
    play(t, [PYTHON, library(t, "tls_client.py"), "python"], raw=True)

@only("user", limit=90)
def test_gnutls(t):
    t.need("gnutls-cli")
    play(t, [PYTHON, library(t, "tls_client.py"), "gnutls"], raw=True)

@only("user", limit=90)
def test_node(t):
    t.need("node")
    play(t, ["node", library(t, "tls_client.js")])

@only("user", limit=90)
def test_java(t):
    """With the versions that its own settings disable enabled again. Straight, too, s_server waits
    for a close_notify that HttpClient does not send in TLS 1.3."""
    for program in "java", "javac", "keytool":
        t.need(program)
    with open(f"{t.folder}/java.security", "w") as file:
        file.write("jdk.tls.disabledAlgorithms=\n")
    store = f"{t.folder}/store"
    subprocess.run(["keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", f"{t.pki}/ca.pem", "-keystore", store,
                    "-storepass", "changeit"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    command = ["java", "-XX:TieredStopAtLevel=1", f"-Djava.security.properties={t.folder}/java.security"]
    play(t, [*command, library(t, "TlsClient.java")], trust={"JAVA_TOOL_OPTIONS": f"-Djavax.net.ssl.trustStore={store} "
                                                     "-Djavax.net.ssl.trustStorePassword=changeit"},
         without=("s_server", "1.3"))

@only("user", limit=90)
def test_wolfssl(t):
    program = f"{t.root}/bin/tls_client"
    if not os.access(program, os.X_OK):
        raise Skip("the client was not built")
    play(t, [program], raw=True)
