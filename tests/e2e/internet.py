# SPDX-License-Identifier: GPL-3.0-or-later
# internet - a second network namespace at the other end of a cable, with servers in it.
#
# A socket belongs to the namespace in which it was made, whatever thread uses it
# later: peers that are started `inside` stay there, and so do their children.

import contextlib
import os
import subprocess

from e2e import world

HERE4, HERE6 = "192.0.2.2", "2001:db8:1::2"
THERE4, THERE6 = "192.0.2.1", "2001:db8:1::1"
NAMES = {"origin.test": [THERE4, THERE6], "www.origin.test": [THERE4]}


class Internet:
    """Lives as long as the scenario's machine."""

    def __init__(self, t):
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.holder = t.popen(["unshare", "-n", "sh", "-c", "ip link set lo up; echo up; exec cat"], t.environment(),
                              stdin=subprocess.PIPE)
        t.equal(self.holder.stdout.readline(), b"up\n", "the other namespace")
        self.there = os.open(f"/proc/{self.holder.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.enter = ["nsenter", "-n", "-t", str(self.holder.pid)]
        # Else a link-local address appears some seconds later, when states are compared.
        world.write("/proc/sys/net/ipv6/conf/default/accept_dad", "0")
        self.ip(f"link add wire type veth peer name wire netns {self.holder.pid}", HERE4, HERE6, THERE4, THERE6)
        with self.inside():
            self.ip(None, THERE4, THERE6, HERE4, HERE6)

    @staticmethod
    def ip(first, own4, own6, other4, other6):
        lines = [first] if first else []
        lines += [f"addr add {own4}/24 dev wire", f"addr add {own6}/64 dev wire nodad", "link set wire up",
                  f"route add default via {other4}", f"route add ::/0 via {other6}"]
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)

    @contextlib.contextmanager
    def inside(self):
        """What this thread makes and starts meanwhile is there."""
        world.call("setns", self.there, world.CLONE_NEWNET)
        try:
            yield
        finally:
            world.call("setns", self.home, world.CLONE_NEWNET)
