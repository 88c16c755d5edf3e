# SPDX-License-Identifier: GPL-3.0-or-later
# test_local_change - another spec while `apptap local` runs, and another namespace.

import os
import signal
import subprocess

from e2e.local import Local, ask, copy_of_python
from e2e.scenario import only
from e2e.world import write
from peers import sockets


def upper(connection):
    connection.sendall(connection.recv(99).upper())


def names(flows):
    return [f["process"]["name"] for f in flows]


@only("root", limit=60)
def test_a_line_is_another_spec(t):
    """What is typed holds from then on, as a whole; what is wrong changes nothing."""
    one, other = copy_of_python(t, "typed-one"), copy_of_python(t, "typed-other")
    server = t.keep(sockets.Server(t, upper))
    local = Local(t, "typed-one", stdin=subprocess.PIPE)

    def say(text, answer):
        local.process.stdin.write(text.encode())
        local.process.stdin.flush()
        return local.hear(answer)

    def ask_both():
        t.equal([ask(t, p, "127.0.0.1", server.port) for p in (one, other)], ["HELLO", "HELLO"], "answers")

    ask_both()
    say("typed-other\n", "tapping typed-other from now on")
    ask_both()
    say("typed-one,,\n", "^")
    ask_both()
    say("  \n typed-one , typed-other \n", "from now on")
    ask_both()
    # The end of standard input is not the end.
    local.process.stdin.close()
    ask_both()
    t.equal(names(local.end()), ["typed-one", "typed-other", "typed-other", "typed-one", "typed-other", "typed-one",
                                 "typed-other"], "whose flows")


@only("root", limit=60)
def test_hangup_reads_the_file_again(t):
    one, other = copy_of_python(t, "filed-one"), copy_of_python(t, "filed-other")
    server = t.keep(sockets.Server(t, upper))
    write("specs", "# who is tapped\n\nfiled-one,\n!no-such-program\n")
    local = Local(t, None, "--spec-file", f"{t.folder}/specs")

    def ask_both():
        t.equal([ask(t, p, "127.0.0.1", server.port) for p in (one, other)], ["HELLO", "HELLO"], "answers")

    ask_both()
    # As editors write: another file under the same name.
    write("specs.new", "filed-other\n")
    os.rename("specs.new", "specs")
    local.process.send_signal(signal.SIGHUP)
    local.hear("tapping filed-other from now on")
    ask_both()
    write("specs", "!\n")
    local.process.send_signal(signal.SIGHUP)
    local.hear("^")
    ask_both()
    t.equal(names(local.end()), ["filed-one", "filed-other", "filed-other"], "whose flows")


@only("root", limit=60)
def test_wrong_spec_files(t):
    t.only_apptap()
    write("specs", "# nobody\n")
    for path, words in (f"{t.folder}/specs", "no spec"), (f"{t.folder}/none", "No such file"):
        done = t.tool("local", "--spec-file", path)
        t.equal(done.status, 64, "status")
        t.has(done.said, path, words)
    done = t.tool("local", "--spec-file", f"{t.folder}/specs", "curl")
    t.equal(done.status, 64, "status with both")
    t.has(done.said, "not in both")


@only("root", limit=60)
def test_another_namespace(t):
    """--netns taps programs in a container's namespace, with its addresses, by its PID;
    the same program outside is left alone."""
    program = copy_of_python(t, "in-a-container")
    inside = t.popen(["unshare", "-n", "sh", "-c", "ip link set lo up; ip addr add 192.0.2.7/32 dev lo; echo up; "
                      f"exec {program} -u -c 'import socketserver as s\n"
                      "class H(s.BaseRequestHandler):\n"
                      "  def handle(self): self.request.sendall(self.request.recv(99).upper())\n"
                      "t = s.ThreadingTCPServer((\"192.0.2.7\", 4040), H)\n"
                      "print(\"listening\"); t.serve_forever()'"], t.environment() | {"PYTHONHOME": "/usr"})
    t.equal([inside.stdout.readline(), inside.stdout.readline()], [b"up\n", b"listening\n"], "the container")
    enter = ["nsenter", "-n", "-t", str(inside.pid)]
    outer = t.keep(sockets.Server(t, upper))
    local = Local(t, "in-a-container", "--netns", str(inside.pid))
    t.equal(ask(t, program, "192.0.2.7", 4040, enter), "HELLO", "inside")
    t.equal(ask(t, program, "127.0.0.1", outer.port), "HELLO", "outside")
    flows = local.end()
    t.equal([(f["destination"], f["verdict"], f["received"]) for f in flows], [("192.0.2.7:4040", "relayed", 5)], "flows")


@only("root", limit=60)
def test_out_of_reach_is_said(t):
    """A program of the spec in another network namespace is unharmed, and named once."""
    program = copy_of_python(t, "in-a-container")
    server = t.keep(sockets.Server(t, upper))
    local = Local(t, "in-a-container")
    shell = ["unshare", "-n", "sh", "-c", f"ip link set lo up; exec {program} -u -c 'import os, socket\n"
             "s = socket.create_server((\"127.0.0.1\", 4040))\n"
             "for n in range(3):\n"
             "  c = socket.create_connection((\"127.0.0.1\", 4040)); p = s.accept()[0]\n"
             "  c.sendall(b\"inside\"); print(p.recv(9).decode(), os.getpid())'"]
    done = subprocess.run(shell, env=t.environment() | {"PYTHONHOME": "/usr"}, stdout=subprocess.PIPE, text=True, timeout=20)
    said = set(done.stdout.split())
    t.true(len(said) == 2 and "inside" in said, f"it spoke with itself: {done.stdout}")
    pid = (said - {"inside"}).pop()
    local.hear(f"in-a-container ({pid}) is in another network namespace and left alone; --netns {pid}")
    t.equal(ask(t, program, "127.0.0.1", server.port), "HELLO", "here")
    t.equal(names(local.end()), ["in-a-container"], "whose flows")
    t.equal("".join(local.said).count("another network namespace"), 1, "how often it is said")


@only("root")
def test_no_such_namespace(t):
    done = t.tool("local", "--netns", "no-such-namespace", "curl")
    t.equal(done.status, 69, "status")
    t.has(done.said, "no-such-namespace", "ip netns")
