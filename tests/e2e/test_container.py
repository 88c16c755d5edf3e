# SPDX-License-Identifier: GPL-3.0-or-later
# test_container - programs in real containers: whose a flow is, and which container's.

import json
import os
import subprocess

from e2e import container, wireshark, world
from e2e.local import Local, copy_of_python, upper
from e2e.scenario import only
from peers import nginx, sockets

# Waits for a line, then connects, and says who it takes itself for.
ASKS = """
import os, socket, sys
print("ready", flush=True)
sys.stdin.readline()
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
s.sendall(b"hello"); print(s.recv(99).decode(), os.getpid(), flush=True)
"""


# Serves itself, on an address that only its own network has.
SERVES = """
import socket, sys, threading
listener = socket.create_server(("127.0.0.1", 0))
def serve():
    peer = listener.accept()[0]; peer.sendall(peer.recv(99).upper())
threading.Thread(target=serve, daemon=True).start()
sys.argv[1:] = listener.getsockname()
print(listener.getsockname()[1], flush=True)
""" + ASKS


def identify(t, capture, flow, program, name, port):
    process = flow["process"]
    t.equal(process.get("container"), name, "container in the flow log")
    t.equal((process["name"], process["path"]), (program, f"{container.PLACE}/{program}"), "name and path")
    t.has(process["arguments"], f"{container.PLACE}/{program} -c", *([f"127.0.0.1 {port}"] if port else []))
    wireshark.sound(capture)
    comment, interface = wireshark.rows(capture, f'frame.comment contains " {program}["', "frame.comment",
                                        "frame.interface_name")[0]
    t.has(comment, f" {program}[{process['pid']}] {container.PLACE}/{program} ", f" container {name}: ")
    t.has(interface, f"{program}[{process['pid']}]")


def run(t, engine, *more):
    identity = os.urandom(32).hex()
    server = t.keep(sockets.Server(t, upper))
    program = os.path.basename(copy_of_python(t, "in-a-container"))
    command = engine.command([f"{container.PLACE}/{program}", "-c", ASKS, "127.0.0.1", server.port], identity, *more)
    done = t.tap(command, capture=True, stdin=b"\n").ok()
    said, answer = done.text.splitlines()
    t.equal((said, answer.split()[0]), ("ready", "HELLO"), "what it says")
    t.true(int(answer.split()[1]) < 3, f"its number in there: {answer}")
    identify(t, done.capture, done.flow(protocol="tcp"), program, engine.named(identity), server.port)


# Where engines put a container's processes: docker and podman with a driver each, containerd,
# Kubernetes, and one container in another.
GROUPS = ["/docker/{}", "/system.slice/docker-{}.scope", "/machine.slice/libpod-{}.scope/container", "/default/{}",
          "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod01234567_89ab_cdef_0123_456789abcdef.slice/"
          "cri-containerd-{}.scope", "/docker/" + "f" * 64 + "/docker/{}"]


def local(t, name, layout):
    """They run before it comes."""
    layout()
    runtime = container.Runtime(t, name)
    server = t.keep(sockets.Server(t, upper))
    wanted = []
    for n, group in enumerate(GROUPS):
        identity, program = os.urandom(32).hex(), os.path.basename(copy_of_python(t, f"in-container-{n}"))
        command = runtime.command([f"{container.PLACE}/{program}", "-c", ASKS, "127.0.0.1", server.port], identity, group.format(identity))
        process = t.popen(command, t.environment(), stdin=subprocess.PIPE)
        t.equal(process.stdout.readline(), b"ready\n", "the program")
        wanted.append((program, identity, process))
    tap = Local(t, "in-container-")
    for program, identity, process in wanted:
        t.equal(process.communicate(b"\n", timeout=20), (b"HELLO 1\n", b""), "what it says")
    flows = {f["process"]["name"]: f for f in tap.end()}
    for program, identity, process in wanted:
        identify(t, tap.capture, flows[program], program, identity[:12], server.port)


@only("root", limit=60)
def test_run_runc(t):
    run(t, container.Runtime(t, "runc"))


@only("root", limit=60)
def test_run_crun(t):
    container.version_2()
    run(t, container.Runtime(t, "crun"))


@only("root", limit=60)
def test_run_tls(t):
    """It trusts what it is given; its own store is not this machine's."""
    t.need("curl")
    t.keep(nginx.serve(t))
    runtime, identity = container.Runtime(t, "runc"), os.urandom(32).hex()
    world.write(f"{t.home}/ca.pem", t.tool("ca", "export").ok().text)
    ask = ["curl", "-sS", "--cacert", f"{container.PLACE}/ca.pem", "https://localhost/hello"]
    done = t.tap(runtime.command(ask, identity, f"/docker/{identity}"), capture=True).ok()
    t.equal(done.text, "hello from 443 over HTTP/2.0\n", "the answer")
    flow = next(f for f in done.flows if f["destination"].endswith(":443"))
    t.equal((flow["verdict"], flow["process"]["name"], flow["process"]["container"]), ("opened", "curl", identity[:12]), "flow")
    t.equal(len(wireshark.rows(done.capture, 'http2.data.data contains "hello from 443"', "frame.number")), 1, "what Wireshark opens")


@only("root", limit=60)
def test_run_lxc(t):
    run(t, container.Lxc(t, "lxc-execute"))


@only("root", limit=60)
def test_run_podman(t):
    run(t, container.Podman(t, "podman"))


@only("root", limit=60)
def test_local_runc(t):
    local(t, "runc", container.as_it_is)


@only("root", limit=60)
def test_local_runc_version_1(t):
    local(t, "runc", container.version_1)


@only("root", limit=60)
def test_local_crun(t):
    local(t, "crun", container.version_2)


@only("root", limit=60)
def test_local_in_its_network(t):
    """A container's own network, named by the container's first process."""
    runtime, identity = container.Runtime(t, "runc"), os.urandom(32).hex()
    program = os.path.basename(copy_of_python(t, "in-a-container"))
    group = f"/docker/{identity}"
    process = t.popen(runtime.command([f"{container.PLACE}/{program}", "-c", SERVES], identity, group, network=""),
                      t.environment(), stdin=subprocess.PIPE)
    port = int(process.stdout.readline())
    t.equal(process.stdout.readline(), b"ready\n", "the program")
    first = runtime.first(identity)
    row = next(r for r in json.loads(t.tool("processes", "--json").ok().text) if r["pid"] == first)
    t.equal((row["container"], row["network"], row["name"]), (identity[:12], "elsewhere", program), "as `processes` has it")
    t.has(row["cgroup"], group)
    tap = Local(t, program, "--netns", str(first))
    t.equal(process.communicate(b"\n", timeout=20), (b"HELLO 1\n", b""), "what it says")
    flow, = tap.end()
    t.equal((flow["destination"], flow["process"]["pid"]), (f"127.0.0.1:{port}", first), "destination and process")
    identify(t, tap.capture, flow, program, identity[:12], None)
