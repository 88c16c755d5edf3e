# SPDX-License-Identifier: GPL-3.0-or-later
# rows - the goals: a line each, with what was reached and what the best peer has.

import re
import statistics

PLAIN_PEERS = ["pasta", "slirp4netns"]
TLS_PEERS = ["sslsplit", "sslsplit EC", "squid", "mitmdump"]


class Values:
    """figure -> way -> a value of each round, None where there is none: rounds are compared with themselves."""

    def __init__(self, values=None):
        self.values = values or {}

    def add(self, number, figure, way, value):
        """Of the round `number`, from 0."""
        found = self.values.setdefault(figure, {}).setdefault(way, [])
        found += [None] * (number - len(found))
        found.append(value)

    def of(self, figure, way):
        return self.values.get(figure, {}).get(way, [])

    def median(self, figure, way):
        return median(self.of(figure, way))

    def ratios(self, figure, way, to, of=None):
        """Within each round; one without either value counts for nothing."""
        return [a / b for a, b in zip(self.of(figure, way), self.of(of or figure, to)) if a and b]

    def collapsed(self, name):
        """Why a ratio to pasta says nothing: its upload has been seen to lose segments, and to crawl at
        a hundredth of its download."""
        up, down = (self.median(f"{n}, Gbit/s", "pasta") for n in (name, name.replace("up", "down")))
        return name.startswith("up") and up is not None and down is not None and up < down / 2

    def differences(self, figure, way, to):
        return [a - b for a, b in zip(self.of(figure, way), self.of(figure, to)) if a and b]


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


class Row:
    """get(values, way) gives what is compared with the goal, of each round, for apptap's way and the peers'."""

    def __init__(self, what, goal, get, way="apptap", peers=(), least=True, plot=True):
        self.what, self.goal, self.get, self.way = what, goal, get, way
        self.peers, self.least, self.plot = peers, least, plot

    def reaches(self, value):
        return value >= self.goal if self.least else value <= self.goal

    def line(self, values):
        each = {way: [v for v in self.get(values, way) if v is not None] for way in (self.way, *self.peers)}
        got = median(each[self.way])
        peers = [(value, name) for name in self.peers if (value := median(each[name])) is not None]
        best = (max if self.least else min)(peers, default=(None, None))
        return {"what": self.what, "goal": self.goal, "least": self.least, "way": self.way, "got": got,
                "rounds": each[self.way], "rounds that reach it": sum(map(self.reaches, each[self.way])),
                "of peer": best[0], "peer": best[1], "rounds of peer": each.get(best[1], []),
                "reached": None if got is None else self.reaches(got), "plot": self.plot}


def straight(figure):
    return lambda values, way: values.ratios(figure, way, "straight")


def over(figure, of):
    """Both figures of the same way."""
    return lambda values, way: values.ratios(figure, way, way, of=of)


def to(figure, other):
    return lambda values, way: values.ratios(figure, way, other)


def to_pasta(name):
    return lambda values, way: [] if values.collapsed(name) else values.ratios(f"{name}, Gbit/s", way, "pasta")


def plain(figure):
    return lambda values, way: values.of(figure, way)


def flows_of(values):
    """How many the ping-pong went over: the machine says."""
    return next((int(found[1].replace(",", "")) for name in values.values
                 if (found := re.fullmatch(r"ping-pongs/s over ([\d,]{4,}) flows", name))), 10000)


def rows(values):
    flows = flows_of(values)
    up_down = [("up", 0.50, 0.40), ("down", 0.42, 0.34), ("up, 8 streams", 0.50, 0.40), ("down, 8 streams", 0.42, 0.34)]
    table = []
    for name, goal, _ in up_down:
        table.append(Row(f"bulk {name}", goal, straight(f"{name}, Gbit/s"), peers=PLAIN_PEERS))
        table.append(Row("... to pasta", 1.3, to_pasta(name), plot=False))
    for name, _, goal in up_down:
        table.append(Row(f"bulk {name}, -w to a tmpfs", goal, straight(f"{name}, Gbit/s"), "apptap -w"))
        table.append(Row("... to none written", 0.75, to(f"{name}, Gbit/s", "apptap"), "apptap -w", plot=False))
        table.append(Row("... -w /dev/null to none written", 0.85, to(f"{name}, Gbit/s", "apptap"), "apptap -w null", plot=False))
    for who in "server", "client":
        figure = f"new connections/s, {who} closes"
        table.append(Row(f"new connections, {who} closes", 0.42, straight(figure), peers=PLAIN_PEERS))
    for part in "p50", "p99":
        table.append(Row(f"round trip {part} to pasta's", 0.6, to(f"round trip {part}, us", "pasta"), least=False, plot=False,
                         peers=["slirp4netns"]))
    table += [
        Row(f"ping-pong over {flows:,} flows to 10", 0.9,
            over(f"ping-pongs/s over {flows:,} flows", "ping-pongs/s over 10 flows"), peers=PLAIN_PEERS),
        Row("memory of an idle flow, bytes", 1024, plain("memory of an idle flow, bytes"), least=False, plot=False,
            peers=PLAIN_PEERS),
        Row("memory of an idle TLS flow, KB", 40, plain("memory of an idle TLS flow, KB"), least=False, plot=False,
            peers=TLS_PEERS),
        Row("TLS 1.3 download", 0.60, straight("TLS download, MB/s"), peers=TLS_PEERS),
        Row("TLS 1.3 download, writing all", 0.45, straight("TLS download, MB/s"), "apptap -w all", peers=["sslsplit pcap"]),
        Row("new TLS connections", 0.60, straight("new TLS connections/s"), peers=TLS_PEERS),
        Row("connection to a new name to a known", 1.2, over("connection to a new name, ms", "connection to a known name, ms"),
            least=False, plot=False),
        Row("requests, 1 connection", 0.80, straight("requests/s, 1 connection"), peers=TLS_PEERS),
        Row("requests, 64 connections, HTTP/2", 0.50, straight("requests/s, 64 connections"), peers=TLS_PEERS),
        Row("tap's CPU up, s/GB", 0.20, plain("up, tap's s/GB"), least=False, plot=False, peers=PLAIN_PEERS),
        Row("tap's CPU down, s/GB", 0.20, plain("down, tap's s/GB"), least=False, plot=False, peers=PLAIN_PEERS),
        Row("tap's CPU TLS, s/GB", 0.9, plain("TLS download, tap's s/GB"), least=False, plot=False, peers=TLS_PEERS),
        Row("start of true, ms more", 60, lambda values, way: values.differences("start of true, ms", way, "straight"),
            least=False, plot=False, peers=["pasta"]),
    ]
    return table
