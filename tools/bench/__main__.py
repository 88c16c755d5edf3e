# SPDX-License-Identifier: GPL-3.0-or-later
# bench - apptap beside the straight path, and beside what Debian packages of its kind.
#
#   python3 tools/bench [--quick] [--only PARTS] [--add] [BUILD]
#
# Every figure is taken on every way in turn, in one run, and the order turns with each
# round, so that what else the machine does falls on all alike. What is compared are
# ratios within a round; the medians of the rounds are printed, and written with every
# single value to BUILD/bench.json, as a plot to BUILD/bench.svg, and as printed, for a
# README, to BUILD/bench.md.
#
# All of it happens in a network namespace of its own, in a user namespace too unless it
# is root who asks: TLS relays and `apptap local` can be had by root only.

import argparse
import json
import os
import platform
import re
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from bench import plot, table  # noqa: E402
from bench.measures import SLOW, Measures  # noqa: E402
from bench.rows import Values, rows  # noqa: E402
from bench.ways import Failed  # noqa: E402
from bench.world import World  # noqa: E402

PARTS = ["bulk", "plain", "memory", "tls", "start", "local"]
INSIDE = "APPTAP_BENCH_INSIDE"


def progress(text):
    if sys.stderr.isatty():
        print(f"\r{text:60}", end="", file=sys.stderr, flush=True)


class Bench:
    def __init__(self, options, world):
        self.options, self.world = options, world
        self.rounds = options.rounds or (3 if options.quick else 5)
        self.measures = Measures(world, options.quick, many_flows())
        self.values = Values()
        self.left_out = []
        self.ways = {}
        self.spent = {}                 # part -> seconds

    def way(self, kind):
        """One of each kind; None for what is left out, said once."""
        if kind not in self.ways:
            way = kind(self.world)
            missing = "QUICK" if self.options.quick and kind in SLOW else way.missing()
            if missing:
                self.left_out.append(f"{way.name} (" + ("QUICK=1" if missing == "QUICK" else
                                                       "needs root" if missing == "root" else f"no {missing}") + ")")
                way = None
            self.ways[kind] = way
        return self.ways[kind]

    def one(self, measure, way):
        try:
            with way.standing():
                for figure, value in measure.take(way).items():
                    self.values.add(figure, way.name, value)
        except (Failed, subprocess.SubprocessError, OSError, ValueError) as error:
            print(f"bench: {way.name}, {measure.part}: {error}", file=sys.stderr)

    def round(self, number):
        for measure in self.measures.all():
            if measure.part not in self.options.only:
                continue
            ways = [way for way in map(self.way, measure.on) if way]
            if measure.once and number:
                ways = [way for way in ways if way.name == "apptap" and not self.options.quick]
            begin = time.monotonic()
            for n in range(len(ways)):
                way = ways[(n + number) % len(ways)]
                progress(f"round {number + 1} of {self.rounds}: {measure.part}, {way.name}")
                self.one(measure, way)
            self.spent[measure.part] = self.spent.get(measure.part, 0) + time.monotonic() - begin

    def measure(self):
        for number in range(self.rounds):
            self.round(number)
        progress("")
        progress("\r")


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    with open("/proc/meminfo", encoding="ascii") as f:
        memory = int(f.readline().split()[1]) / (1 << 20)
    return f"{os.cpu_count()} processors" + (f" ({model[1]})" if model else "") + f", {memory:.0f} GB, Linux {platform.release()}"


def versions():
    found = []
    for package in "passt", "slirp4netns", "sslsplit", "squid-openssl", "mitmproxy", "nginx", "openssl", "nghttp2-client":
        done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if done.stdout.startswith("installed "):
            found.append(f"{package} {done.stdout.split()[1]}")
    return found


def raise_limit():
    """As far as this machine lets us."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for wanted in max(hard, 65536), hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return
        except (OSError, ValueError):
            continue


def many_flows():
    """Of the ping-pong. pasta has two descriptors for each."""
    return min(10000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 - 100)


def enter_namespace():
    root = os.getuid() == 0
    os.environ[INSIDE] = "root" if root else "user"
    user = [] if root else ["--user", "--map-root-user"]
    os.execvp("unshare", ["unshare", *user, "--net", "--pid", "--fork", "--mount-proc", "--kill-child",
                          sys.executable, *sys.argv])


def read_options():
    p = argparse.ArgumentParser(description="Measures apptap beside the straight path and other taps.")
    p.add_argument("build", nargs="?", default="build")
    p.add_argument("--quick", action="store_true", help="fewer rounds, shorter runs, one peer of each kind")
    p.add_argument("--only", default=None, help="parts of it, with commas: " + ", ".join(PARTS))
    p.add_argument("--rounds", type=int, help="3 when quick, otherwise 5")
    p.add_argument("--add", action="store_true", help="keep what bench.json has of the other parts")
    options = p.parse_args()
    default = [part for part in PARTS if part != "local" or not options.quick]
    options.only = options.only.split(",") if options.only else default
    if unknown := set(options.only) - set(PARTS):
        p.error(f"no such part: {', '.join(unknown)}")
    return options


def report(options, bench, when, took):
    """What is printed and what is written."""
    old = {}
    if options.add:
        with open(f"{options.build}/bench.json", encoding="utf-8") as f:
            old = json.load(f)
    values = Values({**old.get("values", {}), **bench.values.values})
    captures = [*old.get("captures", []), *bench.measures.captures]
    left_out = list(bench.left_out)
    if missing := [part for part in PARTS if part not in options.only and part not in old.get("parts", [])]:
        left_out.append(", ".join(missing) + f" (not in this {'quick ' if options.quick else ''}run)")
    if options.quick:
        left_out.append("writing 8 streams (QUICK=1)")
    lines = [row.line(values) for row in rows(bench.measures.flows)]
    day = time.strftime("%Y-%m-%d", time.localtime(when))
    head = (f"Measured {day}, {machine()}, congestion control cubic (what taps open: {bench.world.control}); medians of "
            f"{bench.rounds} interleaved rounds, {bench.measures.seconds:g} s each, {took + old.get('seconds', 0):.0f} s in all; "
            + ", ".join(versions()) + ".")
    text = "\n\n".join([textwrap.fill(head, 100, break_on_hyphens=False), table.goals(lines), table.figures(values),
                        table.remarks(values, captures, left_out)])
    print(text)
    with open(f"{options.build}/bench.md", "w", encoding="utf-8") as f:
        f.write(text + "\n")
    with open(f"{options.build}/bench.json", "w", encoding="utf-8") as f:
        json.dump({"when": when, "seconds": took + old.get("seconds", 0), "rounds": bench.rounds, "each": bench.measures.seconds,
                   "quick": options.quick, "parts": sorted({*old.get("parts", []), *options.only}),
                   "seconds of parts": {**old.get("seconds of parts", {}), **bench.spent}, "machine": machine(),
                   "versions": versions(), "congestion_control": {"bulk": "cubic", "relays": bench.world.control},
                   "goals": lines, "values": values.values, "captures": captures, "left out": left_out}, f, indent=1)
        f.write("\n")
    drawn = plot.draw(lines, f"{options.build}/bench.svg", f"apptap, {day}")
    print(f"\nevery value: {options.build}/bench.json" + (f"; plot: {options.build}/bench.svg" if drawn else "; no plot (no gnuplot, or no ratio)"))


def main():
    options = read_options()
    if INSIDE not in os.environ:
        enter_namespace()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    raise_limit()
    # As first process of its namespace it would not hear this one otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended from outside"))
    when = time.time()
    with tempfile.TemporaryDirectory(prefix="apptap-bench.") as folder, \
            tempfile.TemporaryDirectory(prefix="apptap-bench.", dir="/dev/shm") as tmpfs:
        world = World(options.build, folder, tmpfs, (256 << 20) if options.quick else (1 << 30), os.environ[INSIDE])
        bench = Bench(options, world)
        try:
            world.open()
            bench.measure()
        finally:
            world.close()
    report(options, bench, when, time.time() - when)


if __name__ == "__main__":
    main()
