# SPDX-License-Identifier: GPL-3.0-or-later
# test_local_trust - `apptap local --trust`: the stores hold the authority for as long as it runs.

import os
import signal
import subprocess

from e2e import stores
from e2e.local import Local, groups
from e2e.scenario import NOBODY, only
from peers import nginx

CURL = ["curl", "-sS", "https://localhost/hello"]


class World:
    """The stores laid over, nginx by the tests' authority, and what was there before."""

    def __init__(self, t):
        stores.lay_over(t)
        stores.settle()
        self.t, self.before, self.bundle = t, stores.listing(), stores.bundle()
        t.keep(nginx.serve(t))

    def is_as_before(self):
        return stores.bundle() == self.bundle and not stores.differences(self.before, stores.listing())

    def check(self, what):
        self.t.equal(stores.differences(self.before, stores.listing()), [], f"what differs {what}")
        self.t.true(stores.bundle() == self.bundle, f"the bundle is the same {what}")

    def start(self, **kw):
        return Local(self.t, "curl", "--trust", "--upstream-ca", f"{self.t.pki}/ca.pem", **kw)

    def curl(self):
        return self.t.tap(CURL, straight=True, trusting=False)


def custodian_of(local):
    """The child that holds the stores."""
    with open(f"/proc/{local.process.pid}/task/{local.process.pid}/children") as file:
        for pid in map(int, file.read().split()):
            with open(f"/proc/{pid}/comm") as name:
                if name.read() == "apptap-trust\n":
                    return pid
    return None


@only("root", limit=120)
def test_opened_without_a_word(t):
    """curl, told nothing, is opened; at the end, however it is asked for, nothing is left, at once."""
    world = World(t)
    for number in (signal.SIGINT, signal.SIGTERM):
        local = world.start()
        t.has("".join(local.said), "added to", "the system's store")
        t.has(world.curl().ok().text, "hello from 443")
        flows = [f for f in local.end(number) if f["protocol"] == "tcp"]
        t.equal([(f["verdict"], f["process"]["name"]) for f in flows], [("opened", "curl")], "flows")
        t.has("".join(local.said), "removed from")
        world.check(f"after signal {number}")


@only("root", limit=120)
def test_killed(t):
    """After kill -9 of apptap, here with all its process group, the stores are cleaned without anybody's doing."""
    world = World(t)
    local = world.start(start_new_session=True)
    t.true(not world.is_as_before(), "it is installed")
    os.killpg(local.process.pid, signal.SIGKILL)
    local.process.wait()
    t.until(world.is_as_before, "the stores are as before", 30)
    world.check("after the kill")
    t.true(not os.path.exists(f"{t.home}/data/apptap/installed"), "the record is gone")


@only("root", limit=120)
def test_killed_while_it_changes_them(t):
    """In the middle of the install, and of the uninstall."""
    world = World(t)
    record = f"{t.home}/data/apptap/installed"
    process = t.popen([t.apptap, "local", "--trust", "curl"], t.environment())
    t.until(lambda: os.path.exists(record), "the install has begun")
    process.kill()
    t.lacks(process.communicate()[1].decode(), "tapping")
    t.until(lambda: not os.path.exists(record), "the record is gone", 30)
    world.check("after a kill while it installs")
    local = world.start()
    local.process.terminate()
    local.hear("removed from")
    local.process.kill()
    local.process.wait()
    t.until(lambda: not os.path.exists(record), "the record is gone", 30)
    world.check("after a kill while it uninstalls")


@only("root", limit=120)
def test_killed_with_the_custodian(t):
    """The next start of any kind cleans up, and says so."""
    world = World(t)
    local = world.start()
    custodian = custodian_of(local)
    t.true(custodian, "there is a custodian")
    os.kill(custodian, signal.SIGKILL)
    local.process.kill()
    local.process.wait()
    t.true(not world.is_as_before(), "it is still installed")
    done = t.tool("run", "--", "true", limit=60).ok()
    t.has(done.said, "after a run that was killed", "removed from")
    world.check("after the next start")


@only("root", limit=120)
def test_custodian_killed_alone(t):
    """apptap goes on, and at its end says what is left and how to be rid of it."""
    world = World(t)
    local = world.start()
    os.kill(custodian_of(local), signal.SIGKILL)
    t.has(world.curl().ok().text, "hello from 443")
    local.end()
    t.has("".join(local.said), "may still be trusted here", "apptap ca uninstall")
    t.has(t.tool("ca", "uninstall", limit=60).ok().text, "removed from")
    world.check("after uninstall")


@only("root", limit=120)
def test_two_runs(t):
    """The last one out takes it along."""
    world = World(t)
    first, second = world.start(), world.start()
    first.end()
    t.has("".join(first.said), "still wanted in")
    t.has(world.curl().ok().text, "hello from 443")
    second.end()
    t.has("".join(second.said), "removed from")
    world.check("after both")


@only("root", limit=120)
def test_what_was_installed_stays(t):
    """--trust takes out nothing that `ca install` put in."""
    world = World(t)
    t.tool("ca", "install", limit=60).ok()
    local = world.start()
    local.end()
    t.has("".join(local.said), "already in", "still wanted in")
    t.true(not world.is_as_before(), "it is still installed")
    t.tool("ca", "uninstall", limit=60).ok()
    world.check("after uninstall")


@only("root", limit=60)
def test_custodian_keeps_little(t):
    """It holds no file of the run, hears no terminal, and has what stores take alone."""
    local = World(t).start()
    pid = custodian_of(local)
    open_files = sorted(os.readlink(f"/proc/{pid}/fd/{n}").split(":")[0] for n in os.listdir(f"/proc/{pid}/fd"))
    t.equal(open_files, ["/dev/null"] * 3 + ["socket"], "open files")
    with open(f"/proc/{pid}/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    net_admin, sys_admin = 1 << 12, 1 << 21
    t.equal([int(status[s], 16) & (net_admin | sys_admin) for s in ("CapPrm", "CapEff", "CapBnd")], [0, 0, 0], "capabilities")
    t.equal(os.getsid(pid), pid, "its session")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    t.equal(local.end(), [], "flows")
    t.has("".join(local.said), "removed from")


@only("root", limit=60)
def test_capabilities_are_not_root(t):
    """With what tapping takes alone, the user's own database is changed, and said what is not."""
    t.need("certutil")
    groups()                            # to mount them takes more than these capabilities
    stores.lay_over(t)
    os.chown(t.home, NOBODY, NOBODY)
    database = f"{t.home}/.pki/nssdb"
    user = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    for command in (["mkdir", "-p", database], ["certutil", "-N", "-d", f"sql:{database}", "--empty-password"]):
        subprocess.run([*user, *command], check=True)
    few = "+net_admin,+bpf,+perfmon"
    local = Local(t, "curl", "--trust", prefix=[*user, "--inh-caps", few, "--ambient-caps", few])
    t.has("".join(local.said), "left alone      the system's store", "only root may change it", "added to        NSS database")
    with open(f"/proc/{custodian_of(local)}/status") as file:
        t.has(file.read(), "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapAmb:\t0000000000000000")
    t.equal(local.end(), [], "flows")
    t.has("".join(local.said), "removed from    NSS database")


@only("root")
def test_nothing_to_trust(t):
    t.only_apptap()
    done = t.tool("local", "--trust", "--tls", "pass", "curl")
    t.equal(done.status, 64, "status")
    t.has(done.said, "--trust")
