# SPDX-License-Identifier: GPL-3.0-or-later
# wireshark - what a capture says when it is read by the programs people use.

import subprocess

CHECKS = [f"{p}.check_checksum:TRUE" for p in ("ip", "tcp", "udp")]
# What no capture of ours may hold. Status 0 is "bad".
FAULTS = ["_ws.malformed", "tcp.analysis.lost_segment", "tcp.analysis.ack_lost_segment",
          "_ws.short"] + [f"{p}.checksum.status == 0" for p in ("ip", "tcp", "udp", "icmp", "icmpv6")]


def tshark(path, *arguments, options=(), stdin=None):
    command = ["tshark", "-n", "-r", path]
    for option in [*CHECKS, *options]:
        command += ["-o", option]
    done = subprocess.run(command + list(arguments), stdin=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, errors="replace",
                          env={"PATH": "/usr/bin:/bin:/usr/sbin", "HOME": "/nonexistent", "LANG": "C.UTF-8"})
    if done.returncode != 0:
        raise AssertionError(f"tshark ended with {done.returncode}: {done.stderr}")
    return done.stdout


def rows(path, where, *fields, options=(), stdin=None):
    """A list of each packet's fields (text; several values joined by commas)."""
    arguments = ["-Y", where, "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]
    for field in fields:
        arguments += ["-e", field]
    text = tshark(path, *arguments, options=options, stdin=stdin)
    return [line.split("\t") for line in text.split("\n") if line]


def column(path, where, field, **kw):
    return [row[0] for row in rows(path, where, field, **kw)]


def followed(path, streams):
    """The bytes under TLS of each of these TCP streams: one way and the other, which is which it does not know."""
    arguments = [a for s in streams for a in ("-z", f"follow,tls,raw,{s}")]
    parts = tshark(path, "-q", *arguments).split("Follow: tls,raw\n")[1:]
    # After a line for each node a line of hexadecimal for each piece, one way's behind a tab.
    found = {part.split("tcp.stream eq ", 1)[1].split("\n", 1)[0]: part for part in parts}
    lines = [found[s].split("\n")[3:] for s in streams]
    return [[bytes.fromhex("".join(line for line in one if line[:1] not in "=NF" and line.startswith("\t") == tab))
             for tab in (False, True)] for one in lines]


def sound(path, faults=None, **kw):
    """Fails when Wireshark finds fault with any packet; returns how many there are."""
    bad = rows(path, " || ".join(f"({f})" for f in faults or FAULTS), "frame.number", "_ws.col.Protocol",
               "_ws.col.Info", "ip.checksum.status", "tcp.checksum.status", "udp.checksum.status", **kw)
    if bad:
        raise AssertionError(f"{path}: faults in {bad[:10]}")
    count = len(column(path, "frame", "frame.number", **kw))
    if not count:
        raise AssertionError(f"{path}: no packets")
    return count


def readable(path, count=None):
    """tcpdump and capinfos read it to its end and count the same packets."""
    found = []
    for command in (["tcpdump", "-n", "-r", path], ["capinfos", "-M", "-c", path]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0 or "truncated" in done.stderr or "cut short" in done.stderr:
            raise AssertionError(f"{command[0]}: {done.stderr}")
        if command[0] == "tcpdump":
            found.append(len([l for l in done.stdout.splitlines() if l[:1].isdigit()]))
        else:
            found.append(int(done.stdout.split("packets:")[1].split()[0]))
    if found[0] != found[1] or (count is not None and found[1] != count):
        raise AssertionError(f"{path}: tcpdump and capinfos count {found}, tshark {count}")
