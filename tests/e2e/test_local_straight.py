# SPDX-License-Identifier: GPL-3.0-or-later
# test_local_straight - a program that `apptap local` taps notices nothing: it says the same as its untapped double.

import json
import socket

from e2e import wireshark, world
from e2e.internet import HERE4, HERE6, THERE4, THERE6, Internet
from e2e.local import Local, copy_of_python, start_copy, upper
from e2e.scenario import only
from peers import sockets

# What each call comes to, a line each; ports and times are left out.
PROBES = """
    import errno, hashlib, json, os, select, socket, struct, sys, time
    P = json.loads(sys.argv[1])
    PROBES = []
    def probe(f):
        PROBES.append(f)
        return f
    def family(a): return socket.AF_INET6 if ":" in a else socket.AF_INET
    def tcp(a): return socket.socket(family(a))
    def udp(a): return socket.socket(family(a), socket.SOCK_DGRAM)
    EVERY = P["here4"], P["here6"], P["there4"], P["there6"], "127.0.0.1", "127.0.0.9", "::1"

    def each(addresses):
        def mark(f):
            for a in addresses:
                def one(a=a): return f(a)
                one.__name__ = f"{f.__name__} {a}"
                PROBES.append(one)
        return mark

    @each(EVERY)
    def tcp_and_names(a):
        with tcp(a) as s:
            s.connect((a, P["upper"])); s.sendall(b"hello")
            return s.recv(99), s.getpeername()[0], s.getsockname()[0], s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    @each(EVERY)
    def tcp_without_waiting(a):
        with tcp(a) as s:
            s.setblocking(False)
            first = errno.errorcode.get(s.connect_ex((a, P["upper"])))
            poll = select.poll(); poll.register(s, select.POLLOUT)
            event = poll.poll(9000)[0][1]
            return first, event, s.connect_ex((a, P["upper"]))

    @each(EVERY)
    def tcp_from_a_port(a):
        with tcp(a) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("", P["port"])); s.connect((a, P["upper"])); s.sendall(b"hello")
            return s.recv(99), s.getsockname()[:2]

    @each((P["there4"], P["there6"], "127.0.0.1"))
    def tcp_from_an_address(a):
        own = {P["there4"]: P["here4"], P["there6"]: P["here6"]}.get(a, a)
        with tcp(a) as s:
            s.bind((own, 0)); s.connect((a, P["upper"])); s.sendall(b"hello")
            return s.recv(99), s.getsockname()[0]

    @each(EVERY)
    def tcp_refused(a):
        with tcp(a) as s: s.connect((a, 1))

    # No ICMP message means EACCES, which a prohibited IPv4 destination comes to.
    @each((P["unreachable4"], P["unreachable6"], P["prohibited6"]))
    def no_way(a):
        with tcp(a) as s: s.connect((a, 80))

    # Nor does Linux tell an IPv6 datagram's sender of an ICMP message that could be outlived.
    @each((P["unreachable4"],))
    def no_way_for_datagrams(a):
        with udp(a) as s:
            s.settimeout(5)
            s.connect((a, 80)); s.send(b"x"); s.recv(9)

    @each(EVERY)
    def tcp_bulk(a):
        with tcp(a) as s:
            s.connect((a, P["digest"])); s.sendall(b"0123456789abcdef" * (1 << 17)); s.shutdown(socket.SHUT_WR)
            digest = hashlib.sha256(); size = 0
            while data := s.recv(1 << 20): digest.update(data); size += len(data)
            return size, digest.hexdigest()

    @each((P["there4"], P["there6"], "127.0.0.1"))
    def fast_open(a):
        with tcp(a) as s:
            s.sendto(b"hello", socket.MSG_FASTOPEN, (a, P["upper"]))
            return s.recv(99)

    @each(EVERY)
    def tcp_peer_resets(a):
        with tcp(a) as s:
            s.connect((a, P["reset"])); s.sendall(b"x")
            return s.recv(9)

    @each(EVERY)
    def udp_sizes(a):
        found = []
        for size in 0, 1, 1400, 1472, 1473, 9000, 65507, 65508:
            with udp(a) as s:
                s.settimeout(5)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                try:
                    s.sendto(b"x" * size, (a, P["echo"]))
                    data, peer = s.recvfrom(70000)
                    found.append((len(data), peer[0]))
                except OSError as e: found.append((size, type(e).__name__, e.errno))
        return found

    @each(EVERY)
    def udp_connected_names(a):
        with udp(a) as s:
            s.settimeout(5)
            s.connect((a, P["echo"])); s.send(b"x")
            return s.recv(9), s.getpeername()[0], s.getsockname()[0]

    @each(EVERY)
    def udp_refused(a):
        with udp(a) as s:
            s.settimeout(5); s.connect((a, 1)); s.send(b"x"); s.recv(9)

    @each(EVERY)
    def udp_connect_elsewhere(a):
        with udp(a) as s:
            s.settimeout(5)
            s.connect((a, 1)); s.connect((a, P["echo"])); s.send(b"x")
            return s.recv(9)

    @probe
    def one_udp_socket_for_all():
        found = []
        with udp("127.0.0.1") as s:
            s.settimeout(5)
            for a in EVERY * 2:
                if ":" in a: continue
                s.sendto(b"x", (a, P["port_of"])); found.append((s.recvfrom(9), a))
        # The server answers with the port it saw.
        return len({data for (data, _), _ in found}), [(peer[0], a) for (_, peer), a in found]

    @probe
    def mapped():
        found = []
        for a in P["here4"], P["there4"], "127.0.0.1":
            with socket.socket(socket.AF_INET6) as s:
                s.connect(("::ffff:" + a, P["upper"])); s.sendall(b"hello")
                found.append((s.recv(99), s.getpeername()[0], s.getsockname()[0]))
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
                s.settimeout(5)
                s.sendto(b"x", ("::ffff:" + a, P["echo"])); found.append((s.recvfrom(9)[1][0]))
        return found

    @each(("0.0.0.0", "::"))
    def any_address(a):
        with tcp(a) as s:
            s.connect((a, P["upper"])); s.sendall(b"hello")
            return s.recv(99), s.getpeername()[0]

    @probe
    def many_at_once():
        all_ = [socket.create_connection((P["there4"], P["upper"]), 9) for _ in range(200)]
        for s in all_: s.sendall(b"hello")
        return {s.recv(99) for s in all_}

    @each((P["there4"], P["there6"], "127.0.0.1"))
    def options(a):
        with tcp(a) as s:
            s.connect((a, P["upper"]))
            return s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), s.family, s.type

    @probe
    def own_server():
        with socket.create_server(("127.0.0.1", 0)) as l:
            with socket.create_connection(l.getsockname()) as c:
                s, peer = l.accept()
                with s: c.sendall(b"x"); return s.recv(9), peer[0]

    @each((P["there4"], P["there6"], "127.0.0.1", "::1"))
    def own_udp_server(a):
        own = {P["there4"]: P["here4"], P["there6"]: P["here6"]}.get(a, a)
        with udp(a) as server, udp(a) as c:
            server.bind((own, 0)); server.settimeout(5); c.settimeout(5)
            c.sendto(b"x", server.getsockname()[:2])
            data, peer = server.recvfrom(9)
            server.sendto(b"y", peer)
            return data, c.recvfrom(9)[0]

    for f in PROBES:
        try: result = f()
        except Exception as e: result = f"{type(e).__name__} {getattr(e, 'errno', '')}"
        print(f.__name__, result, flush=True)
"""


def digest(connection):
    size, text = sockets.drain(connection)
    connection.sendall(f"{size} {text}".encode())


def serve(t, internet):
    """The same ports at every address; what the probes are told of them."""
    places = {}

    def every(kind, make):
        port = None
        for address in HERE4, HERE6, "127.0.0.1", "127.0.0.9", "::1":
            server = t.keep(make(address, port or 0))
            port = port or server.port
        with internet.inside():
            for address in THERE4, THERE6:
                t.keep(make(address, port))
        places[kind] = port

    for kind, handler in ("upper", upper), ("digest", digest), ("reset", lambda c: (c.recv(9), sockets.reset(c))):
        every(kind, lambda address, port, handler=handler: sockets.Server(t, handler, address, port))
    every("echo", lambda address, port: sockets.Datagrams(t, lambda data, peer: data, address, port))
    every("port_of", lambda address, port: sockets.Datagrams(t, lambda data, peer: str(peer[1]).encode(), address, port))
    with socket.socket() as free:
        free.bind(("", 0))
        places["port"] = free.getsockname()[1]
    return places | {"here4": HERE4, "here6": HERE6, "there4": THERE4, "there6": THERE6,
                     "unreachable4": world.UNREACHABLE4, "unreachable6": world.UNREACHABLE6,
                     "prohibited6": world.PROHIBITED6}


@only("root", limit=90)
def test_nothing_is_noticed(t):
    places = json.dumps(serve(t, Internet(t)))

    def said(name):
        process = start_copy(t, copy_of_python(t, name), PROBES, places)
        text, wrong = process.communicate(timeout=60)
        t.equal(wrong, b"", "what went wrong")
        return text.decode().splitlines()

    straight = said("straight-double")
    local = Local(t, "tapped-double")
    tapped = said("tapped-double")
    differ = [pair for pair in zip(straight, tapped) if pair[0] != pair[1]]
    for pair in differ:
        print(*pair, sep="\n  ")
    t.equal((differ, len(straight)), ([], len(tapped)), "straight and tapped")
    t.true(len(local.end()) > 100, "flows")
    wireshark.sound(local.capture)
