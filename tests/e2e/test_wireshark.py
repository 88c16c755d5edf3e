# SPDX-License-Identifier: GPL-3.0-or-later
# test_wireshark - what each version of tshark makes of a capture: the installed one's, and any others'.
#
#   APPTAP_TSHARK="/opt/a/tshark /opt/b/tshark" tests/run test_wireshark

import os
import subprocess

from e2e.scenario import only
from peers import nginx

# A reset that did happen is a warning to it.
WARNING = "(_ws.expert.severity >= 0x600000 && tcp.flags.reset == 0)"
COMMAND = ["curl", "-4sS", "-d", "said", "https://localhost/hello"]


def programs():
    return ["tshark", *os.environ.get("APPTAP_TSHARK", "").split()]


def read(t, program, path, where, *fields):
    """Through a pipe: the program may live in a root of its own."""
    arguments = [a for field in fields for a in ("-e", field)]
    with open(path, "rb") as file:
        done = subprocess.run([program, "-n", "-r", "-", "-Y", where, *(["-T", "fields"] if fields else []), *arguments], stdin=file,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
    t.equal(done.returncode, 0, f"{program}: {done.stderr}")
    t.lacks(done.stderr, "corrupt", "damaged", "cut short", "Warn")
    return [line.split("\t") for line in done.stdout.splitlines()]


def version(program):
    return subprocess.run([program, "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.split("\n")[0]


def knows(program, field):
    fields = subprocess.run([program, "-G", "fields"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return f"\t{field}\t" in fields


@only("root", limit=120)
def test_every_version_reads(t):
    """Process, secrets and plaintext of one file; without a fault to find."""
    t.only_apptap()
    t.keep(nginx.serve(t))
    path, pktap = f"{t.home}/both.pcapng", f"{t.home}/pktap.pcapng"
    pid = t.tap(COMMAND, options=["-w", path, "--plaintext", path]).ok().flow(protocol="tcp")["process"]["pid"]
    other = t.tap(COMMAND, options=["-w", pktap, "--linktype", "pktap"]).ok().flow(protocol="tcp")["process"]["pid"]
    for program in programs():
        t.show(f"{program}: {version(program)}{', process blocks' if knows(program, 'frame.darwin.process_info.pid') else ''}")
        for one in path, pktap:
            t.equal(read(t, program, one, f"_ws.malformed || _ws.short || {WARNING}"), [], f"{program}: faults in {one}")
        requests = read(t, program, path, "http2.headers.path", "tcp.dstport", "http2.headers.path", "frame.interface_name")
        t.equal(sorted(requests), [["443", "/hello", f"curl[{pid}]"], ["80", "/hello", f"curl[{pid}] plaintext"]], program)
        answers = read(t, program, path, "http2.headers.status", "tcp.srcport", "http2.headers.status")
        t.equal(sorted(answers), [["443", "200"], ["80", "200"]], program)
        t.equal(len(read(t, program, path, 'http2.data.data contains "said"', "frame.number")), 2, f"{program}: what was sent")
        first = read(t, program, path, "tcp.flags.syn == 1 && tcp.flags.ack == 0", "frame.comment", "frame.interface_description")
        for comment, description in first:
            t.has(comment, f"process curl[{pid}] /usr/bin/curl uid 0 (root)", "-4sS -d said https://localhost/hello")
            t.has(description, "/usr/bin/curl -4sS -d said https://localhost/hello (root, started ")
        t.true(any(comment.startswith("plaintext of ") for comment, _ in first), f"{program}: the link between the two: {first}")
        if knows(program, "frame.darwin.process_info.pid"):
            told = read(t, program, path, "tcp", "frame.darwin.process_info.pid", "frame.darwin.process_info.pname")
            t.equal({tuple(row) for row in told}, {(str(pid), "curl")}, f"{program}: process blocks")
        told = read(t, program, pktap, "http2.headers.path", "pktap.pid", "pktap.cmdname", "http2.headers.path")
        t.equal(told, [[str(other), "curl", "/hello"]], f"{program}: pktap")
