# SPDX-License-Identifier: GPL-3.0-or-later
# test_readers - the capture over TCP, read by tshark while it is made.

import os
import socket
import subprocess

from peers import nginx, sockets


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


def test_each_packet_reaches_a_pipe(t):
    """-w - into tshark -r -: it prints a packet before the program sends its next."""
    t.only_apptap()
    server = t.keep(sockets.Server(t, sockets.echo))
    talk = """
        import socket, sys
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        for line in sys.stdin: s.sendall(b"x" * int(line)); s.recv(999)
        """
    for options in [], ["-U"]:
        tap = t.popen([t.apptap, "run", "-q", *options, "-w", "-", "--", *t.python(talk, server.port)], t.environment(),
                      stdin=subprocess.PIPE)
        reader = t.popen(["tshark", "-n", "-l", "-r", "-", "-Y", "tcp.len > 0 && sll.pkttype == 4", "-T", "fields", "-e",
                          "tcp.len"], os.environ | {"HOME": "/nonexistent"}, stdin=tap.stdout, stderr=subprocess.DEVNULL)
        for size in range(10, 15):
            tap.stdin.write(b"%d\n" % size)
            tap.stdin.flush()
            t.equal(reader.stdout.readline().strip(), b"%d" % size, f"the packet that tshark has seen, {options}")
        tap.stdin.close()
        t.equal((tap.wait(20), reader.wait(20)), (0, 0), "statuses")
