# SPDX-License-Identifier: GPL-3.0-or-later
# test_local_internet - `apptap local` on a machine with a cable to another, where real servers are.

import json
import os
import shutil
import subprocess

from e2e import wireshark, world
from e2e.internet import HERE4, NAMES, THERE4, THERE6, Internet
from e2e.local import Local, ask, copy_of_python, names, start_copy, upper
from e2e.scenario import only
from peers import dns, nginx, sockets


def furnish(t):
    """nginx and a resolver at the other end, a resolver here on its usual address."""
    t.need("nginx")
    t.need("curl")
    internet = Internet(t)
    with internet.inside():
        t.keep(nginx.serve(t, (THERE4, THERE6)))
        t.keep(dns.serve(t, NAMES, THERE4))
    t.keep(dns.serve(t, NAMES))
    return internet


def exported(t):
    path = f"{t.home}/exported.pem"
    world.write(path, t.tool("ca", "export").ok().text)
    return path


def curl(t, program, authority, path, *options):
    return subprocess.Popen([program, "-sS", "--cacert", authority, *options, path], env=t.environment(),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answers(t, processes):
    found = []
    for process in processes:
        text, said = process.communicate(timeout=20)
        found.append(text or said)
    return found


@only("root", limit=60)
def test_one_and_its_double(t):
    """At the same time (and in a folder that is not called curl): curl is opened, and trusts apptap's authority alone; its copy by
    another name is not, and trusts the origin's alone. The capture tells owners and secrets."""
    furnish(t)
    double = f"{t.home}/untouched"
    shutil.copy(os.path.realpath(shutil.which("curl")), double)
    local = Local(t, "curl", "--upstream-ca", f"{t.pki}/ca.pem")
    ours = exported(t)
    each = 5
    running = [curl(t, program, authority, "https://origin.test/hello", family)
               for family in ("-4", "-6") for _ in range(each)
               for program, authority in (("curl", ours), (double, f"{t.pki}/ca.pem"))]
    t.equal(answers(t, running), ["hello from 443 over HTTP/2.0\n"] * 4 * each, "answers")
    plain = curl(t, "curl", ours, "http://origin.test/hello")
    t.equal(answers(t, [plain]), ["hello from 80 over HTTP/1.1\n"], "without TLS")
    flows = local.end()
    t.equal(set(names(flows)), {"curl"}, "whose flows")
    opened = sorted(f["destination"] for f in flows if f["verdict"] == "opened")
    t.equal(opened, sorted([f"{THERE4}:443", f"[{THERE6}]:443"] * each), "opened")
    t.equal({f["process"]["pid"] for f in flows}, {p.pid for p in [*running[::2], plain]}, "pids")
    t.true(any(f["destination"] == f"{world.RESOLVER}:53" for f in flows), "the resolver's flows")
    wireshark.sound(local.capture)
    t.equal(len([p for p in wireshark.column(local.capture, "http2.headers.path", "http2.headers.path")
                 if "/hello" in p]), 2 * each, "requests that can be read")
    for row in wireshark.column(local.capture, "tcp.flags.syn == 1 && tcp.flags.ack == 0", "frame.comment"):
        t.has(row, "curl")


@only("root", limit=60)
def test_no_spec_is_everybody(t):
    """Everything but apptap: were its own sockets on the device, no answer would ever come."""
    furnish(t)
    t.need("dig")
    local = Local(t, None, "--upstream-ca", f"{t.pki}/ca.pem")
    ours = exported(t)
    t.equal(answers(t, [curl(t, "curl", ours, "https://origin.test/hello") for _ in range(4)]),
            ["hello from 443 over HTTP/2.0\n"] * 4, "answers")
    for server in THERE4, world.RESOLVER:
        done = subprocess.run(["dig", "+short", "+tries=1", f"@{server}", "www.origin.test"], env=t.environment(),
                              stdout=subprocess.PIPE, text=True, timeout=20)
        t.equal(done.stdout, f"{THERE4}\n", f"what {server} says")
    flows = local.end()
    t.true("apptap" not in names(flows), f"apptap is not among {set(names(flows))}")
    t.equal(len([f for f in flows if f["verdict"] == "opened"]), 4, "opened")
    t.true({f"{THERE4}:53", f"{world.RESOLVER}:53"} <= {f["destination"] for f in flows
                                                        if f["process"]["name"] == "dig"}, "dig's flows")


EVERY_KIND = """
    import json, socket, sys
    for kind, address, port in json.loads(sys.argv[1]):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        s.settimeout(5)
        text = f"{kind} to {address}".encode()
        if kind == "unconnected":
            s.sendto(text, (address, port))
            answer, peer = s.recvfrom(99)
            assert peer[:2] == (address, port), peer
        else:
            s.connect((address, port))
            assert s.getpeername()[:2] == (address, port), s.getpeername()
            s.send(text)
            answer = s.recv(99)
        assert answer == text.upper(), (answer, text)
    print("all")
"""


@only("root", limit=60)
def test_every_kind_of_socket(t):
    internet = Internet(t)
    places, wanted = [], []
    for address in THERE4, THERE6, "127.0.0.1", "127.0.0.9", world.RESOLVER, "::1", HERE4:
        with internet.inside() if address in (THERE4, THERE6) else open(os.devnull):
            tcp = t.keep(sockets.Server(t, upper, address))
            udp = t.keep(sockets.Datagrams(t, lambda data, peer: data.upper(), address))
        for kind, port in ("tcp", tcp.port), ("connected", udp.port), ("unconnected", udp.port):
            places.append((kind, address, port))
            shown = f"[{address}]" if ":" in address else address
            wanted.append(("tcp" if kind == "tcp" else "udp", f"{shown}:{port}"))
    local = Local(t, "of-every-kind")
    process = start_copy(t, copy_of_python(t, "of-every-kind"), EVERY_KIND, json.dumps(places))
    said, wrong = process.communicate(timeout=30)
    t.equal((said, wrong), (b"all\n", b""), "what it says")
    t.equal(sorted((f["protocol"], f["destination"]) for f in local.end()), sorted(wanted), "flows")
    wireshark.sound(local.capture)


MULTICAST = """
    import socket
    four = socket.socket(type=socket.SOCK_DGRAM)
    four.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("%s"))
    four.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.1.2.3") + socket.inet_aton("%s"))
    six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("wire"))
    for n in range(20):
        four.sendto(b"to all", ("239.1.2.3", 5353))
        six.sendto(b"to all", ("ff02::fb", 5353))
""" % (HERE4, HERE4)


@only("root", limit=60)
def test_multicast_of_others_stays_out(t):
    internet = Internet(t)
    with internet.inside():
        server = t.keep(sockets.Server(t, upper, THERE4))
    local = Local(t, "beside-multicast")
    process = start_copy(t, copy_of_python(t, "calls-everybody"), MULTICAST)
    t.equal(process.communicate(timeout=20), (b"", b""), "what it says")
    t.equal(ask(t, copy_of_python(t, "beside-multicast"), THERE4, server.port), "HELLO", "the answer")
    t.equal(names(local.end()), ["beside-multicast"], "whose flows")
    t.equal(wireshark.rows(local.capture, "ip.dst == 224.0.0.0/4 || ipv6.dst == ff00::/8", "frame.number",
                           "_ws.col.Info"), [], "multicast")


@only("root", limit=60)
def test_same_name_in_another_namespace(t):
    internet = Internet(t)
    program = copy_of_python(t, "on-both-sides")
    here = t.keep(sockets.Server(t, upper, HERE4))
    with internet.inside():
        there = t.keep(sockets.Server(t, upper, "127.0.0.1"))
    local = Local(t, "on-both-sides")
    t.equal(ask(t, program, "127.0.0.1", there.port, internet.enter), "HELLO", "there, to itself")
    t.equal(ask(t, program, HERE4, here.port, internet.enter), "HELLO", "from there")
    t.equal(ask(t, program, HERE4, here.port), "HELLO", "here")
    t.equal([f["destination"] for f in local.end()], [f"{HERE4}:{here.port}"], "flows")


@only("root", limit=60)
def test_a_matched_server_is_reachable(t):
    """From outside and from loopback; what it asks others itself is tapped."""
    internet = Internet(t)
    with internet.inside():
        behind = t.keep(sockets.Server(t, upper, THERE4))
    process = start_copy(t, copy_of_python(t, "serves-and-asks"), """
        import socket, sys
        listener = socket.create_server(("0.0.0.0", 8080))
        print("ready", flush=True)
        while True:
            s, _ = listener.accept()
            with s, socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as on:
                on.sendall(s.recv(99))
                s.sendall(on.recv(99))
        """, THERE4, behind.port)
    t.equal(process.stdout.readline(), b"ready\n", "the server")
    local = Local(t, "serves-and-asks")
    asker = copy_of_python(t, "asks-the-server")
    t.equal([ask(t, asker, HERE4, 8080, internet.enter), ask(t, asker, "127.0.0.1", 8080), ask(t, asker, HERE4, 8080)],
            ["HELLO"] * 3, "answers")
    t.equal([(f["destination"], f["process"]["pid"]) for f in local.end()], [(f"{THERE4}:{behind.port}", process.pid)] * 3,
            "flows")
