"""Tasks per second end to end: /bin/true, the daemon up, fed through the Redis list and through HTTP.

The limit is one process that starts commands with pipes and nothing else; peers do the same work in the same
rounds.
"""
from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

from .bench import bench
from .figures import against, interleave, measurement, middle_costs
from .peers import FAILURES, peer, present_peers
from .push import BATCH_PATH, BATCH_TYPE
from .servers import PLAIN_CHANNEL, task_runner

WORKERS = (5, 16)
HTTP_CONNECTIONS = 32
"""As many as the goal for pushes alone speaks of."""
HTTP_CONNECTIONS_FEW = 8
BATCH_LINES = 100


def through(
    daemon: task_runner,
    feed: Callable[[int], None],
    count: int,
    costs: list[dict[str, float]],
    channel: str = "default",
) -> float:
    """Feeds a channel so many tasks and waits for the last one's end: tasks per second."""
    before = daemon.ended(channel)
    meter = daemon.meter()
    began = time.monotonic()
    feed(count)
    daemon.wait_until_ended(before + count, name=channel)
    seconds = time.monotonic() - began
    costs.append(meter.per_task_us(count))
    return count / seconds


def measure(shared: bench) -> measurement:
    rounds = shared.rounds(5)
    count = shared.amount(5000, 600)
    found = measurement("end-to-end")
    daemons: dict[int, task_runner] = {}
    peers, missing = present_peers(shared)
    contestants: dict[str, Callable[[], float]] = {}
    costs: dict[str, list[dict[str, float]]] = {}
    broken: dict[str, str] = {}

    def add_daemon(name: str, daemon: task_runner, feed: Callable[[int], None]) -> None:
        kept = costs[name] = []
        contestants[name] = lambda: through(daemon, feed, count, kept, PLAIN_CHANNEL)

    def add_limit(name: str, workers: int, spawners: int = 1) -> None:
        kept = costs[name] = []
        contestants[name] = lambda: shared.spawn_limit(count, workers, spawners, kept)

    def add_peer(one: peer) -> None:
        def run() -> float:
            # What fails a peer does not fail the measurement: the report says so instead.
            try:
                return 0.0 if one.name in broken else one.measure(shared.amount(one.count, one.count_quick))
            except FAILURES as error:
                broken[one.name] = str(error)
                return 0.0

        contestants[one.name] = run

    def stop_peer(one: peer) -> None:
        try:
            one.stop()
        except FAILURES as error:
            print(f"run.sh: {one.title} did not stop as it should: {error}", file=sys.stderr)

    def http_feed(daemon: task_runner, connections: int) -> Callable[[int], None]:
        def feed(tasks: int) -> None:
            shared.load(
                daemon.port,
                "/push",
                "application/x-www-form-urlencoded",
                f"task=/bin/true&channel={PLAIN_CHANNEL}",
                0,
                connections=connections,
                requests=tasks,
            )

        return feed

    def batch_feed(daemon: task_runner) -> Callable[[int], None]:
        def feed(tasks: int) -> None:
            shared.load(
                daemon.port,
                BATCH_PATH,
                BATCH_TYPE,
                json.dumps({"task": "/bin/true", "channel": PLAIN_CHANNEL}) + "\n",
                0,
                connections=1,
                requests=tasks // BATCH_LINES,
                lines=BATCH_LINES,
            )

        return feed

    # Whatever one of them raises when it is ended, the others are ended too.
    with ExitStack() as ends:
        for workers in WORKERS:
            daemon = daemons[workers] = task_runner(shared, f"workers-{workers}", workers)
            ends.callback(daemon.stop)
            add_limit(f"limit-{workers}", workers)
            add_daemon(f"redis-{workers}", daemon, daemon.feed_redis_plain)
            add_daemon(f"http-{workers}", daemon, http_feed(daemon, HTTP_CONNECTIONS))
            add_daemon(f"few-{workers}", daemon, http_feed(daemon, HTTP_CONNECTIONS_FEW))
            add_daemon(f"batch-{workers}", daemon, batch_feed(daemon))
            add_limit(f"two-{workers}", workers, 2)
        # Peers are measured a while later in each round, so they have a limit of their own.
        if peers:
            add_limit("limit-peers", peer.workers)
        for one in peers:
            add_peer(one)
            ends.callback(stop_peer, one)
            try:
                one.start()
            except FAILURES as error:
                broken[one.name] = str(error)
        # The first commands of a daemon pay for what later ones find.
        for daemon in daemons.values():
            daemon.add_plain_channel()
            through(daemon, daemon.feed_redis_plain, shared.amount(500, 100), [], PLAIN_CHANNEL)
        figures = interleave(rounds, contestants)

    for workers in WORKERS:
        limit = figures[f"limit-{workers}"]
        for way, name in (("redis", "Redis list"), ("http", "HTTP")):
            key = f"{way}-{workers}"
            found.lines.append(
                against(
                    f"{name}, {workers} workers",
                    "tasks/s",
                    figures[key],
                    "one bare spawner",
                    limit,
                    f"end-to-end.{key}",
                    middle_costs(costs[key]),
                )
            )
        bare = ", ".join(
            f"{name} {cost:.0f}" for name, cost in middle_costs(costs[f"limit-{workers}"]).items()
        )
        found.notes.append(f"one bare spawner, {workers} at once: CPU microseconds per command: {bare}")
        for key, name, name_zh in (
            (
                f"few-{workers}",
                f"TaskRunner: HTTP over {HTTP_CONNECTIONS_FEW} connections, {workers} workers",
                f"TaskRunner：HTTP，{HTTP_CONNECTIONS_FEW} 个连接，{workers} 个 worker",
            ),
            (
                f"batch-{workers}",
                f"TaskRunner: HTTP in batches of {BATCH_LINES}, {workers} workers",
                f"TaskRunner：HTTP，每批 {BATCH_LINES} 个任务，{workers} 个 worker",
            ),
        ):
            found.lines.append(
                against(
                    name,
                    "tasks/s",
                    figures[key],
                    "one bare spawner",
                    limit,
                    costs=middle_costs(costs[key]),
                    name_zh=name_zh,
                )
            )
        found.lines.append(
            against(
                f"two bare spawners, {workers} at once",
                "tasks/s",
                figures[f"two-{workers}"],
                "one bare spawner",
                limit,
            )
        )
    for one in peers:
        if one.name in broken:
            found.notes.append(f"{one.title} could not be measured: {broken[one.name]}")
            found.absent.append(one.title)
            continue
        found.lines.append(
            against(
                f"{one.title}, {one.workers} workers",
                "tasks/s",
                figures[one.name],
                "one bare spawner",
                figures["limit-peers"],
            )
        )
        found.versions.update(one.versions)
        if one.remark:
            found.notes.append(f"{one.title}: {one.remark}")
    if missing:
        found.notes.append(f"Not installed: {', '.join(missing)}; --install-peers installs them.")
        found.absent += missing
    return found
