# SPDX-License-Identifier: GPL-3.0-or-later
# test_local_standing - sockets that stand while `apptap local` comes and goes: servers, and those made before.

import contextlib
import json
import os
import signal

from e2e.internet import HERE4, HERE6, THERE4, THERE6, Internet
from e2e.local import Local, copy_of_python, start_copy
from e2e.scenario import only
from peers import sockets

# A server of both protocols and families, at one port.
SERVES = """
    import socket, sys, threading
    def tcp(s):
        while True:
            c, _ = s.accept()
            with c: c.sendall(c.recv(99).upper())
    def udp(s):
        while True:
            data, peer = s.recvfrom(99)
            s.sendto(data.upper(), peer)
    for family, address in (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"):
        for kind, serve in (socket.SOCK_STREAM, tcp), (socket.SOCK_DGRAM, udp):
            s = socket.socket(family, kind)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            s.bind((address, 8080))
            if kind == socket.SOCK_STREAM: s.listen(99)
            threading.Thread(target=serve, args=(s,), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
"""
ASKS = """
    import socket, sys
    for address in sys.argv[1:]:
        for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
            s.settimeout(5)
            s.connect((address, 8080))
            s.send(b"hello")
            assert s.recv(99) == b"HELLO", (address, kind)
    print("all")
"""


def asked(t, program, addresses, prefix=()):
    process = start_copy(t, program, ASKS, *addresses, prefix=prefix)
    t.equal(process.communicate(timeout=30), (b"all\n", b""), f"who asked {addresses}")


@only("root", limit=60)
def test_servers_keep_their_callers(t):
    """Matched servers, started before and after, answer on every address as without apptap."""
    internet = Internet(t)
    server, asker = copy_of_python(t, "matched-server"), copy_of_python(t, "asks-servers")

    def serve():
        process = start_copy(t, server, SERVES)
        t.equal(process.stdout.readline(), b"ready\n", "the server")
        return process

    def everybody_asks():
        asked(t, asker, (HERE4, HERE6, "127.0.0.1", "::1"))
        asked(t, asker, (HERE4, HERE6), internet.enter)

    before = serve()
    everybody_asks()
    local = Local(t, "matched-server")
    everybody_asks()
    t.stop(before)
    serve()
    everybody_asks()
    t.equal(local.end(), [], "flows")
    everybody_asks()


STANDS = """
    import itertools, json, socket, sys
    def made(kind, address, port):
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                          socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        s.settimeout(5)
        if kind != "unconnected": s.connect((address, port))
        return s, kind, address, port
    def say(s, kind, address, port):
        for again in True, False:
            try:
                if kind == "unconnected": s.sendto(b"hello", (address, port))
                else: s.send(b"hello")
                return s.recv(99).decode()
            except ConnectionAbortedError as e:
                # apptap's end is told once to datagram sockets.
                if kind != "unconnected" or not again: return type(e).__name__
            except OSError as e: return type(e).__name__
    all_ = [made(*place) for place in json.loads(sys.argv[1])]
    for line in itertools.chain([""], sys.stdin):
        print(json.dumps([say(*one) for one in all_]), flush=True)
"""


@only("root", limit=60)
def test_sockets_from_before(t):
    """Made and used before, they go on while it runs, and after it ended or was killed."""
    internet = Internet(t)
    places = []
    for address in THERE4, THERE6, "127.0.0.1", "::1":
        with internet.inside() if address in (THERE4, THERE6) else open("/dev/null"):
            tcp = t.keep(sockets.Server(t, sockets.echo, address))
            udp = t.keep(sockets.Datagrams(t, lambda data, peer: data, address))
        places += [("tcp", address, tcp.port), ("connected", address, udp.port), ("unconnected", address, udp.port)]
    program = copy_of_python(t, "stands-for-long")
    process = start_copy(t, program, STANDS, json.dumps(places))

    def all_are_answered(when):
        t.equal(json.loads(process.stdout.readline()), ["hello"] * len(places), when)

    def again(when):
        process.stdin.write(b"\n")
        process.stdin.flush()
        all_are_answered(when)

    all_are_answered("before")
    for number in signal.SIGINT, signal.SIGKILL:
        local = Local(t, "stands-for-long")
        again("while it runs")
        again("a second time")
        if number == signal.SIGINT:
            flows = local.end()
            t.equal({f["protocol"] for f in flows}, {"udp"}, "what was taken")
        else:
            local.process.kill()
            t.until(lambda: not guards(), "the guards have done their work")
        again(f"after {number}")


def guards():
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/comm") as file:
            if file.read() == "apptap-guard\n":
                found.append(int(name))
    return found
