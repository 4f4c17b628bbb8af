"""The command line of the harness, and the order of a run; scripts/bench/run.sh starts it.

A measurement that cannot be made fails the run, at its end; a figure that misses its goal never does.
"""
from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from . import end_to_end, flat, followers, latency, machine, plot, push, redis_drain, report, wide_idle
from .bench import bench
from .figures import measurement
from .processes import bench_error

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "build" / "bench"


@dataclass(frozen=True)
class kind:
    """A measurement that can be asked for."""

    measure: Callable[[bench], measurement]
    programs: tuple[str, ...] = ()
    """Those of bench.BUILD that it runs."""


MEASUREMENTS: dict[str, kind] = {
    "end-to-end": kind(end_to_end.measure, ("spawn_limit", "load_http")),
    "push-32": kind(push.measure_32, ("noop_http", "load_http")),
    "push-1": kind(push.measure_1, ("sqlite_limit", "load_http")),
    "batch": kind(push.measure_batch, ("sqlite_limit", "load_http")),
    "redis-drain": kind(redis_drain.measure, ("sqlite_limit",)),
    "latency": kind(latency.measure, ("sqlite_limit", "paced_spawn", "stamp")),
    "flat": kind(flat.measure, ("load_http",)),
    "followers": kind(followers.measure, ("follow_http",)),
    "wide": kind(wide_idle.measure_wide),
    "idle": kind(wide_idle.measure_idle),
}
READMES = {"en": ROOT / "README.md", "zh": ROOT / "README.zh-CN.md"}


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench/run.sh",
        description="Measures TaskRunner beside the limits of " "the machine and beside its peers, in turn.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="small counts: does everything work? no figures to quote"
    )
    parser.add_argument("--long", action="store_true", help="also with 10,000,000 tasks queued")
    parser.add_argument(
        "--rounds",
        metavar="N",
        type=int,
        help="measure everything N times instead of 5 to 10 times",
    )
    parser.add_argument("--only", metavar="NAME,...", help="only these of: " + ", ".join(MEASUREMENTS))
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help="where results.json, results.md and results.svg go (build/bench; with --quick build/bench/quick, "
        "with --only build/bench/part)",
    )
    parser.add_argument(
        "--dir",
        metavar="DIR",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="where servers keep their files while measuring (TMPDIR, or /tmp)",
    )
    parser.add_argument(
        "--binary",
        metavar="FILE",
        type=Path,
        default=ROOT / "build" / "task-runner",
        help="the daemon to measure (build/task-runner)",
    )
    parser.add_argument("--install-peers", action="store_true", help="install the peers that are missing")
    parser.add_argument("--update-readme", action="store_true", help="put the table into both READMEs")
    given = parser.parse_args()
    given.names = list(MEASUREMENTS) if given.only is None else given.only.split(",")
    for name in given.names:
        if name not in MEASUREMENTS:
            parser.error(f"there is no measurement {name!r}; there are {', '.join(MEASUREMENTS)}")
    if not os.access(given.binary, os.X_OK):
        parser.error(f"there is no program {given.binary}; run scripts/build.sh first")
    if not given.dir.is_dir():
        parser.error(f"there is no directory {given.dir}")
    if given.rounds is not None and given.rounds < 1:
        parser.error("--rounds is a number of rounds, at least 1")
    if given.out is None:
        # What a full run has found shall not be lost to a short one.
        given.out = RESULTS / "quick" if given.quick else RESULTS / "part" if given.only else RESULTS
    if given.update_readme:
        if given.quick or given.only or given.rounds:
            parser.error("--update-readme needs a full run: without --quick, --only and --rounds")
        for problem in filter(None, map(report.marks_of, READMES.values())):
            parser.error(problem)
    return given


def measure_all(shared: bench, names: list[str]) -> list[measurement]:
    found: list[measurement] = []
    for name in names:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            one = MEASUREMENTS[name].measure(shared)
        except Exception as error:
            # A mistake in the harness costs this measurement, not what was measured before it.
            if not isinstance(error, (bench_error, OSError)):
                traceback.print_exc()
            said = str(error) if isinstance(error, bench_error) else f"{type(error).__name__}: {error}"
            one = measurement(name, failure=said)
            # What it has left running shall not disturb the next one.
            shared.processes.close()
        found.append(one)
        print(
            f"  {time.monotonic() - began:.0f} s{', FAILED: ' + one.failure if one.failure else ''}",
            file=sys.stderr,
            flush=True,
        )
    return found


def update_readmes(found: list[measurement], about: dict[str, Any]) -> bool:
    problems = [
        problem
        for language, readme in READMES.items()
        if (problem := report.put_into(readme, report.in_markdown(found, about, False, False, language)))
    ]
    for problem in problems:
        print(f"run.sh: {problem}", file=sys.stderr)
    return not problems


def interrupted(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def main() -> int:
    given = read_arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    for ends in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ends, interrupted)
    shared = bench(
        given.binary.resolve(),
        given.dir.resolve(),
        quick=given.quick,
        long=given.long,
        install_peers=given.install_peers,
        rounds=given.rounds or 0,
    )
    try:
        about = machine.describe(shared.place, shared.binary)
        if about["load_before"][0] > about["cores"] / 2:
            print(
                f"run.sh: the machine is busy (load {about['load_before'][0]:.2f}); ratios will scatter",
                file=sys.stderr,
            )
        shared.build_programs(program for name in given.names for program in MEASUREMENTS[name].programs)
        found = measure_all(shared, given.names)
        for one in found:
            about["versions"].update(one.versions)
    except (bench_error, OSError) as error:
        print(f"run.sh: {error}", file=sys.stderr)
        return 1
    finally:
        shared.close()
    partial = given.only is not None
    report.write(given.out, found, about, given.quick, partial)
    plot.write(given.out / "results.svg", found, machine.in_words(about))
    print(report.for_terminal(found))
    print(f"\n{machine.in_words(about)}\n{given.out}: results.json, results.md, results.svg")
    failed = [one.name for one in found if one.failure]
    if failed:
        print(f"run.sh: these could not be measured: {', '.join(failed)}", file=sys.stderr)
        return 1
    if given.update_readme and not update_readmes(found, about):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
