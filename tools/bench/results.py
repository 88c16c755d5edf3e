# SPDX-License-Identifier: GPL-3.0-or-later
# results - what runs have found: bench.json, what is added to it, and what is printed of it.
#
# A run measures parts, a figure belongs to one part, and of each part the last run
# counts: adding takes away what was known of the parts that were measured again.

import json
import os
import textwrap
import time

from bench import plot, table
from bench.rows import Values, rows

FORM = 3                # of bench.json
PARTS = ["bulk", "plain", "memory", "tls", "start", "local"]


class Unfit(Exception):
    """Why nothing can be added to a file."""


class Results:
    def __init__(self, machine):
        self.machine = machine
        self.runs = []                  # each with the parts that still count
        self.values = Values()
        self.part_of = {}               # figure -> part
        self.captures = []

    @classmethod
    def load(cls, path, machine):
        try:
            with open(path, encoding="utf-8") as f:
                told = json.load(f)
        except FileNotFoundError:
            raise Unfit(f"there is no {path} to add to: measure all once") from None
        except ValueError as error:
            raise Unfit(f"{path} cannot be read: {error}") from None
        if told.get("form") != FORM:
            raise Unfit(f"{path} was written by another version of this benchmark: measure all once")
        if told["machine"] != machine:
            raise Unfit(f"{path} was measured on another machine: {told['machine']}")
        found = cls(machine)
        found.runs, found.values, found.captures = told["runs"], Values(told["values"]), told["captures"]
        found.part_of = told["parts of figures"]
        return found

    def add(self, run, values, part_of, captures):
        parts = run["parts"]
        for figure in [f for f, part in self.part_of.items() if part in parts]:
            self.values.values.pop(figure, None)
            del self.part_of[figure]
        self.captures = [c for c in self.captures if c["part"] not in parts] + captures
        for old in self.runs:
            old["parts"] = [part for part in old["parts"] if part not in parts]
        self.runs = [old for old in self.runs if old["parts"]] + [run]
        self.part_of.update(part_of)
        figures = {**self.values.values, **values.values}
        self.values = Values(dict(sorted(figures.items(), key=lambda item: PARTS.index(self.part_of[item[0]]))))

    def left_out(self):
        """What the runs went without, and the parts that none has."""
        found = []
        for run in self.runs:
            where = "" if len(self.runs) == 1 else f" in {', '.join(run['parts'])}"
            failed = [f"{what} (failed)" for what in run["failed"]]
            found += [", ".join(what) + where for what in (run["left out"], failed) if what]
        measured = {part for run in self.runs for part in run["parts"]}
        missing = [part for part in PARTS if part not in measured]
        return [*found, *([", ".join(missing) + " (not measured)"] if missing else [])]

    def disturbed(self):
        """Who else was at work, where it was more than a little."""
        return [f"Not alone{'' if len(self.runs) == 1 else ' in ' + ', '.join(run['parts'])}: other programs took "
                f"{run['others']:.0%} of the processors' time, the host {run['host']:.0%}."
                for run in self.runs if run["others"] + run["host"] > 0.03]

    def head(self):
        said = []
        for run in self.runs:
            what = "" if len(self.runs) == 1 else ", ".join(run["parts"]) + ": "
            day = time.strftime("%Y-%m-%d" if len(self.runs) == 1 else "%Y-%m-%d %H:%M", time.localtime(run["when"]))
            said.append(f"{what}{day}, medians of {run['rounds']} interleaved rounds"
                        + (f" (of {', '.join(run['seldom'])}: {(run['rounds'] + 1) // 2})" if run["seldom"] else "")
                        + f", {run['bulk seconds']:g} s each of bulk, {run['seconds each']:g} s of others, {run['took']:.0f} s in all")
        last = self.runs[-1]
        builds = "" if len({run["build"] for run in self.runs}) == 1 else " The runs are of different builds of apptap."
        return (f"Measured {'; '.join(said)}. {self.machine}, congestion control cubic (what taps open: {last['control']}); "
                + ", ".join(last["versions"]) + "." + builds)

    def text(self, lines):
        head = textwrap.fill(self.head(), 100, break_on_hyphens=False)
        return "\n\n".join([head, table.goals(lines), table.figures(self.values),
                            table.remarks(self.values, self.captures, self.left_out(), lines, self.disturbed())])

    def write(self, build):
        """bench.json, bench.md and bench.svg; prints what is in bench.md."""
        lines = [row.line(self.values) for row in rows(self.values)]
        text = self.text(lines)
        print(text)
        with open(f"{build}/bench.md", "w", encoding="utf-8") as f:
            f.write(text + "\n")
        with open(f"{build}/bench.json.new", "w", encoding="utf-8") as f:
            json.dump({"form": FORM, "machine": self.machine, "runs": self.runs, "goals": lines, "values": self.values.values,
                       "parts of figures": self.part_of, "captures": self.captures}, f, indent=1)
            f.write("\n")
        os.replace(f.name, f"{build}/bench.json")
        day = time.strftime("%Y-%m-%d", time.localtime(self.runs[-1]["when"]))
        drawn = plot.draw(lines, f"{build}/bench.svg", f"apptap, {day}")
        print(f"\nevery value: {build}/bench.json"
              + (f"; plot: {build}/bench.svg" if drawn else "; no plot (no gnuplot, or no ratio)"))
