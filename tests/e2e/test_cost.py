# SPDX-License-Identifier: GPL-3.0-or-later
# test_cost - what noise cannot hide: system calls a connection and a megabyte, instructions a
# packet and a connection, memory a flow.
#
# Counted, not timed. The bounds lie a little above what was reached; whoever makes it
# cheaper lowers them.

import re
import signal
import socket
import ssl
import subprocess

from e2e.scenario import only
from e2e.world import Skip
from peers import sockets

CONNECTIONS = """
import socket, sys
port = int(sys.argv[1])
for line in sys.stdin:
    for n in range(int(line)):
        with socket.create_connection(("127.0.0.1", port)) as s: s.sendall(b"x"); s.recv(9)
    print("done", flush=True)
"""

PING_PONG = """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for line in sys.stdin:
    for n in range(int(line)): s.sendall(b"x"); s.recv(9)
    print("done", flush=True)
"""

BULK = """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
for line in sys.stdin:
    left = int(line) << 20
    s.sendall(line.encode().ljust(16))
    while left: left -= len(s.recv(min(left, 1 << 20)))
    print("done", flush=True)
"""

IDLE = """
import socket, sys
held = []
for line in sys.stdin:
    for n in range(int(line)):
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); s.sendall(b"x"); s.recv(9); held.append(s)
    if int(line) == 0:
        for s in held:
            s.sendall(bytes(20000)); left = 20000
            while left: left -= len(s.recv(left))
    if int(line) < 0:
        for s in held: s.close()
    print("done", flush=True)
"""


# Over TLS, with one context and no session taken up.
OVER_TLS = """
import ssl
context = ssl.create_default_context()
plain = socket.create_connection
socket.create_connection = lambda to: context.wrap_socket(plain(to), server_hostname="localhost")
"""


def over_tls(code):
    return code.replace("import socket, sys\n", "import socket, sys\n" + OVER_TLS.lstrip(), 1)


def context(t):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(f"{t.pki}/good.pem", f"{t.pki}/good.key")
    return made


def pour(connection):
    block = bytes(1 << 20)
    while request := connection.recv(16):
        for _ in range(int(request)):
            connection.sendall(block)


def start(t, code, port, options=()):
    t.only_apptap()
    if t.sanitized:
        raise Skip("a sanitizer has calls and memory of its own")
    return t.start(t.python(code, port), options, stdin=subprocess.PIPE, flows=False)


def go(running, amount):
    running.lines.clear()
    running.say(f"{amount}\n")
    running.expect("done")


def calls(t, running, amount):
    """System calls that apptap makes for it, but for its looks in vain: one way given for each."""
    t.need("strace")
    report = f"{t.folder}/calls"
    tracer = t.popen(["strace", "-f", "-c", "-o", report, "-p", str(running.pid)], t.environment())
    while b"attached" not in (line := tracer.stderr.readline()):
        t.true(line, "strace did not attach")
    go(running, amount)
    tracer.send_signal(signal.SIGINT)
    tracer.wait(10)
    with open(report) as file:
        table = file.read()
    count = {name: int(number) for number, name in re.findall(r"(\d+)\s+(?:\d+ )?(\w+)$", table, re.M)}
    return count["total"] - 2 * count.get("sched_yield", 0)


@only("root", limit=60)
def test_calls_a_connection(t):
    server = t.keep(sockets.Server(t, sockets.echo))
    running = start(t, CONNECTIONS, server.port)
    go(running, 50)
    few, many = calls(t, running, 100), calls(t, running, 500)
    running.process.stdin.close()
    running.wait().ok()
    each = (many - few) / 400
    print(f"{each:.1f} calls a connection")
    t.true(20 < each < 42, f"{each:.1f} calls a connection")


@only("root", limit=60)
def test_calls_a_round_trip(t):
    """Two waits, two reads, two writes: no read that finds nothing, no packet that only acknowledges.
    A few more where the machine is so busy that an answer takes long."""
    server = t.keep(sockets.Server(t, sockets.echo))
    running = start(t, PING_PONG, server.port)
    go(running, 100)
    few, many = calls(t, running, 500), calls(t, running, 3500)
    running.process.stdin.close()
    running.wait().ok()
    each = (many - few) / 3000
    print(f"{each:.2f} calls a round trip")
    t.true(5.9 < each < 6.8, f"{each:.2f} calls a round trip")


def calls_a_megabyte(t, code, context=None, options=()):
    server = t.keep(sockets.Server(t, pour, context=context))
    running = start(t, code, server.port, options)
    go(running, 20)
    few, many = calls(t, running, 20), calls(t, running, 120)
    running.process.stdin.close()
    running.wait().ok()
    each = (many - few) / 100
    print(f"{each:.1f} calls a megabyte")
    return each


@only("root", limit=60)
def test_calls_a_megabyte(t):
    each = calls_a_megabyte(t, BULK)
    t.true(5 < each < 60, f"{each:.1f} calls a megabyte")


@only("root", limit=60)
def test_calls_a_megabyte_written(t):
    # Beside those of the tunnel, the writer's writes, and its wake-ups and waits, a batch at a time.
    each = calls_a_megabyte(t, BULK, options=["-w", "/dev/null"])
    t.true(5 < each < 90, f"{each:.1f} calls a megabyte")


@only("root", limit=60)
def test_calls_a_megabyte_of_tls(t):
    # 64 records of 16 KB, which cost two reads each unless they are read ahead.
    each = calls_a_megabyte(t, over_tls(BULK), context(t))
    t.true(5 < each < 110, f"{each:.1f} calls a megabyte")


def prompt(connection):
    # Or its answer waits for the acknowledgement of its tickets.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sockets.echo(connection)


def private(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return int(re.search(r"Private_Dirty:\s+(\d+)", file.read())[1]) * 1024


def memory_a_flow(t, code, flows, context=None):
    server = t.keep(sockets.Server(t, prompt, context=context))
    running = start(t, code, server.port)
    # What the first ones took for the moment serves the others.
    go(running, flows)
    before = private(running.pid)
    go(running, 2 * flows)
    each = (private(running.pid) - before) / (2 * flows)
    running.process.stdin.close()
    running.wait().ok()
    print(f"{each:.0f} bytes a flow")
    return each


@only("root", limit=60)
def test_memory_an_idle_flow(t):
    each = memory_a_flow(t, IDLE, 1000)
    t.true(500 < each < 1100, f"{each:.0f} bytes a flow")


@only("root", limit=60)
def test_memory_an_idle_flow_of_tls(t):
    each = memory_a_flow(t, over_tls(IDLE), 150, context(t))
    t.true(5000 < each < 33000, f"{each:.0f} bytes a flow")


@only("root", limit=60)
def test_memory_is_given_back(t):
    """What moves lends windows and buffers; what ended lies between what did not."""
    flows = 2000
    server = t.keep(sockets.Server(t, sockets.echo))
    running = start(t, IDLE, server.port)
    go(running, 1000)
    before = private(running.pid)
    go(running, flows)
    go(running, 0)
    t.until(lambda: private(running.pid) - before < 1300 * flows, "what moved keeps what it needed")
    go(running, -1)
    t.until(lambda: private(running.pid) < before, "what ended keeps its memory", limit=30)
    running.process.stdin.close()
    running.wait().ok()


# Says last how many packets its tunnel has carried.
PINGS = """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for n in range(int(sys.argv[2])): s.sendall(b"x"); assert s.recv(1)
s.close()
print(sum(int(line.split()[i]) for line in open("/proc/net/dev") if ":" in line and "lo:" not in line for i in (2, 10)))
"""

DIALS = """
import socket, sys
for n in range(int(sys.argv[2])):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s: s.sendall(b"x"); assert s.recv(1)
print(sys.argv[2])
"""


def instructions(t, code, port, amount):
    """(what apptap's own process executes for it, what the command says it was)."""
    base = f"{t.folder}/callgrind.{amount}"
    process = t.popen(["valgrind", "--tool=callgrind", f"--callgrind-out-file={base}.%p", t.apptap, "run", "-q", "--",
                       *t.python(code, port, amount)], t.environment())
    text, said = process.communicate(timeout=80)
    t.equal(process.returncode, 0, said.decode()[-1000:])
    with open(f"{base}.{process.pid}") as file:
        return int(re.search(r"^(?:totals|summary): (\d+)", file.read(), re.M)[1]), int(text)


def each_of(t, code, small, large):
    """Of two amounts, so that start and end cancel."""
    t.only_apptap()
    t.need("valgrind")
    if t.sanitized:
        raise Skip("a sanitizer has instructions of its own")
    server = t.keep(sockets.Server(t, sockets.echo))
    few, many = instructions(t, code, server.port, small), instructions(t, code, server.port, large)
    return (many[0] - few[0]) / (many[1] - few[1])


@only("root", limit=90)
def test_instructions_a_packet(t):
    each = each_of(t, PINGS, 500, 3000)
    print(f"{each:.0f} instructions a packet")
    t.true(500 < each < 3300, f"{each:.0f} instructions a packet")


@only("root", limit=90)
def test_instructions_a_connection(t):
    each = each_of(t, DIALS, 100, 500)
    print(f"{each:.0f} instructions a connection")
    t.true(5000 < each < 52000, f"{each:.0f} instructions a connection")
