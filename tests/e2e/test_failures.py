# SPDX-License-Identifier: GPL-3.0-or-later
# test_failures - how a conversation fails or ends, seen by either side as without apptap.

import contextlib
import json
import os
import signal
import socket
import subprocess

from e2e import world
from peers import sockets

CONNECT = """
import errno, socket, sys, time
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
s.settimeout(float(sys.argv[3]))
began = time.monotonic()
try: s.connect((sys.argv[1], int(sys.argv[2]))); print("connected")
except socket.timeout: print("timeout")
except OSError as e: print(errno.errorcode[e.errno])
print(time.monotonic() - began, file=sys.stderr)
"""


def fails_as_straight(t, address, port, wanted, *verdicts, patience=5):
    command = t.python(CONNECT, address, port, patience)
    straight, tapped = t.straight(command).ok(), t.tap(command).ok()
    if wanted:
        t.equal(straight.text, f"{wanted}\n", f"{address} without apptap")
    t.equal(tapped.text, straight.text, f"connect to {address}")
    if not tapped.direct:
        t.true(tapped.flow(protocol="tcp")["verdict"] in verdicts, f"the verdict of {address}: {tapped.flow()}")


def test_refused(t):
    for address in "127.0.0.1", "127.0.0.9", world.OUTSIDE4, world.OUTSIDE6:
        fails_as_straight(t, address, 9, "ECONNREFUSED", "refused")


def test_unreachable(t):
    """A route that says unreachable, and none at all."""
    fails_as_straight(t, world.UNREACHABLE4, 80, "EHOSTUNREACH", "unreachable")
    fails_as_straight(t, world.UNREACHABLE6, 80, "EHOSTUNREACH", "unreachable")
    fails_as_straight(t, "192.0.2.99", 80, "ENETUNREACH", "unreachable")
    fails_as_straight(t, "2001:db8:aaaa::1", 80, "ENETUNREACH", "unreachable")


def test_prohibited(t):
    """EACCES: IPv6 carries it to the app; over IPv4 no ICMP message means it, and it is EHOSTUNREACH."""
    fails_as_straight(t, world.PROHIBITED6, 80, "EACCES", "unreachable")
    done = t.tap(t.python(CONNECT, world.PROHIBITED4, 80, 5)).ok()
    t.true(done.text in ("EACCES\n", "EHOSTUNREACH\n"), f"v4: {done.text}")


def test_silence(t):
    """Nobody answers: the app's own patience ends it, not ours."""
    hole = world.dig_hole()
    fails_as_straight(t, world.HOLE4, 80, "timeout", "timed out", "withdrawn", patience=1.5)
    fails_as_straight(t, world.HOLE6, 80, "timeout", "timed out", "withdrawn", patience=1.5)
    os.close(hole)


def test_backlog_is_full(t):
    """A listener that accepts nobody: connects stay unanswered once its backlog is full, as without us."""
    code = """
        import socket, sys
        held = []
        for n in range(4):
            s = socket.socket(); s.settimeout(1)
            try: s.connect(("127.0.0.1", int(sys.argv[1]))); print("connected")
            except socket.timeout: print("timeout")
            held.append(s)
        """
    said = []
    for straight in True, False:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            said.append(t.tap(t.python(code, listener.getsockname()[1]), straight=straight).ok().text)
    t.has(said[0], "timeout")
    t.equal(said[1], said[0], "the connects")


def test_late_listener(t):
    """Refused until somebody listens, then answered."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        running = t.start(t.python("""
            import socket, sys
            for n in range(2):
                s = socket.socket()
                print(s.connect_ex(("127.0.0.1", int(sys.argv[1]))), flush=True)
                sys.stdin.readline()
            """, port), stdin=subprocess.PIPE)
        running.expect("111")
        holder.listen()
        running.say("\n")
        running.expect("0")
        running.process.stdin.close()
        running.wait().ok()


# --- resets ---

READ = """
import errno, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"\\0go")
got = 0
try:
    while data := s.recv(65536): got += len(data)
    print(got, "end")
except OSError as e: print(got, errno.errorcode[e.errno])
"""


def test_origin_resets(t):
    """A RST in mid-transfer: the app reads ECONNRESET, not an end."""
    def work(connection):
        connection.recv(9)
        connection.sendall(b"x" * 1000)
        connection.recv(9)
    for straight in True, False:
        def cut(connection):
            connection.recv(9)
            sockets.reset(connection)
        server = t.keep(sockets.Server(t, cut))
        done = t.tap(t.python(READ, server.port), straight=straight).ok()
        t.equal(done.text, "0 ECONNRESET\n", "what the app saw")
    if not done.direct:
        t.equal(done.flow(protocol="tcp")["close"], "reset by origin", "close")


def test_origin_resets_in_mid_transfer(t):
    """Megabytes, then a RST: some came, and the app sees ECONNRESET."""
    def cut(connection):
        connection.recv(9)
        sockets.pour(connection, 8 << 20)
        connection.recv(9)    # what was sent is with the app
        sockets.reset(connection)
    server = t.keep(sockets.Server(t, cut))
    code = READ.replace("got += len(data)", "got += len(data); got == 8 << 20 and s.sendall(b'all')")
    done = t.tap(t.python(code, server.port)).ok()
    t.equal(done.text, f"{8 << 20} ECONNRESET\n", "what the app saw")


def origin_sees(t, how, command, wanted):
    """What an origin sees when the app goes away: 'end' or 'ECONNRESET'."""
    seen = []

    def listen(connection):
        connection.sendall(b"welcome")
        try:
            while connection.recv(65536):
                pass
            seen.append("end")
        except ConnectionResetError:
            seen.append("ECONNRESET")
    for straight in True, False:
        server = t.keep(sockets.Server(t, listen))
        how(t.start(command(server.port), straight=straight))
        server.join(15)
    t.equal(seen[0], wanted, "seen without apptap")
    t.equal(seen[1], seen[0], "seen by the origin")


def test_app_resets(t):
    command = """
        import socket, struct, sys
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        s.recv(99); s.sendall(b"\\0data")
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
        """
    origin_sees(t, lambda running: running.wait().ok(), lambda port: t.python(command, port), "ECONNRESET")


def test_app_closes_with_unread_bytes(t):
    """The kernel answers a close with unread data with a RST: so it is at the origin."""
    command = """
        import socket, sys, time, select
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        select.select([s], [], [])
        s.close()
        """
    origin_sees(t, lambda running: running.wait().ok(), lambda port: t.python(command, port), "ECONNRESET")


def test_app_is_killed(t):
    """SIGKILL in mid-transfer: the origin sees the end at once."""
    command = """
        import socket, sys
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        s.recv(99); s.sendall(b"\\0part of it")
        print("sent", flush=True)
        sys.stdin.read()
        """

    def kill(running):
        running.expect("sent")
        for pid in descendants(running.pid) if not running.direct else [running.pid]:
            if b"sys.stdin.read" in open(f"/proc/{pid}/cmdline", "rb").read() and os.readlink(f"/proc/{pid}/exe").startswith("/usr/bin/python3"):
                os.kill(pid, signal.SIGKILL)
        running.wait()
    seen = []

    def listen(connection):
        connection.sendall(b"welcome")
        try:
            while connection.recv(65536):
                pass
            seen.append("end")
        except ConnectionResetError:
            seen.append("ECONNRESET")
    for straight in True, False:
        server = t.keep(sockets.Server(t, listen))
        kill(t.start(t.python(command, server.port), straight=straight, stdin=subprocess.PIPE))
        server.join(15)
    t.equal(seen[1], seen[0], "seen by the origin")


def descendants(pid):
    found, parents = [], {}
    for other in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{other}/stat") as file:
                parents[int(other)] = int(file.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    for other in parents:
        at = other
        while at in parents and at != pid:
            at = parents[at]
        if at == pid and other != pid:
            found.append(other)
    return found


# --- ends ---

def test_half_close_by_the_app(t):
    """10 MB up, then a FIN; the answer comes only after it."""
    size, seen = 10 << 20, []

    def answer(connection):
        seen.append(sockets.drain(connection))
        connection.sendall(json.dumps(seen[-1]).encode())
    server = t.keep(sockets.Server(t, answer))
    done = t.tap(t.python(f"""
        import socket, sys
        sys.path.insert(0, {t.root_of_peers()!r})
        from peers import sockets
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        print([{size}, sockets.pour(s, {size})])
        s.shutdown(socket.SHUT_WR)
        got = b""
        while data := s.recv(99): got += data
        print(got.decode())
        """, server.port)).ok()
    server.join()
    sent, received = done.text.splitlines()
    t.equal(json.loads(received), json.loads(sent.replace("'", '"')), "size and SHA-256")


def test_half_close_by_the_origin(t):
    """The origin has said all and finished; the app goes on sending for 10 MB."""
    size, seen = 10 << 20, []

    def answer(connection):
        connection.sendall(b"all I have to say")
        connection.shutdown(socket.SHUT_WR)
        seen.append(sockets.drain(connection))
    server = t.keep(sockets.Server(t, answer))
    done = t.tap(t.python(f"""
        import socket, sys
        sys.path.insert(0, {t.root_of_peers()!r})
        from peers import sockets
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        got = b""
        while data := s.recv(99): got += data
        assert got == b"all I have to say"
        print(sockets.pour(s, {size}))
        """, server.port)).ok()
    server.join()
    t.equal(seen, [(size, done.text.strip())], "size and SHA-256")


def test_nothing_is_said(t):
    """Connections that end without a byte, in each order."""
    def origin_first(connection):
        connection.shutdown(socket.SHUT_WR)
        sockets.drain(connection)
    for handler in origin_first, sockets.drain, lambda c: c.close():
        server = t.keep(sockets.Server(t, handler))
        done = t.tap(t.python("""
            import socket, sys
            s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            if sys.argv[2] == "waits": assert s.recv(9) == b""
            s.close()
            """, server.port, "ends" if handler is sockets.drain else "waits")).ok()
        server.join()
        if not done.direct:
            t.equal(done.flow(protocol="tcp")["close"], "finished", "close")


def test_ends_are_passed_on_at_once(t):
    """A FIN that follows the last bytes arrives with them, not at some later byte."""
    times = []

    def answer(connection):
        connection.sendall(b"x" * 100000)
    for _ in range(5):
        server = t.keep(sockets.Server(t, answer))
        done = t.tap(t.python("""
            import socket, sys, time
            s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            began = time.monotonic()
            while s.recv(65536): pass
            print(time.monotonic() - began)
            """, server.port)).ok()
        times.append(float(done.text))
    t.true(sorted(times)[2] < t.scaled(0.3, 2), f"to the end took {times}")


def test_urgent_byte_does_no_harm(t):
    """MSG_OOB: the ordinary bytes around it arrive."""
    got = []

    def listen(connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        data = b""
        while piece := connection.recv(99):
            data += piece
        got.append(data)
    server = t.keep(sockets.Server(t, listen))
    t.tap(t.python("""
        import socket, sys
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        s.sendall(b"\\0before"); s.send(b"!", socket.MSG_OOB); s.sendall(b"after"); s.close()
        """, server.port)).ok()
    server.join()
    t.has(got[0], b"\0before", b"after")


def test_reused_port(t):
    """The same source port at once again, after a reset: a new conversation."""
    def answer(connection):
        connection.sendall(connection.recv(99))
        with contextlib.suppress(ConnectionResetError):
            connection.recv(9)
    server = t.keep(sockets.Server(t, answer))
    t.tap(t.python("""
        import socket, struct, sys
        for n in range(20):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.bind(("0.0.0.0", 45678)); s.settimeout(10)
            s.connect(("127.0.0.1", int(sys.argv[1])))
            s.sendall(b"\\0%d" % n); assert s.recv(9) == b"\\0%d" % n
            s.close()
        """, server.port)).ok()


def test_threads_of_everything(t):
    """Refused, reset, finished and unreachable all at once do not disturb each other."""
    echo = t.keep(sockets.Server(t, sockets.echo))
    cut = t.keep(sockets.Server(t, lambda c: (c.recv(9), sockets.reset(c))))
    done = t.tap(t.python("""
        import errno, socket, sys, threading
        echo, cut = map(int, sys.argv[1:3])
        wrong = []
        def one(n):
            s = socket.socket(); s.settimeout(10)
            place = [("127.0.0.1", echo), ("127.0.0.1", cut), ("127.0.0.1", 9), (sys.argv[3], 80)][n % 4]
            try:
                s.connect(place); s.sendall(b"\\0%d" % n)
                got = s.recv(99); result = "echo" if got == b"\\0%d" % n else got
            except OSError as e: result = errno.errorcode.get(e.errno, str(e))
            if result != ["echo", "ECONNRESET", "ECONNREFUSED", "EHOSTUNREACH"][n % 4]: wrong.append((n, result))
        for turn in range(5):
            threads = [threading.Thread(target=one, args=(n,)) for n in range(60)]
            [x.start() for x in threads]; [x.join() for x in threads]
        print(wrong)
        """, echo.port, cut.port, world.UNREACHABLE4)).ok()
    t.equal(done.text, "[]\n", "wrong results")
    if not done.direct:
        t.equal(len(done.flows), 300, "flows")

