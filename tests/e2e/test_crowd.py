# SPDX-License-Identifier: GPL-3.0-or-later
# test_crowd - a capture of fifty processes at once stays readable.

import re
import subprocess

from e2e import wireshark
from e2e.local import Local, copy_of_python
from e2e.scenario import only
from peers import nginx, sockets

CROWD = 50


def interfaces(path):
    """What capinfos says of each: name, description, how many packets."""
    said = subprocess.run(["capinfos", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = re.findall(r"Interface #\d+ info:\n +Name = (.*)\n +Description = (.*)\n(?:.*\n)*? +Number of packets = (\d+)\n", said)
    assert int(re.search("Number of interfaces in file: (.*)", said)[1]) == len(found), said
    return {name: (description, int(count)) for name, description, count in found}


def expect_told_apart(t, path, asked):
    """`asked`: of each process's name[pid] the number that it asked for."""
    wireshark.readable(path, wireshark.sound(path))
    told = interfaces(path)
    t.equal(set(told), {"apptap", *asked}, "interfaces")
    t.equal(told["apptap"], ("packets of no known process", 0), "nobody's packets")
    for name, number in asked.items():
        t.has(told[name][0], f"/hello?{number} (")
    rows = wireshark.rows(path, "frame", "frame.interface_name", "frame.comment", "tcp.stream")
    t.equal({name: sum(row[0] == name for row in rows) for name in asked}, {name: told[name][1] for name in asked}, "packets")
    comments = [row[1] for row in rows if row[1]]
    t.equal(len(comments), len({row[2] for row in rows}), "a comment for each conversation")
    t.true(max(map(len, comments)) < 400 and not any("\\n" in c for c in comments), f"one line each, not too long: {comments[0]}")
    for name, number in list(asked.items())[::17]:
        mine = f'frame.interface_name == "{name}"'
        streams = {s for s, in wireshark.rows(path, mine, "tcp.stream")}
        t.equal({s for s, in wireshark.rows(path, f'frame.comment contains "process {name} "', "tcp.stream")}, streams, "streams")
        t.equal(wireshark.column(path, f"{mine} && http.request", "http.request.uri"), [f"/hello?{number}"], f"what {name} asked")


def test_fifty_at_once(t):
    """Whose packet is it: by interface, by comment; as many of both as there are processes and conversations."""
    t.keep(nginx.serve(t))
    long = "-H 'X-Long: " + "x" * 3000 + "'"
    done = t.tap(["sh", "-c", f'for n in $(seq {CROWD}); do\ncurl -4sS -o /dev/null {long} "https://localhost:8443/hello?$n" &\n'
                  'echo $! $n; done; wait'], capture=True, limit=60).ok()
    asked = {f"curl[{pid}]": number for pid, number in map(str.split, done.text.splitlines())}
    t.equal(len(asked), CROWD, "processes")
    expect_told_apart(t, done.capture, asked)
    comment, = re.findall("Capture comment: *(.*)", subprocess.run(["capinfos", done.capture], stdout=subprocess.PIPE, text=True).stdout)
    t.true(comment.startswith("sh -c for n in") and comment.endswith("wait"), f"the section's comment is one line: {comment}")


def test_the_filter_chooses_who_is_told(t):
    """An interface for those alone of whom there is something."""
    t.keep(nginx.serve(t))
    done = t.tap(["sh", "-c", 'curl -4sS http://localhost/hello & echo $!; wait; curl -4sS -o /dev/null https://localhost:8443/hello'],
                 options=["-f", "tcp port 80"], capture=True).ok()
    t.equal(set(interfaces(done.capture)), {"apptap", f"curl[{done.text.split()[0]}]"}, "interfaces")


@only("root", limit=90)
def test_fifty_by_local(t):
    """The same of programs that run already."""
    t.keep(nginx.serve(t))
    program = copy_of_python(t, "one-of-many")
    local = Local(t, "one-of-many")
    code = """
import sys, urllib.request
sys.stdin.readline()
urllib.request.urlopen("http://127.0.0.1/hello?" + sys.argv[1]).read()
"""
    running = [t.popen([program, "-c", code, str(n), f"http://127.0.0.1/hello?{n}"], t.environment() | {"PYTHONHOME": "/usr"},
                       stdin=subprocess.PIPE) for n in range(CROWD)]
    for process in running:
        process.stdin.close()
    for process in running:
        t.equal((process.wait(30), process.stderr.read()), (0, b""), "how it ends")
    t.equal(len(local.end()), CROWD, "flows")
    expect_told_apart(t, local.capture, {f"one-of-many[{p.pid}]": n for n, p in enumerate(running)})
