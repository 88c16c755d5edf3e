# SPDX-License-Identifier: GPL-3.0-or-later
# test_local - `apptap local`: programs that were not started by apptap. Each
# names a program of its own, in the network namespace of the scenario.

import subprocess

from e2e.local import Local, ask, copy_of_python
from e2e.scenario import only
from peers import sockets


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


@only("root", limit=60)
def test_no_privilege_is_kept(t):
    local = Local(t, "nobody-has-this-name")
    with open(f"/proc/{local.process.pid}/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    t.true("0" not in status["Uid"].split(), f"uid {status['Uid']}")
    t.equal((int(status["CapEff"], 16), int(status["CapPrm"], 16), status["NoNewPrivs"]), (0, 0, "1"), "capabilities")
    t.equal(local.end(), [], "flows")


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
