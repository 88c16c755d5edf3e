#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
# bench_test - what the benchmark makes of its figures: ratios, verdicts, tables, bench.json. Nothing is measured.

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import types
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, f"{TOP}/tools")

from bench import table  # noqa: E402
from bench.__main__ import Bench  # noqa: E402
from bench.measures import Measure  # noqa: E402
from bench.results import FORM, Results, Unfit  # noqa: E402
from bench.rows import Row, Values, rows, straight, to_pasta  # noqa: E402
from bench.ways import Apptap, Pasta, Slirp, Way  # noqa: E402


def values(**figures):
    found = Values()
    for figure, of_ways in figures.items():
        for way, each in of_ways.items():
            for number, value in enumerate(each):
                if value is not None:
                    found.add(number, figure, way, value)
    return found


def run(*parts, **more):
    return {"when": 0, "took": 60, "parts": list(parts), "quick": False, "rounds": 5, "bulk seconds": 1, "seconds each": 0.6,
            "seldom": [], "left out": [], "failed": [], "build": "b", "versions": ["passt 1"], "control": "cubic", "spent": {},
            "others": 0, "host": 0, **more}


class Ratios(unittest.TestCase):
    def test_a_round_is_compared_with_itself(self):
        v = values(f={"straight": [10, 100, 10], "apptap": [5, None, 6]})
        self.assertEqual(v.of("f", "apptap"), [5, None, 6])
        self.assertEqual(v.ratios("f", "apptap", "straight"), [0.5, 0.6])

    def test_a_way_that_came_late(self):
        v = values(f={"straight": [10, 20], "apptap": [None, 10]})
        self.assertEqual(v.ratios("f", "apptap", "straight"), [0.5])

    def test_nothing_is_compared_with_a_collapsed_upload(self):
        figures = {"up, Gbit/s": {"pasta": [1], "apptap": [20]}, "down, Gbit/s": {"pasta": [10], "apptap": [20]}}
        self.assertEqual(to_pasta("up")(values(**figures), "apptap"), [])
        self.assertEqual(to_pasta("down")(values(**figures), "apptap"), [2])
        figures["up, Gbit/s"]["pasta"] = [8]
        self.assertEqual(to_pasta("up")(values(**figures), "apptap"), [2.5])


class Verdicts(unittest.TestCase):
    def line(self, ours, goal, least=True, peers=None):
        v = values(f={"straight": [1] * len(ours), "apptap": ours, **(peers or {})})
        return Row("it", goal, straight("f"), peers=list(peers or {}), least=least).line(v)

    def test_all_rounds_agree(self):
        line = self.line([0.6, 0.7, 0.65], 0.5)
        self.assertEqual((table.reached(line), table.spread(line)), ("yes", "0.60 to 0.70"))
        self.assertEqual(table.reached(self.line([0.3, 0.4, 0.35], 0.5)), "no")

    def test_within_noise(self):
        self.assertEqual(table.reached(self.line([0.4, 0.6, 0.7], 0.5)), "yes, 2 of 3")
        self.assertEqual(table.reached(self.line([0.4, 0.45, 0.7], 0.5)), "no, 1 of 3")
        self.assertEqual(table.reached(self.line([0.4, 0.45, 0.7], 0.5, least=False)), "yes, 2 of 3")

    def test_one_value_has_no_spread(self):
        line = self.line([0.6], 0.5)
        self.assertEqual((table.reached(line), table.spread(line)), ("yes", ""))

    def test_nothing_measured(self):
        line = self.line([], 0.5)
        self.assertEqual((line["got"], table.reached(line), table.spread(line)), (None, "not measured", ""))

    def test_the_best_peer(self):
        peers = {"slow": [0.1, 0.2, 0.3], "fast": [0.4, 0.5, 0.6], "absent": []}
        line = self.line([1, 1, 1], 0.5, peers=peers)
        self.assertEqual((line["peer"], line["of peer"], line["rounds of peer"]), ("fast", 0.5, [0.4, 0.5, 0.6]))
        self.assertEqual(self.line([1, 1, 1], 0.5, least=False, peers=peers)["peer"], "slow")

    def test_every_goal_has_a_line_without_a_value(self):
        self.assertEqual({table.reached(row.line(Values())) for row in rows(Values())}, {"not measured"})

    def test_the_flows_are_those_measured(self):
        names = {"ping-pongs/s over 9,900 flows": {"apptap": [9]}, "ping-pongs/s over 10 flows": {"apptap": [10]}}
        line = next(row.line(values(**names)) for row in rows(values(**names)) if row.what.startswith("ping-pong"))
        self.assertEqual((line["what"], line["got"]), ("ping-pong over 9,900 flows to 10", 0.9))


class Tables(unittest.TestCase):
    def test_columns_stand_under_each_other(self):
        lines = [row.line(values(**{"up, Gbit/s": {"straight": [10, 10], "apptap": [4, 6]}})) for row in rows(Values())]
        text = table.goals(lines)
        self.assertEqual(len({len(line) for line in text.splitlines()}), 1)
        self.assertRegex(text, r"\| bulk up +\| at least 0.50 +\| 0.50 +\| 0.40 to 0.60 +\| +\| yes, 1 of 2 +\|")
        self.assertIn("Within noise", table.remarks(Values(), [], [], lines))

    def test_ways_without_a_value_have_no_column(self):
        text = table.figures(values(**{"up, Gbit/s": {"straight": [10], "apptap": [5]}}))
        self.assertIn("| plain TCP  | straight | apptap |", text)


class Adding(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = f"{self.folder.name}/bench.json"

    def write(self, results):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            results.write(self.folder.name)
        return said.getvalue()

    def first(self):
        results = Results("here")
        v = values(**{"up, Gbit/s": {"straight": [10], "apptap": [5]}, "requests/s, 1 connection": {"apptap": [7]}})
        results.add(run("bulk", "tls", **{"left out": ["squid (no squid)"]}), v,
                    {"up, Gbit/s": "bulk", "requests/s, 1 connection": "tls"},
                    [{"part": part, "in file": 2, "said": 2, "dropped": 0, "carried": 2} for part in ("bulk", "tls")])
        return results

    def test_a_part_is_replaced_and_the_others_stay(self):
        self.write(self.first())
        results = Results.load(self.path, "here")
        results.add(run("bulk", rounds=3, build="c", failed=["apptap, down, round 2"]), values(**{"down, Gbit/s": {"straight": [4], "apptap": [3]}}),
                    {"down, Gbit/s": "bulk"}, [])
        said = self.write(results)
        with open(self.path, encoding="utf-8") as f:
            told = json.load(f)
        self.assertEqual(list(told["values"]), ["down, Gbit/s", "requests/s, 1 connection"])
        self.assertEqual(told["parts of figures"], {"down, Gbit/s": "bulk", "requests/s, 1 connection": "tls"})
        self.assertEqual([r["parts"] for r in told["runs"]], [["tls"], ["bulk"]])
        self.assertEqual([c["part"] for c in told["captures"]], ["tls"])
        text = " ".join(said.split())
        self.assertIn("medians of 5 interleaved rounds", text)
        self.assertIn("medians of 3 interleaved rounds", text)
        self.assertIn("different builds", text)
        self.assertIn("squid (no squid) in tls; apptap, down, round 2 (failed) in bulk; plain, memory, start, local (not measured)", text)
        self.assertNotIn("bulk up | 0.5", text)

    def test_a_run_of_which_nothing_counts_is_forgotten(self):
        results = self.first()
        results.add(run("bulk"), Values(), {}, [])
        results.add(run("tls"), Values(), {}, [])
        self.assertEqual([r["parts"] for r in results.runs], [["bulk"], ["tls"]])
        self.assertEqual(results.values.values, {})

    def test_a_machine_that_was_shared(self):
        results = self.first()
        self.assertEqual(results.disturbed(), [])
        results.add(run("tls", others=0.2, host=0.01), Values(), {}, [])
        self.assertEqual(results.disturbed(), ["Not alone in tls: other programs took 20% of the processors' time, the host 1%."])

    def test_what_cannot_be_added_to(self):
        with self.assertRaisesRegex(Unfit, "no .* to add to"):
            Results.load(self.path, "here")
        self.write(self.first())
        with self.assertRaisesRegex(Unfit, "another machine: here"):
            Results.load(self.path, "there")
        with open(self.path, "w", encoding="utf-8") as f:
            json.dump({"form": FORM - 1}, f)
        with self.assertRaisesRegex(Unfit, "another version"):
            Results.load(self.path, "here")

    def test_said_before_anything_is_measured(self):
        done = subprocess.run([sys.executable, f"{TOP}/tools/bench", "--add", "--only", "start", self.folder.name],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("to add to", done.stdout)


class Rounds(unittest.TestCase):
    def bench(self, **options):
        world = types.SimpleNamespace(root=True, apptap="apptap", client="client", tmpfs="/dev/shm")
        options = types.SimpleNamespace(**{"quick": False, "rounds": 5, "only": ["bulk"], "verbose": False, **options})
        bench = Bench(options, world)
        for kind in Way, Pasta, Slirp, Apptap:      # whether they are installed or not
            bench.ways[kind] = kind(world)
        return bench

    def order(self, bench, number, **more):
        measure = Measure("bulk", "up", [Way, Pasta, Slirp, Apptap], None, **more)
        return [way.name for way in bench.taking(measure, number)]

    def test_the_order_turns(self):
        bench = self.bench()
        self.assertEqual(self.order(bench, 0), ["straight", "pasta", "slirp4netns", "apptap"])
        self.assertEqual(self.order(bench, 1), ["straight", "apptap", "pasta"])
        self.assertEqual(self.order(bench, 2), ["slirp4netns", "apptap", "straight", "pasta"])

    def test_what_is_asked_once(self):
        self.assertEqual(self.order(self.bench(), 3, once=True), ["apptap"])
        self.assertEqual(self.order(self.bench(quick=True), 1, once=True), [])

    def test_it_is_told_who_is_taken_seldom(self):
        self.assertEqual([way.name for way in self.bench().seldom()], ["slirp4netns"])
        results = Results("here")
        results.add(run("bulk", seldom=["slirp4netns"]), Values(), {}, [])
        self.assertIn("5 interleaved rounds (of slirp4netns: 3)", results.head())


if __name__ == "__main__":
    unittest.main()
