# SPDX-License-Identifier: GPL-3.0-or-later
# test_extcap - apptap as an interface of tshark's: the whole dialogue, and captures through dumpcap.

import os
import re
import signal
import struct
import subprocess
import threading

from e2e import wireshark, world
from e2e.internet import THERE4, Internet
from e2e.local import copy_of_python, start_copy
from e2e.scenario import only
from peers import nginx

RUN, LOCAL = "apptap-run", "apptap-local"
NUMBER = f"1000.{os.getpid()}"    # of seconds, and so nobody else's sleep


def shark(t, *arguments, capture=None, options=(), limit=40):
    """tshark with the user's own Wireshark folders."""
    command = ["tshark", "-n", *arguments]
    for option in options:
        command += ["-o", option]
    if capture:
        command += ["-w", capture]
    process = t.popen(command, t.environment({"XDG_CONFIG_HOME": None}))
    out, said = process.communicate(timeout=limit)
    return process.returncode, out.decode(), said.decode()


def installed(t):
    t.only_apptap()
    t.need("tshark")
    said = t.tool("extcap", "--install").ok().text
    link = said.split(" -> ")[0]
    t.true(link.startswith(t.home) and os.readlink(link) == t.apptap, said)
    return link


def ask(t, *arguments):
    """As Wireshark calls us: the program alone, no subcommand."""
    return t.tool(*arguments)


def fields(text):
    """The lines as (word, {key: value})."""
    return [(line.split(" ", 1)[0], dict(re.findall(r"\{([a-z]+)=(.*?)\}(?=\{|$)", line))) for line in text.splitlines()]


def test_install(t):
    """tshark lists both, with a link that --uninstall takes away; what is not ours stays."""
    link = installed(t)
    _, listed, _ = shark(t, "-D")
    t.has(listed, f"{RUN} (apptap: run a program)", f"{LOCAL} (apptap: a running program)")
    t.tool("extcap", "--install").ok()    # again
    t.has(t.tool("extcap", "--uninstall").ok().text, "removed")
    t.has(t.tool("extcap", "--uninstall").ok().text, "not there")
    t.lacks(shark(t, "-D")[1], "apptap")
    with open(link, "w") as file:
        file.write("somebody's own")
    for option in "--install", "--uninstall":
        done = t.tool("extcap", option)
        t.equal(done.status, 69, option)
        t.has(done.said, link)
    t.equal(open(link).read(), "somebody's own", "what was there")


def test_install_asks_tshark(t):
    """From 4.2 it names the folder; without tshark it is that version's."""
    t.only_apptap()
    for folder in "bin", "none":
        os.mkdir(f"{t.home}/{folder}")
        os.symlink("/usr/bin/setpriv", f"{t.home}/{folder}/setpriv")    # to become the user with
    world.write(f"{t.home}/bin/tshark", f"#!/bin/sh\necho 'Personal configuration:\t/no'\necho 'Personal Extcap path:\t{t.home}/a b/c'\n"
                "echo 'Global Extcap path:\t/usr/no'\n")
    os.chmod(f"{t.home}/bin/tshark", 0o755)
    for path, folder in (f"{t.home}/bin", f"{t.home}/a b/c"), (f"{t.home}/none", f"{t.home}/.local/lib/wireshark/extcap"):
        t.tool("extcap", "--install", env={"PATH": path}).ok()
        t.equal(os.readlink(f"{folder}/apptap"), t.apptap, folder)
        t.tool("extcap", "--uninstall", env={"PATH": path}).ok()
        t.equal(os.listdir(folder), [], folder)


def test_dialogue(t):
    t.only_apptap()
    rows = fields(ask(t, "--extcap-interfaces", "--extcap-version=4.0").ok().text)
    t.equal([r["value"] for w, r in rows if w == "interface"], [RUN, LOCAL], "interfaces")
    t.equal([(r["type"], r["role"]) for w, r in rows if w == "control"], [("button", "logger")], "controls")
    for name in RUN, LOCAL:
        rows = fields(ask(t, "--extcap-dlts", "--extcap-interface", name).ok().text)
        t.equal([(w, r["number"]) for w, r in rows], [("dlt", "276")], "link types")
        calls = {r["call"] for w, r in fields(ask(t, "--extcap-config", "--extcap-interface", name).ok().text) if w == "arg"}
        t.true({"--tls", "--mtu", "--insecure", {RUN: "--command", LOCAL: "--process"}[name]} <= calls, f"{calls}")
        t.equal(ask(t, "--extcap-capture-filter", "tcp port 80", "--extcap-interface", name).ok().text, "", "a right filter")
        t.has(ask(t, "--extcap-capture-filter", "tcp prt 80", "--extcap-interface", name).ok().text, "syntax error")
    t.equal(ask(t, "--extcap-cleanup-postkill", "--extcap-interface", RUN).ok().text, "", "cleaning up")


def test_questions_that_are_wrong(t):
    t.only_apptap()
    for arguments, words in ((["--extcap-dlts"], "which interface"), (["--extcap-config", "--extcap-interface", "eth0"], "no such"),
                             (["--extcap-interface", RUN], "asked nothing"), (["--capture", "--extcap-interface", RUN], "--fifo"),
                             (["--extcap-config", "--extcap-interface", RUN, "--extcap-reload-option", "mtu"], "no list"),
                             (["--extcap-new-thing"], "no option"), (["extcap"], "--install")):
        done = t.tool(*arguments)
        t.equal((done.status, done.text), (64, ""), f"{arguments}: {done.said}")
        t.has(done.said, words)


def test_processes_to_pick(t):
    """The list has a process with what Wireshark shows of it; reloaded, the search is heeded."""
    t.only_apptap()
    process = t.popen(["sleep", NUMBER], t.environment())
    value = {"arg": "2", "value": str(process.pid), "display": f"sleep ({process.pid}) {t.environment()['USER']}: sleep {NUMBER}",
             "default": "false"}
    config = ["--extcap-config", "--extcap-interface", LOCAL]
    rows = fields(t.until(lambda: (text := ask(t, *config).ok().text) and value["display"] in text and text, "sleep is listed"))
    t.true(("value", value) in rows, f"{rows}")
    t.equal([r["number"] for w, r in rows if r.get("call") == "--process"], ["2"], "the picker")
    for option in "--extcap-reload-option", "--extcap-config-option-name":
        rows = fields(ask(t, *config, option, "process", "--search", f"SLEEP {NUMBER}", "--mtu", "1500", "--tls", "intercept").ok().text)
        t.equal([r["value"] for w, r in rows if r["default"] == "false"], [str(process.pid)], option)
        t.equal({w for w, _ in rows}, {"value"}, "what is listed again")


@only(limit=60)
def test_capture_of_curl(t):
    """tshark starts curl through dumpcap and us, and reads what it asked nginx for over TLS."""
    installed(t)
    t.need("curl")
    t.keep(nginx.serve(t))
    capture = f"{t.home}/c.pcapng"
    options = [f"extcap.apptap_run.command:curl -sS 'https://localhost/hello?a=1&b=2' -o \"{t.home}/the page\"",
               f"extcap.apptap_run.upstreamca:{t.pki}/ca.pem", "extcap.apptap_run.mtu:1400"]
    status, _, said = shark(t, "-i", RUN, options=options, capture=capture)
    t.equal(status, 0, said)
    t.lacks(said, "Error")
    t.equal(open(f"{t.home}/the page").read(), "hello from 443 over HTTP/2.0\n", "what curl got")
    wireshark.sound(capture)
    t.equal(wireshark.column(capture, "http2.headers.path", "http2.headers.path"), ["/hello?a=1&b=2"], "decrypted")
    t.true(wireshark.column(capture, "frame.interface_name contains \"curl[\"", "frame.number"), "curl's name")
    t.true(max(map(int, wireshark.column(capture, "tcp.options.mss_val", "tcp.options.mss_val"))) <= 1360, "the MTU")


@only(limit=60)
def test_plaintext_and_filter(t):
    installed(t)
    t.need("curl")
    t.keep(nginx.serve(t))
    capture = f"{t.home}/c.pcapng"
    command = "extcap.apptap_run.command:curl -sS https://localhost:8443/hello http://localhost/agent"
    status, _, said = shark(t, "-i", RUN, "-f", "tcp port 8443", capture=capture, options=[
        command, f"extcap.apptap_run.upstreamca:{t.pki}/ca.pem", "extcap.apptap_run.withplaintext:true"])
    t.equal(status, 0, said)
    t.lacks(said, "Error")
    interfaces = wireshark.column(capture, "http.request.uri == \"/hello\"", "frame.interface_name")
    t.equal(len(set(interfaces)), 2, f"{interfaces}: encrypted, and in plain")
    t.equal(wireshark.column(capture, "http.request.uri == \"/agent\"", "frame.number"), [], "what the filter left out")
    status, _, said = shark(t, "-i", RUN, "-f", "tcp prt 8443", capture=capture, options=[command])
    t.true(status != 0, "a wrong filter's status")
    t.has(said, "syntax error")


def test_failures_are_shown(t):
    """tshark says why: a program that cannot be had or fails, a line that is no command, nothing chosen."""
    installed(t)
    for name, options, words in ((RUN, ["command:no-such-program"], ["status 127", "cannot run no-such-program"]),
                                 (RUN, ["command:sh -c 'echo it is broken >&2; exit 3'"], ["sh ended with status 3", "it is broken"]),
                                 (RUN, ["command:a | b"], ["no shell reads"]), (RUN, [], ["which program"]),
                                 (RUN, ["command:true", "folder:/no/such"], ["/no/such"]),
                                 (RUN, ["command:true", "ignorehosts:("], ["ignore"]), (LOCAL, [], ["choose a process"])):
        said = shark(t, "-i", name, options=[f"extcap.{name.replace('-', '_')}.{o}" for o in options], capture=f"{t.home}/c.pcapng")[2]
        t.has(said, "Error by extcap pipe", *words)


def test_much_is_printed(t):
    """Nobody reads what the program prints, and it ends all the same."""
    installed(t)
    status, _, said = shark(t, "-i", RUN, capture=f"{t.home}/c.pcapng", options=["extcap.apptap_run.command:sh -c 'seq 100000; seq 100000 >&2'"])
    t.equal(status, 0, said)
    t.lacks(said, "Error")


class Wireshark:
    """Its end of a capture: the FIFO, and the toolbar's pipes."""

    def __init__(self, t, name, *arguments):
        self.t, self.paths = t, {kind: f"{t.home}/{kind}" for kind in ("fifo", "in", "out")}
        for path in self.paths.values():
            os.mkfifo(path)
            os.chmod(path, 0o666)
        self.out = os.open(self.paths["out"], os.O_RDWR)
        self.process = t.popen([t.apptap, "--capture", "--extcap-interface", name, "--fifo", self.paths["fifo"],
                                "--extcap-control-in", self.paths["in"], "--extcap-control-out", self.paths["out"], *arguments],
                               t.environment())
        self.captured = b""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        self.log = ""

    def read(self):
        with open(self.paths["fifo"], "rb") as file:
            self.captured = file.read()

    def hear(self, words):
        """Reads the log until it has these words."""
        while words not in self.log:
            head = os.read(self.out, 6)
            self.t.equal((head[:1], head[4:]), (b"T", b"\0\x02"), "a message that adds to the log")
            size = struct.unpack(">I", b"\0" + head[1:4])[0] - 2
            self.log += os.read(self.out, size).decode()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        self.reader.join(20)
        os.close(self.out)
        return status, self.process.stderr.read().decode()


def runs(line):
    return subprocess.run(["pgrep", "-fx", re.escape(line)], stdout=subprocess.DEVNULL).returncode == 0


def test_toolbar_and_stop(t):
    """What the program and apptap say is in the log; SIGTERM ends the program, and that is no failure."""
    t.only_apptap()
    running = Wireshark(t, RUN, "--command", f"sh -c 'echo a; echo b >&2; exec sleep {NUMBER}'")
    running.hear("a\nb\n")
    t.until(lambda: runs(f"sleep {NUMBER}"), "sleep runs")
    t.equal(running.end(), (0, ""), "status, and what it says of a failure")
    t.true(running.captured.startswith(b"\n\r\r\n"), "a capture without packets")
    t.true(not runs(f"sleep {NUMBER}"), "it is gone")


def test_stop_leaves_nothing_running(t):
    """A shell that SIGTERM ends leaves its child behind, and one that heeds no SIGTERM is killed."""
    t.only_apptap()
    for command in (f"sh -c 'echo here; sleep {NUMBER}; true'", f"sh -c 'trap : TERM; echo here; while :; do sleep {NUMBER}; done'"):
        running = Wireshark(t, RUN, "--command", command)
        running.hear("here\n")
        t.until(lambda: runs(f"sleep {NUMBER}"), "sleep runs")
        t.equal(running.end(), (0, ""), command)
        t.true(not runs(f"sleep {NUMBER}"), f"it is gone: {command}")
        for path in running.paths.values():
            os.unlink(path)


def test_killed(t):
    """Wireshark's last resort: with us goes the tap and the program."""
    t.only_apptap()
    running = Wireshark(t, RUN, "--command", f"sh -c 'echo here; exec sleep {NUMBER}'")
    running.hear("here\n")
    t.until(lambda: runs(f"sleep {NUMBER}"), "sleep runs")
    running.process.kill()
    running.process.wait()
    running.reader.join(20)
    t.true(not running.reader.is_alive(), "nobody writes any more")
    t.until(lambda: not runs(f"sleep {NUMBER}"), "sleep is gone")
    os.close(running.out)


@only("user")
def test_local_takes_root(t):
    installed(t)
    said = shark(t, "-i", LOCAL, options=["extcap.apptap_local.spec:curl"], capture=f"{t.home}/c.pcapng")[2]
    t.has(said, "takes root", "sudo apptap local -w - 'curl'")


@only("root", limit=60)
def test_a_running_program(t):
    """The process that was picked is captured until Wireshark has enough."""
    internet = Internet(t)
    with internet.inside():
        t.keep(nginx.serve(t, (THERE4,)))
    python = copy_of_python(t, "picked")
    process = start_copy(t, python, """
        import sys, urllib.request
        for line in sys.stdin: print(urllib.request.urlopen(line.strip()).read(), flush=True)
        """)
    running = Wireshark(t, LOCAL, "--process", str(process.pid), "--spec", "", "--search", "x", "--tls", "pass")
    running.hear("tapping")
    process.stdin.write(f"http://{THERE4}/hello\n".encode())
    process.stdin.flush()
    t.has(process.stdout.readline().decode(), "hello from 80")
    t.equal(running.end(), (0, ""), "status, and what it says of a failure")
    capture = f"{t.home}/c.pcapng"
    with open(capture, "wb") as file:
        file.write(running.captured)
    t.equal(wireshark.column(capture, "http.request", "http.request.uri"), ["/hello"], "the request")
    t.true(wireshark.column(capture, f"frame.interface_name contains \"picked[{process.pid}]\"", "frame.number"), "whose it is")
