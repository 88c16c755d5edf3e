# SPDX-License-Identifier: GPL-3.0-or-later
# test_plaintext - what went through TLS, as Wireshark decodes it with no key.

import os
import signal
import subprocess

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


def test_ring(t):
    """-C and -W are each file's: two rings, each sound and the plaintext's end without a gap; -z is told of both."""
    t.only_apptap()
    www = t.keep(nginx.serve(t))
    with open(f"{www}/large", "wb") as file:
        file.write(bytes(range(256)) * 4000)
    note = f"{t.home}/note"
    with open(note, "w") as file:
        file.write('#!/bin/sh\necho "$1" >> "$HOME/done"\n')
    os.chmod(note, 0o755)
    path, plain = f"{t.home}/out.pcapng", f"{t.home}/plain.pcapng"
    done = t.tap(["curl", "-sS", "--http1.1", *["-o", "/dev/null", "https://localhost:8443/large"] * 3],
                 options=["-v", "-w", path, "--plaintext", plain, "-C", "300k", "-W", "5", "-z", note]).ok()
    for ring in path, plain:
        names = [f"{ring}{n}" for n in range(5)]
        t.equal(sorted(n for n in os.listdir(t.home) if n.startswith(os.path.basename(ring))), [os.path.basename(n) for n in names], "the files")
        for name in names:
            wireshark.readable(name, wireshark.sound(name, faults=["_ws.malformed", "_ws.short", "tcp.checksum.status == 0"]))
            t.true(os.path.getsize(name) < 310 * 1024 + 70000, "a size")
        names.sort(key=lambda name: float(wireshark.column(name, "frame", "frame.time_epoch")[0]))
        whole = f"{t.folder}/whole"
        subprocess.run(["mergecap", "-a", "-w", whole, *names], check=True)
        wireshark.sound(whole)
        t.equal(len(wireshark.column(names[-1], "tcp.flags.fin == 1", "frame.number")), 2, "FINs in the last file")
    t.has(done.said, "packets of plaintext, in 1")
    with open(f"{t.home}/done") as file:
        told = file.read().split()
    t.true({f"{path}0", f"{plain}0"} <= set(told), f"-z was told {told}")


def test_ring_beside_a_pipe(t):
    """The packets to standard output, which is no ring; the plaintext to one. SIGUSR2 begins its next file."""
    t.only_apptap()
    t.keep(nginx.serve(t))
    plain = f"{t.home}/plain.pcap"
    get = "read go; curl -sS --http1.1 https://localhost:8443/hello >&2; echo got >&2"
    tap = t.popen([t.apptap, "run", "-q", "-U", "--upstream-ca", f"{t.pki}/ca.pem", "-w", "-", "--plaintext", plain, "-C", "1", "--", "sh", "-c",
                   f"{get}; {get}"], t.environment(), stdin=subprocess.PIPE)
    for turn in range(2):
        if turn:
            tap.send_signal(signal.SIGUSR2)
            t.until(lambda: os.path.exists(f"{plain}1"), "the next file")
        tap.stdin.write(b"\n")
        tap.stdin.flush()
        while b"got" not in tap.stderr.readline():
            t.equal(tap.poll(), None, "it runs")
    tap.stdin.close()
    t.equal(wireshark.column("-", "http.response", "http.response.code", stdin=tap.stdout), ["200"] * 2, "in the pipe")
    t.equal(tap.wait(20), 0, "status")
    for name in plain, f"{plain}1":
        wireshark.sound(name, faults=FAULTS)
        t.equal(wireshark.column(name, "http.response", "http.response.code"), ["200"], name)


def test_ring_that_cannot_be(t):
    t.only_apptap()
    for options, words in ((["-w", "-", "-C", "1"], "standard output is no file"), (["-C", "1"], "--plaintext as well"),
                           (["-w", "%H.pcapng", "--plaintext", "p.pcapng", "-G", "60"], "give it a pattern as well")):
        done = t.tap(["echo", "ran"], options=options, flows=False)
        t.equal((done.status, done.text), (64, ""), f"{options}: {done.said}")
        t.has(done.said, words)
