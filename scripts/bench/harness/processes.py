"""Processes that the harness starts: each has an owner, and ends by its process id when the owner does.

What a process has cost is read from /proc: CPU time, context switches, memory.
"""
from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class bench_error(Exception):
    """Why a measurement cannot be made, in a sentence."""


def wait_for(condition: Callable[[], bool], deadline_s: float, what: str, pause_s: float = 0.02) -> None:
    """Asks until the condition holds; a bench_error when it does not within the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise bench_error(f"within {deadline_s:.0f} s it did not come to this: {what}")
        time.sleep(pause_s)


def leash() -> list[str]:
    """Put before a server: should the harness be killed outright, the kernel ends the server."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


def tail(path: Path, lines: int = 3) -> str:
    try:
        return " | ".join(path.read_text(errors="replace").splitlines()[-lines:]) or "no output"
    except OSError:
        return "no output"


class process_owner:
    """Starts servers and runs programs, and ends whatever is still there at the end."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen[bytes]] = []

    def start(
        self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """A server. Ctrl-C does not reach it: it is ended in its turn."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*leash(), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=None if env is None else {**os.environ, **env},
            )
        self.running.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes], patience_s: float = 10.0) -> None:
        """TERM, and after the patience KILL."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(patience_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.forget(process)

    def forget(self, process: subprocess.Popen[bytes]) -> None:
        if process in self.running:
            self.running.remove(process)

    def run(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        text: str | None = None,
        deadline_s: float = 600.0,
        cwd: Path | None = None,
    ) -> str:
        """Runs a program to its end and gives what it printed; a bench_error when it fails."""
        process = subprocess.Popen(
            [*leash(), *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
            cwd=cwd,
            start_new_session=True,
            env=None if env is None else {**os.environ, **env},
        )
        try:
            output, complaint = process.communicate(text, timeout=deadline_s)
        except subprocess.TimeoutExpired as error:
            raise bench_error(f"{Path(command[0]).name} did not end within {deadline_s:.0f} s") from error
        finally:
            if process.poll() is None:
                end_session(process.pid)
                process.wait()
        if process.returncode != 0:
            raise bench_error(
                f"{Path(command[0]).name} ended with {process.returncode}: {complaint.strip()[-300:]}"
            )
        return output

    def close(self) -> None:
        for process in reversed(list(self.running)):
            self.stop(process)


def end_session(leader: int) -> None:
    """Ends a program that was started as the leader of a session of its own, with its children."""
    try:
        os.killpg(leader, signal.SIGTERM)
        time.sleep(0.2)
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass


@dataclass(frozen=True)
class cpu_times:
    """CPU time of a process so far, in seconds; of its children, those that it has waited for."""

    user: float
    system: float
    children: float


def read_cpu(pid: int) -> cpu_times:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    user, system, children_user, children_system = (int(field) / TICKS_PER_SECOND for field in fields[11:15])
    return cpu_times(user, system, children_user + children_system)


class cpu_meter:
    """What each of some processes costs between two moments, spread over a number of tasks."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self.pids = dict(pids)
        self.before = {name: read_cpu(pid) for name, pid in self.pids.items()}

    def per_task_us(self, tasks: int) -> dict[str, float]:
        costs: dict[str, float] = {}
        for name, pid in self.pids.items():
            before, after = self.before[name], read_cpu(pid)
            costs[f"{name} user"] = (after.user - before.user) / tasks * 1e6
            costs[f"{name} system"] = (after.system - before.system) / tasks * 1e6
            if after.children > before.children:
                costs[f"children of {name}"] = (after.children - before.children) / tasks * 1e6
        return costs


def read_threads(pid: int) -> tuple[float, int]:
    """CPU seconds, finer than the kernel's ticks, and context switches, of all threads that live."""
    seconds, switches = 0.0, 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            seconds += int((thread / "schedstat").read_text().split()[0]) / 1e9
            for row in (thread / "status").read_text().splitlines():
                if "ctxt_switches" in row:
                    switches += int(row.split()[1])
        except FileNotFoundError:
            if not thread.exists():
                continue
            raise
    return seconds, switches


def children(pid: int) -> list[int]:
    """Processes whose parent it is, those that have ended and were not waited for left out."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(path.parent.name))
    return found


def called_with(*words: str) -> list[int]:
    """Processes in whose command line each of the words occurs."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if all(word.encode() in command for word in words):
            found.append(int(path.parent.name))
    return found


def kill(pid: int) -> None:
    """Ends a process at once; one that has gone meanwhile is fine."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def listens(pid: int, port: int) -> bool:
    """Whether that very process accepts connections on a TCP port, and not another one that was faster."""
    sockets: set[str] = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        with suppress(FileNotFoundError):
            for row in table.read_text().splitlines()[1:]:
                fields = row.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    if not sockets:
        return False
    with suppress(FileNotFoundError, ProcessLookupError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                if os.readlink(descriptor) in sockets:
                    return True
    return False


def read_memory_mb(pid: int, field: str = "VmRSS") -> float:
    """Resident memory, or its peak (VmHWM), in MB of 1,000,000 bytes."""
    for row in Path(f"/proc/{pid}/status").read_text().splitlines():
        if row.startswith(field + ":"):
            return int(row.split()[1]) * 1024 / 1e6
    raise bench_error(f"/proc/{pid}/status has no {field}")
