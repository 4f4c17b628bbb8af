"""POST /push, durable and acknowledged: 32 connections, one connection, and batches of 1,000.

The channel is paused, so that nothing runs beside. The limits are a handler of the same Pistache that does
nothing, and a bare loop over SQLite on the same file system.
"""
from __future__ import annotations

import http.client
from collections.abc import Callable

from .bench import bench, load_result
from .end_to_end import middle_costs
from .figures import against, interleave, measurement, median
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
        daemon.stop()
        noop.stop()
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


def measure_1(shared: bench) -> measurement:
    found = measurement("push-1")
    daemon = task_runner(shared, "push-1")
    database = shared.directory("sqlite") / "limit.db"
    commits, pushes = shared.amount(4000, 500), shared.amount(3000, 500)
    costs: list[dict[str, float]] = []

    def push() -> float:
        first = daemon.numbers(pushes)
        return pushed(
            daemon, 1, lambda: shared.load_push(daemon.port, first, connections=1, requests=pushes), costs
        ).rate

    try:
        daemon.pause()
        push()
        costs.clear()
        figures = interleave(
            shared.rounds(7), {"limit": lambda: shared.sqlite_limit(commits, 1, database), "push": push}
        )
    finally:
        daemon.stop()
    found.lines.append(
        against(
            "POST /push, 1 connection",
            "pushes/s",
            figures["push"],
            "bare SQLite, a commit per insert",
            figures["limit"],
            "push-1",
            middle_costs(costs),
        )
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
    database = shared.directory("sqlite") / "limit.db"
    batches = shared.amount(200, 20)
    rows = batches * BATCH_LINES
    costs: dict[int, list[dict[str, float]]] = {1: [], 4: []}

    def push(connections: int) -> float:
        first = daemon.numbers(rows)
        return (
            pushed(
                daemon,
                BATCH_LINES,
                lambda: shared.load(
                    daemon.port,
                    BATCH_PATH,
                    BATCH_TYPE,
                    BATCH_LINE,
                    first,
                    connections=connections,
                    requests=batches,
                    lines=BATCH_LINES,
                ),
                costs[connections],
            ).rate
            * BATCH_LINES
        )

    try:
        daemon.pause()
        if batch_answer(daemon) == 404:
            found.notes.append(f"not available: this daemon has no POST {BATCH_PATH}")
            return found
        figures = interleave(
            shared.rounds(5),
            {
                "limit": lambda: shared.sqlite_limit(rows, BATCH_LINES, database),
                "one": lambda: push(1),
                "four": lambda: push(4),
            },
        )
    finally:
        daemon.stop()
    for name, key, connections in (("1 connection", "one", 1), ("4 connections", "four", 4)):
        found.lines.append(
            against(
                f"batches of 1,000, {name}",
                "tasks/s",
                figures[key],
                "bare SQLite, 1,000 rows per commit",
                figures["limit"],
                f"batch.{connections}",
                middle_costs(costs[connections]),
            )
        )
    return found
