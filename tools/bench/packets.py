# SPDX-License-Identifier: GPL-3.0-or-later
# packets - how many packets a capture holds, and how many its tunnel has carried.

import mmap
import re
import struct

ENHANCED = 6                            # pcapng's packet block


def in_file(path):
    """Packets, walked from block to block."""
    count = at = 0
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while at < len(data):
            kind, size = struct.unpack_from("<II", data, at)
            if size < 12 or at + size > len(data):
                raise ValueError(f"{path}: a block is broken off at {at}")
            count += kind == ENHANCED
            at += size
    return count


def in_tunnel(devices):
    """(carried, dropped) of the client's devices but lo, from the lines of /proc/net/dev."""
    carried = dropped = 0
    for line in devices:
        name, numbers = line.split(":", 1)
        if name.strip() != "lo":
            n = [int(word) for word in numbers.split()]
            carried += n[1] + n[9]
            dropped += n[3] + n[11]
    return carried, dropped


def in_summary(said):
    """What apptap says it has captured."""
    found = re.search(r"(\d+) packets in ", said)
    return int(found[1]) if found else None
