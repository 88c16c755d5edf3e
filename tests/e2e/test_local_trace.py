# SPDX-License-Identifier: GPL-3.0-or-later
# test_local_trace - however a part of `apptap local` ends, the machine is as it was before.

import os
import re
import signal
import subprocess

from e2e.local import Local, ask, copy_of_python, start_copy, upper
from e2e.scenario import only
from peers import sockets

# What moves by itself: counters and tables that the kernel grows, and random numbers.
MOVES = re.compile(r"^net\.netfilter\.nf_conntrack_count|^net\.ipv4\.tcp_fastopen_key|^net\.ipv6\.conf\.\w+\.stable_secret")


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def machine():
    """Everything of the network that lasts, a line each."""
    found = [f"{family} {what}: {line}" for family in ("-4", "-6")
             for what in ("addr", "route show table all", "rule")
             for line in output("ip", family, *what.split()).splitlines() if "valid_lft" not in line]
    found += output("ip", "-d", "link").splitlines()
    found += [line for line in output("sysctl", "-a", "-r", r"^net\.").splitlines() if not MOVES.match(line)]
    return found


def changes(before, after):
    return sorted(set(before) ^ set(after))


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as file:
            for child in map(int, file.read().split()):
                found += [child, *children(child)]
    return found


def held(pids):
    """The eBPF programs and links that these processes hold: others on this host have theirs."""
    found = set()
    for pid in pids:
        for fd in os.listdir(f"/proc/{pid}/fdinfo"):
            try:
                with open(f"/proc/{pid}/fdinfo/{fd}") as file:
                    found.update(re.findall(r"^(prog|link)_id:\s*(\d+)", file.read(), re.M))
            except OSError:
                pass    # closed meanwhile
    return found


def there(items):
    """Which of them the kernel still has."""
    return {(kind, number) for kind, number in items
            if subprocess.run(["bpftool", kind, "show", "id", number], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0}


def attached():
    return set(re.findall(r"^\s*(\d+)\s", output("bpftool", "cgroup", "tree"), re.M))


RESET = "ConnectionResetError", "ConnectionAbortedError"

HOLDS = """
    import socket, sys
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
    s.sendall(b"hold"); assert s.recv(99) == b"hold"
    print("held", flush=True)
    s.settimeout(15)
    try: print("ended" if s.recv(99) == b"" else "more")
    except OSError as e: print(type(e).__name__)
"""


def end_in_the_middle(t, program, ports, end):
    """Traffic, then end(local, pids); what the program's connection of the moment saw."""
    local = Local(t, os.path.basename(program))
    holder = start_copy(t, program, HOLDS, ports[0])
    t.equal(holder.stdout.readline(), b"held\n", "the connection of the moment")
    pids = [local.process.pid, *children(local.process.pid)]
    ours = held(pids)
    t.true(there(ours), "it has programs to begin with")
    t.true({number for kind, number in ours if kind == "prog"} & attached(), "and they are attached")
    end(local, pids)
    said = holder.communicate(timeout=20)[0].decode().strip()
    t.until(lambda: not there(ours), "its programs and links are gone")
    t.equal({number for kind, number in ours if kind == "prog"} & attached(), set(), "attached")
    t.equal(ask(t, program, "127.0.0.1", ports[1]), "HELLO", "the next connection")
    return said


def serve(t):
    t.need("bpftool")
    return [t.keep(sockets.Server(t, handler)).port for handler in (echo_quietly, upper)]


def echo_quietly(connection):
    try:
        sockets.echo(connection)
    except ConnectionResetError:
        pass


def compare(t, before):
    t.until(lambda: not changes(before, machine()), "the machine is as it was")


@only("root", limit=150)
def test_killed_twenty_times(t):
    """Each of its processes in turn; a helper's death harms nobody, then and at the end."""
    program, ports, before = copy_of_python(t, "taken-in-the-middle"), serve(t), machine()
    for n in range(t.scaled(20, 4)):
        def kill(local, pids):
            t.true(len(pids) > 1, "it has a helper")
            victim = pids[n % len(pids)]
            os.kill(victim, signal.SIGKILL)
            if victim != local.process.pid:
                t.equal(ask(t, program, "127.0.0.1", ports[1]), "HELLO", "after a helper's death")
                local.process.send_signal(signal.SIGINT)
            local.process.wait(20)

        said = end_in_the_middle(t, program, ports, kill)
        t.true(said in RESET, f"kill {n}: it saw {said}")
        compare(t, before)


@only("root", limit=60)
def test_ended_in_order(t):
    program, ports, before = copy_of_python(t, "taken-in-order"), serve(t), machine()
    for number in signal.SIGINT, signal.SIGTERM:
        def end(local, pids):
            t.true(any("tun" in line for line in changes(before, machine())), "while it runs the device is seen")
            local.end(number)

        said = end_in_the_middle(t, program, ports, end)
        t.true(said in ("ConnectionResetError", "ended"), f"at signal {number} it saw {said}")
        compare(t, before)
