# SPDX-License-Identifier: GPL-3.0-or-later
# authority - certificates for the peers, made with the openssl command.
#
# ca.pem signs the good ones and is what the tests give as --upstream-ca;
# whatever else is asked for is bad in exactly one way.

import os
import subprocess

EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                   env={"PATH": "/usr/bin:/bin", "RANDFILE": "/dev/null"})


def make(folder, name="ca", subject="/CN=Origins of the tests"):
    """A root: folder/NAME.pem and folder/NAME.key."""
    os.makedirs(folder, exist_ok=True)
    openssl("req", "-x509", *EC, "-days", "30", "-subj", subject, "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem")
    return f"{folder}/{name}.pem"


def extensions(path, names, addresses, ca=False, usage="serverAuth"):
    alternatives = ",".join([f"DNS:{n}" for n in names] + [f"IP:{a}" for a in addresses])
    lines = ["basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign"] if ca else \
        ["basicConstraints=CA:FALSE", "keyUsage=digitalSignature,keyEncipherment", f"extendedKeyUsage={usage}",
         f"subjectAltName={alternatives}"]
    with open(path, "w") as file:
        file.write("\n".join(lines + ["subjectKeyIdentifier=hash", ""]))


def leaf(folder, name, names, addresses=(), signer="ca", days=30, ca=False, usage="serverAuth", rsa=False):
    """folder/NAME.pem (leaf first, then an intermediate signer), NAME.key. Days below zero: expired."""
    kind = ["-newkey", "rsa:2048", "-nodes"] if rsa else EC
    base = f"{folder}/{name}"
    subject = f"/CN={names[0] if names else name}"
    openssl("req", "-new", *kind, "-subj", subject, "-keyout", f"{base}.key", "-out", f"{base}.csr")
    extensions(f"{base}.ext", names, addresses, ca, usage)
    openssl("x509", "-req", "-in", f"{base}.csr", "-CA", f"{folder}/{signer}.pem", "-CAkey", f"{folder}/{signer}.key",
            "-set_serial", f"0x{os.urandom(15).hex()}", "-days", str(days), "-extfile", f"{base}.ext", "-out", f"{base}.pem")
    os.chmod(f"{base}.key", 0o644)
    return f"{base}.pem", f"{base}.key"


def self_signed(folder, name, names, addresses=()):
    base = f"{folder}/{name}"
    alternatives = ",".join([f"DNS:{n}" for n in names] + [f"IP:{a}" for a in addresses])
    openssl("req", "-x509", *EC, "-days", "30", "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={alternatives}",
            "-keyout", f"{base}.key", "-out", f"{base}.pem")
    return f"{base}.pem", f"{base}.key"
