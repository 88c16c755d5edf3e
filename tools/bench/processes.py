# SPDX-License-Identifier: GPL-3.0-or-later
# processes - what a tap's processes have cost: processor time and memory of their own.

import os

TICK = os.sysconf("SC_CLK_TCK")
GATE = "bench-gate"                     # argv[3] of the shell that holds the measured client


def words_of(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as f:
        return f.read().decode(errors="replace").split("\0")


def parents():
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as f:
                    found.setdefault(int(f.read().rsplit(")", 1)[1].split()[1]), []).append(int(name))
            except OSError:
                pass
    return found


def is_gate(pid):
    try:
        words = words_of(pid)
    except OSError:
        return True
    return words[:1] == ["sh"] and words[3:4] == [GATE]


def gate_of(top):
    """The shell that holds the client, somewhere under `top`."""
    children, look = parents(), [top]
    while look:
        pid = look.pop()
        if is_gate(pid):
            return pid
        look += children.get(pid, [])
    return None


def tree(top):
    """`top` and all under it, but for the measured client."""
    children, found, look = parents(), [], [top]
    while look:
        pid = look.pop()
        if not is_gate(pid):
            found.append(pid)
            look += children.get(pid, [])
    return found


def seconds(pids):
    """Of processor, all threads, also those that have ended."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def memory(pids):
    """Bytes that are theirs alone."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("Private_Dirty:"))
    return total * 1024
