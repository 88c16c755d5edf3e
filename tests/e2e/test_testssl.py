# SPDX-License-Identifier: GPL-3.0-or-later
# test_testssl - testssl.sh finds no more fault with what the app is shown than with the origin itself.
#
# It leaves most handshakes in the middle, as a program would that pins its certificate: so what
# was pinned must not be passed by. It mostly waits, so both runs go side by side.

import json
import os

from e2e.scenario import only
from peers import nginx

RANKS = {"OK": 0, "INFO": 0, "WARN": 1, "LOW": 1, "MEDIUM": 2, "HIGH": 3, "CRITICAL": 4}
# Protocols, the server's preferences and vulnerabilities; with the ciphers of each protocol where that is quick.
CHECKS, MORE = ["-p", "-P", "-U"], ["-E"]


def start(t, name, **kw):
    folder = f"{t.home}/{name}"
    os.mkdir(folder)
    os.chmod(folder, 0o777)
    command = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1", "--jsonfile",
               f"{folder}/found.json", *CHECKS, *t.scaled(MORE, []), "localhost:8443"]
    return f"{folder}/found.json", t.start(command, cwd=folder, **kw)


def findings(path):
    """{what was looked at: (severity, what was found)}"""
    with open(path) as file:
        return {one["id"]: (one["severity"], one["finding"]) for one in json.load(file)}


def difference(straight, tapped):
    """A row for whatever is not the same, and the names of what is worse."""
    rows, worse = [], []
    for name in sorted(straight.keys() | tapped.keys()):
        ours, theirs = tapped.get(name, ("OK", "-")), straight.get(name, ("OK", "-"))
        if RANKS.get(ours[0], 4) > RANKS.get(theirs[0], 4):
            worse.append(name)
        if ours != theirs:
            rows.append(f"{name:26}{theirs[0]:>9} {theirs[1][:52]:52}{ours[0]:>9} {ours[1][:52]}")
    return rows, worse


@only("user", limit=240)
def test_findings(t):
    t.need("testssl")
    t.only_apptap()
    t.keep(nginx.serve(t))
    runs = [start(t, "straight", straight=True), start(t, "tapped", options=["--no-pin-bypass"])]
    tapped = [running.wait(t.scaled(200, 600)) for _, running in runs][1]
    verdicts = [f["verdict"] for f in tapped.flows]
    t.true(verdicts.count("opened") > 10, f"testssl saw the app's leg: {verdicts}")
    straight, tapped = (findings(path) for path, _ in runs)
    t.true(len(straight) > 20, f"testssl looked: {straight}")
    rows, worse = difference(straight, tapped)
    t.show(f"{'':26}{'straight':>9} {'':52}{'tapped':>9}", *rows,
           f"{len(straight)} and {len(tapped)} findings; the same: {sum(tapped.get(k) == v for k, v in straight.items())}")
    t.equal(worse, [], "what is worse through apptap")
