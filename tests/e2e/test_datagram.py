# SPDX-License-Identifier: GPL-3.0-or-later
# test_datagram - UDP as it is without us: sizes, ports, errors, answers from elsewhere.

import os
import socket

from e2e import world
from peers import sockets

SIZES = (0, 1, 1472, 1473, 9000, 65507)


def echo(data, _peer):
    return data


def test_sizes(t):
    """0 to 65,507 bytes there and back, v4 and v6, near and far."""
    for address in "127.0.0.1", world.OUTSIDE4, world.OUTSIDE6:
        server = t.keep(sockets.Datagrams(t, echo, address))
        t.tap(t.python("""
            import os, socket, sys
            s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
            s.settimeout(10)
            s.connect((sys.argv[1], int(sys.argv[2])))
            for size in map(int, sys.argv[3:]):
                data = os.urandom(size)
                s.send(data)
                assert s.recv(70000) == data, size
            """, address, server.port, *SIZES)).ok()


def test_one_source_port_for_all_peers(t):
    """A socket's datagrams to several peers come from one port (as a NAT-traversing app needs)."""
    servers = [t.keep(sockets.Datagrams(t, lambda data, peer: b"%d" % peer[1], a))
               for a in ("127.0.0.1", world.OUTSIDE4, world.OUTSIDE4)]
    done = t.tap(t.python("""
        import socket, sys
        s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(5)
        ports = set()
        for place in sys.argv[1:]:
            address, port = place.split(":")
            s.sendto(b"?", (address, int(port))); ports.add(s.recv(99))
        print(len(ports))
        """, *(f"{s.address}:{s.port}" for s in servers[1:]))).ok()
    t.equal(done.text, "1\n", "source ports")


def test_answer_from_another_port(t):
    """A server that answers from elsewhere (as TFTP does) is heard, and answered there."""
    other = socket.socket(type=socket.SOCK_DGRAM)
    other.bind((world.OUTSIDE4, 0))
    other.settimeout(10)
    server = t.keep(sockets.Datagrams(t, lambda data, peer: other.sendto(b"from elsewhere", peer) and None, world.OUTSIDE4))
    back = t.watch(lambda: other.sendto(b"heard: " + (m := other.recvfrom(99))[0], m[1]))
    done = t.tap(t.python("""
        import socket, sys
        s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(5)
        s.sendto(b"request", (sys.argv[1], int(sys.argv[2])))
        data, peer = s.recvfrom(99)
        s.sendto(data, peer)
        print(s.recvfrom(99)[0].decode(), peer[1])
        """, server.address, server.port)).ok()
    back.join(5)
    t.equal(done.text, f"heard: from elsewhere {other.getsockname()[1]}\n", "what came")


ERROR = """
import errno, socket, sys
six = ":" in sys.argv[1]
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
if sys.argv[3] == "asks":    # IPV6_RECVERR, IP_RECVERR
    s.setsockopt(socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP, 25 if six else 11, 1)
try:
    s.connect((sys.argv[1], int(sys.argv[2])))
    for n in range(2):
        s.send(b"anybody?")
        s.recv(99)
    print("answered")
except socket.timeout: print("silence")
except OSError as e: print(errno.errorcode[e.errno])
"""


def same_error(t, address, wanted, how="takes"):
    straight, tapped = (t.tap(t.python(ERROR, address, 9, how), straight=s).ok() for s in (True, False))
    t.equal(straight.text, f"{wanted}\n", f"{address} without apptap")
    t.equal(tapped.text, straight.text, f"{address}")


def test_closed_port(t):
    for address in "127.0.0.1", world.OUTSIDE4, world.OUTSIDE6:
        same_error(t, address, "ECONNREFUSED")


def test_unreachable(t):
    """To a socket that asks for errors (RECVERR). To one that does not, Linux tells of some ICMP codes only."""
    same_error(t, world.UNREACHABLE4, "EHOSTUNREACH", "asks")
    same_error(t, world.UNREACHABLE6, "EHOSTUNREACH", "asks")


def test_unreachable_unasked(t):
    """As an ordinary v4 socket: Linux passes on the codes it holds for final (net and host prohibited)."""
    same_error(t, world.UNREACHABLE4, "EHOSTUNREACH")


def test_silence(t):
    hole = world.dig_hole()
    same_error(t, world.HOLE4, "silence")
    os.close(hole)


def test_many_peers_and_ports(t):
    """300 sockets, then 300 more: each hears its own answer."""
    server = t.keep(sockets.Datagrams(t, echo, world.OUTSIDE4))
    t.tap(t.python("""
        import socket, sys
        for turn in range(2):
            held = []
            for n in range(300):
                s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(10)
                s.connect((sys.argv[1], int(sys.argv[2]))); s.send(b"%d %d" % (turn, n)); held.append(s)
            for n, s in enumerate(held): assert s.recv(99) == b"%d %d" % (turn, n)
            for s in held: s.close()
        """, server.address, server.port)).ok()


def test_dont_fragment(t):
    """IP_PMTUDISC_DO: a datagram over the device's MTU is EMSGSIZE, one under it arrives."""
    server = t.keep(sockets.Datagrams(t, echo, world.OUTSIDE4))
    t.only_apptap()
    done = t.tap(t.python("""
        import errno, socket, sys
        s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(5)
        s.setsockopt(socket.IPPROTO_IP, 10, 2)    # IP_MTU_DISCOVER, IP_PMTUDISC_DO
        s.connect((sys.argv[1], int(sys.argv[2])))
        s.send(bytes(1472)); print(len(s.recv(9999)))
        try: s.send(bytes(1473)); print("sent")
        except OSError as e: print(errno.errorcode[e.errno])
        """, server.address, server.port)).ok()
    t.equal(done.text, "1472\nEMSGSIZE\n", "what happened")


def test_throughput_without_loss_in_lockstep(t):
    """5,000 datagrams, 16 on the way at a time: none is lost, none twice, all in order."""
    server = t.keep(sockets.Datagrams(t, echo, world.OUTSIDE4))
    t.tap(t.python("""
        import socket, sys
        s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(10)
        s.connect((sys.argv[1], int(sys.argv[2])))
        sent = got = 0
        while got < 5000:
            while sent < min(5000, got + 16): s.send(b"%d" % sent + b"x" * 1000); sent += 1
            assert s.recv(9999) == b"%d" % got + b"x" * 1000, got
            got += 1
        """, server.address, server.port)).ok()
