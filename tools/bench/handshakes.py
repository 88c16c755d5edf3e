# SPDX-License-Identifier: GPL-3.0-or-later
# handshakes - a client that opens TLS connections, for what no packaged one measures.
#
#   handshakes idle HOST PORT           opens as many more as each line of its input says, asks once on each,
#                                       and prints how many are open
#   handshakes names HOST PORT COUNT    prints the milliseconds of the first connection to each of so many
#                                       names, and of another one after it: the medians

import resource
import socket
import ssl
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

# squid looks up and goes to what it is told: the address, with its port.
ASK = b"GET /hello HTTP/1.1\r\nHost: %s\r\n\r\n"


def dial(context, address, name=None):
    connection = context.wrap_socket(socket.create_connection(address), server_hostname=name)
    connection.sendall(ASK % f"{address[0]}:{address[1]}".encode())
    answer = connection.recv(4096)
    if b" 200 " not in answer:
        raise SystemExit(f"no answer but {answer[:200]}")
    return connection


def idle(context, address):
    held = []
    with ThreadPoolExecutor(8) as several:
        for line in sys.stdin:
            held += several.map(lambda _: dial(context, address), range(int(line)))
            print("open", len(held), flush=True)


def names(context, address, count):
    first, again = [], []
    for n in range(count):
        for took in first, again:
            begin = time.monotonic()
            dial(context, address, f"n{n}.test").close()
            took.append((time.monotonic() - begin) * 1e3)
    print(statistics.median(first), statistics.median(again))


def main():
    what, address = sys.argv[1], (sys.argv[2], int(sys.argv[3]))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    idle(context, address) if what == "idle" else names(context, address, int(sys.argv[4]))


main()
