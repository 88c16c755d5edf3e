# SPDX-License-Identifier: GPL-3.0-or-later
# world - a machine of its own for each test: network, mounts and processes.
#
# A test runs as the only tenant of new network, mount and process namespaces,
# so nothing it sends can leave, ports never collide, and whatever it leaves
# behind (also a tree that ignores signals) is killed by the kernel with the
# namespace's first process. The runner's own death takes the test with it.
#
#   runner --fork--> porter --fork--> first (pid 1) --fork--> the test
#
# The porter exists because unshare(CLONE_NEWPID) counts from the next child.

import contextlib
import ctypes
import faulthandler
import fcntl
import json
import os
import resource
import select
import signal
import stat
import struct
import subprocess
import sys
import time
import traceback

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
PR_SET_PDEATHSIG = 1
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000

# What the machine of a test looks like. The outside addresses stand for hosts
# on the net; `hole` swallows what is sent to it.
OUTSIDE4, OUTSIDE6 = "198.51.100.1", "2001:db8::1"
HOLE4, HOLE6 = "203.0.113.1", "2001:db8:dead::1"
UNREACHABLE4, UNREACHABLE6 = "203.0.113.9", "2001:db8:9::9"
PROHIBITED4, PROHIBITED6 = "203.0.113.13", "2001:db8:13::13"
RESOLVER = "127.0.0.53"

libc = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    """The scenario cannot be played here; says why."""


def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def mount(source, target, kind=None, flags=0, data=None):
    call("mount", *(a.encode() if isinstance(a, str) else a
                    for a in (source, target, kind)), flags, data and data.encode())


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def enter(root):
    """The runner's own mount namespace: `root` becomes a tmpfs, and /dev/net/tun
    a node in it that everybody may open. Nothing is changed outside."""
    call("unshare", CLONE_NEWNS)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("apptap-tests", root, "tmpfs", 0, "mode=755")
    write(f"{root}/resolv.conf", f"nameserver {RESOLVER}\noptions timeout:1 attempts:2\n")
    write(f"{root}/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost\n")
    mount(f"{root}/resolv.conf", os.path.realpath("/etc/resolv.conf"), None, MS_BIND)
    if os.path.exists("/etc/hosts"):
        mount(f"{root}/hosts", os.path.realpath("/etc/hosts"), None, MS_BIND)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        os.mknod(f"{root}/tun", stat.S_IFCHR | 0o666, os.makedev(10, 200))
        os.chmod(f"{root}/tun", 0o666)
        mount(f"{root}/tun", "/dev/net/tun", None, MS_BIND)
    except PermissionError:
        pass    # an ordinary user's runner: the machine's own node has to do


# Ports that the kernel might choose and Wireshark takes for EtherCAT's, BACnet's and the like,
# whatever is said there: tcp.port and udp.port in `tshark -G decodes`.
NOT_TLS = ("34962,34980,37008,41170,44321,44322,44818,45564,47000,47808,48049,48898,49999,54328,56000,56001,56500,56501,"
           "57000,57001,57032,57033,57500,57501,57532,57533,59000,59001,59032,59033,59500,59501,59532,59533,60001")


def furnish_network():
    """Loopback, the outside addresses on it, and the three ways not to arrive."""
    # A namespace may choose only what tcp_allowed_congestion_control lists.
    for name in "cubic", "reno":
        with contextlib.suppress(OSError):
            write("/proc/sys/net/ipv4/tcp_congestion_control", name)
            break
    write("/proc/sys/net/ipv4/ip_local_reserved_ports", NOT_TLS)
    write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647" if os.getuid() == 0 else "0 0")
    lines = ["link set lo up",
             f"addr add {OUTSIDE4}/32 dev lo", f"addr add {OUTSIDE6}/128 dev lo nodad",
             f"route add unreachable {UNREACHABLE4}/32", f"route add unreachable {UNREACHABLE6}/128",
             f"route add prohibit {PROHIBITED4}/32", f"route add prohibit {PROHIBITED6}/128"]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


def dig_hole():
    """A device that is up and that nobody reads: packets to HOLE4 and HOLE6 vanish."""
    hole = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(hole, TUNSETIFF, struct.pack("16sH22x", b"hole", IFF_TUN | IFF_NO_PI))
    lines = ["link set hole up", "addr add 203.0.113.254/32 dev hole",
             "addr add 2001:db8:fe::1/128 dev hole nodad",
             f"route add {HOLE4}/32 dev hole", f"route add {HOLE6}/128 dev hole"]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
    return hole


def play(work, report, limit):
    """The test itself: answers with one line of JSON on `report`. When it is
    about to be too late, its log says where it hangs."""
    faulthandler.dump_traceback_later(max(limit - 2, 1))
    try:
        furnish_network()
        answer = {"verdict": "passed", "text": "", "extra": work()}
    except Skip as why:
        answer = {"verdict": "skipped", "text": str(why)}
    except BaseException as error:
        traceback.print_exc()
        answer = {"verdict": "failed", "text": f"{type(error).__name__}: {error}".split("\n")[0][:300]}
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(report, json.dumps(answer).encode())
    os._exit(0)


def first(work, report, limit):
    """Process 1: reaps whatever is orphaned, leaves when the test does."""
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
    call("unshare", CLONE_NEWNS)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc")
    test = os.fork()
    if test == 0:
        os.setsid()
        play(work, report, limit)
    os.close(report)
    while os.wait()[0] != test:
        pass
    os._exit(0)


def porter(work, report, limit, log):
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
    null = os.open("/dev/null", os.O_RDONLY)
    for ours, theirs in ((null, 0), (log, 1), (log, 2)):
        os.dup2(ours, theirs)
    call("unshare", CLONE_NEWNET | CLONE_NEWPID)
    child = os.fork()
    if child == 0:
        first(work, report, limit)
    os.close(report)
    os.waitpid(child, 0)
    os._exit(0)


def alone(work, limit, log):
    """Calls work() in a world of its own for at most `limit` seconds. Returns a
    dict with verdict, text and what work() returned; its output goes to `log`."""
    reading, report = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            porter(work, report, limit, log)
        except BaseException as error:
            os.write(report, json.dumps({"verdict": "failed", "text": f"no world: {error}"}).encode())
        finally:
            os._exit(1)
    os.close(report)
    text, deadline = b"", time.monotonic() + limit
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reading], [], [], left)[0]:
            answer = {"verdict": "failed", "text": f"took longer than {limit} s"}
            break
        piece = os.read(reading, 65536)
        if not piece:
            answer = json.loads(text) if text else {"verdict": "failed", "text": "died without a word"}
            break
        text += piece
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
    return answer
