# SPDX-License-Identifier: GPL-3.0-or-later
# test_local_trace - what `apptap local` leaves behind, however it ends: nothing.
#
# Each round taps a program that talks without a pause over every kind of socket, ends
# apptap in one way, and asks three things: does every conversation of the moment
# end with an error at once, do the program's next ones work, and is the machine as
# it was before.

import contextlib
import json
import os
import signal
import subprocess
import time

from e2e import world
from e2e.local import Local, ask, copy_of_python, groups, start_copy
from e2e.scenario import EX_IOERR, only
from peers import sockets

TALK = """
import errno, json, socket, sys, threading
go = threading.Event()
lock = threading.Lock()
def say(*words):
    with lock: print(*words, flush=True)
def fresh(kind, address, port):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                      socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(20); s.connect((address, port)); ping(s)
    return s
def ping(s):
    s.send(b"ping")
    if s.recv(99) != b"ping": raise EOFError
def talk(*place):
    try:
        s = fresh(*place)
        say("up")
        while True: ping(s)
    except Exception as e: say("ended", place[0], errno.errorcode.get(getattr(e, "errno", None), repr(e)))
    go.wait()
    try: fresh(*place); say("again")
    except Exception as e: say("failed", *place, repr(e))
for place in json.loads(sys.argv[1]): threading.Thread(target=talk, args=place, daemon=True).start()
sys.stdin.readline()
go.set()
sys.stdin.read()
"""

# What moves by itself.
MOVING = ("net/netfilter/nf_conntrack_count",)    # how many there are at the moment
TORN = {"ECONNRESET", "ECONNABORTED", "EPIPE", "ECONNREFUSED"}
# Of datagrams also what Linux has for who sends while a device and its routes go.
ENDS = {"tcp": TORN, "udp": TORN | {"ENETUNREACH", "EHOSTUNREACH", "ENETDOWN"}}


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def settings():
    found = {}
    for folder, _, names in os.walk("/proc/sys/net"):
        for name in names:
            path = f"{folder}/{name}"
            # Some can only be written, some not be read before they are.
            with contextlib.suppress(OSError), open(path) as file:
                if not path.endswith(MOVING):
                    found[path] = file.read()
    return found


def machine():
    """All of the network that a program could leave changed."""
    state = {" ".join(c): output(*c) for family in ("-4", "-6")
             for c in (("ip", family, "-d", "addr"), ("ip", family, "route", "show", "table", "all"), ("ip", family, "rule"))}
    for command in ("ip", "-d", "link"), ("tc", "qdisc"):
        state[" ".join(command)] = output(*command)
    return state | settings()


def differences(before, after):
    return {k: (before.get(k), after.get(k)) for k in before.keys() | after.keys() if before.get(k) != after.get(k)}


def bpftool(*what):
    return json.loads(output("bpftool", "-j", *what) or "[]")


class Programs:
    """What a running apptap has in the kernel. bpftool sees the whole machine, others' apptaps
    too: ours are those that use one of the maps it holds."""

    def __init__(self, t, pid):
        self.t = t
        groups()                        # bpftool's too
        self.maps = set(self.held(pid))
        self.programs = {p["id"] for p in bpftool("prog", "show") if self.maps & set(p.get("map_ids", []))}
        self.links = {l["id"] for l in bpftool("link", "show") if l.get("prog_id") in self.programs}

    @staticmethod
    def held(pid):
        for number in os.listdir(f"/proc/{pid}/fdinfo"):
            with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/fdinfo/{number}") as file:
                for line in file:
                    if line.startswith("map_id:"):
                        yield int(line.split()[1])

    def left(self):
        tree = {p["id"] for group in bpftool("cgroup", "tree") for p in group.get("programs", [])}
        return (self.programs & {p["id"] for p in bpftool("prog", "show")}, self.links & {l["id"] for l in bpftool("link", "show")},
                self.maps & {m["id"] for m in bpftool("map", "show")}, self.programs & tree)


def children(pid):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{name}/stat") as file:
            if int(file.read().rpartition(") ")[2].split()[1]) == pid:
                found.append(int(name))
    return found


def furnish(t):
    """A device with default routes, as hosts have, and an echo of each kind; where those are."""
    for program in "bpftool", "tc":
        t.need(program)
    lines = ["link add near type veth peer name far", "addr add 192.0.2.1/24 dev near", "addr add 2001:db8:1::1/64 dev near nodad",
             "link set near up", "link set far up", "route add default via 192.0.2.254", "route add ::/0 via 2001:db8:1::fe"]
    # Else a link-local address appears some moments later.
    world.write("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1")
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
    places = []
    for address in "127.0.0.1", "::1", world.OUTSIDE4, world.OUTSIDE6:
        tcp = t.keep(sockets.Server(t, echo, address))
        udp = t.keep(sockets.Datagrams(t, lambda data, peer: data, address))
        places += [("tcp", address, tcp.port), ("udp", address, udp.port)]
    return places


def echo(connection):
    with contextlib.suppress(OSError):
        sockets.echo(connection)


def with_no_device(t):
    """A killed one's go a moment later."""
    t.until(lambda: not has_devices(), "no device")


def end(t, places, program, number, whom):
    """One round: `whom` picks the processes of apptap (the first is the tap) that get the signal."""
    before = machine()
    local = Local(t, os.path.basename(program))
    kernel = Programs(t, local.process.pid)
    t.true(differences(before, machine()) and all(kernel.left()), "while it runs it is seen")
    talk = start_copy(t, program, TALK, json.dumps(places))
    said = [talk.stdout.readline().decode() for _ in places]
    t.equal(said, ["up\n"] * len(places), "conversations")
    for pid in whom([local.process.pid, *children(local.process.pid)]):
        os.kill(pid, number)
    began = time.monotonic()
    for _ in places:
        ended, kind, how = talk.stdout.readline().decode().split(maxsplit=2)
        t.true(ended == "ended" and how.strip() in ENDS[kind], f"how a conversation ends: {kind} {how}")
    t.true(time.monotonic() - began < t.scaled(5, 15), f"ended after {time.monotonic() - began} s")
    status = local.process.wait(20)
    said = local.process.stderr.read().decode()
    with_no_device(t)
    t.equal(differences(before, machine()), {}, "what differs from before")
    t.until(lambda: not any(kernel.left()), "no program is left in the kernel")
    talk.stdin.write(b"\n")
    talk.stdin.flush()
    t.equal([talk.stdout.readline().decode() for _ in places], ["again\n"] * len(places), "the next conversations")
    t.stop(talk)
    return status, said


@only("root", limit=120)
def test_killed_in_the_middle(t):
    """kill -9, of the tap and of its guards in turn. It does not live on without one of these."""
    places, program = furnish(t), copy_of_python(t, "in-the-middle")
    for round_ in range(t.scaled(20, 3)):
        status, said = end(t, places, program, signal.SIGKILL, lambda pids: [pids[round_ % 3]])
        if round_ % 3:
            t.equal(status, EX_IOERR, "status")
            t.has(said, "was itself killed")
        else:
            t.equal(status, -signal.SIGKILL, "status")


@only("root", limit=60)
def test_told_to_end(t):
    places, program = furnish(t), copy_of_python(t, "told-to-end")
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT:
        t.equal(end(t, places, program, number, lambda pids: pids[:1])[0], 0, f"status after {number}")


def has_devices(_pid=None):
    return any(name.startswith("apptap") for name in os.listdir("/proc/sys/net/ipv4/conf"))


def is_up(_pid):
    return any(line.startswith("apptap") and "UP" in line for line in output("ip", "-br", "link").splitlines())


@only("root", limit=60)
def test_killed_at_the_beginning(t):
    """Half made: once its guards are there, once the device is, once that is up."""
    places, program = furnish(t), copy_of_python(t, "at-the-beginning")
    t.only_apptap()
    before = machine()
    for number in signal.SIGKILL, signal.SIGTERM:
        for sign in children, has_devices, is_up:
            process = t.popen([t.apptap, "local", "at-the-beginning"], t.environment())
            t.until(lambda: sign(process.pid), sign.__name__)
            process.send_signal(signal.SIGSTOP)
            kernel, helpers = Programs(t, process.pid), children(process.pid)
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)
            process.wait(20)
            t.until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in helpers), "its helpers are gone")
            with_no_device(t)
            t.equal(differences(before, machine()), {}, f"what differs after {number} at {sign.__name__}")
            t.until(lambda: not any(kernel.left()), "no program is left in the kernel")
            t.equal(ask(t, program, "127.0.0.1", places[0][2]), "hello", "the next connection")
