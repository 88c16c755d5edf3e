# SPDX-License-Identifier: GPL-3.0-or-later
# measures - what is measured: each asks one way for its figures.
#
# A figure's name has its unit. What goes wrong is Failed, never a small number. Bulk runs long enough for
# the scheduler's turns to even out; what counts many small things needs less time.

import os
import re
import statistics
import subprocess
import time

from bench import packets, processes, relays, ways
from bench.ways import Client, Failed, run
from bench.world import BULK_PORT, NAMES, NAMES_PORT, PORT, SERVER, TLS_PORT

PLAIN = [ways.Way, ways.Pasta, ways.Slirp, ways.Apptap]
WRITING = [ways.ToFile, ways.Tmpfs, ways.ToNull]
TLS = [ways.Way, ways.Apptap, relays.Sslsplit, relays.SslsplitEc, relays.Squid, relays.Mitmdump]
WRITING_TLS = [ways.ToFiles, relays.SslsplitPcap]
LOCAL = [ways.Way, ways.BesideLocal, ways.Local, ways.Apptap]
# Never the best peer, and slow to measure: QUICK is without these, and others take them in every second round.
SLOW = [ways.Slirp, relays.Sslsplit, relays.Squid, relays.Mitmdump]
WITHOUT = [*SLOW, relays.SslsplitPcap]

STREAMS = {"up": ("up", 1), "down": ("down", 1), "up, 8 streams": ("up", 8), "down, 8 streams": ("down", 8)}
HTTPS = f"https://{SERVER}:{TLS_PORT}"
HANDSHAKES = ["/usr/bin/python3", os.path.join(os.path.dirname(os.path.abspath(__file__)), "handshakes.py")]


def local(found):
    return {f"local: {figure}": value for figure, value in found.items()}


class Measure:
    """take(way) gives {figure: value}. once: the peers are asked one time, and by QUICK all, because it is
    counted and not timed, or takes long."""

    def __init__(self, part, name, on, take, once=False):
        self.part, self.name, self.on, self.take, self.once = part, name, on, take, once


class Measures:
    def __init__(self, world, quick, flows):
        self.world, self.quick, self.flows = world, quick, flows
        self.bulk_seconds, self.seconds = (0.4, 0.4) if quick else (1, 0.6)
        self.captures = []              # what was counted in each

    def all(self):
        for name, (direction, streams) in STREAMS.items():
            # QUICK writes one stream only.
            on = PLAIN if self.quick and streams > 1 else PLAIN + WRITING
            yield Measure("bulk", name, on, lambda way, n=name, d=direction, s=streams: self.bulk(n, way, d, s))
        for who in "server", "client":
            yield Measure("plain", f"connections, {who} closes", PLAIN, lambda way, w=who: self.connections(way, w))
        yield Measure("plain", "round trip", PLAIN, self.roundtrip)
        # slirp4netns would need minutes.
        yield Measure("plain", "ping-pong", [ways.Way, ways.Pasta, ways.Apptap], self.pingpong, once=self.quick)
        yield Measure("memory", "idle flows", PLAIN[1:], self.idle_memory, once=True)
        yield Measure("memory", "idle TLS flows", TLS[1:], self.idle_tls_memory, once=True)
        yield Measure("tls", "download", TLS + WRITING_TLS, self.tls_down)
        yield Measure("tls", "connections", TLS, self.tls_connections)
        yield Measure("tls", "names", [ways.Way, ways.Apptap], self.names)
        yield Measure("tls", "requests", TLS, self.requests)
        yield Measure("tls", "requests of 64", TLS, self.requests_of_64)
        yield Measure("start", "start", [ways.Way, ways.Pasta, ways.Apptap], self.start)
        for name in "up", "down":
            yield Measure("local", name, LOCAL, lambda way, n=name: self.bulk(f"local: {n}", way, n, 1))
        yield Measure("local", "connections", LOCAL, lambda way: local(self.connections(way, "server")))
        yield Measure("local", "round trip", LOCAL, lambda way: local(self.roundtrip(way)))

    def ask(self, way, what, *words, port=PORT, seconds=None, **options):
        seconds = seconds or self.seconds
        result = run(way, [self.world.client, what, SERVER, str(port), str(seconds), *map(str, words)], **options)
        return [float(n) for n in result.lines[-1].split()], result

    # --- plain TCP ---

    def bulk(self, name, way, direction, streams):
        if isinstance(way, ways.Tmpfs):
            return {f"{name}, Gbit/s": way.write(self.bulk_seconds) * 8 / 1e9}
        look = (lambda c, r: self.count(name, way, c, r)) if isinstance(way, ways.ToFile) else None
        (size, took, again), result = self.ask(way, "bulk", direction, streams, port=BULK_PORT,
                                               seconds=self.bulk_seconds, look=look)
        return {f"{name}, Gbit/s": size * 8 / took / 1e9, f"{name}, sent again": again,
                f"{name}, tap's s/GB": result.spent and result.spent / (size / 1e9)}

    def count(self, name, way, client, result):
        """No packet missing: in the file are as many as apptap says, and as its device has carried."""
        path = f"{way.base}.pcapng"
        carried, dropped = packets.in_tunnel(result.devices)
        self.captures.append({"part": "tls" if name.startswith("TLS") else "bulk", "figure": name,
                              "bytes": os.path.getsize(path), "in file": packets.in_file(path),
                              "said": packets.in_summary(client.said()), "carried": carried, "dropped": dropped})

    def connections(self, way, who):
        return {f"new connections/s, {who} closes": self.ask(way, "connections", who)[0][0]}

    def roundtrip(self, way):
        median, late = self.ask(way, "roundtrip")[0]
        return {"round trip p50, us": median, "round trip p99, us": late}

    def pingpong(self, way):
        few = self.ask(way, "pingpong", 10)[0][0]
        many = self.ask(way, "pingpong", self.flows, limit=60)[0][0]
        return {"ping-pongs/s over 10 flows": few, f"ping-pongs/s over {self.flows:,} flows": many}

    # --- memory ---

    def grown(self, way, command, first, more):
        """Bytes of the tap's own for each connection, once the first ones have brought what serves all."""
        with Client(way, command, 25) as client:
            client.say("go")
            sizes = []
            for count in first, more:
                client.say(count)
                client.until("open")
                time.sleep(0.3)         # what is lent for a moment goes back
                sizes.append(processes.memory(client.tap))
        return (sizes[1] - sizes[0]) / more

    def idle_memory(self, way):
        return {"memory of an idle flow, bytes": self.grown(way, [self.world.client, "idle", SERVER, str(PORT)], 1000, 2000)}

    def idle_tls_memory(self, way):
        command = [*HANDSHAKES, "idle", SERVER, str(TLS_PORT)]
        return {"memory of an idle TLS flow, KB": self.grown(way, command, 50, 100) / 1024}

    # --- TLS ---

    def tls_down(self, way):
        look = (lambda c, r: self.count("TLS download", way, c, r)) if isinstance(way, ways.ToFiles) else None
        # A second's worth, about, of those that have much less speed.
        part = 1 if isinstance(way, ways.Apptap) or way.name == "straight" else 4 if type(way) in SLOW[2:] else 2
        result = run(way, ["curl", "-sko", "/dev/null", "-w", r"%{speed_download}\n", f"{HTTPS}/body{part}"], look=look)
        return {"TLS download, MB/s": float(result.lines[-1]) / 1e6,
                "TLS download, tap's s/GB": result.spent and result.spent / (self.world.body / part / 1e9)}

    def tls_connections(self, way):
        """Eight at a time, no session taken up, a request on each. s_time counts whole seconds of the
        clock, so the time is taken around all eight."""
        one = f"openssl s_time -connect {SERVER}:{TLS_PORT} -new -tls1_3 -www /hello -time {max(1, round(self.seconds))} 2>&1"
        lines = run(way, ["sh", "-c", f"date +%s%N; for n in 1 2 3 4 5 6 7 8; do {one} & done; wait; date +%s%N"]).lines
        count = sum(int(line.split()[0]) for line in lines if "real seconds" in line)
        if not count:
            raise Failed("no connection: " + " ".join(lines)[:300])
        return {"new TLS connections/s": count / ((int(lines[-1]) - int(lines[0])) / 1e9)}

    def names(self, way):
        lines = run(way, [*HANDSHAKES, "names", SERVER, str(NAMES_PORT), str(NAMES)]).lines
        first, again = map(float, lines[-1].split())
        return {"connection to a new name, ms": first, "connection to a known name, ms": again}

    def h2load(self, way, *options):
        lines = run(way, ["h2load", "-D", f"{self.seconds * 1000:.0f}ms", *options, f"{HTTPS}/hello"]).lines
        text = "\n".join(lines)
        done = re.search(r"(\d+) succeeded, (\d+) failed", text)
        rate = re.search(r"finished in .*, ([\d.]+) req/s", text)
        if not rate or not done or int(done[2]) or not int(done[1]):
            raise Failed("h2load: " + text[-500:])
        return float(rate[1])

    def requests(self, way):
        """One after the other on one connection."""
        return {"requests/s, 1 connection": self.h2load(way, "--h1", "-c", "1")}

    def requests_of_64(self, way):
        """Over HTTP/2; what a relay does not speak, h2load does not insist on."""
        return {"requests/s, 64 connections": self.h2load(way, "-c", "64")}

    # --- the start ---

    def start(self, way, times=5):
        """From the call to its end, of a command that does nothing."""
        took = []
        for _ in range(times):
            begin = time.monotonic()
            subprocess.run(way.command(["true"]), check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           env=self.world.environment)
            took.append((time.monotonic() - begin) * 1e3)
        return {"start of true, ms": statistics.median(took)}
