#!/usr/bin/env python3
"""Proves that scripts/bench/micro_compare.py finds what it is there to find, on made-up runs of known figures.

usage: test/benchmark/micro_compare_test.py     exit code 1 if any case went wrong
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/bench/micro_compare.py")
CPU = "calibration/cpu"
SYNC = "calibration/sync_4k/real_time"


def made_up_run(times, labels=None, errors=None):
    """Google Benchmark's JSON. `times`: name -> repetitions, ns; or pairs of processor time and time on the clock."""
    rows = []
    for name, values in times.items():
        against = (labels or {}).get(name, "" if name.startswith("calibration/") else "against " + CPU)
        for index, value in enumerate(values):
            cpu, wall = value if isinstance(value, tuple) else (value, value)
            rows.append({"name": name, "run_name": name, "run_type": "iteration", "repetitions": len(values),
                         "repetition_index": index, "cpu_time": cpu, "real_time": wall, "time_unit": "ns",
                         "label": against})
        rows.append({"name": name + "_mean", "run_name": name, "run_type": "aggregate", "aggregate_name": "mean",
                     "cpu_time": 1e12, "real_time": 1e12, "time_unit": "ns", "label": against})
    for name, why in (errors or {}).items():
        rows.append({"name": name, "run_name": name, "run_type": "iteration", "error_occurred": True,
                     "error_message": why, "cpu_time": 0, "real_time": 0, "time_unit": "ns"})
    return {"context": {}, "benchmarks": rows}


BASE = {CPU: [100, 101, 99, 100, 100], "queue/a": [200, 202, 198, 200, 200], "queue/b": [50, 50, 50, 51, 49]}


class MicroCompare(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory(prefix="tr-micro-compare.")
        self.addCleanup(self.place.cleanup)
        self.baseline = os.path.join(self.place.name, "baseline.json")
        code, _ = self.call("update", made_up_run(BASE))
        self.assertEqual(code, 0)

    def call(self, verb, run, *arguments):
        path = os.path.join(self.place.name, "run.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(run, file)
        done = subprocess.run([sys.executable, PROGRAM, verb, path, self.baseline, *arguments], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.returncode, done.stdout

    def changed(self, **times):
        return made_up_run({**BASE, **{name.replace("__", "/"): values for name, values in times.items()}})

    def test_baseline_holds_medians_ratios_and_the_machine(self):
        with open(self.baseline, encoding="utf-8") as file:
            stored = json.load(file)
        self.assertEqual(stored["repetitions"], 5)
        self.assertIn("processor", stored["machine"])
        self.assertEqual(stored["benchmarks"]["queue/a"]["median_ns"], 200)
        self.assertEqual(stored["benchmarks"]["queue/a"]["ratio"], 2)
        self.assertEqual(stored["benchmarks"]["queue/b"]["ratio"], 0.5)
        self.assertAlmostEqual(stored["benchmarks"]["queue/a"]["variation"], 0.00707, places=4)

    def test_a_slower_machine_is_no_regression(self):
        slow = made_up_run({name: [3 * value for value in values] for name, values in BASE.items()})
        code, output = self.call("compare", slow, "--fail-above", "0.5")
        self.assertEqual(code, 0, output)
        self.assertIn("+0.0%", output)

    def test_a_regression_of_known_size_is_found(self):
        run = self.changed(queue__a=[250, 250, 250, 252, 248])
        code, output = self.call("compare", run, "--fail-above", "24")
        self.assertEqual(code, 1, output)
        self.assertIn("queue/a is 25.0% slower", output)
        self.assertNotIn("queue/b is", output)
        self.assertRegex(output, r"queue/a +2 +2\.5 +\+25\.0%.*\*")
        code, output = self.call("compare", run, "--fail-above", "26")
        self.assertEqual(code, 0, output)

    def test_without_a_bound_it_only_tells(self):
        code, output = self.call("compare", self.changed(queue__a=[1000] * 5))
        self.assertEqual(code, 0)
        self.assertIn("+400.0%", output)

    def test_a_faster_machine_hides_no_regression(self):
        code, output = self.call("compare", made_up_run({CPU: [50] * 5, "queue/a": [200] * 5, "queue/b": [25] * 5}),
                                 "--fail-above", "50")
        self.assertEqual(code, 1, output)
        self.assertIn("queue/a is 100.0% slower", output)

    def test_gains_do_not_fail(self):
        code, output = self.call("compare", self.changed(queue__a=[100] * 5), "--fail-above", "1")
        self.assertEqual(code, 0, output)
        self.assertIn("-50.0%", output)

    def test_outliers_do_not_count(self):
        code, output = self.call("compare", self.changed(queue__a=[200, 9000, 200, 200, 9000]), "--fail-above", "1")
        self.assertEqual(code, 0, output)
        # So wide a spread is no news, either.
        self.assertNotIn("*\n", output)

    def test_what_waits_is_measured_by_the_clock(self):
        labels = {"commit/x/manual_time": "against " + SYNC}
        times = {CPU: [100] * 5, SYNC: [(1, 1000)] * 5, "commit/x/manual_time": [(7, 3000)] * 5}
        self.call("update", made_up_run(times, labels))
        times["commit/x/manual_time"] = [(7, 3300)] * 5
        code, output = self.call("compare", made_up_run(times, labels), "--fail-above", "9")
        self.assertEqual(code, 1, output)
        self.assertRegex(output, r"commit/x/manual_time +3 +3\.3 +\+10\.0%")

    def test_what_many_threads_do_is_measured_by_the_processor(self):
        name = "actors/x/process_time/real_time"
        self.call("update", made_up_run({CPU: [100] * 5, name: [(300, 7)] * 5}))
        code, output = self.call("compare", made_up_run({CPU: [100] * 5, name: [(330, 7)] * 5}), "--fail-above", "9")
        self.assertEqual(code, 1, output)
        self.assertRegex(output, name + r" +3 +3\.3 +\+10\.0%")

    def test_repetitions_of_its_own_are_no_part_of_a_name(self):
        times = {"calibration/cpu/repeats:15": [100] * 15, "queue/a": [200] * 5, "queue/b": [50] * 5}
        code, output = self.call("compare", made_up_run(times), "--fail-above", "0.5")
        self.assertEqual(code, 0, output)
        self.assertEqual(self.call("check", made_up_run(times)), (0, "3 benchmarks ran\n"))

    def test_units_are_converted(self):
        run = made_up_run(BASE)
        for row in run["benchmarks"]:
            row.update(time_unit="us", cpu_time=row["cpu_time"] / 1000, real_time=row["real_time"] / 1000)
        code, output = self.call("compare", run, "--fail-above", "0.1")
        self.assertEqual(code, 0, output)
        self.call("update", run)
        with open(self.baseline, encoding="utf-8") as file:
            self.assertEqual(json.load(file)["benchmarks"]["queue/a"]["median_ns"], 200)

    def test_what_is_missing_is_named(self):
        run = made_up_run({name: values for name, values in BASE.items() if name != "queue/b"})
        code, output = self.call("compare", run)
        self.assertEqual(code, 0)
        self.assertIn("not measured: queue/b", output)
        self.assertEqual(self.call("compare", run, "--fail-above", "10")[0], 1)
        self.assertEqual(self.call("compare", run, "--fail-above", "10", "--part")[0], 0)
        code, output = self.call("check", run)
        self.assertEqual(code, 1)
        self.assertIn("queue/b stands in the baseline and did not run", output)

    def test_what_is_new_is_named(self):
        run = self.changed(queue__c=[1] * 5)
        self.assertIn("Not in the baseline: queue/c", self.call("compare", run)[1])
        code, output = self.call("check", run)
        self.assertEqual(code, 1)
        self.assertIn("queue/c has no baseline", output)

    def test_check_accepts_what_is_complete(self):
        code, output = self.call("check", made_up_run({name: values[:1] for name, values in BASE.items()}))
        self.assertEqual((code, output), (0, "3 benchmarks ran\n"))

    def test_failed_benchmarks_are_named(self):
        run = made_up_run({CPU: BASE[CPU], "queue/a": BASE["queue/a"]}, errors={"queue/b": "the disk is full"})
        for verb in (["check"], ["compare", "--fail-above", "10"]):
            code, output = self.call(verb[0], run, *verb[1:])
            self.assertEqual(code, 1)
            self.assertIn("queue/b failed: the disk is full", output)
        code, output = self.call("update", run)
        self.assertEqual(code, 2)
        self.assertIn("queue/b (the disk is full)", output)

    def test_a_failed_calibration_says_why(self):
        run = made_up_run({"queue/a": BASE["queue/a"]}, errors={CPU: "no processor is left"})
        for verb in ("check", "compare"):
            code, output = self.call(verb, run)
            self.assertEqual(code, 2)
            self.assertIn("queue/a is held against calibration/cpu, which failed: no processor is left", output)

    def test_unusable_input_is_refused(self):
        code, output = self.call("compare", made_up_run(BASE, {"queue/a": ""}))
        self.assertEqual(code, 2)
        self.assertIn("queue/a does not say what it is held against", output)
        code, output = self.call("compare", made_up_run({"queue/a": [1] * 5}))
        self.assertEqual(code, 2)
        self.assertIn("which has not been measured", output)
        with open(self.baseline, "w", encoding="utf-8") as file:
            file.write("{")
        self.assertEqual(self.call("compare", made_up_run(BASE))[0], 2)


if __name__ == "__main__":
    unittest.main()
