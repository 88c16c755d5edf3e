# SPDX-License-Identifier: GPL-3.0-or-later
# test_local_owner - `apptap local`: who is in, and whose each flow is.

import collections
import os
import shutil
import subprocess

from e2e.local import ASK, Local, ask, copy_of_python, groups, names, start_copy, upper
from e2e.scenario import NOBODY, only
from e2e.world import Skip
from peers import sockets

AS_NOBODY = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--"]

# At each line on its standard input one connection; its answer on standard output.
ASKS = """
    import socket, sys
    print("ready", flush=True)
    for line in sys.stdin:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5) as s:
            s.sendall(b"hello"); print(s.recv(99).decode(), flush=True)
"""


def told(process):
    """Has it connect once; what it was answered."""
    process.stdin.write(b"\n")
    process.stdin.flush()
    return process.stdout.readline().decode().strip()


def asker(t, program, port, prefix=()):
    process = start_copy(t, program, ASKS, port, prefix=prefix)
    t.equal(process.stdout.readline(), b"ready\n", "the program")
    return process


def check(t, spec, processes, wanted):
    """With this spec exactly those processes are tapped; all are answered."""
    local = Local(t, spec)
    t.equal([told(p) for p in processes], ["HELLO"] * len(processes), f"answers with {spec}")
    t.equal([f["process"]["pid"] for f in local.end()], [p.pid for p in wanted], f"tapped by {spec}")


@only("root", limit=90)
def test_each_kind_of_item(t):
    server = t.keep(sockets.Server(t, upper))
    os.chmod(t.home, 0o755)
    alpha, beta = copy_of_python(t, "kind-alpha"), copy_of_python(t, "kind-beta")
    one, two = asker(t, alpha, server.port), asker(t, beta, server.port)
    nobodys = asker(t, beta, server.port, AS_NOBODY)
    all_ = [one, two, nobodys]
    check(t, "kind-alpha", all_, [one])
    check(t, str(two.pid), all_, [two])
    check(t, "!kind-beta", all_, [one])
    check(t, f"kind-,!{two.pid}", all_, [one, nobodys])
    check(t, "kind-beta,!user:nobody", all_, [two])
    check(t, "user:nobody", all_, [nobodys])
    check(t, f"exe:{t.home}/kind-a*", all_, [one])
    check(t, f"child-of:{os.getpid()}", all_, all_)


@only("root", limit=60)
def test_cgroup(t):
    """That group and those below it."""
    name = f"apptap-test-{os.getpid()}-{os.urandom(4).hex()}"
    folder = f"{groups()}/{name}"
    try:
        os.makedirs(f"{folder}/below")
    except OSError as error:
        raise Skip(f"no control group of its own: {error}") from None
    server = t.keep(sockets.Server(t, upper))
    program = copy_of_python(t, "in-a-group")
    inside, outside = asker(t, program, server.port), asker(t, program, server.port)
    try:
        with open(f"{folder}/below/cgroup.procs", "w") as file:
            file.write(str(inside.pid))
        check(t, f"cgroup:/{name}", [inside, outside], [inside])
        check(t, f"in-a-group,!cgroup:/{name}/below", [inside, outside], [outside])
    finally:
        inside.kill()
        inside.wait()
        # The group is empty once its last process is reaped, a moment later.
        t.until(lambda: "populated 0" in open(f"{folder}/cgroup.events").read(), "the group is empty")
        os.rmdir(f"{folder}/below")
        os.rmdir(folder)


@only("root", limit=60)
def test_children_of_a_shell(t):
    """What a matched shell starts is in."""
    server = t.keep(sockets.Server(t, upper))
    shell, program = f"{t.home}/matched-shell", copy_of_python(t, "of-no-name")
    shutil.copy(os.path.realpath("/bin/sh"), shell)
    local = Local(t, "matched-shell")
    line = f'"$0" -c "$1" 127.0.0.1 {server.port}'
    for script in f"{line}; :", f"exec {line}", f"( ( {line} ) ; : ) | cat":
        done = subprocess.run([shell, "-c", script, program, ASK], env=t.environment() | {"PYTHONHOME": "/usr"},
                              stdout=subprocess.PIPE, text=True, timeout=20)
        t.equal(done.stdout, "HELLO\n", script)
    t.equal(ask(t, program, "127.0.0.1", server.port), "HELLO", "one that no shell started")
    t.equal(names(local.end()), ["of-no-name"] * 3, "whose flows")


@only("root", limit=60)
def test_before_and_after(t):
    """Started before or after apptap, connecting later; a connection from before goes on as it was."""
    server, echo = t.keep(sockets.Server(t, upper)), t.keep(sockets.Server(t, sockets.echo))
    program = copy_of_python(t, "before-and-after")
    long_lived = start_copy(t, program, """
        import itertools, socket, sys
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
        for line in itertools.chain([b"first\\n"], sys.stdin.buffer):
            s.sendall(line); print(s.recv(99).decode(), end="", flush=True)
        """, echo.port)
    t.equal(long_lived.stdout.readline(), b"first\n", "before")
    before = asker(t, program, server.port)
    local = Local(t, "before-and-after")
    after = asker(t, program, server.port)
    t.equal([told(before), told(after), told(long_lived)], ["HELLO", "HELLO", ""], "answers")
    flows = local.end()
    t.equal([f["process"]["pid"] for f in flows], [before.pid, after.pid], "whose flows")
    long_lived.stdin.write(b"later\n")
    long_lived.stdin.flush()
    t.equal(long_lived.stdout.readline(), b"later\n", "after the end")


@only("root", limit=60)
def test_threads_by_other_names(t):
    """A thread that calls itself something else is its process's; so is a main thread that does."""
    server = t.keep(sockets.Server(t, upper))
    local = Local(t, "of-many-threads")
    process = start_copy(t, copy_of_python(t, "of-many-threads"), """
        import ctypes, os, socket, sys, threading
        PR_SET_NAME = 15
        def ask(name):
            assert ctypes.CDLL(None).prctl(PR_SET_NAME, name) == 0
            with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5) as s:
                s.sendall(b"hello"); assert s.recv(99) == b"HELLO"
        for n in range(4):
            thread = threading.Thread(target=ask, args=(b"Socket Thread %d" % n,)); thread.start(); thread.join()
        ask(b"Main Thread")
        """, server.port)
    t.equal(process.communicate(timeout=20), (b"", b""), "what it says")
    t.equal([f["process"]["pid"] for f in local.end()], [process.pid] * 5, "whose flows")


@only("root", limit=60)
def test_two_at_once(t):
    """Each taps its own and not the other's; the end of one is not the other's."""
    server = t.keep(sockets.Server(t, upper))
    one, other = copy_of_python(t, "first-of-two"), copy_of_python(t, "second-of-two")
    taps = [Local(t, "first-of-two"), Local(t, "second-of-two")]

    def ask_both():
        t.equal([ask(t, p, "127.0.0.1", server.port) for p in (one, other)], ["HELLO", "HELLO"], "answers")

    ask_both()
    t.equal(names(taps[0].end()), ["first-of-two"], "of the first")
    ask_both()
    t.equal(names(taps[1].end()), ["second-of-two"] * 2, "of the second")


PROCESSES, EACH, AT_A_TIME = 500, 20, 10

# Forks; a child connects EACH times, says to whom it belongs and from which ports, and is gone.
CROWD = """
    import os, socket, sys
    port, processes, each, at_a_time, out = *map(int, sys.argv[1:5]), os.open(sys.argv[5], os.O_WRONLY | os.O_APPEND)
    datagrams = sys.argv[6:] == ["datagrams"]
    def child(n):
        if n % 2:
            os.setresuid(65534, 65534, 65534)
        ports = []
        for i in range(each):
            s = socket.socket(type=socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM)
            if datagrams and i % 2:
                s.sendto(b"x", ("127.0.0.1", port))
            else:
                s.connect(("127.0.0.1", port))
                if datagrams: s.send(b"x")
            ports.append(s.getsockname()[1])
            s.close()
        os.write(out, ("%d %d %s\\n" % (os.getpid(), os.getuid(), ",".join(map(str, ports)))).encode())
    running = 0
    for n in range(processes):
        if running == at_a_time:
            assert os.wait()[1] == 0
            running -= 1
        if os.fork() == 0:
            try: child(n)
            except BaseException as e: print(e, flush=True); os._exit(1)
            os._exit(0)
        running += 1
    while running:
        assert os.wait()[1] == 0
        running -= 1
    print("done", flush=True)
"""


def check_crowd(t, port, processes, each, *datagrams):
    """Each flow's owner is as the processes say themselves."""
    record = f"{t.home}/record"
    open(record, "w").close()
    local = Local(t, "in-a-crowd")
    # It says a line for each flow, and nobody else reads them.
    t.watch(lambda: [None for _ in local.process.stderr])
    crowd = start_copy(t, copy_of_python(t, "in-a-crowd"), CROWD, port, processes, each, AT_A_TIME, record, *datagrams)
    t.equal(crowd.communicate(timeout=90), (b"done\n", b""), "what it says")
    wanted = collections.Counter()
    with open(record) as file:
        for line in file:
            pid, uid, ports = line.split()
            wanted.update((int(port), int(pid), "in-a-crowd", int(uid)) for port in ports.split(","))
    found = collections.Counter()
    for flow in local.end():
        process = flow.get("process", {})
        found[int(flow["app"].rpartition(":")[2]), process.get("pid"), process.get("name"), process.get("uid")] += 1
    t.equal(wanted.total(), processes * each, "connections that were recorded")
    if datagrams:
        # Of two sockets that had the same port in the same moment nothing tells the packets apart.
        had = collections.Counter(port for port, *_ in wanted.elements())
        wanted, found = ({w: n for w, n in c.items() if had[w[0]] == 1} for c in (wanted, found))
        wanted, found = collections.Counter(wanted), collections.Counter(found)
    t.equal((list((found - wanted).elements())[:5], list((wanted - found).elements())[:5]), ([], []),
            "flows nobody had, connections nobody saw")


@only("root", limit=120)
def test_a_crowd_of_short_lived_processes(t):
    """10,000 connections by 500 processes that are gone at once."""
    server = t.keep(sockets.Server(t, lambda connection: None))
    check_crowd(t, server.port, t.scaled(PROCESSES, PROCESSES // 10), EACH)


PORT_AGAIN = """
    import os, socket, sys
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
    s.bind(("0.0.0.0", 40000)); s.connect(("127.0.0.1", int(sys.argv[1])))
    for n in range(2): s.send(b"hello"); s.recv(9)
    print(os.getpid())
"""


@only("root", limit=60)
def test_a_port_goes_to_another_process(t):
    """As soon as one ends; each has a flow of its own, and both packets in it."""
    server = t.keep(sockets.Datagrams(t, lambda data, peer: data))
    local, program = Local(t, "port-again"), copy_of_python(t, "port-again")
    pids = [int(start_copy(t, program, PORT_AGAIN, server.port).communicate(timeout=20)[0]) for _ in range(3)]
    t.equal([(f["process"]["pid"], f["sent"], f["received"]) for f in local.end()], [(pid, 10, 10) for pid in pids], "flows")


@only("root", limit=60)
def test_a_crowd_of_datagrams(t):
    """One each from a socket, connected or not, that is closed at once, by processes that end."""
    server = t.keep(sockets.Datagrams(t, lambda data, peer: None))
    check_crowd(t, server.port, t.scaled(PROCESSES // 5, PROCESSES // 50), EACH // 2, "datagrams")
