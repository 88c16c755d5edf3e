# SPDX-License-Identifier: GPL-3.0-or-later
# services - the servers of Debian that turn to TLS, each a process of the scenario's own.
#
# Data, settings and sockets lie in a folder of the scenario; nothing of the machine's own
# settings is read. Each is served on its well-known port of 127.0.0.1, as localhost.

import contextlib
import glob
import os
import shutil
import subprocess

from e2e import world
from peers import sockets

NOBODY = 65534
ADDRESS = "127.0.0.1"


def needed(program):
    found = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if not found:
        raise world.Skip(f"{program} is not installed")
    return found


def folder_of(t, name, owner=0):
    folder = f"{t.folder}/{name}"
    os.makedirs(folder, exist_ok=True)
    os.chmod(t.folder, 0o755)
    for end in "pem", "key":
        shutil.copy(f"{t.pki}/good.{end}", f"{folder}/good.{end}")
        os.chmod(f"{folder}/good.{end}", 0o600)
        os.chown(f"{folder}/good.{end}", owner, -1)
    os.chown(folder, owner, -1)
    return folder


def make(folder, *command, **kw):
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    if done.returncode:
        raise AssertionError(f"{command[0]} ended with {done.returncode}: {done.stdout[-1500:]}")


@contextlib.contextmanager
def running(folder, ports, *command, **kw):
    with open(f"{folder}/log", "w") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **kw)
    try:
        sockets.await_listener([(ADDRESS, port) for port in ports], process)
        yield folder
    except AssertionError as error:
        with open(f"{folder}/log", errors="replace") as log:
            print(log.read()[-3000:])
        raise error
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def postgresql(t, *settings):
    """The superuser is "postgres", without a password."""
    places = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not places:
        raise world.Skip("postgresql is not installed")
    folder = folder_of(t, "postgresql", NOBODY)
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}}
    make(folder, f"{places[-1]}/initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "postgres", "--no-sync", **user)
    options = ["ssl=on", f"ssl_cert_file={folder}/good.pem", f"ssl_key_file={folder}/good.key", "fsync=off",
               f"listen_addresses={ADDRESS}", f"unix_socket_directories={folder}", *settings]
    with running(folder, [5432], f"{places[-1]}/postgres", "-D", f"{folder}/data",
                 *(word for option in options for word in ("-c", option)), **user):
        yield folder


@contextlib.contextmanager
def mariadb(t):
    """The user "t" has no password."""
    server = needed("mariadbd")
    folder = folder_of(t, "mariadb")
    make(folder, needed("mariadb-install-db"), "--no-defaults", f"--datadir={folder}/data", "--user=root",
         "--auth-root-authentication-method=normal", "--skip-test-db")
    world.write(f"{folder}/init.sql", "CREATE USER t@'%';\nGRANT ALL ON *.* TO t@'%';\n")
    with running(folder, [3306], server, "--no-defaults", "--user=root", f"--datadir={folder}/data",
                 f"--socket={folder}/socket", f"--pid-file={folder}/pid", f"--bind-address={ADDRESS}", "--port=3306",
                 f"--ssl-cert={folder}/good.pem", f"--ssl-key={folder}/good.key", f"--init-file={folder}/init.sql"):
        yield folder


DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = /dev/stderr
protocols = {protocols}
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/good.pem
ssl_key = <{folder}/good.key
disable_plaintext_auth = yes
mail_location = maildir:{folder}/mail
first_valid_uid = 65534
last_valid_uid = 65534
first_valid_gid = 65534
default_vsz_limit = 0
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={folder}/home
}}
"""


@contextlib.contextmanager
def dovecot(t, protocols="imap pop3"):
    """Any user with the password "secret" has one mail, MAIL, in the folder's mail/."""
    server = needed("dovecot")
    version = subprocess.run([server, "--version"], stdout=subprocess.PIPE, text=True).stdout
    if not version.startswith("2.3."):
        raise world.Skip(f"dovecot is {version.split()[0]}: DOVECOT's settings are those of 2.3")
    for protocol in protocols.split():
        program = {"sieve": "managesieve"}.get(protocol, protocol)
        if not glob.glob(f"/usr/lib*/dovecot/{program}-login"):
            raise world.Skip(f"dovecot's {program} is not installed")
    folder = folder_of(t, "dovecot")
    for place in "mail", "mail/new", "mail/cur", "mail/tmp", "home":
        os.mkdir(f"{folder}/{place}")
        os.chown(f"{folder}/{place}", NOBODY, NOBODY)
    world.write(f"{folder}/mail/new/1.1.origin", MAIL)
    world.write(f"{folder}/conf", DOVECOT.format(folder=folder, protocols=protocols))
    ports = {"imap": 143, "pop3": 110, "sieve": 4190}
    with running(folder, [ports[p] for p in protocols.split()], server, "-F", "-c", f"{folder}/conf"):
        yield folder


MAIL = "From: a@origin.test\nTo: b@origin.test\nSubject: intact\n\n" + "".join(f"line {n}\n" for n in range(2000))


SLAPD = """
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
argsfile {folder}/args
TLSCertificateFile {folder}/good.pem
TLSCertificateKeyFile {folder}/good.key
TLSCACertificateFile {ca}
database mdb
suffix "dc=origin,dc=test"
rootdn "cn=admin,dc=origin,dc=test"
rootpw secret
directory {folder}/data
"""


@contextlib.contextmanager
def slapd(t):
    """Its root is dc=origin,dc=test, its administrator cn=admin with "secret"."""
    server = needed("slapd")
    folder = folder_of(t, "slapd")
    os.mkdir(f"{folder}/data")
    world.write(f"{folder}/conf", SLAPD.format(folder=folder, ca=f"{t.pki}/ca.pem"))
    world.write(f"{folder}/ldif", "dn: dc=origin,dc=test\nobjectClass: dcObject\nobjectClass: organization\n"
                                  "dc: origin\no: The origin\n")
    make(folder, needed("slapadd"), "-f", f"{folder}/conf", "-l", f"{folder}/ldif")
    with running(folder, [389], server, "-f", f"{folder}/conf", "-h", f"ldap://{ADDRESS}:389", "-d", "0"):
        yield folder


VSFTPD = """
listen=YES
listen_address=127.0.0.1
background=NO
anonymous_enable=YES
local_enable=NO
anon_root={folder}/files
secure_chroot_dir={folder}/empty
ssl_enable=YES
allow_anon_ssl=YES
force_anon_data_ssl=YES
force_anon_logins_ssl=YES
ssl_tlsv1=YES
require_ssl_reuse=YES
rsa_cert_file={folder}/good.pem
rsa_private_key_file={folder}/good.key
seccomp_sandbox=NO
xferlog_enable=NO
pasv_address=127.0.0.1
"""


@contextlib.contextmanager
def vsftpd(t):
    """What lies under the folder's files/ is served to anonymous."""
    server = needed("vsftpd")
    folder = folder_of(t, "vsftpd")
    for place in "files", "empty":
        os.mkdir(f"{folder}/{place}", 0o555)
    world.write(f"{folder}/conf", VSFTPD.format(folder=folder))
    with running(folder, [21], server, f"{folder}/conf"):
        yield folder


POSTFIX = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = localhost
mydestination =
alias_maps =
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
virtual_mailbox_domains = origin.test
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:all
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_tls_cert_file = {folder}/good.pem
smtpd_tls_key_file = {folder}/good.key
smtpd_tls_security_level = encrypt
smtpd_tls_received_header = yes
"""
# Services of master.cf: none in a chroot, whose files another daemon's start would copy.
MASTER = """
smtp inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
virtual unix - n n - - virtual
proxymap unix - - n - - proxymap
error unix - - n - - error
anvil unix - - n - 1 anvil
"""


@contextlib.contextmanager
def postfix(t):
    """Takes mail for origin.test, all into the folder's mail/all."""
    server = needed("postfix")
    folder = folder_of(t, "postfix")
    for place, owner in ("queue", 0), ("data", "postfix"), ("mail", "nobody"):
        os.mkdir(f"{folder}/{place}")
        shutil.chown(f"{folder}/{place}", owner)
    world.write(f"{folder}/main.cf", POSTFIX.format(folder=folder))
    world.write(f"{folder}/master.cf", MASTER)
    with running(folder, [25], server, "-c", folder, "start-fg"):
        yield folder
