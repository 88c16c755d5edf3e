# SPDX-License-Identifier: GPL-3.0-or-later
# test_local_capture - the file of `apptap local`: packets of many programs, each told apart, their TLS opened.

import json
import os
import shutil

from e2e import wireshark, world
from e2e.internet import THERE4, Internet
from e2e.local import Local, copy_of_python, start_copy, upper
from e2e.scenario import only
from peers import nginx, sockets


@only("root", limit=60)
def test_each_program_is_told_apart(t):
    """By interface and by comment, in a TLS conversation as in the names that are asked for; both at once."""
    t.need("curl")
    internet = Internet(t)
    with internet.inside():
        t.keep(nginx.serve(t, (THERE4,)))
    other = f"{t.home}/another-browser"
    shutil.copy(os.path.realpath(shutil.which("curl")), other)
    local = Local(t, "curl,another-browser", "--upstream-ca", f"{t.pki}/ca.pem")
    world.write(f"{t.home}/ca.pem", t.tool("ca", "export").ok().text)
    running = {}
    for program in "curl", other:
        for n in range(3):
            process = t.popen([program, "-sS", "--cacert", f"{t.home}/ca.pem", "--resolve", f"origin.test:443:{THERE4}",
                               f"https://origin.test/hello?{os.path.basename(program)}-{n}"], t.environment())
            running[process.pid] = (os.path.basename(program), n, process)
    for name, n, process in running.values():
        t.equal(process.communicate(timeout=20), (b"hello from 443 over HTTP/2.0\n", b""), f"{name} {n}")
    flows = local.end()
    t.equal({f["process"]["pid"]: f["process"]["name"] for f in flows}, {pid: name for pid, (name, _, _) in running.items()},
            "owners")
    wireshark.sound(local.capture)
    wireshark.readable(local.capture)
    streams = {}
    for stream, comment, interface in wireshark.rows(local.capture, "tcp.flags.syn == 1 && tcp.flags.ack == 0", "tcp.stream",
                                                     "frame.comment", "frame.interface_name"):
        pids = [pid for pid, (name, _, _) in running.items() if f" {name}[{pid}] " in comment]
        t.equal(len(pids), 1, f"who {comment!r} speaks of")
        streams[stream] = pids[0]
        t.has(interface, running[pids[0]][0], str(pids[0]))
    t.equal(sorted(streams.values()), sorted(running), "a flow each")
    for stream, interface in wireshark.rows(local.capture, "tcp", "tcp.stream", "frame.interface_name"):
        t.has(interface, f"{running[streams[stream]][0]}", str(streams[stream]))
    t.equal(sorted(wireshark.rows(local.capture, "http2.headers.path", "tcp.stream", "http2.headers.path")),
            sorted([stream, "/hello?%s-%d" % running[pid][:2]] for stream, pid in streams.items()), "what was asked")
    t.equal(len(wireshark.rows(local.capture, 'http2.data.data contains "hello from 443"', "frame.number")), len(running),
            "answers")


@only("root", limit=60)
def test_one_program_after_another(t):
    """A wrapper that ends in an exec: each flow has the name of its moment."""
    server = t.keep(sockets.Server(t, upper))
    local = Local(t, "before-the-exec")
    become = copy_of_python(t, "after-the-exec")
    code = """
        import os, socket, sys
        with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s: s.sendall(b"hello"); assert s.recv(99) == b"HELLO"
        if len(sys.argv) > 3: os.execv(sys.argv[2], [sys.argv[2], "-c", sys.argv[3], sys.argv[1]])
        """
    process = start_copy(t, copy_of_python(t, "before-the-exec"), code, server.port, become,
                         "\n".join(line[8:] for line in code.splitlines()))
    t.equal(process.communicate(timeout=20), (b"", b""), "what it says")
    t.equal([(f["process"]["pid"], f["process"]["name"]) for f in local.end()],
            [(process.pid, "before-the-exec"), (process.pid, "after-the-exec")], "owners")
    names = wireshark.column(local.capture, "tcp.flags.syn == 1 && tcp.flags.ack == 0", "frame.interface_name")
    t.has(names[0], "before-the-exec")
    t.has(names[1], "after-the-exec")


@only("root", limit=60)
def test_http_confined(t):
    """HTTP in TLS as lines, HAR and hex, redacted, by an apptap that has given up opening files."""
    t.need("curl")
    internet = Internet(t)
    with internet.inside():
        t.keep(nginx.serve(t, (THERE4,)))
    har = f"{t.home}/out.har"
    local = Local(t, "curl", "--upstream-ca", f"{t.pki}/ca.pem", "--http", "--dump", "--redact", "--har", har)
    world.write(f"{t.home}/ca.pem", t.tool("ca", "export").ok().text)
    curl = t.popen(["curl", "-sS", "--cacert", f"{t.home}/ca.pem", "--resolve", f"origin.test:443:{THERE4}", "-b", "id=hidden",
                    "https://origin.test/hello"], t.environment())
    t.equal(curl.communicate(timeout=20), (b"hello from 443 over HTTP/2.0\n", b""), "curl")
    local.end()
    said = "".join(local.said)
    t.has(said, f"curl[{curl.pid}] GET https://origin.test/hello 200 text/plain 29 B", "> 0x0000:  5052 4920 2a20 4854")
    t.lacks(said, "hidden")
    with open(har) as file:
        entry, = json.load(file)["log"]["entries"]
    t.equal((entry["_process"]["pid"], entry["response"]["content"]["text"]), (curl.pid, "hello from 443 over HTTP/2.0\n"), "HAR")
