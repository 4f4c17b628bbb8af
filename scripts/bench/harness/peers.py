"""Other ways to run commands from a queue, doing the same work: /bin/true once per message, from their queue.

Each peer says whether it is installed, starts what it needs, and measures; slow ones are given fewer tasks.
"""
from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from .bench import bench
from .processes import bench_error, wait_for
from .servers import redis_server, start_on_free_port

PEERS = Path(__file__).resolve().parent.parent / "peers"
BULLMQ = "bullmq@5.47.3"
PATIENCE_S = 120.0
FAILURES = (bench_error, OSError, ValueError, IndexError, subprocess.TimeoutExpired)
"""How a peer fails: it cannot be run, does not come to an end, or does not say what it should."""


class peer:
    """One of them. `start` and `stop` frame the run; `measure` gives tasks per second."""

    name = ""
    title = ""
    packages: tuple[str, ...] = ()
    """Debian's packages whose versions are reported."""
    workers = 5
    count = 2000
    count_quick = 200
    remark = ""

    def __init__(self, shared: bench) -> None:
        self.shared = shared
        self.versions: dict[str, str] = {}
        """What of it Debian's packages do not tell."""

    def available(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Nothing, for those without a server."""

    def measure(self, count: int) -> float:
        raise NotImplementedError

    def stop(self) -> None:
        """Nothing, for those without a server."""

    def timed(self, command: list[str], count: int, text: str | None = None) -> float:
        began = time.monotonic()
        self.shared.processes.run(command, text=text)
        return count / (time.monotonic() - began)


class xargs(peer):
    name, title, packages, count = "xargs", "xargs -P", ("findutils",), 5000
    remark = "no queue and no durability: a list of lines."

    def available(self) -> bool:
        return shutil.which("xargs") is not None

    def measure(self, count: int) -> float:
        # Two words: with a single one /bin/true looks for its translations, which takes a sixth longer.
        lines = "".join(f"{number} again\n" for number in range(count))
        return self.timed(["xargs", "-P", str(self.workers), "-n", "2", "/bin/true"], count, lines)


class gnu_parallel(peer):
    name, title, packages, count, count_quick = "parallel", "GNU parallel", ("parallel",), 400, 100
    remark = "no queue and no durability: a list of lines; output captured."

    def available(self) -> bool:
        return shutil.which("parallel") is not None

    def measure(self, count: int) -> float:
        lines = "".join(f"{number}\n" for number in range(count))
        command = ["parallel", "--will-cite", "-j", str(self.workers), "/bin/true", "{}", "again"]
        return self.timed(command, count, lines)


class gearman(peer):
    name, title, packages, count = "gearman", "gearman", ("gearman-job-server", "gearman-tools"), 5000
    remark = "background jobs, its queue in memory."

    def available(self) -> bool:
        return shutil.which("gearmand") is not None and shutil.which("gearman") is not None

    def start(self) -> None:
        place = self.shared.directory("gearman")
        # Root must say so; whoever is not root need not.
        user = ["-u", "root"] if os.geteuid() == 0 else []
        self.server, self.port = start_on_free_port(
            self.shared,
            place / "log",
            lambda port: [
                "gearmand",
                "-L",
                "127.0.0.1",
                "-p",
                str(port),
                "-l",
                str(place / "gearmand.log"),
                *user,
            ],
        )
        self.clients = [
            self.shared.processes.start(
                ["gearman", "-h", "127.0.0.1", "-p", str(self.port), "-w", "-f", "run", "--", "/bin/true"],
                place / "log",
            )
            for _ in range(self.workers)
        ]
        wait_for(lambda: self.status()[2] == self.workers, 20, "gearman's workers are registered")

    def status(self) -> tuple[int, int, int]:
        """Jobs that are left, jobs that run, workers."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(b"status\n")
            answer = b""
            while not answer.endswith(b".\n"):
                part = connection.recv(65536)
                if not part:
                    raise bench_error("gearmand has closed the connection within its answer to `status`")
                answer += part
        for row in answer.decode().splitlines():
            words = row.split("\t")
            if words[0] == "run":
                return int(words[1]), int(words[2]), int(words[3])
        return 0, 0, 0

    def measure(self, count: int) -> float:
        lines = "".join(f"{number}\n" for number in range(count))
        began = time.monotonic()
        self.shared.processes.run(
            ["gearman", "-h", "127.0.0.1", "-p", str(self.port), "-b", "-N", "-f", "run"], text=lines
        )
        wait_for(lambda: self.status()[0] == 0, PATIENCE_S, "gearman has run everything", 0.005)
        return count / (time.monotonic() - began)

    def stop(self) -> None:
        for process in [*getattr(self, "clients", []), getattr(self, "server", None)]:
            if process is not None:
                self.shared.processes.stop(process)


class task_spooler(peer):
    name, title, packages, count, count_quick = "tsp", "task-spooler", ("task-spooler",), 300, 50
    remark = "one `tsp` process per task to push it, output captured; its queue in memory."

    def available(self) -> bool:
        return shutil.which("tsp") is not None

    def start(self) -> None:
        place = self.shared.directory("tsp")
        self.environment = {
            "TS_SOCKET": str(place / "socket"),
            "TMPDIR": str(place),
            "TS_MAXFINISHED": "100000",
        }
        self.shared.processes.run(["tsp", "-S", str(self.workers)], self.environment)

    def measure(self, count: int) -> float:
        # The numbers of the last ones are waited for; all others have begun before them.
        script = (
            f"i=0; while [ $i -lt {count} ]; do n=$(tsp /bin/true) || exit 1; i=$((i + 1)); done; "
            f"i={self.workers}; while [ $i -gt 0 ]; do i=$((i - 1)); tsp -w $((n - i)) || exit 1; done"
        )
        began = time.monotonic()
        self.shared.processes.run(["sh", "-c", script], self.environment)
        rate = count / (time.monotonic() - began)
        self.shared.processes.run(["tsp", "-C"], self.environment)
        return rate

    def stop(self) -> None:
        if hasattr(self, "environment"):
            self.shared.processes.run(["tsp", "-K"], self.environment)


class bullmq(peer):
    name, title, count, count_quick = "bullmq", "BullMQ", 1500, 200
    remark = "child_process.spawn; durable as its Redis is, here not at all."
    modules = ""

    def available(self) -> bool:
        if shutil.which("node") is None:
            return False
        try:
            if self.shared.install_peers:
                place = self.shared.directory("bullmq")
                quietly = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
                self.shared.processes.run(["npm", "install", "--prefix", str(place), *quietly, BULLMQ])
                self.modules = str(place / "node_modules")
            # Whichever version is found is the one that is measured.
            said = self.shared.processes.run(
                ["node", str(PEERS / "bullmq_run.js"), "--version"], self.environment()
            )
            self.versions["bullmq"] = said.split()[0]
            self.remark = f"{said.split()[0]}; {bullmq.remark}"
        except FAILURES as error:
            if self.shared.install_peers:
                print(f"run.sh: BullMQ: {error}", file=sys.stderr)
            return False
        return True

    def environment(self) -> dict[str, str]:
        return {"NODE_PATH": self.modules} if self.modules else {}

    def start(self) -> None:
        self.redis = redis_server(self.shared)

    def measure(self, count: int) -> float:
        output = self.shared.processes.run(
            ["node", str(PEERS / "bullmq_run.js"), str(self.redis.port), str(count), str(self.workers)],
            self.environment(),
        )
        return count / float(output.split()[-1])

    def stop(self) -> None:
        if hasattr(self, "redis"):
            self.redis.stop()


class celery(peer):
    name, title, packages, count, count_quick = "celery", "Celery", ("celery", "python3-celery"), 600, 100
    remark = "prefork, subprocess.run, acknowledged late; durable as its Redis is, here not at all."

    def available(self) -> bool:
        try:
            self.shared.processes.run([sys.executable, "-c", "import celery, redis"])
        except FAILURES:
            return False
        return True

    def start(self) -> None:
        self.redis = redis_server(self.shared)
        place = self.shared.directory("celery")
        self.environment = {
            "BENCH_BROKER": f"redis://127.0.0.1:{self.redis.port}/0",
            "PYTHONPATH": str(PEERS),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.worker = self.shared.processes.start(
            [
                sys.executable,
                "-m",
                "celery",
                "-A",
                "celery_tasks",
                "worker",
                "-c",
                str(self.workers),
                "-l",
                "warning",
                "--without-gossip",
                "--without-mingle",
            ],
            place / "log",
            self.environment,
        )
        self.push(5)

    def push(self, count: int) -> float:
        """Pushes so many tasks and waits for them; gives the seconds from before the first."""
        output = self.shared.processes.run(
            [sys.executable, str(PEERS / "celery_tasks.py"), str(count)], self.environment
        )
        wait_for(
            lambda: self.unfinished() == 0 and self.unfinished() == 0,
            PATIENCE_S,
            "Celery has run everything",
            0.005,
        )
        return time.monotonic() - float(output.split()[0])

    def unfinished(self) -> int:
        return self.redis.client.count("LLEN", "celery") + self.redis.client.count("HLEN", "unacked")

    def measure(self, count: int) -> float:
        return count / self.push(count)

    def stop(self) -> None:
        if hasattr(self, "worker"):
            self.shared.processes.stop(self.worker)
        if hasattr(self, "redis"):
            self.redis.stop()


KINDS: tuple[type[peer], ...] = (gearman, xargs, gnu_parallel, task_spooler, bullmq, celery)


def present_peers(shared: bench) -> tuple[list[peer], list[str]]:
    """Those that are installed, and the names of those that are not."""
    present: list[peer] = []
    missing: list[str] = []
    for kind in KINDS:
        one = kind(shared)
        if one.available():
            present.append(one)
        else:
            missing.append(one.title)
    return present, missing
