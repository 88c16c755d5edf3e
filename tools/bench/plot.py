# SPDX-License-Identifier: GPL-3.0-or-later
# plot - the ratios as bars, each with its goal marked, by gnuplot.

import shutil
import subprocess

from bench.table import digits

SCRIPT = """set terminal svg size 1000,{height} font "sans,13" background "white"
set output "{svg}"
set title "{title}"
set style fill solid noborder
set xrange [0:{right}]
set yrange [{rows}-0.4:-0.6]
set xlabel "ratio to the straight connection"
set grid xtics lc rgb "#dddddd"
set key at screen 0.5,0.02 center bottom horizontal
set bmargin 5
set lmargin 38
set ytics ({names}) nomirror scale 0
set border 3
{labels}
plot "-" using (0):1:(0):2:($1-0.36):($1-0.02) with boxxyerror lc rgb "#2a6f97" title "apptap", \\
     "-" using (0):1:(0):2:($1+0.02):($1+0.36) with boxxyerror lc rgb "#c9b79c" title "best peer", \\
     "-" using 2:($1-0.42):(0):(0.40) with vectors nohead lw 3 lc rgb "#d1495b" title "goal"
"""


def draw(lines, path, title):
    """False without gnuplot or anything to draw."""
    shown = [line for line in lines if line["plot"] and line["got"] is not None]
    if not shown or not shutil.which("gnuplot"):
        return False
    names, labels, ours, theirs, goals = [], [], [], [], []
    for n, line in enumerate(shown):
        names.append(f'"{line["what"]}" {n}')
        labels.append(f'set label "{digits(line["got"])}" at {line["got"]:.4f},{n - 0.19} left offset 0.5,0 font ",11"')
        ours.append(f"{n} {line['got']:.4f}")
        if line["of peer"] is not None:
            labels.append(f'set label "{line["peer"]} {digits(line["of peer"])}" at {line["of peer"]:.4f},{n + 0.19} '
                          'left offset 0.5,0 font ",11" tc rgb "#777777"')
            theirs.append(f"{n} {line['of peer']:.4f}")
        goals.append(f"{n} {line['goal']:.4f}")
    right = max([1.0] + [max(line["got"], line["of peer"] or 0, line["goal"]) for line in shown]) * 1.12
    script = SCRIPT.format(svg=path, title=title, height=110 + 44 * len(shown), rows=len(shown), right=right,
                           names=", ".join(names), labels="\n".join(labels))
    data = "".join("\n".join(rows or ["-9 0"]) + "\ne\n" for rows in (ours, theirs, goals))
    subprocess.run(["gnuplot"], input=script + data, text=True, check=True)
    return True
