# SPDX-License-Identifier: GPL-3.0-or-later
# test_trust - the command trusts our authority beside its roots; a bad certificate stays a bad one.

import hashlib
import os
import stat
import subprocess

from e2e import wireshark
from e2e.scenario import Skip, only
from peers import authority, nginx

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def bad(t, kind):
    """A certificate that is bad in one way: (its file, its key)."""
    pki = f"{t.folder}/pki"
    os.makedirs(pki, exist_ok=True)
    for end in "pem", "key":
        os.symlink(f"{t.pki}/ca.{end}", f"{pki}/ca.{end}")
    names, addresses = ["localhost", "origin.test"], ["127.0.0.1"]
    if kind == "self signed":
        return authority.self_signed(pki, "bad", names, addresses)
    if kind == "unknown authority":
        authority.make(pki, "stranger", "/CN=A stranger")
        return authority.leaf(pki, "bad", names, addresses, signer="stranger")
    if kind == "incomplete":
        authority.leaf(pki, "middle", ["Middle"], ca=True)
        return authority.leaf(pki, "bad", names, addresses, signer="middle")
    if kind == "expired":
        return authority.leaf(pki, "bad", names, addresses, days=-1)
    if kind == "wrong host":
        return authority.leaf(pki, "bad", ["elsewhere.test"])
    if kind == "wrong usage":
        return authority.leaf(pki, "bad", names, addresses, usage="clientAuth")
    raise ValueError(kind)


def why(said):
    """curl's reason."""
    return said.strip().splitlines()[0] if said.strip() else "(nothing)"


def errors_are_equal(t, kind, verdict, exactly=True):
    certificate, key = bad(t, kind)
    t.keep(nginx.serve(t, certificate=certificate, key=key))
    command = ["curl", "-sS", "https://localhost/hello"]
    straight, tapped = t.straight(command), t.tap(command)
    t.equal(straight.status, 60, "curl's status without apptap")
    t.equal(tapped.status, 60, "curl's status")
    if exactly:
        words = why(straight.said)
        t.true(words in tapped.said, f"curl says {tapped.said!r}, and without apptap {straight.said!r}")
    t.lacks(tapped.text, "hello")
    if verdict and not tapped.direct:
        t.equal(tapped.flow(protocol="tcp")["tls"]["certificate"], verdict, "verdict")


def test_self_signed(t):
    errors_are_equal(t, "self signed", "bad chain")


def test_unknown_authority(t):
    errors_are_equal(t, "unknown authority", "bad chain")


def test_incomplete_chain(t):
    errors_are_equal(t, "incomplete", "bad chain")


def test_expired(t):
    errors_are_equal(t, "expired", "bad leaf")


def test_wrong_host(t):
    errors_are_equal(t, "wrong host", "bad leaf")


def test_wrong_usage(t):
    errors_are_equal(t, "wrong usage", "bad leaf")


@only("root")
def test_bad_in_other_programs(t):
    """wget, Python and Node.js refuse it too."""
    certificate, key = bad(t, "unknown authority")
    t.keep(nginx.serve(t, certificate=certificate, key=key))
    for command in (["wget", "-q", "-O", "-", "https://localhost/hello"],
                    t.python("import urllib.request as u; u.urlopen('https://localhost/hello')"),
                    ["node", "-e", "require('https').get('https://localhost/hello', r => { r.resume(); console.log('taken') })"],
                    ["curl", "-sS", "https://127.0.0.1/hello"]):
        done = t.tap(command, upstream=True)
        t.true(done.status not in (0, 86), f"{command[0]} refuses it: {done.status} {done.said}")
        t.lacks(done.text, "hello", "taken")


def test_app_that_does_not_check(t):
    """curl -k goes on, and the flow says what the certificate was."""
    certificate, key = bad(t, "self signed")
    t.keep(nginx.serve(t, certificate=certificate, key=key))
    done = t.tap(["curl", "-k", "-sS", "https://localhost/hello"], capture=True).ok()
    t.has(done.text, "hello from 443")
    t.equal(done.flow(protocol="tcp")["tls"]["certificate"], "bad chain", "verdict")
    t.has(wireshark.column(done.capture, "http2.headers.path", "http2.headers.path"), "/hello")


def test_insecure(t):
    for kind in ("self signed", "expired"):
        import shutil
        shutil.rmtree(f"{t.folder}/pki", ignore_errors=True)
        certificate, key = bad(t, kind)
        with nginx.serve(t, certificate=certificate, key=key):
            t.only_apptap()
            done = t.tap(["curl", "-sS", "https://localhost/hello"], options=["-k"]).ok()
            t.has(done.text, "hello from 443")
            flow = done.flow(protocol="tcp")
            t.equal((flow["verdict"], flow["tls"]["certificate"]), ("opened", "unchecked"), "verdict")


def test_no_upstream_ca(t):
    """Without --upstream-ca the origin's authority is unknown: the app is told so."""
    t.only_apptap()
    t.keep(nginx.serve(t))
    done = t.tap(["curl", "-sS", "https://localhost/hello"], upstream=False)
    t.equal(done.status, 60, "curl's status")


def test_authority_on_disk(t):
    """Made on first use, the key for the user alone, the same the next time."""
    t.only_apptap()
    t.tap(["true"]).ok()
    folder = f"{t.home}/data/apptap"
    t.equal(stat.S_IMODE(os.stat(folder).st_mode), 0o700, "the folder's mode")
    t.equal(stat.S_IMODE(os.stat(f"{folder}/ca-key.pem").st_mode), 0o600, "the key's mode")
    t.equal(os.stat(f"{folder}/ca-key.pem").st_uid, 65534 if t.who == "user" else 0, "the key's owner")
    with open(f"{folder}/ca.pem", "rb") as file:
        first = file.read()
    t.tap(["true"]).ok()
    with open(f"{folder}/ca.pem", "rb") as file:
        t.equal(file.read(), first, "ca.pem after a second run")
    t.equal(t.tool("ca", "path").ok().text.strip(), f"{folder}/ca.pem", "ca path")
    t.equal(t.tool("ca", "export").ok().stdout, first, "ca export")


def test_authority_is_in_the_home_by_default(t):
    done = t.tool("ca", "path", env={"XDG_DATA_HOME": None}).ok()
    t.equal(done.text.strip(), f"{t.home}/.local/share/apptap/ca.pem", "ca path")


def test_key_that_others_can_read(t):
    t.tool("ca", "path").ok()
    os.chmod(f"{t.home}/data/apptap/ca-key.pem", 0o644)
    done = t.tap(["true"], options=[])
    t.true(done.status not in (0, 86), "it refuses to start")
    t.has(done.said, "ca-key.pem")


def test_two_first_starts_at_once(t):
    t.only_apptap()
    running = [t.start(["true"]) for _ in range(6)]
    for one in running:
        one.wait().ok()
    t.tool("ca", "export").ok()


def test_system_roots_stay(t):
    """Inside, the bundle is the outside's with one certificate more."""
    t.only_apptap()
    if not os.path.exists(BUNDLE):
        raise Skip(f"{BUNDLE} is not here")
    with open(BUNDLE, "rb") as file:
        outside = file.read()
    ours = t.tool("ca", "export").ok().stdout
    inside = t.tap(["cat", BUNDLE]).ok().stdout
    t.true(outside.strip() in inside, "the outside's roots are in it")
    t.true(ours.strip() in inside, "our authority is in it")
    t.equal(inside.count(b"BEGIN CERT"), outside.count(b"BEGIN CERT") + 1, "certificates")
    done = t.tap(t.python("import ssl; print(ssl.create_default_context().cert_store_stats()['x509_ca'])")).ok()
    t.true(int(done.text) >= outside.count(b"BEGIN CERT"), "Python sees them")


def test_variables_of_the_user(t):
    """A bundle that the user named stays named and is extended, for the command alone."""
    t.only_apptap()
    mine = f"{t.home}/mine.pem"
    authority.make(f"{t.folder}/other", "mine", "/CN=The user's own")
    with open(f"{t.folder}/other/mine.pem") as source, open(mine, "w") as file:
        text = source.read()
        file.write(text)
    ours = t.tool("ca", "export").ok().text
    names = ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO",
             "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE"]
    for name in names:
        done = t.tap(t.python("""
            import os, sys
            print(open(os.environ[sys.argv[1]]).read())
            """, name), env={name: mine}).ok()
        t.true(text.strip() in done.text, f"{name}: the user's certificate is in it")
        t.true(ours.strip() in done.text, f"{name}: our authority is in it")
    with open(mine) as file:
        t.equal(file.read(), text, "the user's file afterwards")


def test_bundle_of_the_user_is_what_counts(t):
    """CURL_CA_BUNDLE names one authority: the app still opens the tapped origin."""
    t.keep(nginx.serve(t))
    done = t.tap(["curl", "-sS", "https://localhost/hello"], env={"CURL_CA_BUNDLE": f"{t.pki}/ca.pem"}).ok()
    t.has(done.text, "hello from 443")


def trees(*places):
    digest = hashlib.sha256()
    for place in places:
        for folder, folders, files in os.walk(place):
            folders.sort()
            for file in sorted(files):
                path = f"{folder}/{file}"
                digest.update(path.encode())
                if os.path.isfile(path):
                    with open(path, "rb") as opened:
                        digest.update(opened.read())
    return digest.hexdigest()


def test_outside_nothing_changes(t):
    """While the command runs and after it: the same stores, mounts, devices, routes and rules outside."""
    def surroundings():
        def ip(*arguments):
            return subprocess.run(["ip", *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout
        with open("/proc/self/mountinfo") as file:
            mounts = file.read()
        return {"stores": trees("/etc/ssl", "/usr/share/ca-certificates"), "mounts": mounts, "links": ip("-br", "link"),
                "rules": ip("rule") + ip("-6", "rule"), "routes": ip("route", "show", "table", "all"),
                "routes6": ip("-6", "route", "show", "table", "all"), "addresses": ip("-br", "address"),
                "resolver": open("/etc/resolv.conf").read()}
    before = surroundings()
    running = t.start(t.python("import sys; print('here', flush=True); sys.stdin.read()"), stdin=subprocess.PIPE)
    running.expect("here")
    during = surroundings()
    running.process.stdin.close()
    running.wait().ok()
    after = surroundings()
    for name in before:
        t.equal(during[name], before[name], f"{name} while it runs")
        t.equal(after[name], before[name], f"{name} afterwards")


def make_database(t):
    """An NSS database as Chromium makes it: its folder, below the command's home."""
    t.need("certutil")
    folder = f"{t.home}/.pki/nssdb"
    t.tap(["sh", "-c", f"mkdir -m 700 -p {folder} && certutil -N -d sql:{folder} --empty-password"], straight=True).ok()
    return folder


def test_chromiums_database(t):
    """Inside it trusts the authority and may be changed; outside it stays as it was."""
    folder = make_database(t)
    before = trees(folder)
    done = t.tap(["sh", "-c", f"cd {folder} && certutil -L -d sql:. && stat -c %a . && certutil -D -n apptap -d sql:. && "
                  "touch more && ls"]).ok()
    t.equal([line.split()[1] for line in done.text.splitlines() if line.startswith("apptap")], ["C,,"], "trusted for servers")
    t.equal(done.text.split()[-5:], ["700", "cert9.db", "key4.db", "more", "pkcs11.txt"], "its own")
    t.equal(trees(folder), before, "the user's")


def test_what_is_no_database_is_left_alone(t):
    """A folder of that name with more in it than a database has is what it is, inside too."""
    t.need("certutil")
    folder = f"{t.home}/.pki/nssdb"
    t.tap(["sh", "-c", f"mkdir -p {folder} && cd {folder} && touch cert9.db && for n in $(seq 20); do echo $n >$n; done"],
                 straight=True).ok()
    t.tap(["sh", "-c", f"cd {folder} && test ! -s cert9.db && ls | wc -l && touch more"]).ok()
    t.true(os.path.exists(f"{folder}/more"), "it is the user's own")


@only("user")
def test_chromium(t):
    """The browser itself, for an ordinary user."""
    t.need("chromium")
    make_database(t)
    t.keep(nginx.serve(t))
    done = t.tap(["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={t.home}/chromium",
                  "--dump-dom", "https://localhost/hello"], capture=True).ok()
    t.has(done.text, "hello from 443 over HTTP/2.0")
    opened = [f for f in done.flows if f.get("name") == "localhost"]
    t.equal({f["verdict"] for f in opened}, {"opened"}, "verdicts")
    t.equal(wireshark.column(done.capture, 'http2.headers.path == "/hello"', "http2.headers.method"), ["GET"], "as Wireshark reads it")


def in_database(folder):
    """The names in an NSS database."""
    done = subprocess.run(["certutil", "-L", "-d", f"sql:{folder}"], stdout=subprocess.PIPE, text=True, check=True)
    return [line.split()[0] for line in done.stdout.splitlines() if line.split()[1:] == ["C,,"]]


def make_profile(t):
    """As Firefox has it: the database lies among all else."""
    t.need("certutil")
    folder = f"{t.home}/.mozilla/firefox/x.default"
    t.tap(["sh", "-c", f"mkdir -p {folder} && certutil -N -d sql:{folder} --empty-password && touch {folder}/prefs.js"],
          straight=True).ok()
    return folder


def test_trusted_while_it_runs(t):
    """--trust: Firefox's database holds the authority until apptap ends, however it ends."""
    folder = make_profile(t)
    t.equal(t.tap(t.python("pass"), options=("-v",)).ok().said.count("NSS"), 0, "without it nothing is touched")
    for how in "ends", "is killed":
        running = t.start(t.python("import sys; print('here', flush=True); sys.stdin.read()"), stdin=subprocess.PIPE,
                          options=("--trust",))
        running.expect("here")
        t.equal([name[:7] for name in in_database(folder)], ["apptap-"], "while it runs")
        if how == "ends":
            running.process.stdin.close()
            running.wait().ok()
        else:
            running.process.kill()
            running.process.wait()
        t.until(lambda: in_database(folder) == [], f"nothing is left when it {how}")
    t.true(os.path.exists(f"{folder}/prefs.js"), "the profile")


@only("user", limit=60)
def test_firefox(t):
    """The browser itself, for an ordinary user."""
    t.need("firefox-esr")
    look = ["firefox-esr", "--headless", "--screenshot", f"{t.home}/shown.png"]
    # A profile is made at the first start.
    t.tap([*look, "about:blank"], straight=True, limit=60)
    t.keep(nginx.serve(t))
    done = t.tap([*look, "https://localhost/hello"], capture=True, limit=60, options=("--trust",))
    opened = [f for f in done.flows if f.get("name") == "localhost"]
    t.true(opened, "it came to the server")
    t.equal({f["verdict"] for f in opened}, {"opened"}, "verdicts")
    t.has(nginx.access(t), "GET /hello HTTP/2.0")


def test_trust_of_nothing(t):
    done = t.tool("run", "--trust", "--tls", "pass", "true")
    t.equal(done.status, 64, "status")
    t.has(done.said, "--trust")
