# SPDX-License-Identifier: GPL-3.0-or-later
# test_ca - `apptap ca`: the authority in this machine's real stores, and out of them.

import os
import stat
import subprocess

from e2e import stores
from e2e.scenario import NOBODY, only
from peers import authority, nginx

CURL = ["curl", "-sS", "https://localhost/hello"]
NSS = ".pki/nssdb"


def straight(t, command):
    """As any program here runs: nothing tells it of an authority."""
    return t.tap(command, straight=True, trusting=False)


def serve_by_the_authority(t):
    """nginx with a certificate that apptap's own authority signed."""
    path = t.tool("ca", "path").ok().text.strip()
    pki = f"{t.folder}/pki"
    os.makedirs(pki)
    os.symlink(path, f"{pki}/ca.pem")
    os.symlink(f"{os.path.dirname(path)}/ca-key.pem", f"{pki}/ca.key")
    certificate, key = authority.leaf(pki, "leaf", ["localhost"], ["127.0.0.1"])
    t.keep(nginx.serve(t, certificate=certificate, key=key))


def nss_database(t):
    t.need("certutil")
    folder = f"{t.home}/{NSS}"
    subprocess.run(t.as_user(["mkdir", "-p", folder]), check=True)
    subprocess.run(t.as_user(["certutil", "-N", "-d", f"sql:{folder}", "--empty-password"]), check=True)
    return folder


def nicknames(t, folder):
    done = subprocess.run(["certutil", "-L", "-d", f"sql:{folder}"], stdout=subprocess.PIPE, text=True, check=True)
    return [line.split()[0] for line in done.stdout.splitlines() if "apptap" in line]


def test_path_and_export(t):
    """The certificate alone, the same both ways; the key is its owner's only."""
    t.only_apptap()
    path = t.tool("ca", "path").ok().text
    t.equal(path, f"{t.home}/data/apptap/ca.pem\n", "path")
    with open(path.strip()) as file:
        pem = file.read()
    t.equal(t.tool("ca", "export").ok().text, pem, "export")
    t.lacks(pem, "PRIVATE")
    key = os.stat(f"{t.home}/data/apptap/ca-key.pem")
    t.equal((stat.S_IMODE(key.st_mode), key.st_uid), (0o600, NOBODY if t.who == "user" else 0), "the key's mode and owner")


@only("root", limit=120)
def test_install_and_uninstall(t):
    """curl and Java take it after install without being told, and no longer after uninstall; then all is as it was."""
    stores.lay_over(t)
    stores.settle()
    before, bundle, aliases = stores.listing(), stores.bundle(), stores.java_aliases()
    serve_by_the_authority(t)
    t.equal(straight(t, CURL).status, 60, "curl before")
    said = t.tool("ca", "install", limit=60).ok().text
    t.has(said, "added to", "the system's store")
    t.has(straight(t, CURL).ok().text, "hello from 443")
    t.equal(len(stores.java_aliases()) - len(aliases), 1 if aliases else 0, "entries more in Java's store")
    t.has(t.tool("ca", "install", limit=60).ok().text, "already in")
    t.has(t.tool("ca", "uninstall", limit=60).ok().text, "removed from")
    t.equal(straight(t, CURL).status, 60, "curl after")
    t.true(stores.bundle() == bundle, "the bundle is as it was, byte for byte")
    t.equal(stores.differences(before, stores.listing()), [], "what differs")
    t.has(t.tool("ca", "uninstall").ok().text, "nothing of this authority is installed")


@only("root", limit=120)
def test_what_others_put_in_stays(t):
    """Another authority that an administrator put there stays where it is."""
    stores.lay_over(t)
    if not os.path.isdir("/usr/local/share/ca-certificates"):
        raise stores.Skip("not Debian's way")
    authority.make(f"{t.folder}/other", "other", "/CN=Somebody else's")
    with open(f"{t.folder}/other/other.pem") as file:
        pem = file.read()
    with open("/usr/local/share/ca-certificates/other.crt", "w") as file:
        file.write(pem)
    stores.settle()
    before = stores.listing()
    t.true(pem.encode() in stores.bundle(), "it is in the bundle")
    t.tool("ca", "install", limit=60).ok()
    t.tool("ca", "uninstall", limit=60).ok()
    t.equal(stores.differences(before, stores.listing()), [], "what differs")


@only("user", limit=60)
def test_a_user_has_their_own(t):
    """Without root: the user's NSS database, and a line about what only root may change."""
    stores.lay_over(t)
    folder = nss_database(t)
    before = stores.listing()
    done = t.tool("ca", "install")
    t.equal(done.status, 0, f"status; it said {done.said} {done.text}")
    t.has(done.text, "added to        NSS database", "only root may change it")
    t.has(done.said, "sudo apptap ca install")
    t.equal(len(nicknames(t, folder)), 1, "in the database")
    t.equal(os.stat(f"{folder}/cert9.db").st_uid, NOBODY, "whose it is")
    t.has(t.tool("ca", "uninstall").ok().text, "removed from")
    t.equal(nicknames(t, folder), [], "in the database after")
    t.equal(stores.differences(before, stores.listing()), [], "what differs in the system's")


@only("root", limit=60)
def test_under_sudo_it_is_the_callers(t):
    """The database of the user behind sudo is changed as that user."""
    stores.lay_over(t)
    folder = nss_database(t)
    for place, _, files in os.walk(t.home):
        for path in (place, *(f"{place}/{f}" for f in files)):
            os.chown(path, 65533, 65533)
    with open("/etc/passwd") as file:
        users = file.read()
    with open(f"{t.folder}/passwd", "w") as file:
        file.write(f"{users}apptap-caller:x:65533:65533::{t.home}:/bin/sh\n")
    stores.world.mount(f"{t.folder}/passwd", "/etc/passwd", None, stores.world.MS_BIND)
    env = {"SUDO_UID": "65533", "XDG_DATA_HOME": None}
    t.has(t.tool("ca", "install", env=env, limit=60).ok().text, "added to        NSS database")
    t.equal(len(nicknames(t, folder)), 1, "in the database")
    owners = {os.stat(f"{place}/{f}").st_uid for place, _, files in os.walk(t.home) for f in files}
    t.equal(owners, {65533}, "owners of all in the home")
    t.tool("ca", "uninstall", env=env, limit=60).ok()
    t.equal(nicknames(t, folder), [], "in the database after")


@only("user")
def test_told_what_a_killed_run_left(t):
    """What an ordinary user's start cannot take out is said, with what can; the run goes on."""
    t.tool("ca", "path").ok()
    place = "/usr/local/share/ca-certificates/apptap-0123abcd.crt"
    record = f"{t.home}/data/apptap/installed"
    stores.world.write(record, f"4194303:1:0 system apptap-0123abcd {place}\n")
    os.chown(record, NOBODY, NOBODY)
    done = t.tool("run", "--", "true")
    t.equal(done.status, 0, "status")
    t.has(done.said, f"after a run that was killed: left alone      the system's store {place}", "sudo apptap ca uninstall")
    t.true(os.path.exists(record), "it is still known")
