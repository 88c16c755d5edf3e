# SPDX-License-Identifier: GPL-3.0-or-later
# test_tls_options - versions forced, certificates of the client's, revocation lists, and what the
# record says of both legs.

import contextlib
import ssl
import subprocess

from e2e import wireshark
from peers import authority, nginx, sockets

ASK = """
import socket, ssl, sys
context = ssl.create_default_context()
for name, value in (("minimum_version", 2), ("maximum_version", 3)):
    if len(sys.argv) > value and sys.argv[value]: setattr(context, name, ssl.TLSVersion[sys.argv[value]])
if len(sys.argv) > 4: context.load_cert_chain(sys.argv[4], sys.argv[5])
try:
    s = context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), server_hostname="localhost")
    s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    print(s.version(), s.recv(99).split(b"\\r")[0].decode())
except (ssl.SSLError, OSError) as e: print(getattr(e, "verify_message", None) or getattr(e, "reason", None) or e)
"""


def ask(t, port, *arguments, options=(), **kw):
    return t.tap(t.python(ASK, port, *arguments), options=options, **kw).ok()


def test_versions_are_forced(t):
    t.keep(sockets.openssl_server(t, "-www", port=4433))
    for options, version in ((("--tls-max", "1.2"), "TLSv1.2"), (("--tls-min", "1.3"), "TLSv1.3"), ((), "TLSv1.3")):
        done = ask(t, 4433, options=options)
        t.equal(done.text.split()[0], version, f"the app's with {options}")
        tls = done.flow(protocol="tcp")["tls"]
        t.equal((tls["app"]["version"], tls["origin"]["version"]), (version, version), f"the legs' with {options}")


def test_a_minimum_that_the_origin_has_not(t):
    t.keep(sockets.openssl_server(t, "-www", "-tls1_2", port=4433))
    done = ask(t, 4433, options=("--tls-min", "1.3"), env={"SSL_CERT_FILE": f"{t.pki}/ca.pem"})
    t.equal(done.text.split()[0], "TLSv1.2", "the app and the origin agree without us")
    flow = done.flow(protocol="tcp")
    t.equal(flow["verdict"], "passed", "verdict")
    t.has(flow["reason"], "protocol_version")


def test_wrong_versions(t):
    for options, words in (("--tls-min", "1.4"), "1.4"), (("--tls-max", "SSL3"), "SSL3"), \
                          (("--tls-min", "1.3", "--tls-max", "1.2"), "newer than"):
        done = t.tool("run", *options, "--", "true")
        t.equal(done.status, 64, f"status with {options}")
        t.has(done.said, words)


class Patient(sockets.Server):
    """One whose clients may leave in the middle of the handshake."""

    def serve(self, connection):
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            super().serve(connection)


def client(t):
    authority.leaf(t.pki, "client", ["someone"], usage="clientAuth")
    with open(f"{t.home}/me.pem", "w") as file:
        for part in "client.pem", "client.key":
            with open(f"{t.pki}/{part}") as from_:
                file.write(from_.read())


def test_client_certificate_is_shown(t):
    client(t)
    t.keep(sockets.openssl_server(t, "-www", "-Verify", "1", "-verify_return_error", "-CAfile", f"{t.pki}/ca.pem", port=4433))
    done = ask(t, 4433, options=("--client-cert", f"localhost={t.home}/me.pem"), capture=True)
    t.has(done.text, "200 ok")
    t.equal(done.flow(protocol="tcp")["verdict"], "opened", "verdict")
    wireshark.sound(done.capture)


def test_client_certificate_is_the_app_s(t):
    """With none given the flow is not touched, and the second one not even tried."""
    client(t)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{t.pki}/good.pem", f"{t.pki}/good.key")
    context.load_verify_locations(f"{t.pki}/ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server = t.keep(Patient(t, sockets.echo, context=context))
    done = t.tap(t.python(ASK + ASK, server.port, "", "", f"{t.pki}/client.pem", f"{t.pki}/client.key"),
                 env={"SSL_CERT_FILE": f"{t.pki}/ca.pem"}).ok()
    t.equal(done.text.count("GET /"), 2, f"answers in {done.text}")
    reasons = [f["reason"] for f in done.flows]
    t.equal([f["verdict"] for f in done.flows], ["passed"] * 2, "verdicts")
    t.has(reasons[0], "client certificate")
    t.has(reasons[1], "before")


def test_client_certificate_that_is_none(t):
    for text, words in ("localhost", "HOST=FILE"), ("localhost=/no/such/file", "/no/such/file"):
        done = t.tool("run", "--client-cert", text, "--", "true")
        t.true(done.status not in (0, 86), "status")
        t.has(done.said, words)


def test_revoked(t):
    """A list that names the origin's certificate makes it as bad as any; without it nobody knows."""
    folder = f"{t.folder}/crl"
    authority.make(folder)
    authority.leaf(folder, "revoked", ["localhost"], ["127.0.0.1"])
    with open(f"{folder}/index", "w"), open(f"{folder}/conf", "w") as conf:
        conf.write(f"[ca]\ndefault_ca=a\n[a]\ndatabase={folder}/index\ndefault_md=sha256\ndefault_crl_days=30\n"
                   f"certificate={folder}/ca.pem\nprivate_key={folder}/ca.key\n")
    for arguments in (["-revoke", f"{folder}/revoked.pem"], ["-gencrl", "-out", f"{folder}/crl.pem"]):
        subprocess.run(["openssl", "ca", "-config", f"{folder}/conf", *arguments], check=True, capture_output=True)
    process = subprocess.Popen(["openssl", "s_server", "-accept", "127.0.0.1:4433", "-www", "-cert", f"{folder}/revoked.pem",
                                "-key", f"{folder}/revoked.key"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    t.stack.callback(t.stop, process)
    sockets.await_listener([("127.0.0.1", 4433)], process)
    trust = ("--upstream-ca", f"{folder}/ca.pem")
    done = ask(t, 4433, options=trust, upstream=False)
    t.has(done.text, "200 ok")
    done = ask(t, 4433, options=(*trust, "--crl", f"{folder}/crl.pem"), upstream=False)
    t.lacks(done.text, "200 ok")
    tls = done.flow(protocol="tcp")["tls"]
    t.equal(tls["certificate"], "bad chain", "verdict on it")
    t.has(tls["fault"], "revoked")


def test_fingerprints_are_tshark_s(t):
    """JA3 of the hello that the capture holds; JA3S of what the origin answered, straight."""
    t.keep(nginx.serve(t))
    done = t.tap(["curl", "-s", "https://localhost/hello"], capture=True).ok()
    tls = done.flow(protocol="tcp")["tls"]
    t.equal(wireshark.column(done.capture, "tls.handshake.type == 1", "tls.handshake.ja3"), [tls["ja3"]], "JA3")
    t.equal([len(tls[name]) for name in ("ja3", "ja4", "ja3s", "ja4s")], [32, 36, 32, 25], "sizes")
    t.has(tls["ja4"], "t13d", "h2_")
    t.true(all(tls[leg]["group"] in ("x25519", "secp256r1") for leg in ("app", "origin")), f"groups in {tls}")
