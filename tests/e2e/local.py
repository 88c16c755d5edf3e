# SPDX-License-Identifier: GPL-3.0-or-later
# local - a running `apptap local`, and programs for it to find.

import json
import os
import shutil
import signal
import subprocess
import textwrap

from e2e.world import Skip

ASK = """
import socket, sys
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
    s.sendall(b"hello"); print(s.recv(99).decode())
except OSError as e: print(type(e).__name__)
"""


def groups():
    """Where the control groups of version 2 are mounted; apptap mounts them for itself where it may."""
    with open("/proc/mounts") as file:
        found = next((line.split()[1] for line in file if line.split()[2] == "cgroup2"), None)
    if not found:
        raise Skip("no control groups of version 2 are mounted here")
    return found


class Local:
    """A running `apptap local SPEC`, ready when it says so. No SPEC: None."""

    def __init__(self, t, spec, *options, prefix=(), environment=None, place=None, **kw):
        t.only_apptap()
        if not os.path.exists("/sys/kernel/btf/vmlinux"):
            raise Skip("the kernel has no BTF")
        t.counter += 1
        self.t, self.flows, self.capture = t, *(f"{place or t.home}/local{t.counter}.{kind}" for kind in ("flows", "pcapng"))
        self.process = t.popen([*prefix, t.apptap, "local", "-v", "-w", self.capture, "--flows", self.flows, *options,
                                *([] if spec is None else [spec])], t.environment(environment), **kw)
        self.said = []
        self.hear("tapping")

    def hear(self, words):
        """Waits for a line with these words on its standard error."""
        while True:
            line = self.process.stderr.readline().decode()
            self.t.true(line, f"it ended before it said {words!r}: {''.join(self.said)}")
            self.said.append(line)
            if words in line:
                return line

    def end(self, number=signal.SIGINT):
        """Ends it in order; the flows it saw."""
        self.process.send_signal(number)
        self.said.append(self.process.stderr.read().decode())
        self.t.equal(self.process.wait(20), 0, f"status; it said {''.join(self.said)}")
        with open(self.flows) as file:
            return [json.loads(line) for line in file]


def copy_of_python(t, name):
    path = f"{t.home}/{name}"
    shutil.copy(os.path.realpath("/usr/bin/python3"), path)
    return path


def ask(t, program, address, port, prefix=()):
    done = subprocess.run([*prefix, program, "-c", ASK, address, str(port)], env=t.environment() | {"PYTHONHOME": "/usr"},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20)
    return done.stdout.strip() or done.stderr


def start_copy(t, program, code, *arguments, prefix=(), environment=None, **kw):
    """A copy of Python runs this text, with a pipe for its standard input."""
    return t.popen([*prefix, program, "-c", textwrap.dedent(code), *map(str, arguments)],
                   t.environment() | {"PYTHONHOME": "/usr"} | (environment or {}), stdin=subprocess.PIPE, **kw)


def upper(connection):
    connection.sendall(connection.recv(99).upper())


def names(flows):
    return sorted(f["process"]["name"] for f in flows)
