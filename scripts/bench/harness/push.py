"""POST /push, durable and acknowledged: 32 connections, one connection, and batches of 1,000.

The channel is paused, so that nothing runs beside. The limits are a handler of the same Pistache that does
nothing, and a bare loop over SQLite on the same file system: into a table without an index, of which the goals
speak, and for information into the daemon's own tables with all their indexes.
"""
from __future__ import annotations

import http.client
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from .bench import bench, load_result
from .figures import against, interleave, line, measurement, median, middle_costs
from .processes import bench_error, cpu_meter
from .servers import noop_server, task_runner

BATCH_LINES = 1000
BATCH_PATH = "/api/v1/tasks:batch"
BATCH_TYPE = "application/x-ndjson"
BATCH_LINE = '{"task":"/bin/true {}","channel":"default"}\n'


def pushed(
    daemon: task_runner, count: int, push: Callable[[], load_result], costs: list[dict[str, float]]
) -> load_result:
    """Runs a load against a paused channel, and demands that every task of it is there afterwards."""
    before = daemon.channel()["count"]
    meter = cpu_meter({"daemon": daemon.process.pid})
    result = push()
    tasks = result.requests * count
    cost = meter.per_task_us(tasks)
    cost["load generator"] = result.cpu_s / tasks * 1e6
    costs.append(cost)
    there = daemon.channel()["count"] - before
    if there != tasks:
        raise bench_error(f"{tasks} tasks were acknowledged, and {there} are there")
    return result


def measure_32(shared: bench) -> measurement:
    found = measurement("push-32")
    seconds = shared.amount(3, 1)
    daemon, noop = task_runner(shared, "push-32"), noop_server(shared)
    costs: list[dict[str, float]] = []
    generator: list[float] = []
    latencies: list[float] = []

    def limit() -> float:
        result = shared.load_push(noop.port, 0, connections=32, seconds=seconds)
        generator.append(result.cpu_s / result.requests * result.rate)
        return result.rate

    def push() -> float:
        # Numbers are given up front: more than can be pushed in the time.
        first = daemon.numbers(seconds * 500_000)
        result = pushed(
            daemon, 1, lambda: shared.load_push(daemon.port, first, connections=32, seconds=seconds), costs
        )
        latencies.append(result.p99_us / 1000)
        return result.rate

    try:
        daemon.pause()
        push()
        costs.clear()
        latencies.clear()
        figures = interleave(shared.rounds(5), {"limit": limit, "push": push})
    finally:
        with ExitStack() as ends:
            ends.callback(daemon.stop)
            ends.callback(noop.stop)
    found.lines.append(
        against(
            "POST /push, 32 connections",
            "pushes/s",
            figures["push"],
            "Pistache handler that does nothing",
            figures["limit"],
            "push-32",
            middle_costs(costs),
        )
    )
    found.notes.append(
        f"p99 of a push: {median(latencies):.2f} ms. The load generator (the project's own, 2 threads) "
        f"takes {median(generator):.2f} cores while the empty handler answers."
    )
    return found


class bare_sqlite:
    """The two limits, each with a database of its own that grows from round to round, as the daemon's does."""

    def __init__(self, shared: bench, daemon: task_runner) -> None:
        self.shared = shared
        place = shared.directory("sqlite")
        self.plain: Path = place / "plain.db"
        self.indexed: Path = place / "indexed.db"
        daemon.copy_schema(self.indexed)

    def contestants(self, name: str, rows: int, rows_per_commit: int) -> dict[str, Callable[[], float]]:
        """`NAME` without an index and `NAME-indexed` with all of them: rows per second."""
        return {
            name: lambda: self.shared.sqlite_limit(rows, rows_per_commit, self.plain),
            f"{name}-indexed": lambda: self.shared.sqlite_limit(rows, rows_per_commit, self.indexed),
        }


def held_against(
    title: str,
    title_zh: str,
    unit: str,
    values: list[float],
    figures: dict[str, list[float]],
    limit: tuple[str, str],
    goal: str,
    costs: list[dict[str, float]],
) -> list[line]:
    """The line of the goal, and the one for information. `limit`: its key in `figures`, and its name."""
    key, name = limit
    return [
        against(title, unit, values, name, figures[key], goal, middle_costs(costs)),
        against(
            f"{title}: against the same indexes",
            unit,
            values,
            f"{name}, the daemon's tables",
            figures[f"{key}-indexed"],
            name_zh=f"{title_zh}：与带相同索引的表相比",
        ),
    ]


def measure_1(shared: bench) -> measurement:
    found = measurement("push-1")
    daemon = task_runner(shared, "push-1")
    bare = bare_sqlite(shared, daemon)
    commits, pushes = shared.amount(4000, 500), shared.amount(3000, 500)
    costs: list[dict[str, float]] = []

    def push() -> float:
        first = daemon.numbers(pushes)
        return pushed(
            daemon, 1, lambda: shared.load_push(daemon.port, first, connections=1, requests=pushes), costs
        ).rate

    try:
        daemon.pause()
        limits = bare.contestants("limit", commits, 1)
        for run in (*limits.values(), push):
            run()
        costs.clear()
        figures = interleave(shared.rounds(7), {**limits, "push": push})
    finally:
        daemon.stop()
    found.lines += held_against(
        "POST /push, 1 connection",
        "POST /push，1 个连接",
        "pushes/s",
        figures["push"],
        figures,
        ("limit", "bare SQLite, a commit per insert"),
        "push-1",
        costs,
    )
    return found


def batch_answer(daemon: task_runner) -> int:
    """The status of a batch of one line; numbers are used up by it."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
    try:
        body = BATCH_LINE.replace("{}", str(daemon.numbers(1)))
        connection.request("POST", BATCH_PATH, body, {"Content-Type": BATCH_TYPE})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        if answer.status not in (200, 404):
            raise bench_error(f"POST {BATCH_PATH} was answered with {answer.status}: {text[:300]}")
        return answer.status
    finally:
        connection.close()


def measure_batch(shared: bench) -> measurement:
    found = measurement("batch")
    daemon = task_runner(shared, "batch")
    bare = bare_sqlite(shared, daemon)
    batches = shared.amount(200, 20)
    costs: dict[int, list[dict[str, float]]] = {1: [], 4: []}

    def push(connections: int, requests: int = batches) -> float:
        first = daemon.numbers(requests * BATCH_LINES)
        result = pushed(
            daemon,
            BATCH_LINES,
            lambda: shared.load(
                daemon.port,
                BATCH_PATH,
                BATCH_TYPE,
                BATCH_LINE,
                first,
                connections=connections,
                requests=requests,
                lines=BATCH_LINES,
            ),
            costs[connections],
        )
        return result.rate * BATCH_LINES

    # Batches that come together on several connections travel in one commit, so that is what a bare loop may do.
    def limits(rows: int) -> dict[str, Callable[[], float]]:
        return {
            **bare.contestants("limit-1", rows, BATCH_LINES),
            **bare.contestants("limit-4", rows, 4 * BATCH_LINES),
        }

    try:
        daemon.pause()
        if batch_answer(daemon) == 404:
            found.notes.append(f"not available: this daemon has no POST {BATCH_PATH}")
            return found
        # Files, caches and connections are there from now on.
        for run in limits(8 * BATCH_LINES).values():
            run()
        for connections, kept in costs.items():
            push(connections, 8)
            kept.clear()
        figures = interleave(
            shared.rounds(5),
            {**limits(batches * BATCH_LINES), "push-1": lambda: push(1), "push-4": lambda: push(4)},
        )
    finally:
        daemon.stop()
    for connections, kept in costs.items():
        plural = "" if connections == 1 else "s"
        found.lines += held_against(
            f"batches of 1,000, {connections} connection{plural}",
            f"每批 1,000 个任务，{connections} 个连接",
            "tasks/s",
            figures[f"push-{connections}"],
            figures,
            (f"limit-{connections}", f"bare SQLite, {connections * BATCH_LINES:,} rows per commit"),
            f"batch.{connections}",
            kept,
        )
    return found
