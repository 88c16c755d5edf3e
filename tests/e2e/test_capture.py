# SPDX-License-Identifier: GPL-3.0-or-later
# test_capture - the file: what Wireshark, tcpdump and capinfos read from it, and what happens when it cannot be written.

import os
import signal
import subprocess

from e2e import wireshark, world
from e2e.scenario import EX_IOERR, NOBODY, only
from peers import dns, nginx, sockets

HELLO = ["curl", "-sS", "https://localhost:8443/hello"]


def web(t):
    return t.keep(nginx.serve(t))


def test_pcapng_is_whole(t):
    """Sound packets in order of time, both directions, read by all."""
    web(t)
    done = t.tap(HELLO, capture=True).ok()
    count = wireshark.sound(done.capture)
    wireshark.readable(done.capture, count)
    rows = wireshark.rows(done.capture, "tcp", "frame.time_epoch", "frame.packet_flags_direction", "tcp.dstport",
                          "tcp.checksum.status", "sll.pkttype")
    times = [float(row[0]) for row in rows]
    t.equal(times, sorted(times), "times")
    for row in rows:
        outgoing = row[2] == "8443"
        t.equal(int(row[1], 0), 2 if outgoing else 1, "direction flag")
        t.equal(row[3], "1", "tcp checksum status (1: good)")
        t.equal(row[4], "4" if outgoing else "0", "cooked packet type")
    flags = wireshark.column(done.capture, "tcp.flags.syn == 1", "tcp.flags.ack")
    t.equal(len(flags), 2, "a SYN and a SYN-ACK")
    t.equal(len(wireshark.rows(done.capture, "tcp.flags.fin == 1", "frame.number")) >= 2, True, "FINs both ways")


def test_response_is_decrypted_too(t):
    web(t)
    done = t.tap(HELLO, capture=True).ok()
    t.has(wireshark.column(done.capture, "http.response", "http.file_data")[0], "hello from 8443")
    t.equal(wireshark.column(done.capture, "http.response", "http.response.code"), ["200"], "status")


def test_http2_is_decrypted(t):
    web(t)
    done = t.tap(["curl", "-sS", "-d", "body of the request", "https://localhost/hello"], capture=True).ok()
    t.has(wireshark.column(done.capture, "http2.headers.path", "http2.headers.path"), "/hello")
    t.has(wireshark.column(done.capture, "http2.headers.status", "http2.headers.status"), "200")


def test_process_is_named(t):
    """On the first packet, and as the interface of all of them."""
    web(t)
    done = t.tap(HELLO, capture=True).ok()
    pid = done.flow(protocol="tcp")["process"]["pid"]
    first = wireshark.rows(done.capture, "tcp.flags.syn == 1 && tcp.flags.ack == 0", "frame.comment", "frame.interface_name")
    t.equal(len(first), 1, "SYNs")
    t.has(first[0][0], "curl", str(pid))
    t.has(first[0][1], "curl", str(pid))
    names = set(wireshark.column(done.capture, "tcp", "frame.interface_name"))
    t.equal(names, {first[0][1]}, "interfaces of the flow")
    described = wireshark.column(done.capture, "tcp.flags.syn == 1", "frame.interface_description")
    t.has(described[0], "curl", "https://localhost:8443/hello")


def test_section_says_who_and_what(t):
    """Application with its version, command, host's system and hardware."""
    t.only_apptap()
    web(t)
    plain, version = f"{t.home}/plain.pcapng", t.tool("--version").ok().text.strip()
    done = t.tap(["sh", "-c", "curl -sS https://localhost:8443/hello\ncurl -sS https://localhost:8443/hello"],
                 options=["--plaintext", plain], capture=True).ok()
    system = os.uname()
    wanted = {"File type": "Wireshark/... - pcapng", "Capture application": version, "Capture hardware": system.machine,
              "Capture oper-sys": f"{system.sysname} {system.release}",
              "Capture comment": "sh -c curl -sS https://localhost:8443/hello curl -sS https://localhost:8443/hello"}
    t.true(version.startswith("apptap ") and version[7].isdigit(), f"version {version}")
    for path in done.capture, plain:
        said = subprocess.run(["capinfos", path], stdout=subprocess.PIPE, text=True).stdout
        found = {key: value.strip() for key, _, value in (line.partition(":") for line in said.splitlines()) if key in wanted}
        t.equal(found, wanted, path)


def test_names_the_app_looked_up(t):
    t.keep(dns.serve(t))
    t.keep(nginx.serve(t, ("127.0.0.1", world.OUTSIDE4)))
    done = t.tap(["curl", "-sS", "-4", "http://far.test/hello"], capture=True).ok()
    wireshark.sound(done.capture)
    t.has(wireshark.column(done.capture, "dns", "dns.qry.name"), "far.test")
    hosts = subprocess.run(["tshark", "-r", done.capture, "-q", "-z", "hosts"], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, text=True, env={"PATH": "/usr/bin:/usr/sbin:/bin", "HOME": "/nonexistent"}).stdout
    t.has(hosts, f"{world.OUTSIDE4}\tfar.test")
    t.equal(done.flow(protocol="tcp")["name"], "far.test", "the flow's name")


def test_two_processes_are_two_interfaces(t):
    web(t)
    done = t.tap(["sh", "-c", "curl -sS -o /dev/null https://localhost:8443/one; wget -q -O /dev/null "
                  "http://localhost/hello"], capture=True).ok()
    names = set(wireshark.column(done.capture, "tcp", "frame.interface_name"))
    t.equal({n.split("[")[0] for n in names}, {"curl", "wget"}, "interfaces")


def test_classic_with_keylog(t):
    t.only_apptap()
    web(t)
    path, keys = f"{t.folder}/out.pcap", f"{t.folder}/keys"
    t.tap(HELLO, options=["-w", path, "--keylog", keys]).ok()
    with open(path, "rb") as file:
        t.true(file.read(4) in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d"), "magic")
    options = [f"tls.keylog_file:{keys}"]
    wireshark.readable(path, wireshark.sound(path, options=options))
    t.has(wireshark.column(path, "http.request.uri", "http.request.uri", options=options), "/hello")
    t.equal(os.stat(path).st_mode & 0o777, 0o600, "the capture's mode")


def test_keylog_is_appended_to(t):
    t.only_apptap()
    web(t)
    keys = f"{t.folder}/keys"
    counts = []
    for _ in range(2):
        t.tap(HELLO, options=["--keylog", keys]).ok()
        with open(keys) as file:
            counts.append(len(file.readlines()))
    t.equal(counts[1], counts[0] * 2, "lines after the second run")


def test_to_standard_output(t):
    """-w - streams into a reader."""
    t.only_apptap()
    web(t)
    env = t.environment()
    tap = t.popen([t.apptap, "run", "-q", "--upstream-ca", f"{t.pki}/ca.pem", "-w", "-", "--", *HELLO], env)
    said = wireshark.tshark("-", "-Y", "http", "-T", "fields", "-e", "http.request.uri", "-e", "http.response.code",
                            stdin=tap.stdout)
    t.equal(tap.wait(20), 0, "status")
    t.equal(said.split(), ["/hello", "200"], "what tshark read")


def test_unbuffered(t):
    """-U: a packet is in the file while the command still runs."""
    t.only_apptap()
    server = t.keep(sockets.Server(t, sockets.echo))
    path = f"{t.folder}/live.pcapng"
    running = t.start(t.python("""
        import socket, sys
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        s.sendall(b"\\0NOW\\0"); s.recv(99)
        print("said", flush=True)
        sys.stdin.read()
        """, server.port), options=["-U", "-w", path], stdin=subprocess.PIPE)
    running.expect("said")
    t.until(lambda: b"\0NOW\0" in open(path, "rb").read(), "the packet is in the file")
    running.process.stdin.close()
    running.wait().ok()


def test_filter(t):
    web(t)
    done = t.tap(["sh", "-c", "curl -sS http://localhost/hello; curl -sS https://localhost:8443/hello"],
                 options=["-f", "tcp port 8443"], capture=True).ok()
    ports = {p for row in wireshark.rows(done.capture, "tcp", "tcp.srcport", "tcp.dstport") for p in row}
    t.true("8443" in ports and "80" not in ports, f"ports {ports}")
    t.has(wireshark.column(done.capture, "http.request.uri", "http.request.uri"), "/hello")


def test_snaplen(t):
    server = t.keep(sockets.Server(t, sockets.echo))
    done = t.tap(t.python("""
        import socket, sys
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        s.sendall(b"\\0" * 1000)
        got = 0
        while got < 1000: got += len(s.recv(65536))
        """, server.port), options=["-s", "100"], capture=True).ok()
    sizes = wireshark.rows(done.capture, "tcp", "frame.len", "frame.cap_len")
    t.true(max(int(s[0]) for s in sizes) > 1000, "the packets' own sizes are kept")
    t.true(max(int(s[1]) for s in sizes) <= 100 + 20, "at most 100 bytes of a packet, and the cooked header")


def test_udp_and_v6(t):
    four = t.keep(sockets.Datagrams(t, lambda data, peer: data, world.OUTSIDE4))
    six = t.keep(sockets.Datagrams(t, lambda data, peer: data, world.OUTSIDE6))
    done = t.tap(t.python("""
        import socket, sys
        for family, address, port in ((socket.AF_INET, sys.argv[1], sys.argv[2]), (socket.AF_INET6, sys.argv[3], sys.argv[4])):
            s = socket.socket(family, socket.SOCK_DGRAM)
            s.settimeout(5)
            s.connect((address, int(port)))
            for size in 0, 1, 5, 1000, 3000:
                s.send(b"\\xff" * size); assert len(s.recv(9999)) == size
        """, four.address, four.port, six.address, six.port), capture=True).ok()
    wireshark.sound(done.capture)
    for kind in "ip.version == 4", "ipv6":
        rows = wireshark.rows(done.capture, f"udp && {kind}", "udp.length", "udp.checksum.status")
        t.true(len(rows) >= 10, f"10 datagrams, {kind}: {rows}")


def test_large_transfer_is_sound(t):
    """Super-packets in the file are valid IP packets, in sequence, nothing missing."""
    size = 20 << 20
    server = t.keep(sockets.Server(t, lambda c: sockets.pour(c, size)))
    done = t.tap(t.python("""
        import socket, sys
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        got = 0
        while data := s.recv(1 << 20): got += len(data)
        print(got)
        """, server.port), capture=True).ok()
    t.equal(done.text, f"{size}\n", "bytes")
    wireshark.sound(done.capture)
    lengths = wireshark.column(done.capture, f"tcp.srcport == {server.port}", "tcp.len")
    t.equal(sum(map(int, lengths)) - retransmitted(done.capture, server.port), size, "payload bytes in the file")


def retransmitted(path, port):
    where = f"tcp.srcport == {port} && (tcp.analysis.retransmission || tcp.analysis.fast_retransmission || tcp.analysis.spurious_retransmission)"
    return sum(map(int, wireshark.column(path, where, "tcp.len")))


def test_many_flows_decrypt(t):
    """Each of 50 handshakes at once has its secrets before its packets."""
    web(t)
    urls = [f"https://localhost:8443/hello?{n}" for n in range(50)]
    done = t.tap(["sh", "-c", 'for u in "$@"; do curl -sS -o /dev/null "$u" & done; wait', "sh", *urls], capture=True).ok()
    found = set(wireshark.column(done.capture, "http.request.uri", "http.request.uri"))
    t.equal(found, {f"/hello?{n}" for n in range(50)}, "decrypted requests")
    wireshark.sound(done.capture)


# --- what cannot be written ---

def incomplete(t, done, *words):
    """The program was untouched, one message says why, and the status tells."""
    t.has(done.text, "hello from 8443")
    t.has(done.said, *words)
    t.equal(done.status, EX_IOERR, "status")


def test_disk_full(t):
    t.only_apptap()
    web(t)
    incomplete(t, t.tap(HELLO, options=["-w", "/dev/full"]), "/dev/full", "No space left")


def test_disk_fills_up(t):
    """A tiny disk: a 10 MB download goes on to its end."""
    t.only_apptap()
    place = f"{t.folder}/tiny"
    os.mkdir(place)
    world.mount("tiny", place, "tmpfs", 0, "size=256k,mode=777")
    size = 10 << 20
    server = t.keep(sockets.Server(t, lambda c: sockets.pour(c, size)))
    done = t.tap(t.python("""
        import socket, sys
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        got = 0
        while data := s.recv(1 << 20): got += len(data)
        print(got)
        """, server.port), options=["-w", f"{place}/out.pcapng"])
    t.equal(done.text, f"{size}\n", "bytes")
    t.equal(done.status, EX_IOERR, "status")
    t.has(done.said, f"{place}/out.pcapng", "No space left")


def test_failing_command_keeps_its_status(t):
    t.only_apptap()
    done = t.tap(["sh", "-c", "exit 3"], options=["-w", "/dev/full"])
    t.equal(done.status, 3, "status")


def test_unwritable_path(t):
    """Said before the command starts; it runs all the same, and the status says what is missing."""
    t.only_apptap()
    done = t.tap(["echo", "ran"], options=["-w", "/nonexistent/out.pcapng"])
    t.has(done.said, "/nonexistent/out.pcapng", "No such file")
    t.equal((done.status, done.text), (EX_IOERR, "ran\n"), "status and output")


@only("user")
def test_path_of_somebody_else(t):
    t.only_apptap()
    done = t.tap(["echo", "ran"], options=["-w", "/root-owned.pcapng"])
    t.has(done.said, "/root-owned.pcapng", "ermission denied")
    t.equal((done.status, done.text), (EX_IOERR, "ran\n"), "status and output")


def test_closed_pipe(t):
    """The reader of -w - goes away: the command does not notice."""
    t.only_apptap()
    web(t)
    reading, writing = os.pipe()
    process = t.popen([t.apptap, "run", "--upstream-ca", f"{t.pki}/ca.pem", "-U", "-w", "-", "--", "sh", "-c",
                       "curl -sS -o $HOME/answer https://localhost:8443/hello"], t.environment(), stdout=writing)
    os.close(writing)
    os.close(reading)
    said = process.stderr.read().decode()
    t.equal(process.wait(20), EX_IOERR, f"status; it said {said}")
    with open(f"{t.home}/answer") as file:
        t.has(file.read(), "hello from 8443")
    t.has(said, "roken pipe")


def test_existing_file_is_replaced(t):
    t.only_apptap()
    web(t)
    path = f"{t.home}/out.pcapng"
    with open(path, "w") as file:
        file.write("old " * 1000000)
    if t.who == "user":
        os.chown(path, NOBODY, NOBODY)
    t.tap(HELLO, options=["-w", path]).ok()
    wireshark.readable(path)


def test_interrupted_capture_is_whole(t):
    """SIGINT and SIGTERM end the file properly, with what was seen until then."""
    t.only_apptap()
    server = t.keep(sockets.Server(t, sockets.echo))
    for number in signal.SIGINT, signal.SIGTERM:
        path = f"{t.folder}/{number}.pcapng"
        # Python's own way with SIGINT can miss it before a read that waits.
        running = t.start(t.python("""
            import signal, socket, sys
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            s.sendall(b"\\0said\\0"); s.recv(99)
            print("said", flush=True)
            sys.stdin.read()
            """, server.port), options=["-w", path], stdin=subprocess.PIPE)
        running.expect("said")
        running.signal(number)
        done = running.wait()
        t.equal(done.status, 128 + number, "status")
        wireshark.readable(path, wireshark.sound(path))
        with open(path, "rb") as file:
            t.true(b"\0said\0" in file.read(), "the packet is in the file")
