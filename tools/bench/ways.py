# SPDX-License-Identifier: GPL-3.0-or-later
# ways - the paths from client to server that are compared, and a client on one of them.
#
# A client waits at a gate, inside of whatever its way puts around it: so that a way can
# be made ready, and its processor time be read, before and after and nothing else.

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

from bench import processes

WAIT = 'echo bench-ready; read go; "$@"; s=$?; cat /proc/net/dev; echo "bench-end $s"; read go; exit $s'
NOISE = ("Don't run as root", "Couldn't write to /proc", "Couldn't configure user", "Cannot set ping", "to syslog")


class Failed(Exception):
    pass


class Way:
    """Straight. Others say what differs."""
    name = "straight"
    needs = ()

    def __init__(self, world):
        self.world = world

    def missing(self):
        """The program that it lacks, or None."""
        return next((n for n in self.needs if not shutil.which(n)), None)

    def command(self, command):
        return command

    @contextlib.contextmanager
    def standing(self):
        """What surrounds a measurement on this way."""
        yield

    def attach(self, client):
        """The client waits at its gate."""

    def tap(self, client):
        """The processes that the tap is."""
        return []

    def settle(self, client):
        """The client has ended."""


class Pasta(Way):
    """In one more user namespace, because as root it would become nobody and then fail.

    What goes to an address of its own host, or to one nearer than 10 us, the version of 2023 acknowledges at
    once, offering the server's window however full its own socket is; what does not fit there it drops, the
    client finds out by its timer, and an upload crawls at a hundredth of a download. No other MTU,
    congestion control or receive buffer mends that. Send buffers of at most 256 KB in its namespace do: it
    then loses nothing and is at its best (128 KB: slower; 384 KB: loses again). Nothing else depends on them."""
    name = "pasta"
    needs = ("pasta",)
    buffers = 'echo "4096 16384 262144" > /proc/sys/net/ipv4/tcp_wmem && exec "$@"'

    def command(self, command):
        return ["unshare", "--user", "--map-user=1000", "--map-group=1000", "pasta", "--config-net", "--",
                "sh", "-c", self.buffers, "sh", *command]

    def tap(self, client):
        return processes.tree(client.process.pid)


class Slirp(Way):
    """With the MTU that Podman gives it."""
    name = "slirp4netns"
    needs = ("slirp4netns",)

    def __init__(self, world):
        super().__init__(world)
        self.process = None

    def command(self, command):
        return ["unshare", "--user", "--map-root-user", "--net", *command]

    def attach(self, client):
        reading, writing = os.pipe()
        pid = processes.gate_of(client.process.pid)
        self.process = subprocess.Popen(["slirp4netns", "--configure", "--mtu=65520", "--ready-fd", str(writing), str(pid), "tap0"],
                                        pass_fds=[writing], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        os.close(writing)
        ready = select.select([reading], [], [], 10)[0] and os.read(reading, 1)
        os.close(reading)
        if not ready:
            raise Failed("slirp4netns did not begin")

    def tap(self, client):
        return processes.tree(self.process.pid)

    def settle(self, client):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class Apptap(Way):
    # Clients that measure verify nothing and may leave early: neither is to change the way.
    name = "apptap"
    options = ("-q",)

    def command(self, command):
        return [self.world.apptap, "run", *self.options, "-k", "--no-pin-bypass", "--", *command]

    def tap(self, client):
        return processes.tree(client.process.pid)


def warm(world, size):
    """A virtual machine's host may take free memory back, seconds after an earlier round's file is
    gone, and gives it again page by page, for up to six times what writing takes. So as much
    is written just before, and removed."""
    room = os.statvfs(world.tmpfs)
    block = bytes(1 << 20)
    with open(f"{world.tmpfs}/warm", "wb", buffering=0) as file:
        for _ in range(min(size, room.f_bavail * room.f_frsize // 4) >> 20):
            file.write(block)
    os.remove(f"{world.tmpfs}/warm")


class ToNull(Apptap):
    name = "apptap -w null"
    options = ("-q", "-w", "/dev/null")


class ToFile(Apptap):
    """To a tmpfs, and each packet is looked for afterwards."""
    name = "apptap -w"
    most = 1 << 30                  # bytes of a capture so far

    def __init__(self, world):
        super().__init__(world)
        self.captures = []
        self.base = f"{world.tmpfs}/capture"
        self.options = ("-v", "-w", f"{self.base}.pcapng")

    def attach(self, client):
        warm(self.world, self.most * 5 // 4)

    def settle(self, client):
        size = 0
        with contextlib.suppress(FileNotFoundError):
            self.captures.append(os.path.getsize(f"{self.base}.pcapng"))
        for name in "pcapng", "plain.pcapng", "keys":
            with contextlib.suppress(FileNotFoundError):
                size += os.path.getsize(f"{self.base}.{name}")
                os.remove(f"{self.base}.{name}")
        self.most = max(self.most, size)


class Tmpfs(Way):
    """No way: what the tmpfs takes from one who does nothing but write, of pages as warm as a capture's."""
    name = "tmpfs alone"

    def write(self, seconds):
        """Bytes a second."""
        path, block, size = f"{self.world.tmpfs}/alone", bytes(1 << 20), 0
        room = os.statvfs(self.world.tmpfs)
        most = room.f_bavail * room.f_frsize // 2
        warm(self.world, int(seconds * (3 << 30)))
        begin = time.monotonic()
        try:
            with open(path, "wb", buffering=0) as f:
                while size < most and time.monotonic() < begin + seconds:
                    size += f.write(block)
                return size / (time.monotonic() - begin)
        finally:
            os.remove(path)


class ToFiles(ToFile):
    """Packets, secrets and plaintext."""
    name = "apptap -w all"

    def __init__(self, world):
        super().__init__(world)
        self.options = ("-v", "-w", f"{self.base}.pcapng", "--keylog", f"{self.base}.keys",
                        "--plaintext", f"{self.base}.plain.pcapng")


class BesideLocal(Way):
    """Untapped, beside an `apptap local` that waits for other programs."""
    name = "beside local"

    def missing(self):
        return None if self.world.root else "root"

    @contextlib.contextmanager
    def standing(self):
        os.makedirs(f"{self.world.folder}/tapped", exist_ok=True)
        with subprocess.Popen([self.world.apptap, "local", f"exe:{self.world.folder}/tapped/*"], stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, env=self.world.environment) as tap:
            said = tap.stderr.readline()
            if "tapping" not in said:
                raise Failed(f"apptap local did not begin: {said}{tap.stderr.read()}")
            try:
                yield
            finally:
                tap.send_signal(signal.SIGINT)


class Local(BesideLocal):
    """A copy of the client, which it does tap."""
    name = "local"

    def command(self, command):
        gate, program, rest = command[:4], command[4], command[5:]
        copy = f"{self.world.folder}/tapped/{os.path.basename(program)}"
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        if not os.path.exists(copy):
            shutil.copy(shutil.which(program), copy)
        return [*gate, copy, *rest]


class Client:
    """A command at its gate on one way; `with` it, because a way may fail."""

    def __init__(self, way, command, limit):
        self.way, self.command = way, command
        self.deadline = time.monotonic() + limit
        self.rest = b""
        self.err = tempfile.TemporaryFile()
        self.process = subprocess.Popen(way.command(["sh", "-c", WAIT, processes.GATE, *command]),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err,
                                        env=way.world.environment, start_new_session=True)

    def __enter__(self):
        try:
            self.until("bench-ready")
            self.way.attach(self)
            self.tap = self.way.tap(self)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.way.settle(self)
        self.process.stdin.close()
        self.process.stdout.close()
        self.err.close()

    def say(self, text):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{text}\n".encode())
            self.process.stdin.flush()

    def until(self, words):
        """The lines before the one that begins so, and that one."""
        lines = []
        while True:
            line, newline, rest = self.rest.partition(b"\n")
            if newline:
                self.rest = rest
                lines.append(line.decode(errors="replace"))
                if lines[-1].startswith(words):
                    return lines
                if lines[-1].startswith("bench-end"):
                    raise Failed(f"{lines[-1]} {self.said()}")
                continue
            left = self.deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Failed(f"no end in time {self.said()}")
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                raise Failed(f"ended early: {' '.join(lines)[-300:]} {self.said()}")
            self.rest += piece

    def said(self):
        self.err.seek(0)
        lines = self.err.read().decode(errors="replace").splitlines()
        return " ".join(line for line in lines if not any(n in line for n in NOISE))[-500:]

    def finish(self):
        """Lets it and its way end by themselves."""
        self.say("end")
        try:
            self.process.wait(max(1, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failed("the tap did not end") from None


class Result:
    """What a command printed, what the tap has spent on it, and the client's devices."""

    def __init__(self, lines, spent):
        end = next(n for n, line in enumerate(lines) if line.startswith("Inter-|"))
        self.lines, self.devices = lines[:end], lines[end + 2:-1]
        self.spent = spent              # seconds of processor, None without a tap


def run(way, command, limit=30, look=None):
    """A Result. `look` is called with the client once it has ended, and its files still there."""
    with Client(way, command, limit) as client:
        before = processes.seconds(client.tap)
        client.say("go")
        lines = client.until("bench-end")
        spent = processes.seconds(client.tap) - before if client.tap else None
        client.finish()
        if lines[-1] != "bench-end 0":
            raise Failed(f"{lines[-1]}: {' '.join(lines)[:300]} {client.said()}")
        result = Result(lines, spent)
        if look:
            look(client, result)
        return result
