"""What a thousand followers of a command's output cost everybody else, among them dead, slow and leaving ones.

Requests are answered in turn with and without them; the followers run in a process of their own.
"""
from __future__ import annotations

import json
import subprocess

from .bench import bench
from .figures import line, measurement, median, percentile
from .processes import bench_error, read_threads, wait_for
from .servers import task_runner, time_of_requests_ms

FOLLOWERS, DEAD, SLOW, LEAVING = 1000, 100, 50, 100
CUT_DEADLINE_S = 30
"""A client that takes nothing is cut after 10 s, once there is more than fits into what may wait for it."""
WRITER = "line=$(head -c 1000 /dev/zero | tr '\\0' x); while :; do echo $line; sleep 0.05; done"
"""20 KB/s, so 20 MB/s to the followers."""


def start_followers(shared: bench, daemon: task_runner, task: str, seconds: int) -> subprocess.Popen[bytes]:
    words = ["-d", str(DEAD), "-l", str(SLOW), "-g", str(LEAVING), str(daemon.port)]
    return shared.processes.start(
        [
            shared.program("follow_http"),
            *words,
            f"/api/v1/tasks/{task}/output?follow=1",
            str(FOLLOWERS),
            str(seconds),
        ],
        daemon.place / "followers",
    )


def streams(daemon: task_runner, name: str) -> int:
    _, report = daemon.request("GET", "/status?limit=1")
    return int(report["daemon"]["http"][name])


def measure(shared: bench) -> measurement:
    found = measurement("followers")
    seconds = shared.amount(20, 8)
    daemon = task_runner(shared, "followers")
    try:
        pushed = daemon.demand("POST", "/api/v1/tasks", {"command": WRITER, "channel": "default"})
        alone = time_of_requests_ms(daemon, "/status", seconds=seconds / 4)
        followers = start_followers(shared, daemon, pushed["task_id"], seconds + CUT_DEADLINE_S)
        wait_for(lambda: streams(daemon, "streams") == FOLLOWERS, 20, f"{FOLLOWERS} followers are served")
        before_s, _ = read_threads(daemon.process.pid)
        beside = time_of_requests_ms(daemon, "/status", seconds=seconds)
        cost = (read_threads(daemon.process.pid)[0] - before_s) / seconds * 100
        # Those that have left and those that were cut are all that is missing, also a while later.
        wait_for(
            lambda: streams(daemon, "streams") == FOLLOWERS - DEAD - LEAVING,
            CUT_DEADLINE_S,
            "those that take nothing are cut",
            0.2,
        )
        cut = streams(daemon, "streams_cut")
        followers.wait(seconds + 2 * CUT_DEADLINE_S)
        shared.processes.forget(followers)
    finally:
        daemon.stop()
    said = json.loads((daemon.place / "followers").read_text())
    if cut != DEAD or said["dead_cut"] != DEAD or said["refused"] + said["lost"] > 0:
        raise bench_error(f"{cut} followers were cut where {DEAD} take nothing; of the others: {said}")
    found.lines.append(
        line(
            f"slowest GET /status while {FOLLOWERS:,} follow",
            "ms",
            beside,
            "without them",
            alone,
            [max(beside)],
            "followers.slowest",
        )
    )
    found.notes.append(
        f"{len(beside):,} requests beside {FOLLOWERS:,} followers: p50 {median(beside):.2f} ms, p99 "
        f"{percentile(beside, 0.99):.2f} ms, at most {max(beside):.2f} ms; {len(alone):,} without them: "
        f"{median(alone):.2f}, {percentile(alone, 0.99):.2f} and {max(alone):.2f} ms. All {DEAD} that took "
        f"nothing were cut, and nobody else; the others were sent {said['bytes'] / 1e6:,.0f} MB. The daemon used "
        f"{cost:.0f} % of a core meanwhile."
    )
    return found
