# SPDX-License-Identifier: GPL-3.0-or-later
# relays - the TLS relays that Debian packages, each in its usual transparent set-up.
#
# One of each stands from the beginning to the end, with an authority made on the spot.
# While one is measured, and only then (address translation would cost the others too),
# a rule sends to it what the group GROUP says to the TLS port; the relay itself, which
# is not of that group, reaches the server.

import contextlib
import os
import shutil
import subprocess

from bench import processes
from bench.ways import Way, warm
from bench.world import NAMES_PORT, TLS_PORT

GROUP = 4242
RULE = "table ip bench {{ chain out {{ type nat hook output priority -100; meta skgid {} tcp dport {{ {}, {} }} redirect to :{}; }}; }}"
CERTGEN = "/usr/lib/squid/security_file_certgen"
SQUID = """https_port {port} intercept ssl-bump tls-cert={pki}/ca.pem tls-key={pki}/ca.key generate-host-certificates=on dynamic_cert_mem_cache_size=16MB
http_port 127.0.0.1:{other}
sslcrtd_program {certgen} -s {folder}/leaves -M 16MB
acl hello at_step SslBump1
ssl_bump peek hello
ssl_bump bump all
tls_outgoing_options flags=DONT_VERIFY_PEER
sslproxy_cert_error allow all
http_access allow all
cache deny all
access_log none
cache_log {folder}/cache.log
pid_filename none
coredump_dir {folder}
visible_hostname bench
shutdown_lifetime 0 seconds
max_filedescriptors 8192
"""


class Relay(Way):
    needs = ("nft", "setpriv")
    number = 0

    def __init__(self, world):
        super().__init__(world)
        self.port = 31290 + self.number
        self.folder = f"{world.folder}/{self.name.replace(' ', '-')}"
        self.process = None

    def missing(self):
        return super().missing() or (None if self.world.root else "root")

    def start(self):
        """The process; what it needs lies in self.folder."""
        raise NotImplementedError

    def prepare(self):
        make_authority(self.world)
        os.makedirs(self.folder, exist_ok=True)
        os.chmod(self.folder, 0o777)
        said = f"{self.folder}/said"
        self.process = self.world.keep(self.start(), said)
        self.world.wait_for(self.port, said)

    def command(self, command):
        return ["setpriv", "--regid", str(GROUP), "--clear-groups", "--", *command]

    @contextlib.contextmanager
    def standing(self):
        if not self.process:
            self.prepare()
        rule = RULE.format(GROUP, TLS_PORT, NAMES_PORT, self.port)
        subprocess.run(["nft", "-f", "-"], input=rule, text=True, check=True)
        try:
            yield
        finally:
            subprocess.run(["nft", "delete", "table", "ip", "bench"], check=True)

    def tap(self, client):
        return processes.tree(self.process.pid)


def make_authority(world):
    folder = f"{world.folder}/pki"
    if os.path.exists(folder):
        return
    os.mkdir(folder)
    world.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench CA",
                  "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.pem")
    world.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{folder}/leaf-ec.key")
    os.chmod(f"{folder}/ca.key", 0o644)         # squid reads it as its own user


class Sslsplit(Relay):
    name = "sslsplit"
    needs = (*Relay.needs, "sslsplit")
    number = 1
    options = ()

    def start(self):
        pki = f"{self.world.folder}/pki"
        return ["sslsplit", "-k", f"{pki}/ca.key", "-c", f"{pki}/ca.pem",
                *(o.format(pki=pki, folder=self.folder) for o in self.options), "ssl", "0.0.0.0", str(self.port)]


class SslsplitEc(Sslsplit):
    name = "sslsplit EC"
    number = 2
    options = ("-K", "{pki}/leaf-ec.key")


class SslsplitPcap(Sslsplit):
    name = "sslsplit pcap"
    number = 3
    options = ("-K", "{pki}/leaf-ec.key", "-X", "{folder}/out.pcap", "-M", "{folder}/keys")

    def start(self):
        # To a tmpfs, as apptap's capture.
        shutil.rmtree(self.folder)
        os.mkdir(f"{self.world.tmpfs}/sslsplit")
        os.chmod(f"{self.world.tmpfs}/sslsplit", 0o777)
        os.symlink(f"{self.world.tmpfs}/sslsplit", self.folder)
        return super().start()

    def attach(self, client):
        warm(self.world, self.world.body * 5 // 4)

    def settle(self, client):
        with contextlib.suppress(FileNotFoundError):
            os.truncate(f"{self.folder}/out.pcap", 0)


class Squid(Relay):
    name = "squid"
    needs = (*Relay.needs, "squid")
    number = 4

    def missing(self):
        return super().missing() or (None if os.path.exists(CERTGEN) else "squid-openssl")

    def start(self):
        with open(f"{self.folder}/squid.conf", "w", encoding="ascii") as f:
            f.write(SQUID.format(port=self.port, other=self.port + 100, pki=f"{self.world.folder}/pki",
                                 folder=self.folder, certgen=CERTGEN))
        subprocess.run([CERTGEN, "-c", "-s", f"{self.folder}/leaves", "-M", "16MB"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["chown", "-R", "proxy:", f"{self.folder}/leaves"], check=True)
        return ["squid", "-N", "-f", f"{self.folder}/squid.conf"]


class Mitmdump(Relay):
    name = "mitmdump"
    needs = (*Relay.needs, "mitmdump")
    number = 5

    def start(self):
        return ["mitmdump", "--quiet", "--mode", "transparent", "--listen-port", str(self.port), "--ssl-insecure",
                "--set", f"confdir={self.folder}", "--set", "stream_large_bodies=1m"]
