# SPDX-License-Identifier: GPL-3.0-or-later
# container - real containers, by the runtimes that the great engines use themselves.
#
# A container has process, mount, IPC and control group namespaces of its own; its root
# is this machine's, read-only, with the scenario's home at /mnt. Control groups are the
# machine's, so what a container leaves is taken away here: nothing else would.

import contextlib
import glob
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
        with contextlib.suppress(OSError):      # nothing there
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


class Engine:
    """What starts containers; not used where it starts none."""

    def __init__(self, t, name):
        t.only_apptap()
        t.need(name)
        self.t, self.name, self.count = t, name, 0
        self.root = f"{t.folder}/root"
        os.mkdir(self.root)
        world.mount("/", self.root, None, world.MS_BIND)
        done = subprocess.run(self.command(["true"], os.urandom(32).hex()), env=t.environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
        if done.returncode:
            raise Skip(f"{name} starts no container here: {done.stdout.strip()[-200:]}")

    def named(self, identity):
        """As a capture has it."""
        return identity[:12]


class Runtime(Engine):
    """An OCI runtime: runc or crun."""

    def command(self, arguments, identity, group=None, network=None):
        """What starts this in a container of that name: a bundle is made for it. `group` is its control group's
        path; network: "" for a new one, a path, None for the caller's."""
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


class Lxc(Engine):
    def command(self, arguments, identity):
        t = self.t
        self.count += 1
        settings = f"{t.folder}/lxc{self.count}.conf"
        os.makedirs(f"{t.folder}/lxc", exist_ok=True)
        world.write(settings, "\n".join([
            f"lxc.rootfs.path = dir:{self.root}", "lxc.rootfs.options = ro", "lxc.net.0.type = none",
            "lxc.mount.auto = proc:mixed sys:ro", f"lxc.mount.entry = {t.home} {PLACE[1:]} none bind,ro 0 0",
            "lxc.apparmor.profile = unconfined", "lxc.environment = PYTHONHOME=/usr", ""]))
        for kind in "payload", "monitor":
            t.stack.callback(sweep, f"/lxc.{kind}.{self.named(identity)}")
        t.stack.callback(sweep, "/lxc.pivot")
        return [self.name, "-P", f"{t.folder}/lxc", "-n", self.named(identity), "-f", settings, "--", *map(str, arguments)]

    def named(self, identity):
        return f"apptap-test-{identity[:16]}"


class Podman(Engine):
    """With runc, and control groups that it makes itself: no systemd is asked. It needs no image."""

    def command(self, arguments, identity):
        t = self.t
        self.count += 1
        t.stack.callback(self.sweep, f"{t.folder}/cid{self.count}")
        return [self.name, "--root", f"{t.folder}/storage", "--runroot", f"{t.root}/podman", "--runtime", "runc",
                "--cgroup-manager", "cgroupfs", "--events-backend", "none", "--storage-driver", "vfs",
                "run", "--name", identity, "--cidfile", f"{t.folder}/cid{self.count}", "--interactive",
                "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--pids-limit", "-1", "--network", "host",
                "--volume", f"{t.home}:{PLACE}:ro", "--env", "PYTHONHOME=/usr", "--read-only", "--read-only-tmpfs=false", "--rootfs", self.root,
                *map(str, arguments)]

    def sweep(self, file):
        """Its conmon, in a group of its own there, ends a moment after the container."""
        if os.path.exists(file):
            sweep(f"libpod_parent/libpod-{open(file).read()}")
        for place in glob.glob(f"{GROUPS}/*/libpod_parent/conmon/cgroup.procs"):
            self.t.until(lambda: not open(place).read(), "podman's monitor is gone")
        sweep("libpod_parent/conmon")

    def named(self, identity):
        with open(f"{self.t.folder}/cid{self.count}") as file:
            return file.read()[:12]
