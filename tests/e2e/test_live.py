# SPDX-License-Identifier: GPL-3.0-or-later
# test_live - how long after a packet was sent tshark has shown it, reading what -w - writes.

import statistics
import subprocess
import threading
import time

from e2e.scenario import only
from peers import nginx, sockets

LIMIT = 0.100    # s
ROUNDS = 15

# Each line that comes is one thing to say; answers with when it had been said (all clocks
# of this kind are one).
TALK = """
import socket, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
for line in sys.stdin:
    print(time.monotonic(), file=sys.stderr, flush=True); s.sendall(b"x" * int(line)); s.recv(9999)
"""
FETCH = """
import http.client, sys, time
kept = http.client.HTTPSConnection("localhost", 8443)
for line in sys.stdin:
    c = kept if line[0] == "k" else http.client.HTTPSConnection("localhost", 8443)
    c.request("GET", "/hello?" + line.strip()); c.getresponse().read()
    print(time.monotonic(), file=sys.stderr, flush=True)
    if c is not kept: c.close()
"""


def lines_of(stream, take):
    def read():
        for line in stream:
            take(line.decode().strip(), time.monotonic())
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


class Live:
    """apptap run -w - into a tshark, and when this had printed what."""

    def __init__(self, t, command, reading, *fields):
        self.t = t
        self.tap = t.popen([t.apptap, "run", "-q", "--upstream-ca", f"{t.pki}/ca.pem", "-w", "-", "--", *command],
                           t.environment(), stdin=subprocess.PIPE)
        self.reader = t.popen(["tshark", "-n", "-l", *reading, *fields], t.environment(), stdin=self.tap.stdout)
        self.said, self.shown = [], {}
        self.news = threading.Condition()
        self.threads = [lines_of(self.tap.stderr, self.note_said), lines_of(self.reader.stdout, self.note_shown)]

    def note_said(self, line, _):
        with self.news:
            self.said.append(float(line))
            self.news.notify_all()

    def note_shown(self, line, when):
        with self.news:
            self.shown.setdefault(line, when)
            self.news.notify_all()

    def late(self, word, shown):
        """Has `word` said; how long after that tshark had shown the line."""
        count = len(self.said)
        self.tap.stdin.write(f"{word}\n".encode())
        self.tap.stdin.flush()
        with self.news:
            self.t.true(self.news.wait_for(lambda: len(self.said) > count and shown in self.shown, 20), f"{shown} in {self.shown}")
            return max(self.shown[shown] - self.said[count], 0)

    def end(self):
        self.tap.stdin.close()
        self.t.equal((self.tap.wait(20), self.reader.wait(20)), (0, 0), "statuses")
        for thread in self.threads:
            thread.join()


def expect_soon(t, what, late, limit):
    shown = f"{what}: median {statistics.median(late) * 1000:.1f} ms, at most {max(late) * 1000:.1f} ms of {len(late)}"
    t.show(shown)
    t.true(statistics.median(late) <= t.scaled(1, 4) * limit, shown)


# -i - has a dumpcap between, which tells of news each half second (4.0), or when it has had
# none for a quarter (4.4, 4.6), whoever writes.
READERS = [("tshark -r -", ["-r", "-"], LIMIT), ("tshark -i -", ["-i", "-"], LIMIT + 0.5)]


@only("root", limit=60)
def test_packets(t):
    """Of a conversation in the clear."""
    t.only_apptap()
    server = t.keep(sockets.Server(t, sockets.echo))
    for name, reading, limit in READERS:
        live = Live(t, t.python(TALK, server.port), reading, "-Y", "tcp.len > 0 && sll.pkttype == 4", "-T", "fields", "-e", "tcp.len")
        live.late("50", "50")    # once all is started
        expect_soon(t, f"{name}, packets",
                    [live.late(n, str(n)) for n in range(100, 100 + ROUNDS)], limit)
        live.end()


@only("root", limit=60)
def test_https(t):
    """The decrypted request, counted from when the program had its answer: on one connection, and on one each."""
    t.only_apptap()
    t.keep(nginx.serve(t))
    for name, reading, limit in READERS:
        live = Live(t, t.python(FETCH), reading, "-Y", "http.request", "-T", "fields", "-e", "http.request.uri")
        live.late("k", "/hello?k")
        for kind, what in (("k", "kept"), ("n", "new")):
            expect_soon(t, f"{name}, HTTPS, {what} connection",
                        [live.late(f"{kind}{n}", f"/hello?{kind}{n}") for n in range(ROUNDS)], limit)
        live.end()
