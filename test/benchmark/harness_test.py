#!/usr/bin/env python3
"""Runs the harness of scripts/bench once, as short as it gets, and proves what its parts are relied on for.

usage: test/benchmark/harness_test.py BINARY     exit code 1 if any case went wrong; nothing is installed
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

BENCH = pathlib.Path(__file__).resolve().parent.parent.parent / "scripts" / "bench"
sys.path.insert(0, str(BENCH))
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from harness import figures, goals, processes, report  # noqa: E402

BINARY = ""
IN_TIME_S = 120


def run_harness(*words):
    """The harness as a user starts it, but that it leaves the system's packages alone."""
    return subprocess.run([BENCH / "run.sh", *words], env={**os.environ, "SKIP_INSTALL": "1"}, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=IN_TIME_S, check=False)


class Run(unittest.TestCase):
    def test_measures_and_reports(self):
        with tempfile.TemporaryDirectory(prefix="tr-harness.") as place:
            out, work = pathlib.Path(place, "out"), pathlib.Path(place, "work")
            work.mkdir()
            done = run_harness("--quick", "--only", "idle", "--binary", BINARY, "--out", out, "--dir", work)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertEqual(list(work.iterdir()), [], "files are left behind")
            self.assertEqual(processes.called_with(str(work)), [], "processes are left behind")
            found = json.loads((out / "results.json").read_text())
            self.assertTrue(found["quick"])
            (idle,) = found["measurements"]
            self.assertEqual((idle["name"], idle["failure"]), ("idle", ""))
            self.assertEqual([line["goal"] for line in idle["lines"]], ["idle.cpu", "idle.switches"])
            for line in idle["lines"]:
                self.assertIn(line["verdict"], ("met", "missed"))
                self.assertEqual(len(line["values"]), 1)
            self.assertIn(goals.GOALS["idle.cpu"].title, (out / "results.md").read_text())
            xml.etree.ElementTree.parse(out / "results.svg")

    def test_refuses_what_makes_no_sense(self):
        for words, says in ((["--rounds", "0"], "at least 1"), (["--only", "nothing"], "there is no measurement"),
                            (["--update-readme", "--quick"], "needs a full run")):
            done = run_harness("--binary", BINARY, *words)
            self.assertEqual(done.returncode, 2, done.stdout)
            self.assertIn(says, done.stdout)


class Parts(unittest.TestCase):
    def test_every_second_round_goes_backwards(self):
        order = []
        found = figures.interleave(3, {name: lambda name=name: order.append(name) or len(order) for name in "ABC"})
        self.assertEqual("".join(order), "ABCCBAABC")
        self.assertEqual(found, {"A": [1, 6, 7], "B": [2, 5, 8], "C": [3, 4, 9]})

    def test_a_shortfall_misses_whatever_the_figure(self):
        line = figures.line("CPU", "%", [1.0], compared=[1.0], goal="wide.cpu")
        self.assertEqual(report.verdict(line), "met")
        line.shortfall = "only some fit"
        self.assertEqual(report.verdict(line), "missed")

    def test_the_table_goes_between_the_marks(self):
        with tempfile.TemporaryDirectory(prefix="tr-harness.") as place:
            readme = pathlib.Path(place, "README.md")
            for wrong in ("", report.BEGIN, f"{report.END}\n{report.BEGIN}\n", f"{report.BEGIN * 2}{report.END}"):
                readme.write_text(wrong)
                self.assertIn("must have the lines", report.marks_of(readme))
                self.assertNotEqual(report.put_into(readme, "table\n"), "")
                self.assertEqual(readme.read_text(), wrong)
            readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
            self.assertEqual(report.put_into(readme, "new\n"), "")
            self.assertEqual(readme.read_text(), f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n")

    def test_a_port_belongs_to_who_listens_on_it(self):
        with socket.socket() as ours, subprocess.Popen(["sleep", "60"]) as other:
            try:
                ours.bind(("127.0.0.1", 0))
                port = ours.getsockname()[1]
                self.assertFalse(processes.listens(os.getpid(), port))
                ours.listen()
                self.assertTrue(processes.listens(os.getpid(), port))
                self.assertFalse(processes.listens(other.pid, port))
            finally:
                other.kill()

    def test_processes_are_found(self):
        word = f"tr-harness-{os.getpid()}"
        with subprocess.Popen(["sh", "-c", "read line", word], stdin=subprocess.PIPE) as child:
            processes.wait_for(lambda: processes.called_with(word) == [child.pid], 10, "the child is found")
            self.assertIn(child.pid, processes.children(os.getpid()))
            processes.kill(child.pid)
            child.wait()
            processes.kill(child.pid)
            self.assertEqual(processes.called_with(word), [])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    BINARY = os.path.abspath(sys.argv.pop())
    unittest.main()
