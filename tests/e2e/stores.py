# SPDX-License-Identifier: GPL-3.0-or-later
# stores - this machine's own stores of authorities, laid over so that a scenario
# changes them for itself alone.

import hashlib
import os
import shutil
import subprocess

from e2e import world
from e2e.world import Skip

# What the distributions' commands write, and Java's. Not /etc as a whole: the
# scenario's own files are bound there.
FOLDERS = ("/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/local/share", "/var/lib", "/usr/lib/jvm")
SEEN = ("/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/local/share/ca-certificates", "/usr/lib/jvm")
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
           "/var/lib/ca-certificates/ca-bundle.pem")
JAVA = "/etc/ssl/certs/java/cacerts"


def lay_over(t):
    """From here on all changes to the stores are this scenario's."""
    t.only_apptap()
    if not any(shutil.which(c, path="/usr/sbin:/usr/bin:/sbin:/bin") for c in ("update-ca-certificates", "update-ca-trust")):
        raise Skip("no command here fills the system's store")
    for n, folder in enumerate(f for f in FOLDERS if os.path.isdir(f)):
        parts = [f"{t.folder}/over{n}", f"{t.folder}/work{n}"]
        for part in parts:
            os.mkdir(part)
            os.chmod(part, 0o755)
        try:
            world.mount("overlay", folder, "overlay", 0, f"lowerdir={folder},upperdir={parts[0]},workdir={parts[1]}")
        except OSError as error:
            raise Skip(f"the stores cannot be laid over: {error}") from None


def settle():
    """The system's own command once, as any package would have it run."""
    for command in (["update-ca-certificates"], ["update-ca-trust", "extract"]):
        if program := shutil.which(command[0], path="/usr/sbin:/usr/bin:/sbin:/bin"):
            subprocess.run([program, *command[1:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            return


def bundle():
    with open(next(b for b in BUNDLES if os.path.exists(b)), "rb") as file:
        return file.read()


def listing():
    """Each file's name, kind, mode, owner and content, below all the stores."""
    found = {}
    for top in SEEN:
        for folder, names, files in os.walk(top):
            for path in (f"{folder}/{name}" for name in names + files):
                status = os.lstat(path)
                what = [oct(status.st_mode), status.st_uid, status.st_gid]
                if os.path.islink(path):
                    what.append(os.readlink(path))
                elif path == JAVA:
                    what.append(java_aliases())    # the command writes its entries' dates anew
                elif os.path.isfile(path):
                    with open(path, "rb") as file:
                        what.append(hashlib.sha256(file.read()).hexdigest())
                found[path] = what
    return found


def java_aliases():
    if not shutil.which("keytool") or not os.path.exists(JAVA):
        return []
    done = subprocess.run(["keytool", "-list", "-keystore", JAVA, "-storepass", "changeit"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    return sorted(line.split(",")[0] for line in done.stdout.splitlines() if "trustedCertEntry" in line)


def differences(before, after):
    return sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
