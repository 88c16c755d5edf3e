# SPDX-License-Identifier: GPL-3.0-or-later
# test_readers - the capture over TCP, read by tshark while it is made.

import os
import socket
import subprocess

from peers import nginx


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def test_tshark_decrypts_live(t):
    """Two readers, one of them late, see the decrypted request."""
    t.only_apptap()
    t.keep(nginx.serve(t))
    port = free_port()
    running = t.start(["sh", "-c", "read go; curl -sS https://localhost:8443/hello; read go; curl -sS https://localhost:8443/again"],
                      options=["-v", "--pcap-over-ip", str(port)], stdin=subprocess.PIPE)
    readers = []

    def listen():
        readers.append(t.popen(["tshark", "-n", "-l", "-i", f"TCP@127.0.0.1:{port}", "-Y", "http.request", "-T", "fields",
                                "-e", "http.request.uri", "-e", "frame.interface_name"], os.environ | {"HOME": "/nonexistent"},
                               stderr=subprocess.DEVNULL))
        def joined():
            running.lines.clear()
            running.signal(10)
            return f"{len(readers)} reader" in running.expect("over TCP", kind="stderr")
        t.until(joined, f"reader {len(readers)} is there")

    t.until(lambda: subprocess.run(["ss", "-ltn", f"sport = :{port}"], capture_output=True).stdout.count(b"LISTEN"), "it listens")
    listen()
    running.say("\n")
    t.has(readers[0].stdout.readline().decode(), "/hello\tcurl[")
    listen()
    running.say("\n")
    for reader in readers:
        t.has(reader.stdout.readline().decode(), "/again\tcurl[")
    running.process.stdin.close()
    running.wait()
    for reader in readers:
        t.equal(reader.wait(20), 0, "tshark's status at the end")


def test_port_taken(t):
    t.only_apptap()
    with socket.create_server(("127.0.0.1", 0)) as s:
        done = t.tap(["echo", "ran"], options=["--pcap-over-ip", str(s.getsockname()[1])], flows=False)
    t.equal((done.status, done.text), (69, ""), "status, and the program did not run")
    t.has(done.said, "in use")
    done = t.tap(["echo", "ran"], options=["--pcap-over-ip", "localhost:5"], flows=False)
    t.has(done.said, "localhost:5")
