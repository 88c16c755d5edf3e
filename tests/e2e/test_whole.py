# SPDX-License-Identifier: GPL-3.0-or-later
# test_whole - nothing is missing: a capture has what crossed the tunnel, as the kernel's device and apptap's tunnel count it.
#
# The counts are taken from three places that know nothing of each other: the device in
# the program's namespace, apptap where it reads and writes that, and the files.

import os
import re
import signal
import socket
import subprocess
import threading

from e2e import wireshark
from e2e.scenario import only
from peers import sockets

# Both ways at once over one connection, then silence: what the device has counted, as often as is asked.
BOTH_WAYS = """
    import socket, sys, threading
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    size, piece = int(sys.argv[2]), bytes(range(256)) * 1024
    def send():
        left = size
        while left: left -= s.send(piece[:left])
        s.shutdown(socket.SHUT_WR)
    threading.Thread(target=send).start()
    got, room = 0, bytearray(1 << 20)
    while n := s.recv_into(room): got += n
    assert got == size, got
    print("over", flush=True)
    for line in sys.stdin:
        for device in open("/proc/net/dev"):
            name, colon, numbers = device.partition(":")
            if colon and name.strip() != "lo":
                numbers = numbers.split()
                print("device", int(numbers[1]) + int(numbers[9]), int(numbers[0]) + int(numbers[8]), flush=True)
    """


def both_ways(size):
    def handler(connection):
        piece, left = bytes(range(256)) * 1024, size
        sender = threading.Thread(target=sockets.drain_only, args=(connection,))
        sender.start()
        while left:
            left -= connection.send(piece[:left])
        connection.shutdown(socket.SHUT_WR)
        sender.join()
    return handler


def counters(said):
    """Packets and bytes, captured and through the tunnel; files; packets lost: as said last."""
    found = re.findall(r"(\d+) packets captured, (\d+) bytes, in (\d+) files?; 0 not taken[^\n]*\n.* (\d+) packets crossed the tunnel, "
                       r"(\d+) bytes; the program's side had no room for (\d+)", said)
    packets, size, files, carried, carried_size, lost = map(int, found[-1])
    return (packets, size), (carried, carried_size), files, lost


def ask(running):
    running.lines.clear()
    running.signal(signal.SIGUSR1)
    return counters(running.expect("packets captured", kind="stderr") + running.expect("crossed the tunnel", kind="stderr"))


def play(t, size, *options):
    """Bulk both ways; the counts that agree: (packets, bytes), how many files there were, and the server's port."""
    t.only_apptap()
    server = t.keep(sockets.Server(t, both_ways(size)))
    running = t.start(t.python(BOTH_WAYS, server.port, size), options=["-v", *options], stdin=subprocess.PIPE)
    running.expect("over", limit=t.scaled(20, 60) * (20 if t.large else 1))
    server.join()

    # Acknowledgements may be under way, and those that wait in the device it does not count.
    def agree():
        captured, carried, _, _ = ask(running)
        t.equal(captured, carried, "captured, not as the tunnel counts")
        running.say("\n")
        return carried == tuple(map(int, running.expect("device").split()[1:]))
    t.until(agree, "the device counts what the tunnel does")
    running.process.stdin.close()
    done = running.wait().ok()
    captured, carried, files, lost = counters(done.said)
    t.equal(captured, carried, "captured at the end, not as the tunnel counts")
    t.equal(lost, 0, "packets that the device had no room for")
    t.has(done.said, f"{captured[0]} packets in")
    flow = done.flow(protocol="tcp")
    t.equal((flow["sent"], flow["received"]), (size, size), "payload")
    return captured, files, server.port


def capinfos(path):
    """(packets, bytes of IP) as Wireshark counts them: the cooked header has 20."""
    said = subprocess.run(["capinfos", "-M", "-c", "-d", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    packets, size = (int(re.search(rf"{words}:\s+(\d+)", said)[1]) for words in ("Number of packets", "Data size"))
    return packets, size - 20 * packets


def without_gaps(t, paths, port):
    """Each way's sequence numbers from the first to the last packet of these files, one behind the other."""
    expected = {}
    for path in paths:
        for source, seq, length, flags in wireshark.rows(path, f"tcp.port == {port}", "tcp.srcport", "tcp.seq_raw", "tcp.len", "tcp.flags",
                                                         options=["tcp.desegment_tcp_streams:FALSE"]):
            seq, way = int(seq), source == str(port)
            ahead = (seq - expected.get(way, seq)) % 2 ** 32
            t.true(ahead == 0 or ahead > 2 ** 31, f"{path}: {ahead} bytes are missing before {seq}")
            if ahead == 0:
                expected[way] = (seq + int(length) + bool(int(flags, 16) & 3)) % 2 ** 32
    return expected


@only(limit=60)
def test_file_has_what_crossed(t):
    """The default MTU, bulk both ways: tcpdump and capinfos count in the file what device and tunnel do."""
    path = f"{t.folder}/out.pcapng"
    captured, _, _ = play(t, t.scaled(60, 20) << 20, "-w", path)
    t.equal(capinfos(path), captured, "in the file")
    wireshark.readable(path, captured[0])


# All of it: tests/run --large test_whole/ring, for 10 GB.
@only(limit=90)
def test_ring_loses_only_what_was_rotated_away(t):
    """Ten files of 10 MB."""
    path = f"{t.folder}/out.pcapng"
    size = (5 << 30) if t.large else t.scaled(150, 60) << 20
    captured, files, port = play(t, size, "-w", path, "-C", "10", "-W", "10")
    t.true(captured[1] > 2 * size and files >= captured[1] // 10100000, f"{captured} in {files} files")
    paths = [f"{path}{n}" for n in range(10)]
    t.equal(sorted(n for n in os.listdir(t.folder) if n.startswith("out")), [os.path.basename(p) for p in paths], "the files")
    # The last one ends with the connection; the one after it by number is the oldest.
    paths = [paths[(files + n) % 10] for n in range(10)]
    kept = [capinfos(p) for p in paths]
    for name, (packets, _) in zip(paths, kept):
        t.true(10_000_000 < os.path.getsize(name) < 10_100_000 or name == paths[-1], f"{name}: {os.path.getsize(name)} bytes")
        wireshark.readable(name, wireshark.sound(name, faults=["_ws.malformed", "_ws.short", "tcp.checksum.status == 0"]))
    ends = without_gaps(t, paths, port)
    t.equal(len(ends), 2, "both ways are there")
    whole = f"{t.folder}/whole"
    subprocess.run(["mergecap", "-a", "-w", whole, *paths], check=True)
    t.equal(wireshark.sound(whole), sum(packets for packets, _ in kept), "packets, and no fault in the whole")
    t.true(wireshark.column(paths[-1], "tcp.flags.fin == 1", "frame.number"), "the end is there")
    t.show(f"{captured[0]} packets, {captured[1]} bytes in {files} files; {sum(p for p, _ in kept)} packets remain in {len(kept)}")
