# SPDX-License-Identifier: GPL-3.0-or-later
# test_namespace - the command's surroundings: as outside, and everything reachable as from outside.

import json
import os
import pty
import resource
import select
import signal
import subprocess
import termios

from e2e import wireshark, world
from e2e.scenario import NOBODY, PYTHON, Failure, Skip, only
from peers import dns, sockets

SURROUNDINGS = """
import json, os, resource, signal, sys
status = dict(l.split(":\\t", 1) for l in open("/proc/self/status").read().splitlines() if ":\\t" in l)
print(json.dumps({
    "uids": os.getresuid(), "gids": os.getresgid(), "groups": os.getgroups(), "umask": status["Umask"],
    "folder": os.getcwd(), "nice": os.nice(0),
    "limits": {n: resource.getrlimit(getattr(resource, n)) for n in dir(resource) if n.startswith("RLIMIT_")},
    "ignored": status["SigIgn"], "blocked": status["SigBlk"], "caught": status["SigCgt"],
    "descriptors": {d: os.readlink("/proc/self/fd/" + d) for d in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + d)},
    "ports": [open("/proc/sys/net/ipv4/ip_local_" + n).read() for n in ("port_range", "reserved_ports")],
    "environment": dict(os.environ), "tty": [os.isatty(d) for d in (0, 1, 2)],
    "no_new_privileges": status["NoNewPrivs"], "seccomp": status["Seccomp"], "dumpable": os.access("/proc/self/environ", os.R_OK),
}))
"""
# What trust needs of the environment, and nothing else.
OF_TRUST = {"SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "DENO_CERT", "GIT_SSL_CAINFO",
            "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE", "PERL_LWP_SSL_CA_FILE", "HTTPS_CA_FILE", "JAVA_TOOL_OPTIONS", "DENO_TLS_CA_STORE",
            "PIP_CERT", "NIX_SSL_CERT_FILE", "HTTPLIB2_CA_CERTS", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE"}


def surroundings(t, straight, **kw):
    if kw.get("prepare"):
        kw["preexec_fn"] = kw.pop("prepare")
    return json.loads(t.tap([PYTHON, "-S", "-c", SURROUNDINGS], straight=straight, trusting=False, **kw).ok().text)


def equal_surroundings(t, **kw):
    outside, inside = surroundings(t, True, **kw), surroundings(t, False, **kw)
    added = set(inside["environment"]) - set(outside["environment"])
    t.true(added <= OF_TRUST, f"only trust's variables are added: {added - OF_TRUST}")
    for name in added:
        del inside["environment"][name]
    for place in outside, inside:    # pipes of its own each time
        place["descriptors"] = {d: v.split(":[")[0] for d, v in place["descriptors"].items()}
    for name in outside:
        t.equal(inside[name], outside[name], name)
    return inside


def test_surroundings(t):
    equal_surroundings(t)


def test_surroundings_unusual(t):
    """Another folder, umask, limits, signals ignored and blocked, as a parent may give them."""
    place = f"{t.home}/else where"
    os.mkdir(place)
    os.chmod(place, 0o777)

    def prepare():
        os.umask(0o027)
        os.nice(3)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number in signal.SIGPIPE, signal.SIGCHLD, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGALRM, signal.SIGCHLD, signal.SIGTERM})
    found = equal_surroundings(t, cwd=place, prepare=prepare)
    t.equal(found["folder"], place, "folder")
    t.equal(found["umask"], "0027", "umask")


@only("root")
def test_supplementary_groups(t):
    def prepare():
        os.setgroups([4, 24, 65534])
    t.equal(equal_surroundings(t, prepare=prepare)["groups"], [4, 24, 65534], "groups")


def test_descriptors(t):
    """0 to 2 and those given, exactly: none of ours, none of theirs lost."""
    with open(f"{t.folder}/given", "w+") as given:
        def prepare():
            os.dup2(given.fileno(), 3, inheritable=True)
            os.dup2(given.fileno(), 77, inheritable=True)
        found = equal_surroundings(t, prepare=prepare, close_fds=False)
    t.equal({"0", "1", "2", "3", "77"} - set(found["descriptors"]), set(), "missing descriptors")


def test_closed_standard_streams(t):
    """A parent that closed 0 and 2: the command has them closed, and no file of ours takes their place."""
    code = "import os; print([d for d in (0, 2) if os.path.exists(f'/proc/self/fd/{d}')])"
    for straight in True, False:
        running = t.start([PYTHON, "-S", "-c", code], straight=straight,
                          preexec_fn=lambda: (os.close(0), os.close(2)))
        done = running.wait()
        t.equal((done.status, done.text), (0, "[]\n"), "what is open")


def test_process_tree_of_the_host(t):
    """/proc shows the host's processes, the runner's among them."""
    done = t.tap(["sh", "-c", "cat /proc/1/comm; readlink /proc/self/ns/pid"]).ok()
    with open("/proc/1/comm") as file:
        t.equal(done.text, file.read() + os.readlink("/proc/self/ns/pid") + "\n", "process 1")


# --- who answers where ---

REACH = """
import socket, sys
for place in sys.argv[1:]:
    address, _, port = place.rpartition(":")
    s = socket.create_connection((address, int(port)), 10)
    s.sendall(b"\\0hello")
    got = b""
    while len(got) < 6: got += s.recv(99)
    assert got == b"\\0hello", got
    assert s.getpeername()[1] == int(port) and s.getpeername()[0] in (address, "127.0.0.1"), s.getpeername()
    s.close()
print("reached")
"""


def reach(t, *places):
    done = t.tap(t.python(REACH, *(f"{a}:{p}" for a, p in places))).ok()
    t.equal(done.text, "reached\n", "output")
    return done


def test_loopback_of_the_host(t):
    server = t.keep(sockets.Server(t, sockets.echo))
    reach(t, ("127.0.0.1", server.port))


def test_other_loopback_addresses(t):
    nine = t.keep(sockets.Server(t, sockets.echo, "127.0.0.9"))
    every = t.keep(sockets.Server(t, sockets.echo, "0.0.0.0"))
    reach(t, ("127.0.0.9", nine.port), ("127.77.1.2", every.port), ("0.0.0.0", every.port))


def test_loopback_v6(t):
    server = t.keep(sockets.Server(t, sockets.echo, "::1"))
    done = t.tap(t.python(REACH, f"::1:{server.port}"))
    if done.status and "::1" in done.said.replace(f"::1:{server.port}", ""):
        raise Skip(f"apptap says that ::1 cannot be had here: {done.said.strip()[:200]}")
    done.ok()


def test_own_addresses_of_the_host(t):
    four = t.keep(sockets.Server(t, sockets.echo, world.OUTSIDE4))
    six = t.keep(sockets.Server(t, sockets.echo, world.OUTSIDE6))
    reach(t, (world.OUTSIDE4, four.port), (world.OUTSIDE6, six.port))


def test_listener_inside_wins(t):
    """A server inside on a port that the host's 127.0.0.1 serves too."""
    outside = t.keep(sockets.Server(t, lambda c: c.sendall(b"outside")))
    code = """
        import socket, sys, threading
        port = int(sys.argv[1])
        host = socket.create_connection(("127.0.0.1", port)).recv(99) if sys.argv[2] == "tapped" else b"outside"
        listener = socket.create_server(("127.0.0.1", port if sys.argv[2] == "tapped" else 0))
        port = listener.getsockname()[1]
        threading.Thread(target=lambda: listener.accept()[0].sendall(b"inside"), daemon=True).start()
        print(host.decode(), socket.create_connection(("127.0.0.1", port)).recv(99).decode())
        """
    done = t.tap(t.python(code, outside.port, "direct" if t.direct_mode else "tapped")).ok()
    t.equal(done.text, "outside inside\n", "who answered, before and after")


INSIDE = """
import socket, sys, threading
address = sys.argv[1]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
listener = socket.create_server((address, 0), family=family)
def serve():
    c, _ = listener.accept()
    while d := c.recv(65536): c.sendall(d)
    c.close()
threading.Thread(target=serve, daemon=True).start()
c = socket.create_connection(listener.getsockname()[:2], 10)
data = bytes(1 << 20)
threading.Thread(target=lambda: (c.sendall(data), c.shutdown(socket.SHUT_WR))).start()
got = 0
while d := c.recv(65536): got += len(d)
assert got == len(data)
a, b = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
a.bind((address, 0)); b.settimeout(5); a.settimeout(5)
b.sendto(b"there", a.getsockname()); d, p = a.recvfrom(99); a.sendto(d + b" and back", p)
assert b.recv(99) == b"there and back"
print("met")
"""


def test_both_ends_inside(t):
    """Server and client inside, TCP and UDP, a megabyte both ways."""
    t.equal(t.tap(t.python(INSIDE, "127.0.0.1")).ok().text, "met\n", "output")


def test_both_ends_inside_v6(t):
    t.equal(t.tap(t.python(INSIDE, "::1")).ok().text, "met\n", "output")


# --- names ---

def test_resolver_on_loopback(t):
    t.keep(dns.serve(t))
    done = t.tap(t.python("""
        import socket
        print(sorted({a[4][0] for a in socket.getaddrinfo("far.test", 80)}))
        try: socket.getaddrinfo("nowhere.test", 80)
        except socket.gaierror as e: print(e.errno == socket.EAI_NONAME)
        """), capture=True).ok()
    t.equal(done.text, f"{sorted([world.OUTSIDE4, world.OUTSIDE6])}\nTrue\n", "addresses")
    t.has(wireshark.column(done.capture, "dns.flags.response == 1", "dns.qry.name"), "far.test", "nowhere.test")
    t.true(any(f["protocol"] == "udp" and f["destination"] == "127.0.0.53:53" for f in done.flows), "a flow to the resolver")


def test_no_resolver(t):
    """Nobody on the resolver's port: an error at once, as without us."""
    code = "import socket, time; b = time.monotonic()\ntry: socket.getaddrinfo('x.test', 1)\nexcept socket.gaierror as e: print(e.errno, time.monotonic() - b < 2)"
    straight, tapped = t.straight([PYTHON, "-c", code]), t.tap([PYTHON, "-c", code])
    t.equal(tapped.text, straight.text, "error")


# --- ping ---

def test_ping(t):
    t.need("ping")
    for address in "127.0.0.1", world.OUTSIDE4, world.OUTSIDE6:
        straight = t.straight(["ping", "-n", "-c", "2", "-i", "0.2", "-W", "3", address])
        if straight.status:
            raise Skip(f"ping does not work here at all: {straight.said}")
        done = t.tap(["ping", "-n", "-c", "2", "-i", "0.2", "-W", "3", "-s", "100", address]).ok()
        t.has(done.text, "2 received")


def test_ping_with_nobody_there(t):
    t.need("ping")
    hole = world.dig_hole()
    done = t.tap(["ping", "-n", "-c", "1", "-W", "1", world.HOLE4])
    t.equal(done.status, 1, "ping's status")
    t.has(done.text, "0 received")
    os.close(hole)


# --- the end ---

def test_daemon_is_waited_for(t):
    """A process left behind is named, served, and waited for."""
    t.only_apptap()
    server = t.keep(sockets.Server(t, sockets.echo))
    code = t.python(REACH, f"127.0.0.1:{server.port}")
    with open(f"{t.home}/client.py", "w") as file:
        file.write(code[2])
    gate = f"{t.home}/gate"
    os.mkfifo(gate)
    os.chmod(gate, 0o666)
    running = t.start(["sh", "-c", f"(read x <{gate}; exec {PYTHON} {t.home}/client.py 127.0.0.1:{server.port}) & exit 5"])
    running.expect("wait", "stderr")
    t.true(running.process.poll() is None, "apptap waits")
    with open(gate, "w") as file:
        file.write("go\n")
    done = running.wait()
    t.equal((done.status, done.text), (5, "reached\n"), "the command's status, the daemon's words")


def test_no_wait(t):
    """--no-wait: apptap leaves with the command."""
    t.only_apptap()
    running = t.start(["sh", "-c", "sleep 1000 >/dev/null 2>&1 </dev/null & exit 5"], options=["--no-wait"])
    t.equal(running.wait(10).status, 5, "status")


def test_double_fork_belongs(t):
    """setsid and a second fork do not get out of the tunnel."""
    server = t.keep(sockets.Server(t, sockets.echo))
    with open(f"{t.home}/client.py", "w") as file:
        file.write(REACH)
    done = t.tap(["sh", "-c", f"(setsid sh -c '{PYTHON} {t.home}/client.py 127.0.0.1:{server.port} & wait') & wait"]).ok()
    t.equal(done.text, "reached\n", "output")
    t.equal(done.flow(protocol="tcp")["verdict"], "relayed", "verdict")


# --- signals and the terminal ---

TRAP = "trap 'echo got {0}; exit 3' {0}; echo ready; while :; do sleep 0.05; done"


def test_signals_are_passed_on(t):
    for name in "TERM", "INT", "HUP", "QUIT", "USR1", "USR2":
        running = t.start(["sh", "-c", TRAP.format(name)])
        running.expect("ready")
        running.signal(getattr(signal, f"SIG{name}"))
        done = running.wait()
        t.equal((done.status, done.text), (3, f"ready\ngot {name}\n"), f"SIG{name}")


def test_sigterm_ends_it(t):
    running = t.start(["sh", "-c", "echo ready; exec sleep 1000"])
    running.expect("ready")
    running.signal(signal.SIGTERM)
    t.equal(running.wait().status, -15 if running.direct else 143, "status")


def on_a_terminal(t, command, talk):
    """Runs apptap as a shell would: its session's terminal is a pty. Returns status and what was shown."""
    master, slave = pty.openpty()
    line = command if t.direct_mode else [t.apptap, "run", "-q", "--", *command]
    process = subprocess.Popen(t.as_user(line), env=t.environment(), stdin=slave, stdout=slave, stderr=slave,
                               start_new_session=True, preexec_fn=lambda: __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0))
    t.stack.callback(t.stop, process)
    os.close(slave)
    shown = b""
    while True:
        if not select.select([master], [], [], 15)[0]:
            raise Failure(f"the terminal is silent after {shown!r}")
        try:
            shown += os.read(master, 4096)
        except OSError:
            break
        talk(master, shown)
    os.close(master)
    return process.wait(15), shown.decode().replace("\r\n", "\n")


def test_terminal(t):
    """The command is the terminal's foreground and may read from it."""
    sent = []

    def talk(master, shown):
        if b"ready" in shown and not sent:
            sent.append(os.write(master, b"typed\n"))
    code = "import os; print(os.tcgetpgrp(0) == os.getpgrp(), os.ttyname(0) != ''); print('ready', flush=True); print('read', input())"
    status, shown = on_a_terminal(t, [PYTHON, "-c", code], talk)
    t.equal(status, 0, f"status; shown {shown}")
    t.has(shown, "True True", "read typed")


def test_interrupt_from_the_keyboard(t):
    """Ctrl-C reaches the command once, and apptap ends as the command does."""
    sent = []

    def talk(master, shown):
        if b"ready" in shown and not sent:
            sent.append(os.write(master, b"\x03"))
    status, shown = on_a_terminal(t, ["sh", "-c", "n=0; trap 'n=$((n+1))' INT; echo ready; sleep 0.5; sleep 0.3; echo count $n; exit 9"], talk)
    t.equal(status, 9, f"status; shown {shown}")
    t.has(shown, "count 1")
    sent.clear()
    status, shown = on_a_terminal(t, ["sh", "-c", "echo ready; exec sleep 1000"], talk)
    t.true(status in ((130, -2) if not t.direct_mode else (-2,)), f"status {status}")


def test_stop_and_continue(t):
    """Ctrl-Z and a continue do not lose the command."""
    running = t.start(["sh", "-c", "echo ready; read x; echo read $x"], stdin=subprocess.PIPE)
    running.expect("ready")
    running.signal(signal.SIGTSTP)
    running.signal(signal.SIGCONT)
    running.say("words\n")
    running.process.stdin.close()
    t.equal(running.wait().ok().text, "ready\nread words\n", "output")


# --- killed ---

def other_processes():
    """All but the runner's own: process 1 and the test with its threads' parent."""
    return {int(p): open(f"/proc/{p}/comm").read().strip() for p in os.listdir("/proc")
            if p.isdigit() and int(p) not in (1, os.getpid()) and "State:\tZ" not in open(f"/proc/{p}/status").read()}


def safe(function):
    def look():
        try:
            return function()
        except (FileNotFoundError, ProcessLookupError):
            return None
    return look


def test_sigkill_leaves_nothing(t):
    """apptap dies unasked: no process, device, mount or namespace stays."""
    t.only_apptap()
    server = t.keep(sockets.Server(t, sockets.echo))
    with open("/proc/self/mountinfo") as file:
        mounts = file.read()
    links = subprocess.run(["ip", "-br", "link"], stdout=subprocess.PIPE, check=True).stdout
    running = t.start(t.python("""
        import os, signal, socket, sys, time
        for s in signal.SIGTERM, signal.SIGHUP, signal.SIGINT: signal.signal(s, signal.SIG_IGN)
        if os.fork() == 0: os.setsid(); time.sleep(1000)
        c = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); c.sendall(b"\\0"); c.recv(1)
        print(os.readlink("/proc/self/ns/net"), flush=True)
        time.sleep(1000)
        """, server.port))
    inside = running.expect("net:[").strip()
    t.true(inside != os.readlink("/proc/self/ns/net"), "the command has a namespace of its own")
    running.signal(signal.SIGKILL)
    running.process.wait()
    t.until(safe(lambda: other_processes() == {} and "none"), "every process is gone")
    with open("/proc/self/mountinfo") as file:
        t.equal(file.read(), mounts, "mounts")
    t.equal(subprocess.run(["ip", "-br", "link"], stdout=subprocess.PIPE, check=True).stdout, links, "devices")
    server.join(10)


def test_normal_end_leaves_nothing(t):
    t.only_apptap()
    t.tap(["true"]).ok()
    t.until(safe(lambda: other_processes() == {} and "none"), "every process is gone")


def test_command_is_killed_with_apptap_terminated(t):
    """The keeper is killed: apptap says so and ends, and so does the command."""
    t.only_apptap()
    running = t.start(["sh", "-c", "echo ready; exec sleep 1000"])
    running.expect("ready")
    children = [p for p in other_processes() if f"PPid:\t{running.pid}\n" in open(f"/proc/{p}/status").read()]
    t.true(children, "apptap has a child, the keeper")
    for child in children:
        os.kill(child, signal.SIGKILL)
    done = running.wait(15)
    t.true(done.status != 0, f"status {done.status}")
    t.until(safe(lambda: other_processes() == {} and "none"), "every process is gone")


# --- locked doors ---

@only("user")
def test_tunnel_device_is_locked(t):
    t.only_apptap()
    os.chmod("/dev/net/tun", 0o600)
    try:
        done = t.tap(["echo", "ran"])
    finally:
        os.chmod("/dev/net/tun", 0o666)
    t.true(done.status not in (0, 86), "status")
    t.has(done.said, "/dev/net/tun")
    t.true(len(done.said.strip().splitlines()) <= 3, f"one clear sentence: {done.said}")
    t.equal(done.text, "", "the command did not run")


@only("root")
def test_user_namespaces_are_locked(t):
    """As where the kernel forbids them: said in a sentence."""
    t.only_apptap()
    line = ["unshare", "-Ur", "sh", "-c", "echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all "
            "--inh-caps=-all --ambient-caps=-all -- \"$@\"", "sh", t.apptap, "run", "echo", "ran"]
    process = t.popen(line, t.environment())
    out, said = process.communicate(timeout=20)
    t.true(process.returncode not in (0, 86), f"status {process.returncode}")
    t.has(said.decode(), "user namespace")
    t.equal(out, b"", "the command did not run")


@only("user")
def test_runs_as_the_caller(t):
    """whoami, the owner of a file it makes, and no capability that it had not."""
    done = t.tap(["sh", "-c", "id -u; id -g; touch $HOME/made; stat -c %u $HOME/made; grep CapEff /proc/self/status"]).ok()
    t.equal(done.text.split()[:3], [str(NOBODY)] * 3, "uid, gid, owner")
    t.equal(int(done.text.split()[-1], 16), 0, "effective capabilities")


@only("root")
def test_nested(t):
    """apptap in apptap: both see the flow."""
    t.only_apptap()
    server = t.keep(sockets.Server(t, sockets.echo))
    done = t.tap([t.apptap, "run", "-q", "--flows", f"{t.home}/inner", "--", *t.python(REACH, f"127.0.0.1:{server.port}")]).ok()
    t.has(done.text, "reached")
    with open(f"{t.home}/inner") as file:
        t.equal(json.loads(file.readline())["verdict"], "relayed", "the inner one's verdict")
