# SPDX-License-Identifier: GPL-3.0-or-later
# load - what others have taken of the machine while it was measured.
#
# Of others' processes the user's time is told, since what interrupts take has no
# owner: what the machine has spent, less what this process and its children have
# once they have ended. The host's share is what a virtual machine calls stolen.

import contextlib
import os
import resource
import time

TICK = os.sysconf("SC_CLK_TCK")


def spent():
    """Seconds of all processors: users' own, and stolen."""
    with open("/proc/stat", encoding="ascii") as f:
        numbers = [int(word) for word in f.readline().split()[1:]]
    return (numbers[0] + numbers[1]) / TICK, numbers[7] / TICK


def ours():
    return sum(resource.getrusage(who).ru_utime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


class Load:
    def __init__(self):
        self.since, self.users, self.ours, self.stolen = time.monotonic(), spent()[0], ours(), spent()[1]

    def shares(self):
        """(others', host's), from 0 to 1, since it was made. All children have ended."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:        # orphans of the namespace
                pass
        whole = (time.monotonic() - self.since) * os.cpu_count()
        users, stolen = spent()
        return max(0, users - self.users - (ours() - self.ours)) / whole, (stolen - self.stolen) / whole
