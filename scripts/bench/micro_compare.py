#!/usr/bin/env python3
"""Compares a run of the micro-benchmarks with the stored baseline, by ratio; scripts/bench/micro.sh calls it.

Times of different machines, or of different minutes on one machine, cannot be compared. So every benchmark says in
its label which calibration it is held against, and what is stored and compared is its median as a multiple of the
median of that calibration in the same run.

usage: micro_compare.py update RUN BASELINE      writes BASELINE out of RUN
       micro_compare.py compare RUN BASELINE [--fail-above PERCENT] [--part]
       micro_compare.py check RUN BASELINE       whether RUN has the very benchmarks of BASELINE, and none failed

RUN is Google Benchmark's JSON with its repetitions. --part: RUN holds a part of the benchmarks on purpose.
Exit code 1: a ratio has grown by more than --fail-above allows, or a benchmark is missing there; `check` found
something. 2: the input cannot be used. Without --fail-above `compare` only tells.
"""

import argparse
import json
import math
import os
import re
import statistics
import sys

LABEL = "against "
# What a benchmark's name carries when it has a number of repetitions of its own.
REPEATS = re.compile(r"/repeats:\d+")
NANOSECONDS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


class Unusable(Exception):
    """The input cannot be used; the text says why and what to do."""


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as why:
        raise Unusable(f"{path} cannot be read as JSON: {why}") from why


def is_wall_time(name):
    """Whether the time on the clock counts; otherwise the processor's, that of all threads with /process_time."""
    return name.endswith(("/real_time", "/manual_time")) and "/process_time" not in name


def measure(run):
    """What a run says of each benchmark: median and variation of its repetitions, and its calibration."""
    times = {}
    labels = {}
    failures = {}
    for row in run.get("benchmarks", []):
        if row.get("run_type") == "aggregate":
            continue
        name = REPEATS.sub("", row["run_name"])
        if row.get("error_occurred"):
            failures[name] = row.get("error_message", "no reason is given")
            continue
        time = row["real_time" if is_wall_time(name) else "cpu_time"] * NANOSECONDS[row["time_unit"]]
        times.setdefault(name, []).append(time)
        labels[name] = row.get("label", "")
    measured = {}
    for name, values in times.items():
        if name in failures:
            continue
        median = statistics.median(values)
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        measured[name] = {"median_ns": median, "variation": spread / statistics.fmean(values) if median > 0 else 0.0}
        if labels[name].startswith(LABEL):
            measured[name]["against"] = labels[name][len(LABEL):]
        elif not name.startswith("calibration/"):
            raise Unusable(f"{name} does not say what it is held against; it shall call hold_against()")
    return measured, failures


def add_ratios(measured, failures):
    """Each benchmark's median as a multiple of its calibration's, and how much of that is chance."""
    for name, row in measured.items():
        if "against" not in row:
            continue
        if row["against"] in failures:
            raise Unusable(f"{name} is held against {row['against']}, which failed: {failures[row['against']]}")
        calibration = measured.get(row["against"])
        if calibration is None or calibration["median_ns"] <= 0:
            raise Unusable(f"{name} is held against {row['against']}, which has not been measured in this run")
        row["ratio"] = row["median_ns"] / calibration["median_ns"]
        row["ratio_variation"] = math.hypot(row["variation"], calibration["variation"])
    return measured


def describe_machine():
    """What the figures depend on: processor, memory, kernel, the file system that commits go to."""
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    mounts = []
    with open("/proc/mounts", encoding="utf-8") as lines:
        for line in lines:
            _, place, kind = line.split()[:3]
            if ("/tmp/").startswith(place.rstrip("/") + "/"):
                mounts.append((len(place), kind))
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": os.uname().sysname + " " + os.uname().release,
        "file_system_of_tmp": max(mounts)[1] if mounts else "unknown",
    }


def rounded(value):
    """Four digits are more than such figures hold."""
    return float(f"{value:.4g}")


def update(run, path):
    measured, failures = measure(run)
    if failures:
        reasons = (f"{name} ({why})" for name, why in sorted(failures.items()))
        raise Unusable("no baseline is written, because these failed: " + ", ".join(reasons))
    add_ratios(measured, failures)
    repetitions = min(row.get("repetitions", 1) for row in run["benchmarks"] if row.get("run_type") != "aggregate")
    rows = {}
    for name, row in sorted(measured.items()):
        rows[name] = {key: rounded(value) if isinstance(value, float) else value for key, value in row.items()}
    baseline = {"machine": describe_machine(), "repetitions": repetitions, "benchmarks": rows}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(baseline, file, indent=2)
        file.write("\n")
    print(f"{path}: {len(rows)} benchmarks")
    print_table([(name, [f"{row['median_ns']:,.0f}", f"{row['variation']:.1%}", format_ratio(row.get("ratio")),
                         row.get("against", "")]) for name, row in sorted(measured.items())],
                ["benchmark", "median ns", "variation", "ratio", "held against"])
    return 0


def format_ratio(value):
    return "" if value is None else f"{value:.4g}"


def print_table(rows, heads):
    table = [heads] + [[name] + cells for name, cells in rows]
    widths = [max(len(line[i]) for line in table) for i in range(len(heads))]
    for line in table:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) if i + 2 < len(heads) else cell
                  for i, (cell, width) in enumerate(zip(line[1:], widths[1:]))]
        print("  ".join(cells).rstrip())


def compare(run, baseline, fail_above, part):
    measured, failures = measure(run)
    add_ratios(measured, failures)
    stored = baseline["benchmarks"]
    rows = []
    slower = []
    for name, was in sorted(stored.items()):
        now = measured.get(name)
        if "ratio" not in was or now is None:
            continue
        change = now["ratio"] / was["ratio"] - 1
        chance = math.hypot(was["ratio_variation"], now["ratio_variation"])
        beyond = " *" if abs(change) > 2 * chance else ""
        rows.append((name, [format_ratio(was["ratio"]), format_ratio(now["ratio"]), f"{change:+.1%}",
                            f"{now['ratio_variation']:.1%}", now["against"] + beyond]))
        if fail_above is not None and change * 100 > fail_above:
            slower.append(f"{name} is {change:.1%} slower than the baseline")
    print_table(rows, ["benchmark", "baseline", "now", "change", "variation", "held against"])
    print("Ratios to the calibration of the same run; +: slower. *: beyond twice the variation of both runs.")
    gone = sorted(name for name in stored if name not in measured and name not in failures)
    new = sorted(name for name in measured if name not in stored)
    if gone and not part:
        print("In the baseline, and not measured: " + ", ".join(gone))
    if new:
        print("Not in the baseline: " + ", ".join(new))
    for name, why in sorted(failures.items()):
        print(f"{name} failed: {why}")
    if fail_above is None:
        return 0
    for line in slower:
        print(line)
    return 1 if slower or failures or (gone and not part) else 0


def check(run, baseline):
    measured, failures = measure(run)
    wrong = [f"{name} failed: {why}" for name, why in sorted(failures.items())]
    for name in sorted(set(baseline["benchmarks"]) - set(measured) - set(failures)):
        wrong.append(f"{name} stands in the baseline and did not run")
    for name in sorted((set(measured) | set(failures)) - set(baseline["benchmarks"])):
        wrong.append(f"{name} has no baseline; run scripts/bench/micro.sh --update")
    for line in wrong:
        print(line)
    add_ratios(measured, failures)
    if not wrong:
        print(f"{len(measured)} benchmarks ran")
    return 1 if wrong else 0


def main(words):
    parser = argparse.ArgumentParser(description="Compares micro-benchmarks by ratio; see the top of this file.")
    parser.add_argument("verb", choices=["update", "compare", "check"])
    parser.add_argument("run")
    parser.add_argument("baseline")
    parser.add_argument("--fail-above", type=float, metavar="PERCENT")
    parser.add_argument("--part", action="store_true")
    given = parser.parse_args(words)
    try:
        run = read_json(given.run)
        if given.verb == "update":
            return update(run, given.baseline)
        baseline = read_json(given.baseline)
        if given.verb == "check":
            return check(run, baseline)
        return compare(run, baseline, given.fail_above, given.part)
    except Unusable as why:
        print(f"micro_compare: {why}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
