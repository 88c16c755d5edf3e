# SPDX-License-Identifier: GPL-3.0-or-later
# bench - apptap beside the straight path, and beside what Debian packages of its kind.
#
#   python3 tools/bench [--quick] [--only PARTS] [--add] [--verbose] [BUILD]
#
# Every figure is taken on every way in turn, in one run, and the order turns with each
# round and runs backwards in every second one, so that what else the machine does, and
# what one leaves to the next, falls on all alike. What is compared are ratios within a
# round; the medians of the rounds are printed beside their span, and written with every
# single value to BUILD/bench.json, as a plot to BUILD/bench.svg, and as printed, for a
# README, to BUILD/bench.md.
#
# All of it happens in a network namespace of its own, in a user namespace too unless it
# is root who asks: TLS relays and `apptap local` can be had by root only.

import argparse
import hashlib
import os
import platform
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from bench.load import Load  # noqa: E402
from bench.measures import SLOW, WITHOUT, Measures  # noqa: E402
from bench.results import PARTS, Results, Unfit  # noqa: E402
from bench.rows import Values  # noqa: E402
from bench.ways import Failed  # noqa: E402
from bench.world import World  # noqa: E402

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
        self.part_of = {}               # figure -> part
        self.left_out = ["writing 8 streams (QUICK=1)"] if options.quick else []
        self.failures = []
        self.ways = {}
        self.spent = {}                 # part: measure -> way -> seconds

    def way(self, kind):
        """One of each kind; None for what is left out, said once."""
        if kind not in self.ways:
            way = kind(self.world)
            missing = "QUICK" if self.options.quick and kind in WITHOUT else way.missing()
            if missing:
                self.left_out.append(f"{way.name} (" + ("QUICK=1" if missing == "QUICK" else
                                                       "needs root" if missing == "root" else f"no {missing}") + ")")
                way = None
            self.ways[kind] = way
        return self.ways[kind]

    def seldom(self):
        """The ways that every second round goes without."""
        return [way for kind, way in self.ways.items() if way and kind in SLOW]

    def taking(self, measure, number):
        """The ways of a round, in its order."""
        ways = [way for way in map(self.way, measure.on) if way]
        if measure.once and number:
            ways = [way for way in ways if way.name == "apptap" and not self.options.quick]
        if number % 2:
            ways = [way for way in ways if way not in self.seldom()]
        first = number % len(ways) if ways else 0
        ways = ways[first:] + ways[:first]
        return ways[::-1] if number % 2 else ways

    def one(self, number, measure, way):
        begin = time.monotonic()
        try:
            with way.standing():
                for figure, value in measure.take(way).items():
                    self.part_of[figure] = measure.part
                    self.values.add(number, figure, way.name, value)
        except (Failed, subprocess.SubprocessError, OSError, ValueError) as error:
            print(f"bench: round {number + 1}, {measure.part}: {measure.name}, {way.name}: {error}", file=sys.stderr)
            self.failures.append(f"{way.name}, {measure.part}: {measure.name}, round {number + 1}")
        took = time.monotonic() - begin
        of_ways = self.spent.setdefault(f"{measure.part}: {measure.name}", {})
        of_ways[way.name] = round(of_ways.get(way.name, 0) + took, 2)
        if self.options.verbose:
            print(f"round {number + 1}, {measure.part}: {measure.name}, {way.name}: {took:.2f} s", file=sys.stderr)

    def round(self, number):
        for measure in self.measures.all():
            if measure.part in self.options.only:
                for way in self.taking(measure, number):
                    progress(f"round {number + 1} of {self.rounds}: {measure.part}: {measure.name}, {way.name}")
                    self.one(number, measure, way)

    def measure(self):
        for number in range(self.rounds):
            begin = time.monotonic()
            self.round(number)
            if self.options.verbose:
                print(f"round {number + 1}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
        progress("")
        progress("\r")

    def run(self, when, load):
        """What is to be known of this run."""
        with open(self.world.apptap, "rb") as f:
            build = hashlib.sha256(f.read()).hexdigest()
        timed = self.rounds > 1 and {"bulk", "plain", "tls"} & set(self.options.only)
        return {"when": when, "took": time.time() - when, "parts": self.options.only, "quick": self.options.quick,
                "rounds": self.rounds, "bulk seconds": self.measures.bulk_seconds, "seconds each": self.measures.seconds,
                "seldom": [way.name for way in self.seldom()] if timed else [],
                "left out": self.left_out, "failed": self.failures,
                "build": build, "versions": versions(), "control": self.world.control, "spent": self.spent,
                **dict(zip(("others", "host"), load.shares()))}


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
    p.add_argument("--add", action="store_true", help="keep what BUILD/bench.json has of the other parts")
    p.add_argument("--verbose", action="store_true", help="say what each case took")
    options = p.parse_args()
    default = [part for part in PARTS if part != "local" or not options.quick]
    options.only = options.only.split(",") if options.only else default
    if unknown := set(options.only) - set(PARTS):
        p.error(f"no such part: {', '.join(unknown)}")
    return options


def main():
    options = read_options()
    try:
        results = Results.load(f"{options.build}/bench.json", machine()) if options.add else Results(machine())
    except Unfit as error:
        sys.exit(f"bench: {error}")
    if INSIDE not in os.environ:
        enter_namespace()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    raise_limit()
    # As first process of its namespace it would not hear this one otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended from outside"))
    when, load = time.time(), Load()
    with tempfile.TemporaryDirectory(prefix="apptap-bench.") as folder, \
            tempfile.TemporaryDirectory(prefix="apptap-bench.", dir="/dev/shm") as tmpfs:
        world = World(options.build, folder, tmpfs, (256 << 20) if options.quick else (1 << 30), os.environ[INSIDE])
        bench = Bench(options, world)
        try:
            world.open()
            bench.measure()
        finally:
            world.close()
    results.add(bench.run(when, load), bench.values, bench.part_of, bench.measures.captures)
    results.write(options.build)


if __name__ == "__main__":
    main()
