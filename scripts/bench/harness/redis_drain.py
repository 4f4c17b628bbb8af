"""From a Redis list to durable in a queue: messages per second, beside what Redis itself takes in.

The list is filled under another name and then renamed, so that only taking it in is measured; the channel is
paused. A bare SQLite loop that inserts such rows into the same tables tells what they cost alone, without
Redis, queue and the marks that keep a message from being taken twice.
"""
from __future__ import annotations

import time

from .bench import bench
from .figures import against, interleave, measurement, median, middle_costs
from .processes import bench_error, wait_for
from .redis_client import INTAKE_KEY
from .servers import redis_server, task_message, task_runner

STAGED_KEY = "bench:staged"
PIPELINE = 16
CONNECTIONS = 50
"""The default of redis-benchmark."""
ROWS_PER_COMMIT = 4_000
"""As many messages of one channel as the daemon hands over, and so commits, at once."""


def lpush_rate(
    shared: bench, redis: redis_server, count: int, length: int, connections: int = CONNECTIONS
) -> float:
    """redis-benchmark's pipelined LPUSH of values of a length: requests per second."""
    output = shared.processes.run(
        [
            "redis-benchmark",
            "-h",
            "127.0.0.1",
            "-p",
            str(redis.port),
            "-t",
            "lpush",
            "-P",
            str(PIPELINE),
            "-c",
            str(connections),
            "-n",
            str(count),
            "-d",
            str(length),
            "--csv",
        ]
    )
    redis.client.ask("DEL", "mylist")
    for row in output.splitlines():
        fields = [field.strip('"') for field in row.split(",")]
        if fields[0].startswith("LPUSH"):
            return float(fields[1])
    raise bench_error(f"redis-benchmark printed no row for LPUSH: {output.strip()[-200:]}")


def drain_rate(daemon: task_runner, count: int, costs: list[dict[str, float]]) -> float:
    """Messages per second from the list into the store, durably."""
    client = daemon.redis.client
    client.push_all(STAGED_KEY, daemon.messages(count))
    before = daemon.channel()["count"]
    meter = daemon.meter()
    began = time.monotonic()
    client.ask("RENAME", STAGED_KEY, INTAKE_KEY)
    # A taken list goes when its last task is durable: no list, no message that is not in the store.
    wait_for(lambda: client.count("DBSIZE") == 0, 300, "the list is drained", 0.005)
    rate = count / (time.monotonic() - began)
    costs.append(meter.per_task_us(count))
    there = daemon.channel()["count"] - before
    if there != count:
        raise bench_error(f"of {count} messages {there} are in the store")
    return rate


def measure(shared: bench) -> measurement:
    found = measurement("redis-drain")
    count = shared.amount(150_000, 20_000)
    daemon = task_runner(shared, "redis-drain")
    # As long as nearly all of the messages.
    length = len(task_message(count))
    costs: list[dict[str, float]] = []
    tables = shared.directory("redis-drain-sqlite") / "tables.db"

    def insert() -> float:
        return shared.sqlite_limit(count, ROWS_PER_COMMIT, tables)

    try:
        daemon.pause()
        daemon.copy_schema(tables)
        drain_rate(daemon, count // 10, [])
        figures = interleave(
            shared.rounds(5),
            {
                "limit": lambda: lpush_rate(shared, daemon.redis, shared.amount(300_000, 100_000), length),
                "one": lambda: lpush_rate(shared, daemon.redis, shared.amount(100_000, 30_000), length, 1),
                "drain": lambda: drain_rate(daemon, count, costs),
                "sqlite": insert,
            },
        )
    finally:
        daemon.stop()
    found.lines.append(
        against(
            "Redis list to durable",
            "messages/s",
            figures["drain"],
            f"redis-benchmark -t lpush -P {PIPELINE} -c {CONNECTIONS} -d {length}",
            figures["limit"],
            "redis-drain",
            middle_costs(costs),
        )
    )
    found.lines.append(
        against(
            "Redis list to durable: against the same tables",
            "messages/s",
            figures["drain"],
            f"bare SQLite, {ROWS_PER_COMMIT:,} rows per commit, the daemon's tables",
            figures["sqlite"],
            name_zh="从 Redis 列表到持久存储：与相同的表相比",
        )
    )
    found.notes.append(
        f"redis-benchmark pushes values as long as a message ({length} bytes), {PIPELINE} at a time over each of "
        f"{CONNECTIONS} connections, its default; over a single one {median(figures['one']):,.0f}/s."
    )
    return found
