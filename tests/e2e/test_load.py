# SPDX-License-Identifier: GPL-3.0-or-later
# test_load - much at once and much at a stretch, with bounded memory.

import hashlib
import subprocess

from e2e.scenario import Failure, only
from peers import nginx, sockets

MB = 1 << 20


def memory(pid, field):
    """VmRSS or VmHWM of apptap, bytes."""
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    raise Failure(f"no {field}")


UP = """
import socket, sys
sys.path.insert(0, sys.argv[3])
from peers import sockets
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print(sockets.pour(s, int(sys.argv[2])))
s.shutdown(socket.SHUT_WR)
assert s.recv(9) == b"have it"
"""
DOWN = """
import socket, sys
sys.path.insert(0, sys.argv[3])
from peers import sockets
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
size, digest = sockets.drain(s)
assert size == int(sys.argv[2]), size
print(digest)
"""


@only("root", limit=120)
def test_500_megabytes_up(t):
    size, seen = t.scaled(500, 200) * MB, []

    def take(connection):
        seen.append(sockets.drain(connection))
        connection.sendall(b"have it")
    server = t.keep(sockets.Server(t, take))
    done = t.tap(t.python(UP, server.port, size, t.root_of_peers()), limit=300).ok()
    server.join()
    t.equal(seen, [(size, done.text.strip())], "size and SHA-256")


@only("root", limit=120)
def test_500_megabytes_down(t):
    size, sent = t.scaled(500, 200) * MB, []
    server = t.keep(sockets.Server(t, lambda c: sent.append(sockets.pour(c, size))))
    done = t.tap(t.python(DOWN, server.port, size, t.root_of_peers()), limit=300).ok()
    t.equal([done.text.strip()], sent, "SHA-256")


@only("root", limit=120)
def test_both_ways_at_once(t):
    """Four connections, each 50 MB up and down at the same time."""
    size, seen = t.scaled(50, 20) * MB, set()

    def both(connection):
        thread = t.watch(sockets.pour, connection, size)
        seen.add(take(connection, size))
        thread.join()
    server = t.keep(sockets.Server(t, both))
    done = t.tap(t.python("""
        import hashlib, socket, sys, threading
        sys.path.insert(0, sys.argv[3])
        from peers import sockets
        size, digests = int(sys.argv[2]), set()
        def one():
            s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            up = threading.Thread(target=lambda: digests.add(sockets.pour(s, size))); up.start()
            left, digest = size, hashlib.sha256()
            while left:
                data = s.recv(MB); assert data; digest.update(data); left -= len(data)
            up.join(); digests.add(digest.hexdigest()); s.close()
        MB = 1 << 20
        threads = [threading.Thread(target=one) for n in range(4)]
        [x.start() for x in threads]; [x.join() for x in threads]
        print(*digests)
        """, server.port, size, t.root_of_peers()), limit=300).ok()
    server.join()
    t.equal({*done.text.split()}, seen, "SHA-256")
    t.equal(len(seen), 1, "all the same")


def take(connection, size):
    digest = hashlib.sha256()
    while size:
        data = connection.recv(MB)
        if not data:
            raise Failure(f"{size} bytes are missing")
        digest.update(data)
        size -= len(data)
    return digest.hexdigest()


@only("root", limit=60)
def test_https_download(t):
    """100 MB from nginx over HTTP/2 and HTTP/1.1, opened; SHA-256 equal."""
    size = t.scaled(100, 30) * MB
    www = t.keep(nginx.serve(t))
    piece = sockets.block()
    with open(f"{www}/big", "wb") as file:
        for _ in range(size // MB):
            file.write(piece)
    wanted = hashlib.sha256(piece * (size // MB)).hexdigest()
    for port in 443, 8443:
        done = t.tap(["sh", "-c", f"curl -sS https://localhost:{port}/big | sha256sum"], limit=120).ok()
        t.equal(done.text.split()[0], wanted, f"SHA-256 from port {port}")


def bounded(t, running, base, what):
    grown = memory(running.pid, "VmHWM") - base
    limit = t.scaled(64, 256) * MB
    t.true(grown < limit, f"{what}: {grown // MB} MB more than at the start")


@only("root", limit=60)
def test_slow_reading_app(t):
    """200 MB for an app that reads nothing for now: the origin is held back, memory stays bounded."""
    size, server = t.scaled(200, 60) * MB, None
    server = t.keep(sockets.Server(t, lambda c: sockets.pour(c, size)))
    running = t.start(t.python("""
        import socket, sys
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        s.recv(1)
        print("first", flush=True)
        sys.stdin.readline()
        got = 1
        while data := s.recv(1 << 20): got += len(data)
        print(got)
        """, server.port), stdin=subprocess.PIPE)
    running.expect("first")
    base = memory(running.pid, "VmRSS")
    stalled(t, server)
    t.true(server.threads[0].is_alive(), "the origin is held back")
    if not running.direct:
        bounded(t, running, base, "while it stalls")
    running.say("on\n")
    running.process.stdin.close()
    running.expect(str(size), limit=60)
    done = running.wait(60).ok()
    t.has(done.text, f"\n{size}\n")


def stalled(t, server):
    """Until the server's socket has not taken a byte for 0.3 s: everything between is full."""
    import time
    last, since = None, time.monotonic()
    deadline = time.monotonic() + 20
    while time.monotonic() - since < 0.3:
        if time.monotonic() > deadline:
            raise Failure("it never stalled")
        now = subprocess.run(["ss", "-tinH", "state", "established", f"( sport = :{server.port} )"], stdout=subprocess.PIPE,
                             text=True).stdout
        now = [w for w in now.split() if w.startswith(("bytes_acked", "bytes_sent"))]
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.03)


@only("root", limit=60)
def test_slow_reading_origin(t):
    """The same the other way: an upload to an origin that does not read for now."""
    import threading
    size, go, seen = t.scaled(200, 60) * MB, threading.Event(), []

    def later(connection):
        connection.recv(1)
        go.wait(40)
        seen.append(sockets.drain(connection))
    server = t.keep(sockets.Server(t, later))
    running = t.start(t.python("""
        import socket, sys
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        s.setblocking(False)
        data, sent = bytes(1 << 20), 0
        import select
        while select.select([], [s], [], 1)[1]: sent += s.send(data)
        print("stalled", sent, flush=True)
        s.setblocking(True)
        while sent < int(sys.argv[2]): sent += s.send(data[:int(sys.argv[2]) - sent])
        """, server.port, size), stdin=subprocess.PIPE)
    base = memory(running.pid, "VmRSS")
    line = running.expect("stalled", limit=30)
    t.true(int(line.split()[1]) < size, f"the app is held back: {line}")
    if not running.direct:
        bounded(t, running, base, "while it stalls")
    go.set()
    running.wait(60).ok()
    server.join()
    t.equal(seen[0][0] + 1, size, "bytes")


CROWD = """
import asyncio, resource, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
port, count = int(sys.argv[1]), int(sys.argv[2])
async def main():
    gate = asyncio.Semaphore(200)
    async def open_one(n):
        async with gate:
            return await asyncio.open_connection("127.0.0.1", port)
    ends = await asyncio.gather(*(open_one(n) for n in range(count)))
    for turn in range(3):
        for n, (r, w) in enumerate(ends): w.write(b"\\0%d %d" % (turn, n) * 20)
        for n, (r, w) in enumerate(ends):
            wanted = b"\\0%d %d" % (turn, n) * 20
            assert await r.readexactly(len(wanted)) == wanted, (turn, n)
    print("all", count, flush=True)
    for r, w in ends: w.close()
    for r, w in ends: await w.wait_closed()
asyncio.run(main())
"""


class Crowd:
    """An echo server for thousands at once: one thread, asyncio."""

    def __init__(self, t):
        import asyncio
        import threading
        self.most = self.now = 0

        async def echo(reader, writer):
            self.now += 1
            self.most = max(self.most, self.now)
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()
            self.now -= 1

        async def main():
            server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=4096)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await server.serve_forever()
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
        ready.wait(5)


@only("root", "user", limit=60)
def test_2000_connections_at_once(t):
    count = 2000
    server = Crowd(t)
    done = t.tap(t.python(CROWD, server.port, count), limit=150).ok()
    t.equal(done.text, f"all {count}\n", "output")
    t.equal(server.most, count, "most at once")
    if not done.direct:
        t.equal(len(done.flows), count, "flows")


@only("root", limit=60)
def test_few_descriptors(t):
    """A limit of 256 descriptors and 400 connections: some fail, apptap lives, and later ones work."""
    import resource
    server = Crowd(t)
    t.only_apptap()
    done = t.tap(t.python("""
        import resource, socket, sys
        held, failed = [], 0
        for n in range(400):
            s = socket.socket(); s.settimeout(5)
            try: s.connect(("127.0.0.1", int(sys.argv[1]))); s.sendall(b"\\0"); assert s.recv(9) == b"\\0"; held.append(s)
            except OSError: failed += 1; s.close()
            if failed > 3: break
        for s in held: s.close()
        for n in range(100):
            s = socket.socket(); s.settimeout(5)
            try: s.connect(("127.0.0.1", int(sys.argv[1]))); s.sendall(b"\\0"); assert s.recv(9) == b"\\0"; print("later"); break
            except OSError: pass
        """, server.port), limit=100, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)))
    t.has(done.text, "later")


@only("root", limit=90)
def test_connections_in_turn(t):
    """3,000 short connections one after the other: none fails, memory does not grow with them."""
    count = t.scaled(3000, 1000)
    server = Crowd(t)
    running = t.start(t.python("""
        import socket, sys
        for n in range(int(sys.argv[2])):
            s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
            s.sendall(b"\\0%d" % n); assert s.recv(99) == b"\\0%d" % n
            s.close()
            if n == 300: print("warm", flush=True); sys.stdin.readline()
        print("all", flush=True)
        sys.stdin.readline()
        """, server.port, count), stdin=subprocess.PIPE, flows=False, options=["-q"] if not t.direct_mode else [])
    running.expect("warm")
    base = memory(running.pid, "VmRSS")
    running.say("\n")
    running.expect("all", limit=80)
    grown = memory(running.pid, "VmRSS") - base
    running.process.stdin.close()
    running.wait().ok()
    if not running.direct and not t.sanitized:
        t.true(grown < 16 * MB, f"{grown // MB} MB more after {count} connections")


@only("root", limit=60)
def test_200_tls_connections_at_once(t):
    t.keep(nginx.serve(t))
    done = t.tap(["sh", "-c", "for n in $(seq 1 10); do curl -sS --parallel --parallel-immediate --parallel-max 20 -4 --http1.1 --fail "
                  + " ".join(["-o /dev/null https://localhost:8443/hello"] * 20) + " & done; wait; echo all"], limit=150).ok()
    t.equal((done.text, [l for l in done.said.splitlines() if l.startswith("curl:")]), ("all\n", []), "what curl said")
    if not done.direct:
        t.true(all(f["verdict"] == "opened" for f in done.flows), "every flow is opened")


@only("root", limit=60)
def test_capture_keeps_up(t):
    """100 MB down with -w: nothing is missing in the file, the app got all."""
    from e2e import wireshark
    size = t.scaled(100, 30) * MB
    server = t.keep(sockets.Server(t, lambda c: sockets.pour(c, size)))
    done = t.tap(t.python(DOWN, server.port, size, t.root_of_peers()), capture=True, options=["-s", "96"], limit=100).ok()
    lost = wireshark.rows(done.capture, "tcp.analysis.lost_segment || tcp.analysis.ack_lost_segment || _ws.malformed", "frame.number")
    t.equal(lost, [], "lost segments")

