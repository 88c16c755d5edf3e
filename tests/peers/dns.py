# SPDX-License-Identifier: GPL-3.0-or-later
# dns - a name server for *.test, on the machine's own resolver address.
#
# Wire format: RFC 1035 section 4; AAAA: RFC 3596.

import ipaddress
import struct

from e2e import world
from peers import sockets

NAMES = {"origin.test": ["127.0.0.1"], "www.origin.test": ["127.0.0.1"], "far.test": [world.OUTSIDE4, world.OUTSIDE6],
         "four.test": [world.OUTSIDE4], "six.test": [world.OUTSIDE6], "loop.test": ["127.0.0.1", "::1"]}
A, CNAME, AAAA = 1, 5, 28


def read_question(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += query[at] + 1
    kind, = struct.unpack_from(">H", query, at + 1)
    return ".".join(labels).lower(), kind, query[12:at + 5]


def record(kind, data, name=b"\xc0\x0c"):
    return name + struct.pack(">HHIH", kind, 1, 60, len(data)) + data


def answer(query, _peer, names=None):
    name, kind, question = read_question(query)
    names = names or NAMES
    records = [record(A if a.version == 4 else AAAA, a.packed)
               for a in map(ipaddress.ip_address, names.get(name, []))
               if kind == (A if a.version == 4 else AAAA)]
    code = 0 if name in names else 3
    head = query[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, len(records), 0, 0)
    return head + question + b"".join(records)


def serve(t, names=None, address=world.RESOLVER):
    return sockets.Datagrams(t, lambda query, peer: answer(query, peer, names), address, 53)

