# SPDX-License-Identifier: GPL-3.0-or-later
# tls_client - one program's many TLS connections, one after the other: Python's, curl's, gnutls-cli's.
#
#   python3 tls_client.py python|curl|gnutls FOLDER < cells
#
# As its siblings in other languages: a line "N PORT VERSION OFFER" on standard
# input is a connection to localhost, which asks with FOLDER/request.OFFERED
# (or in its own way) and leaves what it was answered, up to the body's known
# end, in FOLDER/N. The line "N VERSION ALPN" tells what was agreed, or
# "N failed WHY". OFFER is "-" or ALPN's names with commas.

import os
import re
import socket
import ssl
import subprocess
import sys

END = b"the end of the body\n"
NAMES = {"1.0": "TLSv1", "1.1": "TLSv1.1", "1.2": "TLSv1.2", "1.3": "TLSv1.3"}


def file(folder, name, data=None):
    with open(f"{folder}/{name}", "rb" if data is None else "wb") as f:
        return f.read() if data is None else f.write(data)


def request(folder, alpn):
    return file(folder, "request.h2" if alpn == "h2" else "request.h1")


def over_python(folder, port, version, offer):
    context = ssl.create_default_context()
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, NAMES[version].replace(".", "_"))
    if version < "1.2":
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    if offer != "-":
        context.set_alpn_protocols(offer.split(","))
    with socket.create_connection(("127.0.0.1", port)) as raw, context.wrap_socket(raw, server_hostname="localhost") as s:
        alpn = s.selected_alpn_protocol()
        s.sendall(request(folder, alpn))
        got = b""
        while END not in got[-200:] and (data := s.recv(65536)):
            got += data
        return s.version(), alpn, got


def over_curl(folder, port, version, offer):
    choice = {"-": ["--no-alpn", "--http1.1"], "http/1.1": ["--http1.1"]}.get(offer, ["--http2"])
    # curl's TLS 1.3 is "at least"; an upper bound with an older one needs old security too.
    bounds = ["--tlsv" + version, "--tls-max", version] + (["--ciphers", "DEFAULT@SECLEVEL=0"] if version < "1.2" else [])
    done = subprocess.run(["curl", "-sSv", *choice, *bounds, f"https://localhost:{port}/body"],
                          stdin=subprocess.DEVNULL, capture_output=True)
    said = done.stderr.decode(errors="replace")
    if done.returncode:
        raise OSError(f"status {done.returncode}")
    alpn = re.search(r"ALPN[:,] server accepted (?:to use )?(\S+)", said)
    return re.search(r"SSL connection using (\S+)", said).group(1), alpn and alpn.group(1), done.stdout


def over_gnutls(folder, port, version, offer):
    log = f"{folder}/gnutls.log"
    trust = ["--x509cafile", os.environ["SSL_CERT_FILE"]] if "STRAIGHT" in os.environ else []
    names = [] if offer == "-" else [f"--alpn={name}" for name in offer.split(",")]
    # An answer of EOF would end it before the server's: standard input stays open until the body is there.
    with subprocess.Popen(["gnutls-cli", "--logfile", log, *trust, *names, "-p", str(port), "--priority",
                           f"NORMAL:-VERS-ALL:+VERS-TLS{version}", "localhost"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        # Which protocol it will be is known: the one server that has h2 takes it.
        os.write(child.stdin.fileno(), request(folder, "h2" if "h2" in offer and port < 4000 else None))
        got = b""
        while END not in got[-200:] and (data := os.read(child.stdout.fileno(), 65536)):
            got += data
        child.stdin.close()
    said = file(folder, "gnutls.log").decode(errors="replace")
    os.remove(log)
    agreed = re.search(r"Description: \(TLS([\d.]+)", said)
    if not agreed:
        raise OSError(" ".join(said.split())[-80:])
    alpn = re.search(r"Application protocol: (\S+)", said)
    return NAMES[agreed.group(1)], alpn and alpn.group(1), got


def main():
    over, folder = globals()[f"over_{sys.argv[1]}"], sys.argv[2]
    for line in sys.stdin:
        n, port, version, offer = line.split()
        try:
            agreed, alpn, got = over(folder, int(port), version, offer)
        except OSError as error:
            print(n, "failed", " ".join(str(error).split()), flush=True)
            continue
        file(folder, n, got)
        print(n, agreed, alpn or "-", flush=True)


if __name__ == "__main__":
    main()
