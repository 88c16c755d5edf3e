# SPDX-License-Identifier: GPL-3.0-or-later
# test_local - `apptap local`: programs that were not started by apptap. Each
# names a program of its own, in the network namespace of the scenario.

import errno
import os
import socket
import subprocess

from e2e import inject, wireshark, world
from e2e.local import Local, ask, copy_of_python
from e2e.scenario import NOBODY, only
from e2e.world import Skip
from peers import nginx, sockets


def links():
    return subprocess.run(["ip", "-br", "link"], stdout=subprocess.PIPE, text=True, check=True).stdout


def rules():
    return "".join(subprocess.run(["ip", family, "rule"], stdout=subprocess.PIPE, text=True, check=True).stdout
                   for family in ("-4", "-6"))


@only("root", limit=60)
def test_by_name(t):
    """The one named is tapped; another copy is not; both get what they asked for."""
    before = links() + rules()
    taken, other = copy_of_python(t, "taken-by-name"), copy_of_python(t, "left-alone")
    server = t.keep(sockets.Server(t, lambda c: c.sendall(c.recv(99).upper())))
    local = Local(t, "taken-by-name")
    t.equal((ask(t, taken, "127.0.0.1", server.port), ask(t, other, "127.0.0.1", server.port)), ("HELLO", "HELLO"),
            "answers")
    flows = local.end()
    t.equal([(f["destination"], f["verdict"], f["sent"], f["received"], f["process"]["name"]) for f in flows],
            [(f"127.0.0.1:{server.port}", "relayed", 5, 5, "taken-by-name")], "flows")
    t.equal(links() + rules(), before, "what is left")


@only("root", limit=60)
def test_refused_is_refused(t):
    taken = copy_of_python(t, "taken-refused")
    local = Local(t, "taken-refused")
    t.equal(ask(t, taken, "127.0.0.1", 1), "ConnectionRefusedError", "what it saw")
    t.equal([f["verdict"] for f in local.end()], ["refused"], "flows")


def status_of(tid):
    with open(f"/proc/{tid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


@only("root", limit=60)
def test_no_privilege_is_kept(t):
    """Neither thread has a capability, can get one, or is free in its calls."""
    local = Local(t, "nobody-has-this-name")
    tasks = os.listdir(f"/proc/{local.process.pid}/task")
    t.true(len(tasks) > 1, "the capture's thread is there")
    for tid in tasks:
        status = status_of(tid)
        t.true("0" not in status["Uid"].split(), f"uid {status['Uid']}")
        t.equal([int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")], [0] * 4, "capabilities")
        t.equal((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"), "confinement")
    t.equal(local.end(), [], "flows")


@only("root", limit=60)
def test_files_are_out_of_reach(t):
    """What it does not need it cannot open, read or make, though the user could; and what
    nothing in it should ever ask for is its end."""
    if t.sanitized:
        raise Skip("a sanitizer's report needs files of its own")
    if inject.landlock() < 0:
        raise Skip("the kernel has no Landlock")
    world.write(f"{t.home}/secret", "for everybody to read")
    os.chmod(t.home, 0o777)
    local = Local(t, "nobody-has-this-name")
    for tid in map(int, os.listdir(f"/proc/{local.process.pid}/task")):
        with inject.stopped(tid) as saved:
            t.equal(inject.call(tid, saved, inject.GETPID), local.process.pid, "the injection itself")
            for path, flags in ((f"{t.home}/secret", os.O_RDONLY), ("/etc/hosts", os.O_RDONLY), ("/", os.O_RDONLY),
                                (f"{t.home}/made", os.O_WRONLY | os.O_CREAT), ("/proc/self/mem", os.O_RDWR)):
                t.equal(inject.open_file(tid, saved, path, flags), -errno.EACCES, f"open of {path}")
            t.true(inject.open_file(tid, saved, "/etc/passwd") >= 0, "names of users can be read")
            t.equal(inject.call(tid, saved, inject.SOCKET, socket.AF_PACKET, socket.SOCK_RAW, 0), -errno.ENOSYS,
                    "a packet socket")
            t.true(inject.call(tid, saved, inject.SOCKET, socket.AF_INET, socket.SOCK_STREAM, 0) >= 0, "a TCP socket")
    t.equal(local.end(), [], "flows")
    local = Local(t, "nobody-has-this-name")
    with inject.stopped(local.process.pid) as saved:
        t.equal(inject.call(local.process.pid, saved, inject.EXECVE, 0, 0, 0), "SIGSYS", "a program started")


@only("root", limit=60)
def test_tls_is_opened(t):
    """From within its confinement, as sudo's caller and as root alone: the authority is theirs."""
    t.need("curl")
    t.keep(nginx.serve(t))
    for name, sudo in ("sudo", {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY), "SUDO_USER": "nobody", "HOME": "/root"}), ("root", {}):
        place = f"{t.folder}/{name}"
        os.mkdir(place)
        if sudo:
            os.chown(place, NOBODY, NOBODY)
        environment = {"XDG_DATA_HOME": f"{place}/data", **sudo}
        local = Local(t, "curl", "--upstream-ca", f"{t.pki}/ca.pem", environment=environment, place=place)
        exported = t.tool("ca", "export", env=environment)
        world.write(f"{place}/ca.pem", exported.text)
        done = subprocess.run(["curl", "-s", "--cacert", f"{place}/ca.pem", "https://localhost/hello"],
                              env=t.environment(), stdout=subprocess.PIPE, text=True, timeout=20)
        t.equal(done.stdout, "hello from 443 over HTTP/2.0\n", "the answer")
        t.equal([(f["verdict"], f["tls"]["alpn"], f["process"]["name"], f["process"]["user"]) for f in local.end()],
                [("opened", "h2", "curl", "root")], "flows")
        wireshark.sound(local.capture)
        t.has("".join(wireshark.column(local.capture, "http2", "http2.headers.path")), "/hello")
        for path in (local.capture, local.flows):
            status = os.stat(path)
            t.equal((status.st_uid, status.st_mode & 0o777), (NOBODY if sudo else 0, 0o600), f"whose {path} is")


@only("root", limit=60)
def test_killed_leaves_nothing(t):
    before = links() + rules()
    taken = copy_of_python(t, "taken-killed")
    server = t.keep(sockets.Server(t, lambda c: c.sendall(c.recv(99).upper())))
    local = Local(t, "taken-killed")
    local.process.kill()
    local.process.wait()
    t.until(lambda: links() + rules() == before, "device and rules are gone")
    t.equal(ask(t, taken, "127.0.0.1", server.port), "HELLO", "the next connection")


@only("root", limit=60)
def test_networks_choose(t):
    """--except leaves a network alone, --only takes no other."""
    taken = copy_of_python(t, "taken-by-network")
    server = t.keep(sockets.Server(t, lambda c: c.sendall(c.recv(99).upper())))
    for options, count in (("--except", "127.0.0.0/8"), 0), (("--only", "127.0.0.1"), 1), (("--no-loopback",), 0):
        local = Local(t, "taken-by-network", *options)
        t.equal(ask(t, taken, "127.0.0.1", server.port), "HELLO", f"{options}")
        t.equal(len(local.end()), count, f"flows with {options}")


@only("root")
def test_bad_specs_are_marked(t):
    t.only_apptap()
    done = t.tool("local", "curl,,wget")
    t.equal(done.status, 64, "status")
    t.has(done.said, "curl,,wget", "^")


@only("user")
def test_says_what_it_lacks(t):
    t.only_apptap()
    done = t.tool("local", "curl")
    t.equal(done.status, 69, "status")
    t.true(any(word in done.said for word in ("root", "CAP_BPF", "CAP_NET_ADMIN")), f"it said {done.said}")
