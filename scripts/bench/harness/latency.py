"""From a push to the command's first instruction, on an idle machine, one start every 20 ms.

Held against a bare posix_spawn of the same command plus a bare durable commit, at the same pace, in turn.
"""
from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .bench import bench
from .figures import interleave, line, measurement, median, percentile
from .processes import bench_error, wait_for
from .redis_client import INTAKE_KEY, encode
from .servers import task_runner

INTERVAL_S = 0.02


def read_stamps(path: Path) -> dict[str, int]:
    """The moment of each command's first instruction, by its id, in nanoseconds."""
    if not path.exists():
        return {}
    rows = (row.split() for row in path.read_text().splitlines())
    return {words[1]: int(words[0]) for words in rows if len(words) == 2}


class paced:
    """Pushes that are a steady interval apart, and what became of them."""

    def __init__(self, shared: bench, daemon: task_runner) -> None:
        self.shared = shared
        self.daemon = daemon
        self.stamps = daemon.place / "stamps"
        self.http = socket.create_connection(("127.0.0.1", daemon.port), timeout=60)
        self.http.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def command(self, task: str) -> bytes:
        return json.dumps(
            {"task": f"{self.shared.program('stamp')} {self.stamps} {task}", "chan": "default"}
        ).encode()

    def through_redis(self, task: str) -> int:
        message = encode(("LPUSH", INTAKE_KEY, self.command(task)))
        client = self.daemon.redis.client
        began = time.monotonic_ns()
        client.socket.sendall(message)
        client.read_answer()
        return began

    def through_http(self, task: str) -> int:
        """The whole request in one packet, as most clients send it; Python's own sends two."""
        body = self.command(task).replace(b'"chan"', b'"channel"')
        request = (
            b"POST /push HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        ) + body
        began = time.monotonic_ns()
        self.http.sendall(request)
        answer = http.client.HTTPResponse(self.http)
        answer.begin()
        answer.read()
        if answer.status != 200:
            raise bench_error(f"POST /push was answered with {answer.status}")
        return began

    def block(self, push: Callable[[str], int], count: int) -> list[float]:
        """So many pushes; milliseconds from each to the first instruction."""
        self.stamps.unlink(missing_ok=True)
        first = self.daemon.numbers(count)
        began: dict[str, int] = {}
        next_at = time.monotonic()
        for number in range(first, first + count):
            next_at += INTERVAL_S
            time.sleep(max(0.0, next_at - time.monotonic()))
            began[str(number)] = push(str(number))
        wait_for(lambda: len(read_stamps(self.stamps)) == count, 60, "every command has started")
        stamps = read_stamps(self.stamps)
        return [(stamps[task] - at) / 1e6 for task, at in began.items()]

    def bare_spawns(self, count: int) -> list[float]:
        self.stamps.unlink(missing_ok=True)
        output = self.shared.processes.run(
            [
                self.shared.program("paced_spawn"),
                str(int(INTERVAL_S * 1e6)),
                str(count),
                self.shared.program("stamp"),
                str(self.stamps),
            ]
        )
        stamps = read_stamps(self.stamps)
        rows = (row.split() for row in output.splitlines())
        return [(stamps[task] - int(at)) / 1e6 for at, task in rows]

    def bare_commits(self, count: int) -> list[float]:
        output = self.shared.processes.run(
            [
                self.shared.program("sqlite_limit"),
                "-i",
                str(int(INTERVAL_S * 1e6)),
                str(count),
                str(self.daemon.place / "limit.db"),
            ]
        )
        return [int(row) / 1e6 for row in output.splitlines()]


def measure(shared: bench) -> measurement:
    found = measurement("latency")
    rounds, count = shared.rounds(6), shared.amount(100, 25)
    daemon = task_runner(shared, "latency")
    try:
        pace = paced(shared, daemon)
        ways: dict[str, Callable[[int], list[float]]] = {
            "spawn": pace.bare_spawns,
            "commit": pace.bare_commits,
            "redis": lambda starts: pace.block(pace.through_redis, starts),
            "http": lambda starts: pace.block(pace.through_http, starts),
        }
        for way in ways.values():
            way(10)
        blocks = interleave(rounds, {name: partial(way, count) for name, way in ways.items()})
    finally:
        daemon.stop()
    samples = {name: [value for block in of_one for value in block] for name, of_one in blocks.items()}
    middles = {name: [median(block) for block in of_one] for name, of_one in blocks.items()}
    spawn_commit = [spawn + commit for spawn, commit in zip(middles["spawn"], middles["commit"], strict=True)]
    worst = {name: percentile(values, 0.99) for name, values in samples.items()}
    for name, title in (("redis", "LPUSH"), ("http", "POST /push")):
        beyond = [value - limit for value, limit in zip(middles[name], spawn_commit, strict=True)]
        found.lines.append(
            line(
                f"{title} to first instruction, p50",
                "ms",
                middles[name],
                "spawn p50 + commit p50",
                spawn_commit,
                beyond,
                f"latency.{name}-p50",
            )
        )
        limit = worst["spawn"] + worst["commit"]
        found.lines.append(
            line(
                f"{title} to first instruction, p99",
                "ms",
                [worst[name]],
                "spawn p99 + commit p99",
                [limit],
                [worst[name] - limit],
                f"latency.{name}-p99",
            )
        )
    # A slow moment meets a spawn or a commit, hardly both: the sum of both p99 is more than the p99 of sums.
    sums = [spawn + commit for spawn, commit in zip(samples["spawn"], samples["commit"], strict=True)]
    worst_sum = percentile(sums, 0.99)
    found.notes.append(
        f"Spawns and commits added in pairs have a p99 of {worst_sum:.2f} ms, against "
        f"{worst['spawn'] + worst['commit']:.2f} ms for the sum of both p99, which the goal speaks of; beyond the "
        f"pairs are LPUSH {worst['redis'] - worst_sum:.2f} ms and POST /push {worst['http'] - worst_sum:.2f} ms."
    )
    found.notes.append(
        "Bare, p50 and p99: "
        + "; ".join(
            f"{title} {median(samples[name]):.2f} and {worst[name]:.2f} ms"
            for name, title in (("spawn", "posix_spawn"), ("commit", "durable commit"))
        )
        + f"; {rounds * count} starts of each kind."
    )
    return found
