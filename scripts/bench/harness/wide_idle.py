"""What running commands cost while nothing changes: 5,000 of them in 1,000 channels, and none at all.

Both are read from /proc: CPU time in nanoseconds and context switches of every thread of daemon and launcher.
"""
from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .bench import bench
from .figures import line, measurement
from .processes import bench_error, children, read_memory_mb, read_threads, wait_for
from .redis_client import INTAKE_KEY
from .servers import task_runner

WORKERS = 5
START_DEADLINE_S = 90.0
QUIET_S = 20.0
"""After it, commands that do not get more are all that will run."""
DESCRIPTORS = 65536


def watch(daemon: task_runner, seconds: float) -> dict[str, tuple[float, float]]:
    """Percent of a core, and context switches per second, of daemon and launcher over that time."""
    pids = {"daemon": daemon.process.pid, "launcher": daemon.launcher}
    before = {name: read_threads(pid) for name, pid in pids.items()}
    began = time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    found: dict[str, tuple[float, float]] = {}
    for name, pid in pids.items():
        cpu, switches = read_threads(pid)
        found[name] = ((cpu - before[name][0]) / passed * 100, (switches - before[name][1]) / passed)
    return found


def describe(watched: dict[str, tuple[float, float]]) -> str:
    return "; ".join(
        f"{name} {cpu:.2f} % of a core, {switches:.1f} context switches/s"
        for name, (cpu, switches) in watched.items()
    )


@contextmanager
def more_descriptors() -> Iterator[None]:
    """The launcher runs no more commands than it has descriptors for: more of them, where that is allowed."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < DESCRIPTORS:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (before[0], DESCRIPTORS))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def start_all(daemon: task_runner, channels: int, commands: int) -> int:
    """Pushes commands that outlast the measurement, waits until all run, and gives how many do not."""
    for number in range(channels):
        daemon.demand("POST", "/queue", {"name": f"wide-{number}", "distinct": False})
    messages = (
        json.dumps({"task": "sleep 300", "chan": f"wide-{number % channels}"}).encode()
        for number in range(commands)
    )
    daemon.redis.client.push_all(INTAKE_KEY, messages)
    end = time.monotonic() + START_DEADLINE_S
    # Processes are counted: a task is running from the lease on, a moment before its command.
    count = grown = 0
    while grown < commands and time.monotonic() < end:
        time.sleep(0.5)
        count, grown = grown, len(children(daemon.launcher))
        if count == grown > 0 and time.monotonic() > end - START_DEADLINE_S + QUIET_S:
            break
    return commands - grown


def measure_wide(shared: bench) -> measurement:
    with more_descriptors():
        daemon = task_runner(shared, "wide", WORKERS)
        try:
            return measure_running(shared, daemon)
        finally:
            daemon.stop()


def measure_running(shared: bench, daemon: task_runner) -> measurement:
    found = measurement("wide")
    channels, seconds = shared.amount(1000, 100), shared.amount(10, 3)
    wanted = channels * WORKERS
    fitting = daemon.running_max()
    commands = min(wanted, fitting) if fitting > 0 else wanted
    shortfall = ""
    if commands < wanted:
        shortfall = (
            f"only {commands:,} of {wanted:,} commands fit: more the launcher cannot run here, where "
            f"{resource.getrlimit(resource.RLIMIT_NOFILE)[1]:,} files may be open (ulimit -n)"
        )
        found.notes.append(f"Both goals count as missed: {shortfall}.")
    began = time.monotonic()
    refused = start_all(daemon, channels, commands)
    started_s = time.monotonic() - began
    time.sleep(2)
    watched = watch(daemon, seconds)
    if (left := len(children(daemon.launcher))) + refused != commands:
        raise bench_error(
            f"of {commands} commands {commands - left - refused} ended while they were measured"
        )
    cpu = sum(of_one for of_one, _ in watched.values())
    missing = refused + wanted - commands
    found.lines.append(
        line(
            f"CPU of daemon and launcher, {commands:,} commands in {channels:,} channels",
            "% of a core",
            [cpu],
            compared=[cpu],
            goal="wide.cpu",
            shortfall=shortfall,
        )
    )
    found.lines.append(
        line(
            f"of {wanted:,} tasks, those that did not run",
            "tasks",
            [missing],
            compared=[missing],
            goal="wide.refused",
            shortfall=shortfall,
        )
    )
    found.notes.append(
        f"To make the channels and start the commands took {started_s:.1f} s. While they ran: "
        f"{describe(watched)}. Memory: "
        f"daemon {read_memory_mb(daemon.process.pid):.1f} MB, launcher "
        f"{read_memory_mb(daemon.launcher):.1f} MB."
    )
    return found


def measure_idle(shared: bench) -> measurement:
    found = measurement("idle")
    daemon = task_runner(shared, "idle")
    try:
        wait_for(daemon.ready, 20, "the daemon is ready")
        # What the start leaves behind, such as the connection that asked, has gone by then.
        time.sleep(shared.amount(5, 2))
        watched = watch(daemon, shared.amount(10, 4))
    finally:
        daemon.stop()
    cpu = sum(of_one for of_one, _ in watched.values())
    switches = sum(of_one for _, of_one in watched.values())
    found.lines.append(
        line("CPU of daemon and launcher, idle", "% of a core", [cpu], compared=[cpu], goal="idle.cpu")
    )
    found.lines.append(
        line(
            "context switches of daemon and launcher, idle",
            "per second",
            [switches],
            compared=[switches],
            goal="idle.switches",
        )
    )
    found.notes.append(describe(watched) + ".")
    return found
