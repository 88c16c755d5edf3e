# SPDX-License-Identifier: GPL-3.0-or-later
# test_cli - what people type, what is printed where, and exit statuses.

import json
import os
import re

from e2e.scenario import EX_USAGE, only
from peers import nginx, sockets


@only("root")
def test_help_and_version(t):
    done = t.tool("--help").ok()
    t.has(done.text, "run", "ca", "--version")
    t.equal(done.said, "", "standard error")
    t.true(re.fullmatch(r"apptap \d+\.\d+(\.\d+)?\n", t.tool("--version").ok().text), "the version")
    done = t.tool("run", "--help").ok()
    for option in ("-w", "-f", "-s", "-U", "-q", "-v", "--keylog", "--flows", "--mtu", "--tls", "--insecure",
                   "--upstream-ca", "--no-wait"):
        t.has(done.text, option)


@only("root")
def test_wrong_usage(t):
    for line in ([], ["nonsense"], ["run"], ["run", "--"], ["run", "--nonsense", "true"], ["run", "-w"],
                 ["run", "--mtu", "12", "true"], ["run", "--mtu", "x", "true"], ["run", "--mtu", "99999", "true"],
                 ["run", "-s", "x", "true"], ["run", "-s", "-5", "true"], ["run", "--tls", "sometimes", "true"],
                 ["run", "-c", "5", "true"], ["run", "-w", "x", "-W", "2", "true"], ["run", "-w", "-", "-C", "1", "true"],
                 ["run", "-w", "x", "-C", "0", "true"], ["run", "-w", "x", "-C", "1x", "true"],
                 ["run", "--only-pid", "curl", "true"], ["run", "-w", "x", "-z", "gzip", "true"], ["run", "--linktype", "raw", "true"], ["run", "--plaintext-port", "443", "true"],
                 ["run", "--plaintext-port", "0:80", "true"], ["ca"], ["ca", "nonsense"]):
        done = t.tool(*line)
        t.equal(done.status, EX_USAGE, f"the status of {line}")
        t.equal(done.text, "", f"standard output of {line}")
        t.true(done.said.strip(), f"{line} is told what is wrong")


def test_bad_filter(t):
    done = t.tap(["echo", "ran"], options=["-f", "prot tcp ((", "-w", f"{t.folder}/x.pcapng"], flows=False)
    t.only_apptap()
    t.true(done.status not in (0, 86), "it does not start")
    t.equal(done.text, "", "the command did not run")


def test_bad_upstream_ca(t):
    t.only_apptap()
    with open(f"{t.folder}/junk.pem", "w") as file:
        file.write("junk\n")
    for path in "/nonexistent.pem", f"{t.folder}/junk.pem":
        done = t.tool("run", "--upstream-ca", path, "echo", "ran")
        t.true(done.status not in (0, 86), f"{path} is refused")
        t.has(done.said, path)
        t.equal(done.text, "", "the command did not run")


def test_exit_statuses(t):
    for status in 0, 1, 7, 74, 255:
        t.equal(t.tap(["sh", "-c", f"exit {status}"]).status, status, "status")


def test_exit_by_signal(t):
    for number in 15, 9, 6, 2:
        done = t.tap(["sh", "-c", f"ulimit -c 0; kill -{number} $$"])
        t.equal(done.status, -number if done.direct else 128 + number, "status")


def test_command_that_cannot_run(t):
    t.only_apptap()
    plain = f"{t.home}/plain"
    with open(plain, "w") as file:
        file.write("text\n")
    for command, status in ((["/nonexistent/program"], 127), (["nonexistent-program"], 127), ([plain], 126), (["/tmp"], 126)):
        done = t.tap(command)
        t.equal(done.status, status, f"the status of {command}")
        t.has(done.said, command[0])


def test_options_after_the_command_are_its_own(t):
    t.only_apptap()
    t.equal(t.tool("run", "echo", "-w", "--help", "-q").ok().text, "-w --help -q\n", "output")
    t.equal(t.tool("run", "-q", "--", "echo", "--", "-w").ok().text, "-- -w\n", "output")


def test_standard_streams(t):
    """Input, output and error are the command's own, bytes unchanged."""
    data = bytes(range(256)) * 4096
    done = t.tap(["cat"], stdin=data).ok()
    t.equal(done.stdout, data, "output")
    done = t.tap(["sh", "-c", "echo to-error >&2"]).ok()
    t.has(done.said, "to-error\n")
    t.equal(done.text, "", "output")


def test_flow_line_and_summary(t):
    t.keep(nginx.serve(t))
    t.only_apptap()
    done = t.tap(["curl", "-sS", "https://localhost:8443/hello"], options=["-v"]).ok()
    t.has(done.said, "curl", "localhost", "8443", "TLSv1.3", "opened")
    t.equal(done.text, "hello from 8443 over HTTP/1.1\n", "standard output is curl's alone")


def test_quiet(t):
    t.only_apptap()
    t.keep(nginx.serve(t))
    done = t.tap(["curl", "-sS", "https://localhost:8443/hello"], options=["-q"]).ok()
    t.equal(done.said, "", "standard error")


FLOW_KEYS = {"id", "protocol", "app", "destination", "started", "duration", "sent", "received", "verdict", "close", "process"}


def test_flows_file(t):
    """JSON lines with the documented fields."""
    t.keep(nginx.serve(t))
    done = t.tap(["curl", "-sS", "https://localhost:8443/hello", "http://localhost/hello"]).ok()
    flows = [f for f in done.flows if f["protocol"] == "tcp"]
    t.equal(len(flows), 2, "flows")
    for flow in flows:
        t.equal(FLOW_KEYS - set(flow), set(), "missing keys")
        t.true(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", flow["started"]), flow["started"])
        t.true(0 <= flow["duration"] < 20, f"duration {flow['duration']}")
        t.true(flow["sent"] > 50 and flow["received"] > 100, "bytes are counted")
        t.equal(flow["close"], "finished", "close")
    t.equal(sorted(f["destination"] for f in flows), ["127.0.0.1:80", "127.0.0.1:8443"], "destinations")
    t.equal(len({f["id"] for f in flows}), 2, "ids differ")


def test_flows_file_that_cannot_be_written(t):
    t.only_apptap()
    done = t.tap(["echo", "ran"], flows=False, options=["--flows", "/nonexistent/flows"])
    t.true(done.status not in (0, 86), "it says no")
    t.has(done.said, "/nonexistent/flows")


def test_bytes_are_counted(t):
    def talk(connection):
        size = 0
        while size < 1000:
            size += len(connection.recv(65536))
        connection.sendall(b"y" * 5000)
    server = t.keep(sockets.Server(t, talk))
    done = t.tap(t.python("""
        import socket, sys
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        s.sendall(b"\\0" * 1000)
        got = 0
        while got < 5000: got += len(s.recv(65536))
        """, server.port)).ok()
    flow = done.flow(protocol="tcp")
    t.equal((flow["sent"], flow["received"]), (1000, 5000), "sent and received")


def test_keylog_is_private(t):
    t.only_apptap()
    t.keep(nginx.serve(t))
    path = f"{t.home}/keys"
    t.tap(["curl", "-sS", "https://localhost:8443/hello"], options=["--keylog", path]).ok()
    t.equal(os.stat(path).st_mode & 0o777, 0o600, "the mode")
    with open(path) as file:
        lines = [line.split() for line in file if not line.startswith("#")]
    t.true(lines and all(len(line) == 3 for line in lines), "lines of three words")
    t.true({"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"} <= {line[0] for line in lines}, "the secrets' names")


def test_nothing_is_left_in_the_folder(t):
    """No file beside those asked for, none in TMPDIR."""
    t.only_apptap()
    place = f"{t.home}/empty"
    os.mkdir(place)
    os.chmod(place, 0o777)
    t.tap(["true"], cwd=place, env={"TMPDIR": place}).ok()
    t.equal(os.listdir(place), [], "files")


def test_readable_json(t):
    """A name with quotes and bytes that are no text still make valid lines."""
    server = t.keep(sockets.Server(t, sockets.echo))
    code = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); s.sendall(b'x'); s.recv(1)"
    done = t.tap(["/usr/bin/python3", "-c", code, str(server.port), 'quo"te\n\\', b"\xff\xfe"]).ok()
    t.has(json.dumps(done.flow(protocol="tcp")["process"]["arguments"]), 'quo')
