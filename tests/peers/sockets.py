# SPDX-License-Identifier: GPL-3.0-or-later
# sockets - small servers of a scenario: a function called for each connection.

import contextlib
import hashlib
import socket
import struct
import subprocess
import threading
import time


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def url(address, port, path="/", scheme="https"):
    return f"{scheme}://{f'[{address}]' if ':' in address else address}:{port}{path}"


def await_listener(places, process=None, limit=15):
    """Until a connect to each place succeeds."""
    deadline = time.monotonic() + limit
    for address, port in places:
        while True:
            with socket.socket(family(address)) as probe:
                if probe.connect_ex((address, port)) == 0:
                    break
            if (process and process.poll() is not None) or time.monotonic() > deadline:
                raise AssertionError(f"nobody listens on {address} port {port}")
            time.sleep(0.01)


class Server:
    """Calls handler(connection) in a thread for each connection. What goes
    wrong in it is the scenario's failure."""

    def __init__(self, t, handler, address="127.0.0.1", port=0, backlog=4096, context=None):
        self.t, self.handler, self.context = t, handler, context
        self.socket = socket.socket(family(address))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in address:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.socket.bind((address, port))
        self.socket.listen(backlog)
        self.address, self.port = address, self.socket.getsockname()[1]
        self.accepted = 0
        self.threads = []
        self.closing = False

    def __enter__(self):
        threading.Thread(target=self.run, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.closing = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def run(self):
        while not self.closing:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.accepted += 1
            self.threads.append(self.t.watch(self.serve, connection))

    def serve(self, connection):
        with connection:
            if self.context:
                with self.context.wrap_socket(connection, server_side=True) as secured:
                    self.handler(secured)
            else:
                self.handler(connection)

    def join(self, limit=30):
        for thread in list(self.threads):
            thread.join(limit)
            if thread.is_alive():
                raise AssertionError("a server's handler did not end")


class Datagrams:
    """A UDP server: answer(bytes, peer) gives what is sent back, or None."""

    def __init__(self, t, answer, address="127.0.0.1", port=0):
        self.t, self.answer = t, answer
        self.socket = socket.socket(family(address), socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((address, port))
        self.address, self.port = address, self.socket.getsockname()[1]
        self.peers = set()
        self.closing = False

    def __enter__(self):
        threading.Thread(target=self.run, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.closing = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def run(self):
        while not self.closing:
            try:
                data, peer = self.socket.recvfrom(65536)
                if self.closing:
                    return
                self.peers.add(peer)
                answer = self.answer(data, peer)
                if answer is not None:
                    self.socket.sendto(answer, peer)
            except OSError:
                continue


# --- handlers and their parts ---

def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


def drain(connection):
    """Reads to the end: (bytes, SHA-256)."""
    digest, size = hashlib.sha256(), 0
    while data := connection.recv(1 << 20):
        digest.update(data)
        size += len(data)
    return size, digest.hexdigest()


def drain_only(connection):
    """Reads to the end; how much it was."""
    size, room = 0, bytearray(1 << 20)
    while n := connection.recv_into(room):
        size += n
    return size


def block(size=1 << 20):
    """Bytes that do not compress and whose every part differs, the same each time."""
    return b"".join(hashlib.sha256(struct.pack("<I", n)).digest() for n in range(size // 32))


def pour(connection, total):
    """Sends `total` bytes of block() over and over; returns their SHA-256."""
    piece, digest = block(), hashlib.sha256()
    while total:
        part = piece[:total]
        connection.sendall(part)
        digest.update(part)
        total -= len(part)
    return digest.hexdigest()


def reset(connection):
    """Closes with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextlib.contextmanager
def openssl_server(t, *arguments, port=4433, address="127.0.0.1", stdin=subprocess.DEVNULL, name="good"):
    """openssl s_server, listening. Its probe costs it one connection."""
    process = subprocess.Popen(["openssl", "s_server", "-accept", f"{address}:{port}", "-cert", f"{t.pki}/{name}.pem",
                                "-key", f"{t.pki}/{name}.key", *arguments],
                               stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for line in process.stdout:    # "ACCEPT" says that it listens
            if line.startswith(b"ACCEPT"):
                break
        else:
            raise AssertionError("openssl s_server did not start")
        t.watch(lambda: [None for _ in process.stdout])
        yield process
    finally:
        process.kill()
        process.wait()
