# SPDX-License-Identifier: GPL-3.0-or-later
# test_process - whose flow is it: pid, parent, name, path, arguments, user, start.

import os
import time

from e2e import world
from e2e.scenario import NOBODY, PYTHON
from peers import nginx, sockets

CLIENT = """
import os, socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
s.sendall(b"\\0x"); s.recv(9)
print(os.getpid(), os.getppid(), flush=True)
"""


def test_everything_about_it(t):
    server = t.keep(sockets.Server(t, sockets.echo))
    began = time.time()
    done = t.tap(t.python(CLIENT, "127.0.0.1", server.port)).ok()
    process = done.flow(protocol="tcp")["process"]
    pid, parent = map(int, done.text.split())
    t.equal((process["pid"], process["parent"]), (pid, parent), "pid and parent")
    t.equal(process["path"], os.path.realpath(PYTHON), "path")
    t.true(process["name"].startswith("python3"), process["name"])
    t.has(process["arguments"], PYTHON, "-c", str(server.port))
    t.equal(process["uid"], NOBODY if t.who == "user" else 0, "uid")
    t.equal(process["user"], "nobody" if t.who == "user" else "root", "user")
    from datetime import datetime
    start = datetime.fromisoformat(process["start"].replace("Z", "+00:00")).timestamp()
    t.true(began - 2 <= start <= time.time() + 1, f"start {process['start']}")


def test_short_lived_children(t):
    """Each of ten children that live for one request is named by its own pid."""
    t.keep(nginx.serve(t))
    command = 'for n in 1 2 3 4 5 6 7 8 9 10; do curl -sS -o /dev/null "http://localhost/hello?$n" & echo $!; wait; done'
    done = t.tap(["sh", "-c", command]).ok()
    flows = [f for f in done.flows if f["protocol"] == "tcp"]
    t.equal([f["process"]["pid"] for f in sorted(flows, key=lambda f: f["id"])], list(map(int, done.text.split())), "pids")
    for n, flow in enumerate(sorted(flows, key=lambda f: f["id"]), 1):
        t.equal(flow["process"]["name"], "curl", "name")
        t.has(flow["process"]["arguments"], f"hello?{n}")


def test_child_that_is_gone_at_once(t):
    """connect, send, exit: the process has ended before its answer comes."""
    server = t.keep(sockets.Server(t, sockets.drain))
    code = CLIENT.replace("s.recv(9)", "pass")
    done = t.tap(t.python(code, "127.0.0.1", server.port)).ok()
    t.equal(done.flow(protocol="tcp")["process"]["pid"], int(done.text.split()[0]), "pid")


def test_v4_v6_udp(t):
    """Every kind of socket: bound, connected, dual-stack."""
    four = t.keep(sockets.Server(t, sockets.echo, world.OUTSIDE4))
    six = t.keep(sockets.Server(t, sockets.echo, world.OUTSIDE6))
    udp = t.keep(sockets.Datagrams(t, lambda data, peer: data, world.OUTSIDE4))
    done = t.tap(t.python("""
        import os, socket, sys
        four, six, udp = map(int, sys.argv[3:])
        def use(s):
            s.settimeout(5); s.send(b"\\0"); s.recv(9); s.close()
        use(socket.create_connection((sys.argv[1], four)))
        use(socket.create_connection((sys.argv[2], six)))
        s = socket.socket(socket.AF_INET6); s.connect(("::ffff:" + sys.argv[1], four)); use(s)
        s = socket.socket(type=socket.SOCK_DGRAM); s.connect((sys.argv[1], udp)); use(s)
        s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(5); s.sendto(b"x", (sys.argv[1], udp)); s.recv(9)
        s6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s6.settimeout(5); s6.sendto(b"x", ("::ffff:" + sys.argv[1], udp)); s6.recv(9)
        print(os.getpid())
        """, world.OUTSIDE4, world.OUTSIDE6, four.port, six.port, udp.port)).ok()
    flows = done.flows
    t.equal(len(flows), 6, "flows")
    for flow in flows:
        t.equal(flow.get("process", {}).get("pid"), int(done.text), f"pid of {flow['protocol']} {flow['destination']}")


def test_socket_handed_to_a_child(t):
    """A socket that two processes hold is one of theirs; a thread's is its process's."""
    server = t.keep(sockets.Server(t, sockets.echo))
    done = t.tap(t.python("""
        import os, socket, sys, threading
        def talk():
            s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            s.sendall(b"\\0"); s.recv(9)
            return s
        thread = threading.Thread(target=talk); thread.start(); thread.join()
        s = talk()
        child = os.fork()
        if child == 0:
            s.sendall(b"\\0"); s.recv(9); os._exit(0)
        os.wait()
        print(os.getpid(), child)
        """, server.port)).ok()
    pids = {f["process"]["pid"] for f in done.flows}
    t.true(pids <= set(map(int, done.text.split())), f"{pids} are of {done.text}")


def test_ping_has_a_process(t):
    t.need("ping")
    if t.straight(["ping", "-c", "1", "127.0.0.1"]).status:
        from e2e.scenario import Skip
        raise Skip("ping does not work here")
    done = t.tap(["ping", "-n", "-c", "1", world.OUTSIDE4]).ok()
    flow = [f for f in done.flows if f["protocol"] == "ping"]
    t.equal([f["process"]["name"] for f in flow], ["ping"], "the process")
