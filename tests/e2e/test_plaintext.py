# SPDX-License-Identifier: GPL-3.0-or-later
# test_plaintext - what went through TLS, as Wireshark decodes it with no key.

from e2e import wireshark
from peers import nginx

FAULTS = [*wireshark.FAULTS, "tcp.analysis.flags"]


def get(http):
    return ["curl", "-sS", f"--{http}", f"https://localhost{':8443' if http == 'http1.1' else ''}/hello"]


def test_http1_alone(t):
    t.only_apptap()
    t.keep(nginx.serve(t))
    path = f"{t.folder}/plain.pcapng"
    t.tap(get("http1.1"), options=["--plaintext", path]).ok()
    wireshark.readable(path, wireshark.sound(path, faults=FAULTS))
    t.equal(wireshark.rows(path, "http.request", "http.request.uri", "tcp.dstport"), [["/hello", "8080"]], "request")
    t.equal(wireshark.rows(path, "http.response", "http.response.code", "tcp.srcport"), [["200", "8080"]], "response")
    t.equal(wireshark.column(path, "tls", "frame.number"), [], "TLS in it")
    t.has(wireshark.column(path, "frame.number == 1", "frame.comment")[0], ":8443")
    t.equal(len(wireshark.column(path, "tcp.flags.fin == 1", "frame.number")), 2, "FINs")
    t.true("plaintext" in wireshark.column(path, "frame.number == 1", "frame.interface_name")[0], "the interface")


def test_http2_on_both_halves(t):
    t.only_apptap()
    t.keep(nginx.serve(t))
    path = f"{t.folder}/plain.pcapng"
    t.tap(get("http2"), options=["--plaintext", path]).ok()
    wireshark.sound(path, faults=FAULTS)
    t.equal(wireshark.rows(path, "http2.headers.path", "http2.headers.path", "tcp.dstport"), [["/hello", "80"]], "request")
    t.equal(wireshark.rows(path, "http2.headers.status", "http2.headers.status", "tcp.srcport"), [["200", "80"]], "response")


def test_beside_the_packets(t):
    """One file: the packets, decrypted by its secrets, and the same as plain TCP."""
    t.only_apptap()
    t.keep(nginx.serve(t))
    path = f"{t.folder}/both.pcapng"
    t.tap(get("http2"), options=["-w", path, "--plaintext", path]).ok()
    wireshark.readable(path, wireshark.sound(path))
    found = wireshark.rows(path, "http2.headers.path", "tcp.dstport", "frame.interface_name")
    t.equal(sorted(row[0] for row in found), ["443", "80"], "ports of the request")
    t.equal(sorted("plaintext" in row[1] for row in found), [False, True], "interfaces")
    times = [float(n) for n in wireshark.column(path, "tcp.port == 80", "frame.time_epoch")]
    t.equal(times, sorted(times), "times")


def test_classic_in_small_segments(t):
    t.only_apptap()
    t.keep(nginx.serve(t))
    path = f"{t.folder}/plain.pcap"
    t.tap(get("http1.1"), options=["--plaintext", path, "--plaintext-mss", "50", "--plaintext-port", "8443:3128"]).ok()
    wireshark.readable(path, wireshark.sound(path, faults=FAULTS))
    t.equal(max(int(n) for n in wireshark.column(path, "tcp.len > 0", "tcp.len")), 50, "the largest segment")
    t.equal(wireshark.rows(path, "http.response", "http.response.code", "tcp.srcport"), [["200", "3128"]], "response")


def test_to_standard_output(t):
    t.only_apptap()
    t.keep(nginx.serve(t))
    tap = t.popen([t.apptap, "run", "-q", "--upstream-ca", f"{t.pki}/ca.pem", "--plaintext", "-", "--", *get("http1.1")],
                  t.environment())
    t.equal(wireshark.column("-", "http.request", "http.request.uri", stdin=tap.stdout), ["/hello"], "read from the pipe")
    t.equal(tap.wait(20), 0, "status")


def test_filtered(t):
    """-f looks at the conversation as it was on the wire."""
    t.only_apptap()
    t.keep(nginx.serve(t))
    for expression, count in (("tcp port 8443", 1), ("tcp port 8080", 0)):
        path = f"{t.folder}/plain{count}.pcapng"
        t.tap(get("http1.1"), options=["-f", expression, "--plaintext", path]).ok()
        t.equal(len(wireshark.column(path, "http.request", "frame.number")), count, expression)
