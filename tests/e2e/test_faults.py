# SPDX-License-Identifier: GPL-3.0-or-later
# test_faults - every way out of apptap under every fault: the program goes on and keeps its status, what is lost is said, what remains can be read.

import contextlib
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import termios
import threading

from e2e import wireshark, world
from e2e.local import Local
from e2e.scenario import EX_IOERR, only
from peers import nginx, sockets

EX_UNAVAILABLE = 69
GET = "curl -4 -sS -o /dev/null https://localhost:8443/hello"


# --- the ways out, and what of each can be read ---

def packets(t, path):
    """Whole, to the tools that read captures; how many packets. A file may be empty of them."""
    said = subprocess.run(["capinfos", "-M", "-c", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    t.equal((said.returncode, said.stderr), (0, ""), f"capinfos {path}")
    count = int(said.stdout.split("packets:")[1].split()[0])
    if count:
        wireshark.sound(path, faults=["_ws.malformed", "_ws.short"])
    return count


def ring(t, path):
    folder, name = os.path.split(path)
    return sum(packets(t, f"{folder}/{n}") for n in os.listdir(folder) if n.startswith(name) and os.path.getsize(f"{folder}/{n}"))


def lines(t, path):
    with open(path) as file:
        text = file.read()
    t.true(text == "" or text.endswith("\n"), f"{path} ends with half a line: {text[-200:]!r}")
    return text.splitlines()


def secrets(t, path):
    found = lines(t, path)
    for line in found:
        t.true(re.fullmatch(r"[A-Z_0-9]+ [0-9a-f]{64} [0-9a-f]{64,128}", line), f"{path}: {line!r}")
    return len(found)


def flows(t, path):
    return len([json.loads(line) for line in lines(t, path)])


def har(t, path):
    with open(path) as file:
        log = json.load(file)["log"]
    said = subprocess.run(["jq", "-r", ".log.entries[].response.status", path], stdout=subprocess.PIPE, text=True, check=True)
    t.equal(len(said.stdout.split()), len(log["entries"]), "entries, to jq")
    return len(log["entries"])


# The name of the file, the options that stand before it, those that go with it, what reads it, the status when it
# cannot be had (nothing was run, or the program comes first).
WAYS = [
    ("out.pcapng", ["-w"], [], packets, EX_IOERR),
    ("out.pcap", ["-w"], [], packets, EX_IOERR),
    ("ring.pcapng", ["-w"], ["-C", "4k", "-W", "9"], ring, EX_IOERR),
    ("plain.pcapng", ["--plaintext"], [], packets, EX_IOERR),
    ("plain.pcap", ["--plaintext"], [], packets, EX_IOERR),
    ("plainring.pcapng", ["--plaintext"], ["-C", "2k", "-W", "99"], ring, EX_IOERR),
    ("out.keys", ["--keylog"], [], secrets, EX_UNAVAILABLE),
    ("out.flows", ["--flows"], [], flows, EX_UNAVAILABLE),
    ("out.har", ["--har"], [], har, EX_UNAVAILABLE),
]
# All at once, in one folder.
ALL = [way for way in WAYS if way[0] in ("out.pcapng", "plain.pcapng", "out.keys", "out.flows", "out.har")]


def options(folder, ways):
    return [word for name, before, more, _, _ in ways for word in (*before, f"{folder}/{name}", *more)]


def small(t, name, size):
    place = f"{t.folder}/{name}"
    os.mkdir(place)
    world.mount("small", place, "tmpfs", 0, f"size={size},mode=777")
    return place


def asks(n, then="echo all; exit 3"):
    """A program with n connections that needs each of them."""
    return ["sh", "-c", f"n=0; while [ $n -lt {n} ]; do {GET} || exit 9; n=$((n + 1)); done; {then}"]


# --- the disk ---

@only(limit=90)
def test_disk_fills_up(t):
    """Each way alone on a disk of 12 KB: the program's success becomes 74, and the last record is a whole one."""
    t.only_apptap()
    t.keep(nginx.serve(t))
    for name, before, more, read, _ in WAYS:
        place = small(t, f"disk-{name}", "12k")
        done = t.tap(asks(18, then="echo all"), options=[*before, f"{place}/{name}", *more], flows=False)
        t.equal((done.status, done.text), (EX_IOERR, "all\n"), f"{name}; it said {done.said}")
        t.has(done.said, f"{place}/{name}", "No space left")
        t.true(read(t, f"{place}/{name}") > 0, f"{name}: nothing can be read")


def test_disk_is_full(t):
    """All ways at once, and not a byte of room: each is said; the program's own status stays."""
    t.only_apptap()
    t.keep(nginx.serve(t))
    ways = [way for way in ALL if way[0] != "out.har"]
    place = small(t, "full", "4k")
    for name, *_ in ways:
        os.mknod(f"{place}/{name}")
        os.chmod(f"{place}/{name}", 0o600)
        os.chown(f"{place}/{name}", *(2 * [65534 if t.who == "user" else 0]))
    with open(f"{place}/fill", "w") as file:
        file.write("x" * 4096)
    done = t.tap(asks(2), options=options(place, ways), flows=False)
    t.equal((done.status, done.text), (3, "all\n"), f"it said {done.said}")
    for name, *_ in ways:
        t.has(done.said, f"{place}/{name}: No space left" if "keys" not in name else f"{place}/{name} is incomplete: No space left")
        t.equal(os.path.getsize(f"{place}/{name}"), 0, name)


def test_file_as_large_as_may_be(t):
    """RLIMIT_FSIZE is an error like a full disk, and no signal's death."""
    t.only_apptap()
    www = t.keep(nginx.serve(t))
    with open(f"{www}/large", "w") as file:
        file.write("large " * 50000)
    for name, before, more, read, _ in WAYS:
        if read not in (packets, har):    # the others would take a long time to get there
            continue
        path = f"{t.home}/{name}"
        line = [t.apptap, "run", "--upstream-ca", f"{t.pki}/ca.pem", *before, path, *more, "--", "sh", "-c",
                f"for n in 1 2 3; do {GET.replace('hello', 'large')} || exit 9; done; echo all"]
        process = t.popen(["prlimit", "--fsize=400000", *line], t.environment())
        text, said = (part.decode() for part in process.communicate(timeout=30))
        t.equal((process.returncode, text), (EX_IOERR, "all\n"), f"{name}; it said {said}")
        t.has(said, path, "File too large")
        t.true(read(t, path) > 0, f"{name}: nothing can be read")


def test_file_that_cannot_be_had(t):
    """Said before the program starts; a log that somebody wants to rely on is a reason not to start it at all."""
    t.only_apptap()
    for name, before, more, _, status in WAYS:
        for path, words in ((f"/nonexistent/{name}", "No such file"), (t.home, "Is a directory")):
            if more and path == t.home:
                continue
            done = t.tap(["sh", "-c", "echo ran; echo ran >&2"], options=[*before, path, *more], flows=False)
            t.equal((done.status, done.text), (status, "ran\n" if status == EX_IOERR else ""), f"{before} {path}: {done.said}")
            t.has(done.said, path, words)
            if status == EX_IOERR:
                t.true(done.said.index(path) < done.said.index("ran"), "said before the program ran")


def test_one_file_of_two(t):
    """Packets or plaintext: one that cannot be had, or has no more room, leaves the other whole."""
    t.only_apptap()
    t.keep(nginx.serve(t))
    for n, (bad, good) in enumerate(((0, 3), (3, 0))):
        place = small(t, f"disk{n}", "12k")
        for folder, words in (("/nonexistent", "No such file"), (place, "No space left")):
            (bad_name, bad_before, *_), (good_name, good_before, *_) = WAYS[bad], WAYS[good]
            path = f"{t.home}/{n}{folder[1:4]}{good_name}"
            done = t.tap(asks(20, then="echo all"), options=[*bad_before, f"{folder}/{bad_name}", *good_before, path], flows=False)
            t.equal((done.status, done.text), (EX_IOERR, "all\n"), f"status; it said {done.said}")
            t.has(done.said, f"{folder}/{bad_name}", words)
            t.equal(len(wireshark.column(path, "http.response", "http.response.code")), 20, f"responses in {good_name}")


# --- the reader ---

@contextlib.contextmanager
def fifo(t, name):
    """A pipe with a name, and its reading end, which is there before a writer."""
    path = f"{t.home}/{name}"
    os.mkfifo(path)
    os.chmod(path, 0o600)
    os.chown(path, *(2 * [65534 if t.who == "user" else 0]))
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reading, True)
    try:
        yield path, reading
    finally:
        with contextlib.suppress(OSError):
            os.close(reading)


def fifos():
    return [way for way in WAYS if way[3] is not ring]


@only(limit=90)
def test_reader_goes(t):
    """It has read a first piece, then it is gone."""
    t.only_apptap()
    t.keep(nginx.serve(t))
    for name, before, more, _, _ in fifos():
        with fifo(t, name) as (path, reading):
            running = t.start(["sh", "-c", f"read go; {GET}; {GET}; echo first; read go; {GET}; {GET}; {GET}; echo all"],
                              options=["-U", *before, path, *more], flows=False, stdin=subprocess.PIPE)
            running.say("\n")
            t.until(lambda: unread(reading), f"{name}: the first piece")
            os.read(reading, 100)
            running.expect("first")
            os.close(reading)
            running.say("\n")
            done = running.wait()
            t.equal((done.status, done.text), (EX_IOERR, "first\nall\n"), f"{name}; it said {done.said}")
            t.has(done.said, path, "Broken pipe")


def unread(fd):
    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]


def still(look):
    """A condition: what look() answers, not nothing, has not changed for half a second."""
    seen = []

    def is_still():
        seen.append(look())
        return len(seen) > 50 and seen[-1] and seen[-1] == seen[-50]
    return is_still


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1]) << 10


@only(limit=120)
def test_reader_is_slow(t):
    """Files and pipes: nothing is lost, however long nobody reads."""
    t.only_apptap()
    t.keep(nginx.serve(t))
    for name, before, more, read, _ in fifos():
        with fifo(t, name) as (path, reading):
            fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, 4096)
            running = t.start(asks(15, then="echo all"), options=["-U", "-v", *before, path, *more], flows=False)
            t.until(still(lambda: unread(reading)), f"{name}: the pipe is full")
            with open(f"{t.home}/read-{name}", "wb") as copy:
                while piece := os.read(reading, 65536):
                    copy.write(piece)
            done = running.wait().ok()
            t.equal(done.text, "all\n", name)
            found = read(t, f"{t.home}/read-{name}")
            counted = re.search(r"(\d+) packets of plaintext" if "plain" in name else r"(\d+) packets captured", done.said)
            t.equal(found % 15 if read is secrets else found, int(counted[1]) if read is packets else 0 if read is secrets else 15,
                    f"{name}: what was read")


POUR = """
    import socket, sys
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    got, room, told = 0, bytearray(1 << 20), 0
    while n := s.recv_into(room):
        got += n
        if got - told >= 10 << 20: told = got; print("so far", got, flush=True)
    print("all", got, flush=True)
    """


def pourer(t, size):
    def pour(connection):
        piece, left = bytes(1 << 20), size
        while left:
            left -= connection.send(piece[:left])
    return t.keep(sockets.Server(t, pour))


def test_pipe_that_nobody_reads_for_a_while(t):
    """-w -: the program waits with it, in bounded memory; then all is there."""
    t.only_apptap()
    size = t.scaled(400, 100) << 20
    server = pourer(t, size)
    reading, writing = os.pipe()
    tap = t.popen([t.apptap, "run", "-v", "-w", "-", "--", *t.python(POUR, server.port)], t.environment(), stdout=writing)
    os.close(writing)
    line = ""
    while "so far" not in line:
        line = tap.stderr.readline().decode()
    t.until(lambda: unread(reading) > 60000, "the pipe is full")

    # The program stands still once the queue is full too.
    def times():
        with open(f"/proc/{tap.pid}/stat") as file:
            return file.read().split()[13:15]
    t.until(still(times), "the tap stands still", limit=20)
    t.equal(tap.poll(), None, "the program still runs")
    t.true(resident(tap.pid) < (120 << 20) * t.scaled(1, 4), f"memory: {resident(tap.pid)} bytes")
    path = f"{t.folder}/read.pcapng"
    with open(path, "wb") as copy, open(reading, "rb") as pipe:
        said = []
        listener = threading.Thread(target=lambda: said.append(tap.stderr.read().decode()))
        listener.start()
        while piece := pipe.read(1 << 20):
            copy.write(piece)
    t.equal(tap.wait(30), 0, "status")
    listener.join()
    t.has(said[0], f"all {size}")
    captured = int(re.search(r"(\d+) packets captured", said[0])[1])
    wireshark.readable(path, captured)
    wireshark.sound(path)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def connect(t, port):
    def attempt():
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port))
    return t.until(attempt, "it listens")


def test_readers_over_tcp(t):
    """One that goes, one that does not read: the program gets all at once, in bounded memory; the loss is counted."""
    t.only_apptap()
    size = t.scaled(400, 100) << 20
    server, port = pourer(t, size), free_port()
    running = t.start(["sh", "-c", "read go; " + shlex.join(t.python(POUR, server.port)) + "; echo over; read go"],
                      options=["-v", "--pcap-over-ip", str(port)], stdin=subprocess.PIPE)
    slow, gone = connect(t, port), connect(t, port)
    # Its section is there: each packet from now on is for both.
    t.true(slow.recv(1, socket.MSG_PEEK), "the slow reader is served")
    running.say("\n")
    t.true(gone.recv(100), "the other reads")
    gone.close()
    running.expect("over", limit=t.scaled(20, 90))
    t.true(resident(running.pid) < (120 << 20) * t.scaled(1, 4), f"memory: {resident(running.pid)} bytes")
    running.signal(signal.SIGUSR1)
    said = running.expect("slow ones have lost", kind="stderr")
    readers, lost = map(int, re.search(r"(\d+) readers? over TCP; slow ones have lost (\d+) packets", said).groups())
    t.equal(readers, 1, "readers")
    t.true(lost > 0, "packets lost by the slow reader")
    got = []
    reader = threading.Thread(target=lambda: got.extend(iter(lambda: slow.recv(1 << 20), b"")))
    reader.start()
    running.say("\n")
    running.process.stdin.close()
    done = running.wait().ok()
    reader.join()
    t.has(done.text, f"all {size}")
    path = f"{t.folder}/read.pcapng"
    with open(path, "wb") as copy:
        copy.write(b"".join(got))
    count = packets(t, path)
    lost = int(re.search(r"too slow for (\d+) packets", done.said)[1])
    captured = int(re.findall(r"(\d+) packets crossed", done.said)[-1])
    t.equal(count + lost, captured, "packets that the slow reader got or lost")
    t.equal(int(re.findall(r"slow ones have lost (\d+) packets", done.said)[-1]), lost, "as the last counters have it")


def test_standard_error_that_nobody_reads(t):
    """--dump and --http: the program does not wait; what was left out is said."""
    t.only_apptap()
    size = t.scaled(16, 4) << 20
    server = pourer(t, size)
    reading, writing = os.pipe()
    command = ["sh", "-c", "exec 2>/dev/null; " + shlex.join(t.python(POUR, server.port)) + "; read go; true"]
    tap = t.popen([t.apptap, "run", "-v", "--dump", "--dump-bytes", "0", "--", *command], t.environment(), stderr=writing,
                  stdin=subprocess.PIPE)
    os.close(writing)
    while not (line := tap.stdout.readline()).startswith(b"all"):
        t.true(line, "the program's output")
    t.equal(line, b"all %d\n" % size, "what the program got while nobody read")
    t.true(resident(tap.pid) < (60 << 20) * t.scaled(1, 4), f"memory: {resident(tap.pid)} bytes")
    with open(reading, "rb") as pipe:
        said = []
        reader = threading.Thread(target=lambda: said.append(pipe.read().decode()))
        reader.start()
        t.until(lambda: not unread(reading), "all is read")
        tap.stdin.close()
        t.equal(tap.wait(20), 0, "status")
        reader.join()
    shown = len(re.findall(r"^< 0x", said[0], re.M))
    left_out = sum(map(int, re.findall(r"apptap: (\d+) lines were left out", said[0])))
    t.true(left_out and size // 16 <= shown + left_out <= size // 16 * 1.2, f"{shown} rows shown, {left_out} lines left out")


def test_standard_streams_that_are_closed(t):
    """No file of apptap's takes their place: what is said does not get into a capture."""
    t.only_apptap()
    t.keep(nginx.serve(t))
    for closed in "2>&-", "1>&-", "0<&-", "0<&- 1>&- 2>&-":
        path = f"{t.home}/{len(closed)}{closed[0]}.pcapng"
        line = [t.apptap, "run", "-v", "--dump", "--upstream-ca", f"{t.pki}/ca.pem", "-w", path, "--flows", f"{path}.flows", "--",
                "sh", "-c", f"{GET}; echo said; echo said >&2; exit 4"]
        straight = t.popen(["sh", "-c", f"(echo said; echo said >&2; exit 4) {closed}"], t.environment())
        tap = t.popen(["sh", "-c", f"{shlex.join(line)} {closed}"], t.environment())
        texts, wanted = tap.communicate(timeout=20), straight.communicate(timeout=20)
        t.equal(tap.returncode, 4, f"status with {closed}; it said {texts}")
        t.equal(texts[0], wanted[0], f"standard output with {closed}")
        wireshark.readable(path, wireshark.sound(path))
        t.equal(flows(t, f"{path}.flows"), 1, f"flows with {closed}")


# --- SIGKILL ---

def opens(t, path):
    """Its whole packets can be read, whatever stands behind them; how many they are."""
    said = subprocess.run(["tshark", "-n", "-r", path, "-T", "fields", "-e", "frame.number"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env={"PATH": "/usr/bin:/bin:/usr/sbin", "HOME": "/nonexistent"})
    t.true(said.returncode == 0 or "cut short" in said.stderr, f"tshark {path}: {said.stderr}")
    counted = subprocess.run(["capinfos", "-M", "-c", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    t.true(counted.returncode == 0 or "cut short" in counted.stderr, f"capinfos {path}: {counted.stderr}")
    return len(said.stdout.split())


def kill(t, options, ready):
    running = t.start(["sh", "-c", f"while {GET} && {GET}?and=more; do :; done; echo ended"], options=options, flows=False)
    t.until(ready, "traffic", limit=20)
    running.signal(signal.SIGKILL)
    t.equal(running.process.wait(20), -signal.SIGKILL, "status")


@only(limit=60)
def test_kill(t):
    """Amid traffic, at whatever moment: each file opens, and none of its records is half a one."""
    t.only_apptap()
    t.keep(nginx.serve(t))
    for turn in range(3):
        place = f"{t.home}/turn{turn}"
        os.mkdir(place)
        os.chown(place, *(2 * [65534 if t.who == "user" else 0]))

        def ready():
            with contextlib.suppress(FileNotFoundError), open(f"{place}/out.flows") as file:
                return len(file.readlines()) >= 10 + turn
        kill(t, options(place, ALL), ready)
        for name, _, _, read, _ in ALL:
            found = (opens if read is packets else read)(t, f"{place}/{name}")
            t.true(found > 0, f"{name}: nothing can be read")


def test_kill_of_a_ring(t):
    t.only_apptap()
    t.keep(nginx.serve(t))
    path = f"{t.home}/ring.pcapng"
    kill(t, ["-w", path, "-C", "20k", "-W", "4", "--plaintext", f"{t.home}/plain.pcap", "-U"], lambda: os.path.exists(f"{path}3"))
    for kind in "ring.pcapng", "plain.pcap":
        # The latest may have been made, and nothing written yet.
        found = [opens(t, f"{t.home}/{n}") for n in os.listdir(t.home) if n.startswith(kind) and os.path.getsize(f"{t.home}/{n}")]
        t.true(sum(found) > 0, f"{kind}: {found}")


def ends_whole(t, path):
    """The write that apptap's death did not end may be under way."""
    def whole():
        with contextlib.suppress(ValueError):
            return har(t, path)
    t.true(t.until(whole, "a whole document", limit=5) >= 5, "entries")


@only("root", limit=60)
def test_kill_amid_large_entries(t):
    """Entries of a megabyte: most of the time that apptap has for HAR it is in such a write."""
    www = t.keep(nginx.serve(t))
    t.only_apptap()
    with open(f"{www}/large", "w") as file:
        file.write("x" * 1000000)
    get = "-o /dev/null https://localhost:8443/large"
    for turn in range(8):
        path = f"{t.home}/{turn}.har"
        running = t.start(["sh", "-c", f"while curl -4 -sS --http1.1 {get} {get} {get} {get}; do :; done"], options=["--har", path], flows=False)
        t.until(lambda: os.path.exists(path) and os.path.getsize(path) > (6 << 20) + 100000 * turn, "traffic")
        running.signal(signal.SIGKILL)
        t.equal(running.process.wait(20), -signal.SIGKILL, "status")
        ends_whole(t, path)


@only("root", limit=90)
def test_kill_of_a_local_amid_large_entries(t):
    """It has confined itself by then."""
    t.need("curl")
    www = t.keep(nginx.serve(t))
    t.only_apptap()
    with open(f"{www}/large", "w") as file:
        file.write("x" * 1000000)
    world.write(f"{t.home}/ca.pem", t.tool("ca", "export").ok().text)
    program = f"{t.home}/curl-of-large"
    shutil.copy(os.path.realpath(shutil.which("curl")), program)
    get = f"--cacert {t.home}/ca.pem -o /dev/null https://localhost:8443/large"
    for turn in range(8):
        path = f"{t.home}/{turn}.har"
        tap = Local(t, "curl-of-large", "--upstream-ca", f"{t.pki}/ca.pem", "--har", path)
        program_of_it = t.popen(["sh", "-c", f"while :; do {program} -4 -s --http1.1 {get} {get} {get} {get}; done"], t.environment(),
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        t.until(lambda: os.path.getsize(path) > (6 << 20) + 100000 * turn, "traffic")
        tap.process.send_signal(signal.SIGKILL)
        t.equal(tap.process.wait(20), -signal.SIGKILL, "status")
        ends_whole(t, path)
        t.stop(program_of_it)
