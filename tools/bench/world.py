# SPDX-License-Identifier: GPL-3.0-or-later
# world - the benchmark's own network: a namespace, the servers in it, a folder for both.
#
# The servers listen on 203.0.113.0/24; the straight client sits in the same namespace.
# A veth pair with a default route stands in for an uplink, because pasta copies one.
#
# cubic is pinned on both ends of what moves bulk. What a tap opens towards the server
# takes the namespace's default: cubic as well, or reno on a host whose own default is
# another, where the kernel keeps cubic from us.

import contextlib
import os
import subprocess
import sys
import time

SERVER = "203.0.113.1"
PORT, BULK_PORT = 5202, 5203            # bench_server's
TLS_PORT, NAMES_PORT = 8443, 8444       # nginx's: one certificate, and one for each name
NAMES = 24

# In a user namespace of one user nginx's workers could become nobody else.
NGINX = """user root; {1}daemon off; worker_processes 2; error_log stderr crit; pid {0}/nginx.pid;
events {{ worker_connections 8192; }}
http {{ access_log off; sendfile on; root {0}/www; keepalive_requests 100000000; keepalive_timeout 1h;
	client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fastcgi;
	uwsgi_temp_path {0}/uwsgi; scgi_temp_path {0}/scgi;
	ssl_protocols TLSv1.3; ssl_session_tickets off; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
	server {{ listen 203.0.113.1:8443 ssl http2 backlog=4096;
		ssl_certificate {0}/good.pem; ssl_certificate_key {0}/good.key;
		location = /hello {{ return 200 "hello"; }} location / {{ }} }}
	server {{ listen 203.0.113.1:8444 ssl;
		ssl_certificate {0}/names/$ssl_server_name.pem; ssl_certificate_key {0}/good.key;
		location / {{ return 200 "hello"; }} }} }}
"""


class World:
    def __init__(self, build, folder, tmpfs, body, inside):
        self.apptap, self.client, self.server = (os.path.abspath(f"{build}/{n}")
                                                 for n in ("apptap", "bench_client", "bench_server"))
        self.folder, self.tmpfs, self.body = folder, tmpfs, body
        self.root = inside == "root"
        self.control = None
        self.children = []
        self.environment = dict(os.environ, XDG_DATA_HOME=folder)

    def open(self):
        for place in self.folder, self.tmpfs:
            os.chmod(place, 0o755)
        self.lay_network()
        self.make_certificates()
        self.start_servers()
        # The authority is made on first use.
        subprocess.run([self.apptap, "run", "-q", "--", "true"], check=True, env=self.environment)

    def close(self):
        """They are asked to go first: squid leaves files in /dev/shm otherwise."""
        for child in self.children:
            child.terminate()
        for child in self.children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(3)
            child.kill()
            child.wait()

    def lay_network(self):
        for words in ("link set lo up", f"addr add {SERVER}/24 dev lo",
                      "link add uplink type veth peer name far",
                      "addr add 198.51.100.1/24 dev uplink", "link set uplink up", "link set far up",
                      "route add default via 198.51.100.254"):
            subprocess.run(["ip", *words.split()], check=True)
        for self.control in ("cubic", "reno"):
            try:
                with open("/proc/sys/net/ipv4/tcp_congestion_control", "w", encoding="ascii") as f:
                    f.write(self.control)
                return
            except OSError:
                continue
        sys.exit("bench: no congestion control can be set in a namespace")

    def openssl(self, *words):
        subprocess.run(["openssl", *words], check=True, stderr=subprocess.DEVNULL)

    def make_certificates(self):
        """P-256, as most origins have; and NAMES more for names of their own, on the same key."""
        key = f"{self.folder}/good.key"
        self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        os.mkdir(f"{self.folder}/names")
        for path, name in [("good", f"IP:{SERVER}")] + [(f"names/n{n}.test", f"DNS:n{n}.test") for n in range(NAMES)]:
            self.openssl("req", "-x509", "-new", "-key", key, "-days", "2", "-subj", f"/CN={path.split('/')[-1]}",
                         "-addext", f"subjectAltName={name}", "-out", f"{self.folder}/{path}.pem")

    def start_servers(self):
        os.mkdir(f"{self.folder}/www")
        for part in 1, 2, 4:
            with open(f"{self.folder}/www/body{part}", "wb") as f:      # no blocks on any disk
                f.truncate(self.body // part)
            # The first to read it would pay for its pages.
            subprocess.run(["cat", f.name], check=True, stdout=subprocess.DEVNULL)
        with open(f"{self.folder}/nginx.conf", "w", encoding="ascii") as f:
            f.write(NGINX.format(self.folder, "" if self.root else "master_process off; "))
        said = f"{self.folder}/servers.log"
        for command in ([self.server, str(PORT)],
                        ["nginx", "-p", self.folder, "-c", f"{self.folder}/nginx.conf", "-e", "stderr"]):
            self.keep(command, said)
        self.wait_for(TLS_PORT, said)
        self.wait_for(PORT, said)

    def keep(self, command, said):
        """Starts what stays until the end; its words go to the file `said`."""
        with open(said, "ab") as log:
            self.children.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                  env=self.environment))
        return self.children[-1]

    def wait_for(self, port, said, limit=15):
        """Until somebody listens there. Asked of the kernel: a connection would be one to serve."""
        for _ in range(limit * 50):
            if listening(port):
                return
            if any(child.poll() is not None for child in self.children):
                break
            time.sleep(0.02)
        with open(said, encoding="utf-8", errors="replace") as log:
            sys.exit(f"bench: nobody listens on port {port}: {log.read()[-2000:]}")


def listening(port):
    for table in "tcp", "tcp6":
        with open(f"/proc/net/{table}", encoding="ascii") as f:
            for line in f:
                words = line.split()
                if words[3] == "0A" and words[1].endswith(f":{port:04X}"):
                    return True
    return False
