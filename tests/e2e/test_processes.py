# SPDX-License-Identifier: GPL-3.0-or-later
# test_processes - `apptap processes`: what can be tapped, newest first, for people and for pickers.

import contextlib
import json
import os
import re
import subprocess
import time
from datetime import datetime

from e2e.scenario import NOBODY, PYTHON, only
from e2e.world import Skip
from peers import sockets

FIELDS = ["pid", "parent", "name", "path", "arguments", "uid", "user", "start", "cgroup", "container", "connections",
          "network"]
ID = "4f9a" * 16    # as long as a container's

# Says "ready", then waits for the end of its standard input.
WAITS = """
import sys
print("ready", flush=True); sys.stdin.read()
"""
# Three connections: TCP held twice over, TCP over IPv6 and a connected UDP socket; a
# listener and a UDP socket that is not connected are none.
CONNECTED = """
import os, socket, sys
four = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); twice = os.dup(four.fileno())
six = socket.create_connection(("::1", int(sys.argv[2])))
udp = socket.socket(type=socket.SOCK_DGRAM); udp.connect(("127.0.0.1", 9))
other = socket.socket(type=socket.SOCK_DGRAM); other.bind(("127.0.0.1", 0))
listener = socket.create_server(("127.0.0.1", 0))
print("ready", flush=True); sys.stdin.read()
"""


def start(t, code, *arguments, prefix=()):
    """A program that has said it is ready; its pid."""
    process = t.popen([*prefix, *t.python(code, *arguments)], t.environment(), stdin=subprocess.PIPE)
    t.equal(process.stdout.readline(), b"ready\n", "what it says")
    return process


def listed(t):
    """The rows by pid, in their order; each has every field."""
    rows = json.loads(t.tool("processes", "--json").ok().text)
    for row in rows:
        t.equal(list(row), FIELDS, "fields")
    return {row["pid"]: row for row in rows}


def test_everything_about_it(t):
    t.only_apptap()
    began = time.time()
    process = start(t, WAITS, "some argument", "\u00fc\n")
    row = listed(t)[process.pid]
    t.equal((row["parent"], row["path"], row["uid"], row["user"]),
            (os.getpid(), os.path.realpath(PYTHON), *((NOBODY, "nobody") if t.who == "user" else (0, "root"))), "the row")
    t.true(row["name"].startswith("python3"), row["name"])
    t.has(row["arguments"], PYTHON, "-c", "some argument", "\u00fc")
    t.equal((row["connections"], row["network"], row["container"]), (0, "here", None), "the row")
    began_there = datetime.fromisoformat(row["start"].replace("Z", "+00:00")).timestamp()
    t.true(began - 2 <= began_there <= time.time() + 1, f"start {row['start']}")
    with open(f"/proc/{process.pid}/cgroup") as file:
        unified = [line[3:].rstrip("\n") for line in file if line.startswith("0::")]
    t.equal(row["cgroup"], unified[0] if unified else None, "cgroup")


def test_newest_first(t):
    """Also where pids have wrapped around: the start decides."""
    t.only_apptap()
    pids = []
    for n in range(3):
        pids.append(start(t, WAITS).pid)
        tick = time.clock_gettime(time.CLOCK_BOOTTIME)
        t.until(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) > tick + 0.02, "a clock tick later")
        if n == 0 and os.access("/proc/sys/kernel/ns_last_pid", os.W_OK):
            with open("/proc/sys/kernel/ns_last_pid", "w") as file:
                file.write("5000")
        elif n == 1 and os.access("/proc/sys/kernel/ns_last_pid", os.W_OK):
            with open("/proc/sys/kernel/ns_last_pid", "w") as file:
                file.write("3000")
    order = [pid for pid in listed(t) if pid in pids]
    t.equal(order, pids[::-1], "newest first")
    table = [int(line.split()[0]) for line in t.tool("processes").ok().text.splitlines()[1:]]
    t.equal([pid for pid in table if pid in pids], pids[::-1], "newest first in the table")


def test_connections(t):
    """As many as ss(8) knows: a socket counts once, listeners do not."""
    t.only_apptap()
    four = t.keep(sockets.Server(t, sockets.drain))
    six = t.keep(sockets.Server(t, sockets.drain, "::1"))
    process = start(t, CONNECTED, four.port, six.port)
    t.equal(listed(t)[process.pid]["connections"], 3, "connections")
    if t.who == "root":
        known = subprocess.run(["ss", "-Htunp"], stdout=subprocess.PIPE, text=True, check=True).stdout
        t.equal(len(re.findall(rf"pid={process.pid},", known)), 4, f"descriptors that ss knows: {known}")
    row = next(r.split() for r in t.tool("processes").ok().text.splitlines() if r.split()[0] == str(process.pid))
    t.equal(row[2], "3", "connections in the table")


def unified_mount():
    with open("/proc/mounts") as file:
        for line in file:
            words = line.split()
            if words[2] == "cgroup2" and os.access(words[1], os.W_OK):
                return words[1]
    raise Skip("no control groups v2 that could be written to")


@contextlib.contextmanager
def cgroup(path):
    """A control group, and the one above it, for as long as that."""
    os.makedirs(path)
    try:
        yield path
    finally:
        for folder in (path, os.path.dirname(path)):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


@only("root")
def test_in_a_container(t):
    """In a container's control group and namespaces: shown with our pid for it, and as elsewhere."""
    t.only_apptap()
    top = unified_mount()
    parent = f"apptap-test-{os.getpid()}-{time.monotonic_ns()}"
    with cgroup(f"{top}/{parent}/docker-{ID}.scope") as group:
        process = start(t, WAITS, prefix=("unshare", "--net", "--pid", "--fork", "--kill-child"))
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
            inside = int(file.read().split()[0])
        with open(f"{group}/cgroup.procs", "w") as file:
            file.write(str(inside))
        rows = listed(t)
        t.equal((rows[inside]["container"], rows[inside]["network"], rows[inside]["parent"]), (ID[:12], "elsewhere", process.pid),
                "the row")
        t.true(rows[inside]["cgroup"].endswith(f"/{parent}/docker-{ID}.scope"), f"cgroup {rows[inside]['cgroup']}")
        t.equal(rows[process.pid]["container"], None, "the container of who started it")
        line = next(r for r in t.tool("processes").ok().text.splitlines() if r.split()[0] == str(inside))
        t.equal(line.split()[3:5], ["elsewhere", ID[:12]], "network and container in the table")
        process.stdin.close()
        process.wait(10)
        t.until(lambda: not open(f"{group}/cgroup.procs").read(), "the control group is empty")


def test_what_is_not_seen_is_null(t):
    """Another user's connections are not known to an ordinary user, and not said to be none."""
    t.only_apptap()
    server = t.keep(sockets.Server(t, sockets.drain))
    rows = listed(t)
    row = rows[os.getpid()]    # the scenario itself, root's
    t.true(server.port, "the server stands")
    t.equal((row["uid"], row["connections"] is None, row["network"]),
            (0, True, None) if t.who == "user" else (0, False, "here"), "the row of root's process")


def test_valid_whatever_they_call_themselves(t):
    """Names and arguments of any bytes: valid JSON, and a line each in the table, that steers no terminal."""
    t.only_apptap()
    odd = ["sh", "-c", "echo ready; read x", b"\xff\xfe \x1b[31m \x9b \\ \" \n\t \xed\xa0\x80"]
    process = t.popen(odd, t.environment(), stdin=subprocess.PIPE)
    t.equal(process.stdout.readline(), b"ready\n", "what it says")
    rows = listed(t)
    t.has(rows[process.pid]["arguments"], "echo ready", "\ufffd\ufffd", "\x1b[31m", "\\ \"")
    table = t.tool("processes").ok().stdout
    t.true(b"\x1b" not in table and b"\x9b" not in table, "no escapes")
    lines = table.decode().splitlines()
    t.equal(lines[0].split(), ["PID", "USER", "CONN", "NETWORK", "CONTAINER", "NAME", "PATH", "ARGUMENTS"], "heads")
    t.true(all(re.match(r" *\d+ ", line) for line in lines[1:]), "a line begins with a pid")


def test_agrees_with_ps(t):
    """Everybody that ps shows but kernel threads and what has ended; not apptap itself."""
    t.only_apptap()
    others = [start(t, WAITS) for _ in range(5)]
    rows = listed(t)
    ps = t.popen(["ps", "-eo", "pid=,ppid=,uid=,stat="], t.environment())
    lines = [line.split() for line in ps.communicate()[0].decode().splitlines()]
    known = {int(pid): (int(parent), int(uid)) for pid, parent, uid, state in lines if state[0] not in "ZX"}
    del known[ps.pid]
    t.true(len(known) >= len(others) + 2, f"ps shows {known}")
    gone = rows.keys() - known.keys()
    t.equal({pid: (rows[pid]["parent"], rows[pid]["uid"]) for pid in rows.keys() - gone}, known, "pid: parent, user")
    t.equal([rows[pid]["name"] for pid in gone], [], "shown, and not known to ps")


@only("root")
def test_wrong_line(t):
    t.only_apptap()
    t.equal(t.tool("processes", "curl").status, 64, "status with a name")
    t.equal(t.tool("processes", "--nonsense").status, 64, "status with a wrong option")
    with open("/dev/full", "w") as full:
        t.equal(t.tool("processes", "--json", stdout=full).status, 74, "status where nothing can be written")
