# SPDX-License-Identifier: GPL-3.0-or-later
# test_ring - captures in several files and with an end, and the signals that go with them.

import contextlib
import os
import re
import signal
import socket
import subprocess

from e2e import local, wireshark
from e2e.scenario import EX_USAGE, only
from peers import nginx, sockets

TALK = """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
for line in sys.stdin:
    n = int(line)
    s.sendall(b"x" * n)
    while n: n -= len(s.recv(n))
    print("did", line.strip(), flush=True)
"""


def talk(t, *options):
    t.only_apptap()
    server = t.keep(sockets.Server(t, sockets.echo))
    running = t.start(t.python(TALK, server.port), options=options, stdin=subprocess.PIPE)
    running.expect("ready")
    return running


def files(path):
    folder, name = os.path.split(path)
    return sorted(f"{folder}/{n}" for n in os.listdir(folder) if n.startswith(name))


def test_ring_of_sizes(t):
    """-C, -W: the last files are sound, each for itself, and hold the end without a gap."""
    path = f"{t.folder}/out.pcapng"
    running = talk(t, "-w", path, "-C", "100k", "-W", "3", "--mtu", "1500")
    for _ in range(20):
        running.say("100000\n")
        running.expect("did")
        running.lines.clear()
    running.process.stdin.close()
    running.wait().ok()
    t.equal([f[len(path):] for f in files(path)], ["0", "1", "2"], "the files")
    ranges = []
    for name in files(path):
        wireshark.readable(name, wireshark.sound(name, faults=["_ws.malformed", "_ws.short"]))
        t.true(os.path.getsize(name) < 100 * 1024 + 70000, "a size")
        t.true(all(n.startswith("python") for n in wireshark.column(name, "tcp", "frame.interface_name")), "interfaces")
        times = [float(n) for n in wireshark.column(name, "frame", "frame.time_epoch")]
        ranges.append((times[0], name))
    whole = f"{t.folder}/whole.pcapng"
    subprocess.run(["mergecap", "-a", "-w", whole, *(name for _, name in sorted(ranges))], check=True)
    wireshark.sound(whole)


def test_signals_turn_and_count(t):
    path = f"{t.folder}/out.pcapng"
    running = talk(t, "-v", "-w", path)
    running.say("10\n")
    running.expect("did 10")
    running.signal(signal.SIGUSR2)
    t.until(lambda: os.path.exists(f"{path}1"), "the next file")
    running.signal(signal.SIGUSR1)
    said = running.expect("packets captured", kind="stderr")
    t.true(re.search(r"[1-9]\d* packets captured, [1-9]\d* bytes, in 2 files; 0 not taken", said), said)
    running.say("11\n")
    running.expect("did 11")
    running.process.stdin.close()
    running.wait().ok()
    t.equal([f[len(path):] for f in files(path)], ["", "1"], "the files")
    t.equal(max(int(n) for n in wireshark.column(path, "tcp.len > 0", "tcp.len")), 10, "in the first")
    t.equal(max(int(n) for n in wireshark.column(f"{path}1", "tcp.len > 0", "tcp.len")), 11, "in the second")


def test_count_ends_the_capture_not_the_program(t):
    path = f"{t.folder}/out.pcapng"
    running = talk(t, "-v", "-w", path, "-c", "4")
    running.say("10\n")
    running.expect("did 10")
    running.expect("the capture has all", kind="stderr")
    t.equal(wireshark.sound(path), 4, "packets")
    running.say("11\n")
    running.expect("did 11")
    running.process.stdin.close()
    t.equal(running.wait().status, 0, "status")
    t.equal(wireshark.sound(path), 4, "packets at the end")


def test_count_reaches_a_reader(t):
    """The pipe ends with the count, while the program still runs."""
    t.only_apptap()
    server = t.keep(sockets.Server(t, sockets.echo))
    tap = t.popen([t.apptap, "run", "-q", "-w", "-", "-c", "3", "--", *t.python(TALK, server.port)], t.environment(),
                  stdin=subprocess.PIPE)
    tap.stdin.write(b"10\n")
    tap.stdin.flush()
    t.equal(len(wireshark.column("-", "frame", "frame.number", stdin=tap.stdout)), 3, "packets")
    t.equal(tap.poll(), None, "the program's state")
    tap.stdin.close()
    t.equal(tap.wait(20), 0, "status")


def test_only_some_processes(t):
    """--only-name: the capture alone depends on it."""
    t.only_apptap()
    server = t.keep(sockets.Server(t, sockets.echo))
    path = f"{t.folder}/out.pcapng"
    done = t.tap(["sh", "-c", f"cp $(command -v python3) {t.home}/other; for p in python3 {t.home}/other; do "
                  f"$p -c 'import socket; socket.create_connection((\"127.0.0.1\", {server.port})).close()'; done"],
                 options=["-w", path, "--only-name", "oth*"]).ok()
    t.equal({n.split("[")[0] for n in wireshark.column(path, "frame", "frame.interface_name")}, {"other"}, "captured")
    t.equal(len([f for f in done.flows if f["protocol"] == "tcp"]), 2, "flows")


def test_finished_files_are_compressed(t):
    """-z: what the ring is done with, not the last; and not the program's child."""
    path = f"{t.folder}/out.pcapng"
    running = talk(t, "-w", path, "-C", "100k", "-z", "gzip")
    for _ in range(3):
        running.say("100000\n")
        running.expect("did")
        running.lines.clear()
    running.process.stdin.close()
    running.wait().ok()
    last = max(int(f[len(path):].split(".")[0] or 0) for f in files(path))
    t.true(last >= 2, "several files")
    wanted = {f"{n or ''}.gz" for n in range(last)} | {str(last)}
    t.until(lambda: {f[len(path):] for f in files(path)} == wanted, f"{wanted} are there")
    wireshark.sound(f"{path}.gz", faults=["_ws.malformed", "_ws.short"])


def test_finisher_that_is_missing(t):
    path = f"{t.folder}/out.pcapng"
    running = talk(t, "-w", path, "-C", "100k", "-z", "/nonexistent/gzip")
    running.say("200000\n")
    running.expect("did")
    running.expect("cannot run /nonexistent/gzip", kind="stderr")
    running.process.stdin.close()
    running.wait().ok()


def echo_or_not(connection):
    with contextlib.suppress(ConnectionError):
        sockets.echo(connection)


@only("root")
def test_local_turns_and_ends(t):
    """The user that local becomes makes the later files, confined as it is; -c ends it."""
    os.mkdir(f"{t.home}/ring", 0o755)
    os.chmod(f"{t.home}/ring", 0o777)
    server = t.keep(sockets.Server(t, echo_or_not))
    python = local.copy_of_python(t, "wanted")
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    path = f"{t.home}/ring/out.pcapng"
    tap = local.Local(t, "wanted", "-w", path, "-C", "100", "-z", "gzip", "-c", "14", "--pcap-over-ip", str(port))
    reader = socket.create_connection(("127.0.0.1", port), 10)
    t.equal(local.ask(t, python, "127.0.0.1", server.port), "hello", "through the tap")
    tap.process.send_signal(signal.SIGUSR2)
    t.until(lambda: os.path.exists(f"{path}1"), "the next file")
    t.true(os.stat(f"{path}1").st_uid != 0, "the next file is not root's")
    local.ask(t, python, "127.0.0.1", server.port)  # is cut short by the end
    t.equal(tap.process.wait(20), 0, "status")
    t.until(lambda: os.path.exists(f"{path}.gz") and not os.path.exists(path), "the first file is compressed")
    t.equal(wireshark.sound(f"{path}.gz") + wireshark.sound(f"{path}1"), 14, "packets")
    with open(f"{t.home}/read.pcapng", "wb") as file, reader.makefile("rb") as stream:
        file.write(stream.read())
    t.equal(wireshark.sound(f"{t.home}/read.pcapng"), 14, "packets that the reader got")


@only("root")
def test_local_turns_both(t):
    """Packets and plaintext are rings in folders of their own, which confinement leaves reachable."""
    t.need("curl")
    paths = []
    for folder in "packets", "plain":
        os.mkdir(f"{t.home}/{folder}")
        os.chmod(f"{t.home}/{folder}", 0o777)
        paths.append(f"{t.home}/{folder}/out.pcapng")
    t.keep(nginx.serve(t))
    tap = local.Local(t, "curl", "--upstream-ca", f"{t.pki}/ca.pem", "-w", paths[0], "--plaintext", paths[1], "-C", "100")
    for turn in range(2):
        if turn:
            tap.process.send_signal(signal.SIGUSR2)
            t.until(lambda: all(os.path.exists(f"{path}1") for path in paths), "the next files")
        done = subprocess.run(["curl", "-sSk", "https://localhost:8443/hello"], env=t.environment(), capture_output=True, timeout=20)
        t.has(done.stdout.decode(), "hello")
    tap.end()
    for path in paths:
        for name in path, f"{path}1":
            t.equal(wireshark.column(name, "http.response", "http.response.code"), ["200"], name)
        t.true(os.stat(f"{path}1").st_uid != 0, "the next file is not root's")


def test_files_that_would_meet(t):
    """The name of one may come to be the other's: refused before anything is written or started."""
    t.only_apptap()
    for packets, plain in ("out", "out1"), ("out12", "out"), ("out", "./out"), (f"{t.home}/out", "../home/out07"):
        done = t.tool("run", "-w", packets, "--plaintext", plain, "--", "touch", "started", cwd=t.home)
        t.equal(done.status, EX_USAGE, f"status with {packets} and {plain}")
        t.has(done.said, packets, plain, "over each other")
    t.equal([n for n in os.listdir(t.home) if n.startswith(("out", "started"))], [], "what was made")
    os.mkdir(f"{t.home}/other", 0o777)
    os.chmod(f"{t.home}/other", 0o777)
    os.mkfifo(f"{t.home}/pipe1")
    os.chmod(f"{t.home}/pipe1", 0o666)
    t.watch(lambda: open(f"{t.home}/pipe1", "rb").read())
    for packets, plain in ("out", "outer"), ("out1", "out2"), ("one", "other/one1"), ("same", "same"), ("pipe", "pipe1"):
        t.tool("run", "-w", packets, "--plaintext", plain, "--", "true", cwd=t.home).ok()
