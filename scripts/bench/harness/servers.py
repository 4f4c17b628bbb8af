"""The servers that are measured: Redis, TaskRunner, and the HTTP server that does nothing.

Each listens on a free port of the loopback address and writes into a directory of its own.
"""
from __future__ import annotations

import http.client
import json
import re
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from .bench import bench
from .processes import bench_error, cpu_meter, listens, tail, wait_for
from .redis_client import INTAKE_KEY, redis_client

START_PATIENCE_S = 20.0
PORT_ATTEMPTS = 10


def free_port() -> int:
    """A port that was free a moment ago; whoever starts a server on it must be ready to try another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_on_free_port(
    shared: bench, log: Path, command: Callable[[int], list[str]], patience_s: float = START_PATIENCE_S
) -> tuple[subprocess.Popen[bytes], int]:
    """A server that is told its port: tried until one is free."""
    for _ in range(PORT_ATTEMPTS):
        port = free_port()
        process = shared.processes.start(command(port), log)
        end = time.monotonic() + patience_s
        while process.poll() is None and time.monotonic() < end:
            # Another process may have taken the port meanwhile: then it is that one which listens.
            if listens(process.pid, port):
                return process, port
            time.sleep(0.02)
        shared.processes.stop(process)
    raise bench_error(f"{command(0)[0]} could not be started: {tail(log)}")


class redis_server:
    """A Redis that keeps nothing on disk."""

    def __init__(self, shared: bench) -> None:
        self.shared = shared
        place = shared.directory("redis")
        self.process, self.port = start_on_free_port(
            shared,
            place / "log",
            lambda port: [
                "redis-server",
                "--port",
                str(port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
                str(place),
            ],
        )
        self.client = redis_client(self.port)

    def stop(self) -> None:
        self.client.close()
        self.shared.processes.stop(self.process)


class noop_server:
    """The same Pistache with as many threads as the daemon has, and a handler that does nothing."""

    THREADS = 2

    def __init__(self, shared: bench) -> None:
        self.shared = shared
        log = shared.directory("noop") / "log"
        self.process = shared.processes.start([shared.program("noop_http"), str(self.THREADS)], log)
        wait_for(
            lambda: log.read_text().strip() != "", START_PATIENCE_S, "the server that does nothing listens"
        )
        self.port = int(log.read_text().split()[0])

    def stop(self) -> None:
        self.shared.processes.stop(self.process)


def task_message(number: int, channel: str = "default") -> bytes:
    return b'{"task":"/bin/true %d","chan":"%s"}' % (number, channel.encode())


# A channel without dedup, where each command may be the very same: /bin/true takes a sixth longer when it is
# given a word, as it then looks for its translations.
PLAIN_CHANNEL = "plain"


class task_runner:
    """A daemon with a Redis of its own, at its default settings but for ports, directories and workers."""

    def __init__(self, shared: bench, name: str, workers: int = 5) -> None:
        self.shared = shared
        self.place = shared.directory(name)
        self.workers = workers
        self.redis = redis_server(shared)
        self.next_number = 0
        self.start()

    def start(self) -> float:
        """Starts the daemon on its directory; gives the seconds until it served requests."""
        log = self.place / "log"
        log.write_text("")
        began = time.monotonic()
        self.process = self.shared.processes.start(
            [
                str(self.shared.binary),
                "-state-dir",
                str(self.place / "state"),
                "-pidfile",
                str(self.place / "pid"),
                "-http-addr",
                "127.0.0.1:0",
                "-redis-host",
                f"127.0.0.1:{self.redis.port}",
                "-concurrent",
                str(self.workers),
                "-log-file",
                str(log),
            ],
            self.place / "output",
        )

        def listens() -> bool:
            if self.process.poll() is not None:
                raise bench_error(f"the daemon ended: {tail(log)}; {tail(self.place / 'output')}")
            return "listening address=" in log.read_text()

        wait_for(listens, 120, "the daemon listens", 0.005)
        found = re.search(r"listening address=127\.0\.0\.1:(\d+)", log.read_text())
        if found is None:
            raise bench_error(f"the daemon does not say where it listens: {tail(log)}")
        self.port = int(found.group(1))
        wait_for(self.ready, 120, "the daemon is ready", 0.005)
        seconds = time.monotonic() - began
        launcher_file = self.place / "state" / "launcher.pid"
        wait_for(
            lambda: launcher_file.exists() and launcher_file.read_text().strip() != "",
            20,
            "the launcher runs",
        )
        self.launcher = int(launcher_file.read_text())
        return seconds

    def request(
        self, method: str, path: str, body: dict[str, Any] | None = None, timeout_s: float = 60.0
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(
                method, path, text, {} if text is None else {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def demand(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A request that must be answered with 200; gives its data."""
        status, answer = self.request(method, path, body)
        if status != 200:
            raise bench_error(f"{method} {path} was answered with {status}: {answer.get('message')}")
        return answer["data"]

    def ready(self) -> bool:
        try:
            status, _ = self.request("GET", "/readyz")
            return status == 200
        except OSError:
            return False

    def running_max(self) -> int:
        """How many commands the launcher can run at once on this machine; 0: it does not know a bound."""
        status, answer = self.request("GET", "/status?channel=default&limit=1")
        try:
            return int(answer["daemon"]["launcher"]["running_max"])
        except (KeyError, TypeError) as error:
            raise bench_error(
                f"GET /status ({status}) does not say how many commands the launcher can run"
            ) from error

    def copy_schema(self, path: Path) -> None:
        """Makes a database with the daemon's tables and their indexes, and nothing in them."""
        own = f"file:{self.place / 'state' / 'task-runner.db'}?mode=ro"
        with ExitStack() as opened:
            source = opened.enter_context(closing(sqlite3.connect(own, uri=True)))
            target = opened.enter_context(closing(sqlite3.connect(path)))
            (vacuum,) = source.execute("PRAGMA auto_vacuum").fetchone()
            target.execute(f"PRAGMA auto_vacuum = {vacuum}")
            for (statement,) in source.execute(
                "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite~_%' ESCAPE '~' "
                "ORDER BY type <> 'table', rowid"
            ):
                target.execute(statement)
            target.commit()

    def channel(self, name: str = "default") -> dict[str, Any]:
        found: dict[str, Any] = self.demand("GET", f"/status?channel={name}&limit=1")
        return found

    def ended(self, name: str = "default") -> int:
        """Tasks of a channel that have ended since the start; a bench_error when one has failed."""
        counts = self.channel(name)
        if counts["dead"] > 0:
            raise bench_error(f"{counts['dead']} tasks have failed; see GET /api/v1/tasks?state=dead")
        return int(counts["finished"])

    def wait_until_ended(self, target: int, deadline_s: float = 300.0, name: str = "default") -> None:
        """Waits until so many tasks have ended, and asks the less often the more are left."""
        began = time.monotonic()
        first = ended = self.ended(name)
        while ended < target:
            passed = time.monotonic() - began
            if passed > deadline_s:
                raise bench_error(f"after {deadline_s:.0f} s only {ended} of {target} tasks have ended")
            left = (target - ended) * passed / (ended - first) if ended > first else 0.01
            time.sleep(min(0.5, max(0.004, left / 2)))
            ended = self.ended(name)

    def pause(self, name: str = "default") -> None:
        self.demand("POST", f"/api/v1/channels/{name}/pause")
        wait_for(lambda: int(self.channel(name)["running"]) == 0, 60, f"nothing of channel {name} runs")

    def resume(self, name: str = "default") -> None:
        self.demand("POST", f"/api/v1/channels/{name}/resume")

    def numbers(self, count: int) -> int:
        """Reserves so many numbers, which make commands unique; gives the first."""
        first = self.next_number
        self.next_number += count
        return first

    def messages(self, count: int) -> Iterable[bytes]:
        first = self.numbers(count)
        return (task_message(number) for number in range(first, first + count))

    def feed_redis(self, count: int) -> None:
        """So many tasks through the Redis list, pipelined."""
        self.redis.client.push_all(INTAKE_KEY, self.messages(count), count)

    def add_plain_channel(self) -> None:
        """Makes the channel PLAIN_CHANNEL, with as many workers as the others have."""
        settings = {"name": PLAIN_CHANNEL, "distinct": False, "worker": self.workers}
        status, answer = self.request("POST", "/api/v1/channels", settings)
        if status not in (200, 201):
            raise bench_error(f"the channel {PLAIN_CHANNEL} was refused: {answer.get('message')}")

    def feed_redis_plain(self, count: int) -> None:
        """So many times /bin/true itself, into PLAIN_CHANNEL."""
        message = b'{"task":"/bin/true","chan":"%s"}' % PLAIN_CHANNEL.encode()
        self.redis.client.push_all(INTAKE_KEY, (message for _ in range(count)), count)

    def meter(self) -> cpu_meter:
        return cpu_meter(
            {"daemon": self.process.pid, "launcher": self.launcher, "redis": self.redis.process.pid}
        )

    def stop(self) -> None:
        """Ends the daemon and what it runs; its launcher leaves by itself, and is waited for at the end."""
        with ExitStack() as ends:
            ends.callback(self.redis.stop)
            if self.process.poll() is None:
                try:
                    self.request("POST", "/api/v1/stop", {"now": True}, 10)
                    self.process.wait(60)
                except (OSError, ValueError, http.client.HTTPException, subprocess.TimeoutExpired):
                    self.process.terminate()
            self.shared.processes.stop(self.process, 30)


def time_of_requests_ms(
    daemon: task_runner, path: str, *, count: int | None = None, seconds: float | None = None
) -> list[float]:
    """GET so many times, or for so long, one after the other over one connection; each must be answered with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
    times: list[float] = []
    ends_at = None if seconds is None else time.monotonic() + seconds
    while time.monotonic() < ends_at if ends_at is not None else len(times) < (count or 0):
        began = time.monotonic()
        connection.request("GET", path, headers={"Connection": "keep-alive"})
        answer = connection.getresponse()
        answer.read()
        times.append((time.monotonic() - began) * 1000)
        if answer.status != 200:
            raise bench_error(f"GET {path} was answered with {answer.status}")
    connection.close()
    return times
