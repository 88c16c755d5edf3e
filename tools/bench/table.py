# SPDX-License-Identifier: GPL-3.0-or-later
# table - what was measured, as tables for a terminal and for a README alike.

import textwrap

WAYS = {
    "plain TCP": ["straight", "pasta", "slirp4netns", "apptap", "apptap -w", "apptap -w null", "tmpfs alone"],
    "TLS 1.3, opened": ["straight", "sslsplit", "sslsplit EC", "sslsplit pcap", "squid", "mitmdump", "apptap", "apptap -w all"],
    "apptap local": ["straight", "beside local", "local", "apptap"],
}


def digits(value):
    if value is None:
        return "-"
    size = abs(value)
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def markdown(head, lines):
    lines = [head, *lines]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    padded = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines]
    padded.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(padded)


def spread(line):
    least, most = (digits(end(line["rounds"])) for end in (min, max)) if len(line["rounds"]) > 1 else ("", "")
    return f"{least} to {most}" if least != most else ""


def reached(line):
    """The median's verdict, and the rounds that reach the goal where they do not agree."""
    if line["reached"] is None:
        return "not measured"
    count, all_of = line["rounds that reach it"], len(line["rounds"])
    return ("yes" if line["reached"] else "no") + (f", {count} of {all_of}" if 0 < count < all_of else "")


def goals(lines):
    cells = []
    for line in lines:
        bound = "at least" if line["least"] else "at most"
        peer = f"{line['peer']} {digits(line['of peer'])}" if line["peer"] else ""
        cells.append([line["what"], f"{bound} {digits(line['goal'])}", digits(line["got"]), spread(line), peer, reached(line)])
    return markdown(["ratio to straight, or as said", "goal", "apptap", "rounds", "best peer", "reached"], cells)


def kind(figure):
    if figure.startswith("local: "):
        return "apptap local"
    return "TLS 1.3, opened" if "TLS" in figure or "requests" in figure or "connection to a" in figure else "plain TCP"


def figures(values):
    """A table for each kind that has figures, with the ways that have any as its columns."""
    tables = []
    for title, order in WAYS.items():
        names = [n for n in values.values if kind(n) == title and not n.endswith("sent again")]
        ways = [w for w in order if any(values.median(n, w) is not None for n in names)]
        if names:
            tables.append(markdown([title, *ways], [[n.removeprefix("local: "), *(digits(values.median(n, w)) for w in ways)]
                                                    for n in names]))
    return "\n\n".join(tables)


def remarks(values, captures, left_out, lines=(), disturbed=()):
    """What has to be known to read the figures."""
    said = list(disturbed)
    if any("," in reached(line) for line in lines):
        said.append("Within noise are the verdicts that say how many rounds reach the goal: the others do not.")
    for name in "up", "up, 8 streams":
        if values.collapsed(name):
            again = values.median(f"{name}, sent again", "pasta")
            said.append(f"pasta's {name} collapsed ({again:.0f} segments sent again): no ratio to it is taken.")
    if captures:
        whole = sum(c["in file"] == c["said"] for c in captures)
        dropped = sum(c["dropped"] for c in captures)
        apart = max(c["carried"] - c["in file"] for c in captures)
        said.append("A tmpfs is written to, and emptied, just before it takes a capture or is measured alone: what it takes "
                    "from pages that are the machine's already, not those that a host has yet to give.")
        said.append(f"Packets: {whole} of {len(captures)} captures hold as many as apptap counted, {sum(c['in file'] for c in captures)} "
                    f"in all; the tunnel's device dropped {dropped}, and carried at most {apart} more than its file holds.")
    if left_out:
        said.append("Left out: " + "; ".join(left_out) + ".")
    return "\n".join(textwrap.fill(f"- {line}", 100, subsequent_indent="  ") for line in said)
