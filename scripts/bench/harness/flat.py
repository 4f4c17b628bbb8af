"""What a long queue costs: pushes, tasks per second, /status and memory with 1,000,000 tasks queued.

Two daemons are measured in turn, one whose queue is full and one whose queue is empty. With --long the
full one then gets 10,000,000 tasks, and is started anew.
"""
from __future__ import annotations

import time
from contextlib import ExitStack

from .bench import bench
from .figures import against, interleave, line, measurement, median, middle_costs, percentile
from .processes import bench_error, read_memory_mb, wait_for
from .servers import task_runner, time_of_requests_ms

CONNECTIONS = 32


def fill(daemon: task_runner, target: int) -> float:
    """Tasks through the Redis list, a part at a time, until so many are queued; gives the seconds."""
    began = time.monotonic()
    queued = daemon.channel()["count"]
    while queued < target:
        part = min(100_000, target - queued)
        daemon.feed_redis(part)
        queued += part
        # Redis shall not hold much more than what is on its way.
        wait_for(
            lambda: daemon.redis.client.count("LLEN", "task:prepare:queue") < 100_000,
            600,
            "the list gets shorter",
        )
    wait_for(lambda: bool(daemon.channel()["count"] == target), 600, f"{target} tasks are queued", 0.1)
    return time.monotonic() - began


class two_daemons:
    """The one whose queue is full, and the one whose queue is empty."""

    def __init__(self, shared: bench) -> None:
        self.shared = shared
        self.full = task_runner(shared, "flat-full")
        self.empty = task_runner(shared, "flat-empty")
        self.channels = 0

    def push_p99_ms(self, daemon: task_runner, count: int) -> float:
        """Into the full channel, or into one that is new."""
        channel = "default"
        if daemon is self.empty:
            self.channels += 1
            channel = f"empty-{self.channels}"
            daemon.demand("POST", "/api/v1/channels", {"name": channel, "distinct": True})
            daemon.pause(channel)
        result = self.shared.load_push(
            daemon.port, daemon.numbers(count), connections=CONNECTIONS, requests=count, channel=channel
        )
        if daemon is self.empty:
            daemon.demand("DELETE", f"/api/v1/channels/{channel}?force=true")
        return result.p99_us / 1000

    def rate(self, daemon: task_runner, count: int, costs: list[dict[str, float]]) -> float:
        """Tasks per second from the front of the queue, to which as many have been added beforehand.

        Nothing is pushed meanwhile: the full daemon would run old tasks until the new ones come, and the empty one
        nothing.
        """
        queued = daemon.channel()["count"]
        daemon.feed_redis(count)
        wait_for(
            lambda: bool(daemon.channel()["count"] == queued + count), 60, f"{count} more tasks are queued"
        )
        before = daemon.ended()
        meter = daemon.meter()
        began = time.monotonic()
        daemon.resume()
        daemon.wait_until_ended(before + count)
        rate = count / (time.monotonic() - began)
        costs.append(meter.per_task_us(count))
        daemon.pause()
        left = daemon.channel()["count"]
        # A few more may have been started before the pause.
        if not queued - 1000 <= left <= queued:
            raise bench_error(
                f"{queued} tasks were queued before as many were added as run, and {left} are now"
            )
        return rate

    def stop(self) -> None:
        with ExitStack() as ends:
            ends.callback(self.full.stop)
            ends.callback(self.empty.stop)


def measure_long(shared: bench, daemon: task_runner, found: measurement) -> None:
    target = shared.amount(10_000_000, 100_000)
    seconds = fill(daemon, target)
    found.notes.append(f"{target:,} tasks were queued after {seconds:.0f} s.")
    daemon.request("POST", "/api/v1/stop", {"now": True})
    daemon.process.wait(120)
    shared.processes.forget(daemon.process)
    started = daemon.start()
    if (queued := daemon.channel()["count"]) != target:
        raise bench_error(f"after the start {queued} of {target} tasks are queued")
    found.lines.append(
        line(
            f"start until ready, {target:,} queued",
            "s",
            [started],
            compared=[started],
            goal="flat.long-start",
        )
    )
    memory = read_memory_mb(daemon.process.pid)
    found.lines.append(
        line(
            f"memory after it, {target:,} queued", "MB", [memory], compared=[memory], goal="flat.long-memory"
        )
    )


def measure(shared: bench) -> measurement:
    found = measurement("flat")
    rounds, queued = shared.rounds(5), shared.amount(1_000_000, 30_000)
    pushes, tasks = shared.amount(20_000, 2000), shared.amount(4000, 400)
    both = two_daemons(shared)
    costs: dict[str, list[dict[str, float]]] = {"full": [], "empty": []}
    try:
        for daemon in (both.full, both.empty):
            daemon.pause()
        fill_s = fill(both.full, queued)
        both.rate(both.full, tasks // 4, [])
        both.rate(both.empty, tasks // 4, [])
        rates = interleave(
            rounds,
            {
                "empty": lambda: both.rate(both.empty, tasks, costs["empty"]),
                "full": lambda: both.rate(both.full, tasks, costs["full"]),
            },
        )
        p99s = interleave(
            rounds * 2,
            {
                "empty": lambda: both.push_p99_ms(both.empty, pushes),
                "full": lambda: both.push_p99_ms(both.full, pushes),
            },
        )
        times = time_of_requests_ms(both.full, "/status", count=shared.amount(200, 20))
        memory = read_memory_mb(both.full.process.pid)
        peak, own = (read_memory_mb(both.full.process.pid, field) for field in ("VmHWM", "RssAnon"))
        found.lines.append(
            against(
                f"p99 of POST /push, {CONNECTIONS} connections, {queued:,} queued",
                "ms",
                p99s["full"],
                "empty queue",
                p99s["empty"],
                "flat.push-p99",
            )
        )
        found.lines.append(
            against(
                f"tasks per second, {queued:,} queued",
                "tasks/s",
                rates["full"],
                "empty queue",
                rates["empty"],
                "flat.rate",
                middle_costs(costs["full"]),
            )
        )
        found.lines.append(
            line(f"GET /status, {queued:,} queued", "ms", times, compared=[max(times)], goal="flat.status")
        )
        found.lines.append(
            line(f"memory, {queued:,} queued", "MB", [memory], compared=[memory], goal="flat.memory")
        )
        found.notes.append(
            f"{queued:,} tasks were queued through Redis in {fill_s:.0f} s. /status: p50 "
            f"{median(times):.2f} ms, p99 {percentile(times, 0.99):.2f} ms. Of the memory "
            f"{own:.1f} MB are not of files; its peak was {peak:.1f} MB. "
            "CPU per task with an empty queue: "
            + ", ".join(f"{name} {cost:.0f}" for name, cost in middle_costs(costs["empty"]).items())
            + " microseconds."
        )
        if shared.long:
            measure_long(shared, both.full, found)
    finally:
        both.stop()
    return found
