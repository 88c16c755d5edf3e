# SPDX-License-Identifier: GPL-3.0-or-later
# container - real containers, by the runtimes that the great engines use themselves.
#
# A container has process, mount, IPC and control group namespaces of its own; its root
# is this machine's, read-only, with the scenario's home at /mnt. Control groups are the
# machine's, so what a container leaves is taken away here: nothing else would.

import contextlib
import json
import os
import subprocess

from e2e import world
from e2e.world import Skip

PLACE = "/mnt"
MNT_DETACH = 2
GROUPS = "/sys/fs/cgroup"
CAPABILITIES = ["CAP_KILL", "CAP_NET_BIND_SERVICE"]
MOUNTS = [("/proc", "proc", []), ("/dev", "tmpfs", ["nosuid", "mode=755"]), ("/sys", "sysfs", ["ro"]),
          (GROUPS, "cgroup", ["ro"])]


def as_it_is():
    pass


def version_2():
    """From here on, in this mount namespace, there is version 2 of control groups alone."""
    if not os.path.exists(f"{GROUPS}/cgroup.controllers"):
        world.call("umount2", GROUPS.encode(), MNT_DETACH)
        world.mount("cgroup2", GROUPS, "cgroup2")


def version_1():
    """And here version 1, so that of version 2 all processes are in the root."""
    if not os.path.exists(f"{GROUPS}/pids/cgroup.procs"):
        raise Skip("no control groups of version 1 here")
    with contextlib.suppress(OSError):
        world.call("umount2", f"{GROUPS}/unified".encode(), MNT_DETACH)


def sweep(path):
    """Takes away a control group that this scenario made, and the empty ones above it, in every hierarchy."""
    for line in open("/proc/mounts"):
        place, kind = line.split()[1:3]
        part = path.strip("/") if kind in ("cgroup", "cgroup2") else ""
        while part:
            with contextlib.suppress(OSError):
                os.rmdir(f"{place}/{part}")
            part = os.path.dirname(part)


class Runtime:
    """An OCI runtime: runc or crun."""

    def __init__(self, t, name):
        t.only_apptap()
        t.need(name)
        self.t, self.name, self.count = t, name, 0
        self.root = f"{t.folder}/root"
        os.mkdir(self.root)
        world.mount("/", self.root, None, world.MS_BIND)
        probe = self.command(["true"], "apptap-test-" + os.urandom(8).hex())
        done = subprocess.run(probe, env=t.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=20)
        if done.returncode:
            raise Skip(f"{name} starts no container here: {done.stdout.strip()[-200:]}")

    def command(self, arguments, identity, group=None, network=None):
        """What starts this in a container of that name: a bundle is made for it. `group` is its control group's
        path; network: a name of `ip netns`, "" for a new one, None for the caller's."""
        t = self.t
        self.count += 1
        bundle = f"{t.folder}/bundle{self.count}"
        group = group or f"/apptap-test-{identity}"
        os.mkdir(bundle)
        spaces = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")]
        if network is not None:
            spaces.append({"type": "network"} | ({"path": network} if network else {}))
        world.write(f"{bundle}/config.json", json.dumps({
            "ociVersion": "1.0.0", "hostname": "container", "root": {"path": self.root, "readonly": True},
            "process": {"args": [str(a) for a in arguments], "cwd": "/", "user": {"uid": 0, "gid": 0}, "noNewPrivileges": True,
                        "env": [f"{k}={v}" for k, v in (t.environment() | {"PYTHONHOME": "/usr"}).items()],
                        "capabilities": {k: CAPABILITIES for k in ("bounding", "effective", "permitted")}},
            "mounts": [{"destination": d, "type": kind, "source": kind, "options": options} for d, kind, options in MOUNTS] +
                      [{"destination": PLACE, "type": "bind", "source": t.home, "options": ["bind", "ro"]}],
            "linux": {"cgroupsPath": group, "namespaces": spaces, "resources": {}}}))
        state = [self.name, "--root", f"{t.folder}/state"]
        t.stack.callback(sweep, group)
        t.stack.callback(subprocess.run, [*state, "delete", "--force", identity], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
        return [*state, "run", "--bundle", bundle, identity]

    def first(self, identity):
        """The number of its first process, out here."""
        done = subprocess.run([self.name, "--root", f"{self.t.folder}/state", "state", identity], stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)["pid"]
