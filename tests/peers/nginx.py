# SPDX-License-Identifier: GPL-3.0-or-later
# nginx - the real one, with HTTP on 80, HTTPS with HTTP/2 on 443, without it on 8443.

import contextlib
import os
import subprocess
import time

from peers import sockets

CONFIG = """
daemon off; master_process off; error_log {folder}/error.log; pid {folder}/pid; worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
	access_log {folder}/access.log;
	client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
	uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
	client_max_body_size 0;
	ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols {versions};
	root {folder}/www;
	default_type text/plain;
{servers}
}}
"""
SERVER = """
	server {{
		{listens}
		location = /hello {{ return 200 "hello from $server_port over $server_protocol\\n"; }}
		location = /posted {{ proxy_pass http://$server_addr:80/hello; }}	# reads all before it answers
		location = /agent {{ return 200 "$http_user_agent\\n"; }}
		location / {{ }}
	}}
"""


@contextlib.contextmanager
def serve(t, addresses=("127.0.0.1",), certificate=None, key=None, more="", versions="TLSv1.2 TLSv1.3"):
    """Files under the yielded folder are served at /. `more` stands after the servers."""
    t.need("nginx")
    folder = f"{t.folder}/nginx"
    os.makedirs(f"{folder}/www", exist_ok=True)
    os.chmod(t.folder, 0o755)
    ports = {80: "", 443: " ssl http2", 8443: " ssl"}
    servers = "".join(SERVER.format(listens="\n\t\t".join(
        f"listen {f'[{a}]' if ':' in a else a}:{port}{kind};" for a in addresses)) for port, kind in ports.items())
    with open(f"{folder}/conf", "w") as file:
        file.write("user root;\n" + CONFIG.format(folder=folder, servers=servers + more, versions=versions,
                   certificate=certificate or f"{t.pki}/good.pem", key=key or f"{t.pki}/good.key"))
    process = subprocess.Popen(["nginx", "-p", folder, "-c", f"{folder}/conf", "-e", f"{folder}/error.log"])
    try:
        sockets.await_listener([(a, p) for a in addresses for p in ports], process)
        yield f"{folder}/www"
    finally:
        process.terminate()
        process.wait()


def access(t):
    with open(f"{t.folder}/nginx/access.log") as file:
        return file.read()


def settle(t, words, limit=5):
    """nginx writes its log line after the answer: wait for it."""
    deadline = time.monotonic() + limit
    while words not in access(t) and time.monotonic() < deadline:
        time.sleep(0.01)
    return access(t)
