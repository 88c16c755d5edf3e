# SPDX-License-Identifier: GPL-3.0-or-later
# scenario - what a scenario is given: a folder, peers, apptap, and plain asserts.
#
# A scenario is a function test_NAME(t). It runs once as root and once as an
# ordinary user (apptap and the command do; the peers stay root's), unless
# @only says otherwise. With --direct the commands run without apptap, which
# shows that the peers and the expectations are right; what only apptap can
# answer (flows, captures) then skips the rest.

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import textwrap
import threading
import time

from e2e import world
from e2e.world import Skip
from peers import authority

PYTHON = "/usr/bin/python3"
NOBODY = 65534
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
EX_USAGE, EX_IOERR = 64, 74


def only(*who, limit=None):
    """Marks a scenario: who it runs as, and its time limit in seconds."""
    def mark(function):
        if who:
            function.who = who
        if limit:
            function.limit = limit
        return function
    return mark


def prepare(root, options):
    """Once for all scenarios: the test's authority, and copies of what an
    ordinary user must be able to reach."""
    authority.make(f"{root}/pki")
    authority.leaf(f"{root}/pki", "good", ["localhost", "origin.test", "*.origin.test"],
                   ["127.0.0.1", "::1", world.OUTSIDE4, world.OUTSIDE6])
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for package in "peers", "e2e":    # sockets and what it needs
        shutil.copytree(f"{here}/{package}", f"{root}/library/{package}", ignore=shutil.ignore_patterns("__pycache__"))
    os.mkdir(f"{root}/bin")
    if not options.direct:
        shutil.copy(options.apptap, f"{root}/bin/apptap")
        os.chmod(f"{root}/bin/apptap", 0o755)
    # A plain wolfSSL client, where it was built.
    with contextlib.suppress(FileNotFoundError):
        shutil.copy(f"{options.build}/tls_client", f"{root}/bin/tls_client")
    if shutil.which("git"):
        make_repository(f"{root}/git")


def make_repository(folder):
    environment = {"PATH": PATH, "HOME": folder, "GIT_CONFIG_NOSYSTEM": "1", "LANG": "C.UTF-8"}
    for role in "AUTHOR", "COMMITTER":
        environment |= {f"GIT_{role}_NAME": "A", f"GIT_{role}_EMAIL": "a@example.test",
                        f"GIT_{role}_DATE": "2024-01-01T00:00:00Z"}
    os.mkdir(folder)

    def git(*arguments):
        subprocess.run(["git", "-C", folder, *arguments], env=environment, check=True,
                       stdout=subprocess.DEVNULL)
    git("init", "-q", "-b", "main", "work")
    for n in range(40):
        world.write(f"{folder}/work/file{n}", f"{n}\n" * 2000)
    git("-C", "work", "add", ".")
    git("-C", "work", "commit", "-q", "-m", "all")
    git("clone", "-q", "--bare", "work", "repository.git")


def play(function, folder, root, who, options):
    os.umask(0o022)
    os.mkdir(folder)
    os.chdir(folder)
    with contextlib.ExitStack() as stack:
        t = Scenario(folder, root, who, options, stack)
        function(t)
        t.settle()
        return t.shown


class Failure(AssertionError):
    pass


class Done:
    """A command that has ended."""

    def __init__(self, t, command, status, stdout, stderr, base, direct):
        self.t, self.command, self.status = t, command, status
        self.stdout, self.stderr, self.base, self.direct = stdout, stderr, base, direct

    @property
    def text(self):
        return self.stdout.decode(errors="replace")

    @property
    def said(self):
        return self.stderr.decode(errors="replace")

    def ok(self):
        if self.status != 0:
            raise Failure(f"{self.command[0]} ended with {self.status}: {self.said[-1500:]}")
        return self

    @property
    def flows(self):
        if self.direct:
            raise Skip("direct: no flows")
        with open(f"{self.base}.flows") as file:
            return [json.loads(line) for line in file]

    def flow(self, **wanted):
        """The one flow whose fields are these."""
        found = [f for f in self.flows if all(f.get(k) == v for k, v in wanted.items())]
        if len(found) != 1:
            raise Failure(f"{len(found)} flows with {wanted} among {json.dumps(self.flows, indent=1)}")
        return found[0]

    @property
    def capture(self):
        if self.direct:
            raise Skip("direct: no capture")
        return f"{self.base}.pcapng"


class Running:
    """A command that runs. pid is apptap's (with --direct the command's)."""

    def __init__(self, t, command, process, base, direct):
        self.t, self.command, self.process = t, command, process
        self.base, self.direct, self.pid = base, direct, process.pid
        self.lines = []
        self.heard = threading.Condition()
        self.done = None
        self.readers = []
        for kind in ("stdout", "stderr"):
            if getattr(process, kind):
                self.readers.append(threading.Thread(target=self.read, args=(kind,), daemon=True))
                self.readers[-1].start()

    def read(self, kind):
        for line in getattr(self.process, kind):
            with self.heard:
                self.lines.append((kind, line))
                self.heard.notify_all()
        with self.heard:
            self.lines.append((kind, None))
            self.heard.notify_all()

    def expect(self, words, kind="stdout", limit=15):
        """Waits until a line with these words came; returns it."""
        def look():
            for k, line in self.lines:
                if k == kind and line is not None and words in line.decode(errors="replace"):
                    return line.decode(errors="replace")
            return (kind, None) in self.lines and "" or None
        with self.heard:
            line = self.heard.wait_for(lambda: look() is not None, limit) and look()
        if not line:
            raise Failure(f"no '{words}' on {kind}: {self.lines}")
        return line

    def say(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def signal(self, number):
        os.kill(self.pid, number)

    def wait(self, limit=30):
        try:
            status = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.command} did not end in {limit} s: {self.lines}") from None
        for reader in self.readers:
            reader.join(limit)
        texts = {k: b"".join(line for kind, line in self.lines if kind == k and line is not None)
                 for k in ("stdout", "stderr")}
        self.t.no_sanitizer_report()
        return Done(self.t, self.command, status, texts["stdout"], texts["stderr"], self.base, self.direct)


class Scenario:
    def __init__(self, folder, root, who, options, stack):
        self.folder, self.root, self.who, self.stack = folder, root, who, stack
        self.direct_mode, self.sanitized = options.direct, options.sanitized
        self.large = options.large
        self.apptap = f"{root}/bin/apptap"
        self.pki = f"{root}/pki"
        self.home = f"{folder}/home"
        self.counter = 0
        self.errors = []
        self.shown = []
        for place in (self.home, f"{folder}/reports"):
            os.mkdir(place)
        if who == "user":
            if os.getuid() != 0 or len(open("/proc/self/uid_map").read().split()) != 3 \
                    or open("/proc/self/uid_map").read().split()[2] == "1":
                raise Skip("the runner is not root: cannot become another user")
            for place in (folder, self.home, f"{folder}/reports"):
                os.chown(place, NOBODY, NOBODY)

    # --- scale and plain asserts ---

    def scaled(self, plain, sanitized):
        return sanitized if self.sanitized else plain

    def equal(self, found, wanted, what=""):
        if found != wanted:
            raise Failure(f"{what or 'value'}: found {found!r}, not {wanted!r}")

    def true(self, condition, what):
        if not condition:
            raise Failure(what)

    def has(self, text, *words):
        for word in words:
            if word not in text:
                raise Failure(f"no {word!r} in {text[-2000:]!r}")

    def lacks(self, text, *words):
        for word in words:
            if word in text:
                raise Failure(f"{word!r} in {text[-2000:]!r}")

    def until(self, condition, what, limit=10):
        """For what no event tells: asks again and again, within a deadline."""
        deadline = time.monotonic() + limit
        while not (answer := condition()):
            if time.monotonic() > deadline:
                raise Failure(f"not within {limit} s: {what}")
            time.sleep(0.01)
        return answer

    def only_apptap(self):
        if self.direct_mode:
            raise Skip("direct: asks apptap alone")

    def need(self, program):
        if not shutil.which(program, path=PATH):
            raise Skip(f"{program} is not installed")

    def show(self, *lines):
        """A table that the runner prints below the test's line."""
        print(*lines, sep="\n")
        self.shown += lines

    # --- commands ---

    def environment(self, extra=None, trusting=False):
        env = {"PATH": PATH, "HOME": self.home, "LANG": "C.UTF-8", "TERM": "dumb",
               "XDG_DATA_HOME": f"{self.home}/data", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
               "USER": pwd.getpwuid(NOBODY if self.who == "user" else 0).pw_name,
               "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": self.home}
        if self.sanitized:
            env["ASAN_OPTIONS"] = f"detect_leaks=1:exitcode=86:log_path={self.folder}/reports/asan"
            env["UBSAN_OPTIONS"] = f"print_stacktrace=1:log_path={self.folder}/reports/ubsan"
        if trusting:
            for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"):
                env[name] = f"{self.pki}/ca.pem"
        env.update(extra or {})
        return {k: v for k, v in env.items() if v is not None}

    def as_user(self, command):
        if self.who != "user":
            return list(command)
        return ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--", *command]

    def popen(self, command, env, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        process = subprocess.Popen(self.as_user(command), env=env, **kw)
        self.stack.callback(self.stop, process)
        return process

    @staticmethod
    def stop(process):
        if process.poll() is None:
            process.kill()
            process.wait()

    def start(self, command, options=(), env=None, capture=False, flows=True, upstream=True,
              trusting=True, straight=False, **kw):
        """Starts `command` in apptap. capture: also -w; upstream: the test's
        authority is the origins'. `trusting` tells a straight run of it too."""
        self.counter += 1
        base = f"{self.folder}/run{self.counter}"
        if straight or self.direct_mode:
            process = self.popen(command, self.environment(env, trusting), **kw)
            return Running(self, list(command), process, base, True)
        line = [self.apptap, "run"]
        if capture:
            line += ["-w", f"{base}.pcapng"]
        if flows:
            line += ["--flows", f"{base}.flows"]
        if upstream:
            line += ["--upstream-ca", f"{self.pki}/ca.pem"]
        line += [*options, "--", *command]
        return Running(self, list(command), self.popen(line, self.environment(env), **kw), base, False)

    def tap(self, command, limit=30, stdin=None, **kw):
        """The same, to its end; `stdin` is bytes."""
        if stdin is not None:
            kw["stdin"] = subprocess.PIPE
        running = self.start(command, **kw)
        if stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                running.process.stdin.write(stdin)
            running.process.stdin.close()
        return running.wait(limit)

    def straight(self, command, limit=30, **kw):
        """Without apptap: what is to be compared with."""
        return self.tap(command, limit, straight=True, **kw)

    def tool(self, *arguments, limit=30, env=None, **kw):
        """apptap itself with these arguments, nothing added."""
        self.only_apptap()
        self.counter += 1
        process = self.popen([self.apptap, *arguments], self.environment(env), **kw)
        return Running(self, ["apptap", *arguments], process, f"{self.folder}/run{self.counter}", False).wait(limit)

    def root_of_peers(self):
        """A folder with the package peers in it that the command can read."""
        return f"{self.root}/library"

    def python(self, code, *arguments):
        """A command: this Python text as a program."""
        return [PYTHON, "-c", textwrap.dedent(code), *map(str, arguments)]

    # --- order ---

    def keep(self, context):
        """Enters a peer that is to end with the scenario."""
        return self.stack.enter_context(context)

    def watch(self, function, *arguments):
        """A thread whose failure is the scenario's."""
        def run():
            try:
                function(*arguments)
            except BaseException as error:
                self.errors.append(error)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def no_sanitizer_report(self):
        for name in sorted(os.listdir(f"{self.folder}/reports")):
            with open(f"{self.folder}/reports/{name}", errors="replace") as file:
                text = file.read()
            print(text[:8000])
            raise Failure(f"sanitizer: {next((l for l in text.splitlines() if 'ERROR' in l or 'error' in l), name)}")

    def settle(self):
        self.no_sanitizer_report()
        if self.errors:
            raise self.errors[0]
