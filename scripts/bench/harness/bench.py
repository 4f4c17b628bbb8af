"""What every measurement is given: where it may write, how much it shall do, and the project's own programs.

One object of it lives for the whole run; closing it ends every process and removes every file.
"""
from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .processes import bench_error, called_with, children, kill, process_owner, wait_for

PROGRAMS = Path(__file__).resolve().parent.parent / "programs"
STRICT = ["-O2", "-Wall", "-Wextra"]
BUILD: dict[str, list[str]] = {
    "stamp": ["gcc", *STRICT, "-static", "stamp.c"],
    "paced_spawn": ["gcc", *STRICT, "paced_spawn.c"],
    "spawn_limit": ["gcc", *STRICT, "spawn_limit.c"],
    "sqlite_limit": ["gcc", *STRICT, "sqlite_limit.c", "-lsqlite3"],
    "load_http": ["gcc", *STRICT, "-pthread", "load_http.c"],
    "follow_http": ["gcc", *STRICT, "follow_http.c"],
    "noop_http": ["g++", *STRICT, "-std=c++17", "noop_http.cpp", "-lpistache", "-pthread"],
}


@dataclass(frozen=True)
class load_result:
    """What the load generator says of a run."""

    requests: int
    rate: float
    p50_us: float
    p99_us: float
    cpu_s: float


class bench:
    """The state of a run."""

    def __init__(
        self, binary: Path, directory: Path, *, quick: bool, long: bool, install_peers: bool, rounds: int
    ) -> None:
        self.binary = binary
        self.quick = quick
        self.long = long
        self.install_peers = install_peers
        self.rounds_asked = rounds
        self.place = Path(tempfile.mkdtemp(prefix="tr-bench.", dir=directory))
        self.processes = process_owner()
        self.numbers = 0

    def amount(self, full: int, quick: int) -> int:
        """How many rounds, tasks or seconds: a full run's, or those of --quick."""
        return quick if self.quick else full

    def rounds(self, full: int) -> int:
        """How often everything is measured in turn: as asked for, else in full, or twice with --quick."""
        return self.rounds_asked or self.amount(full, 2)

    def directory(self, name: str) -> Path:
        """A new directory."""
        self.numbers += 1
        path = self.place / f"{self.numbers}-{name}"
        path.mkdir()
        return path

    def build_programs(self, names: Iterable[str]) -> None:
        """Compiles those of the small programs; to be called before anything is measured."""
        (self.place / "bin").mkdir()
        for name in sorted(set(names)):
            compiler, *words = BUILD[name]
            self.processes.run([compiler, "-o", self.program(name), *words], cwd=PROGRAMS)

    def program(self, name: str) -> str:
        """Where that program lies, once it is built."""
        return str(self.place / "bin" / name)

    def spawn_limit(
        self, count: int, concurrency: int, spawners: int = 1, costs: list[dict[str, float]] | None = None
    ) -> float:
        """/bin/true so many times, so many at once, with nothing else: commands per second.

        What it has cost, in CPU microseconds per command, is added to `costs`.
        """
        output = self.processes.run(
            [self.program("spawn_limit"), "-s", str(spawners), str(count), str(concurrency), "/bin/true"]
        )
        _, rate, own, children = (float(word) for word in output.split())
        if costs is not None:
            costs.append({"spawner": own, "its children": children})
        return rate

    def sqlite_limit(self, rows: int, rows_per_commit: int, database: Path) -> float:
        """Rows per second of a bare loop over SQLite."""
        output = self.processes.run(
            [self.program("sqlite_limit"), "-b", str(rows_per_commit), str(rows), str(database)]
        )
        return float(output.split()[1])

    def load(
        self,
        port: int,
        path: str,
        content_type: str,
        template: str,
        first: int,
        *,
        connections: int,
        requests: int | None = None,
        seconds: float | None = None,
        lines: int = 1,
    ) -> load_result:
        """Requests as fast as the server answers; a bench_error when one is not answered with 200."""
        extent = ["-n", str(requests)] if requests is not None else ["-s", str(seconds)]
        output = self.processes.run(
            [
                self.program("load_http"),
                "-c",
                str(connections),
                "-t",
                str(min(2, connections)),
                "-k",
                str(lines),
                *extent,
                str(port),
                path,
                content_type,
                template,
                str(first),
            ]
        )
        said = json.loads(output)
        return load_result(said["requests"], said["rate"], said["p50_us"], said["p99_us"], said["cpu_s"])

    def load_push(
        self,
        port: int,
        first: int,
        *,
        connections: int,
        requests: int | None = None,
        seconds: float | None = None,
        channel: str = "default",
    ) -> load_result:
        """POST /push of /bin/true, as a form."""
        return self.load(
            port,
            "/push",
            "application/x-www-form-urlencoded",
            f"task=/bin/true+{{}}&channel={channel}",
            first,
            connections=connections,
            requests=requests,
            seconds=seconds,
        )

    def close(self) -> None:
        """Ends what still runs, and removes the directory."""
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        self.processes.close()
        self.wait_for_launchers()
        for _ in range(5):
            shutil.rmtree(self.place, ignore_errors=True)
            if not self.place.exists():
                return
            time.sleep(0.2)
        print(f"run.sh: {self.place} could not be removed", file=sys.stderr)

    def wait_for_launchers(self) -> None:
        """A launcher leaves by itself a few seconds after its daemon; one that does not is killed.

        They are told by this run's directory in their command lines, so that one is found whose daemon never
        said that it was ready.
        """

        def launchers() -> list[int]:
            return called_with("--launcher", str(self.place))

        try:
            wait_for(lambda: not launchers(), 20, "the launchers have left")
        except bench_error:
            for pid in launchers():
                commands = children(pid)
                kill(pid)
                for command in commands:
                    kill(command)
