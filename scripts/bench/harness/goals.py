"""The goals of all measurements in one place: what is demanded, and what is aimed at beyond that.

A measurement names a goal by its key; the report shows goal, aim, figure and verdict side by side.
"""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class goal:
    """What a figure must reach."""

    kind: str
    """How the figure is written: ratio, ms, s, MB, percent, rate or count."""
    at_least: bool
    """Whether more is better."""
    demanded: float
    aimed: float | None
    title: str
    title_zh: str

    def met(self, figure: float) -> bool:
        return figure >= self.demanded if self.at_least else figure <= self.demanded

    def reached(self, figure: float) -> bool:
        """Whether even the aim is reached; without an aim, the demand."""
        aim = self.demanded if self.aimed is None else self.aimed
        return figure >= aim if self.at_least else figure <= aim


def write_figure(kind: str, figure: float) -> str:
    if kind == "ratio":
        return f"{figure:.2f}"
    if kind == "ms":
        return f"{figure:.2f} ms"
    if kind == "s":
        return f"{figure:.2f} s"
    if kind == "MB":
        return f"{figure:.1f} MB"
    if kind == "percent":
        return f"{figure:.2f} %"
    if kind == "rate":
        return f"{figure:.1f}/s"
    return f"{figure:.0f}"


GOALS: dict[str, goal] = {
    "end-to-end.redis-5": goal(
        "ratio", True, 1.0, 1.1, "tasks per second through Redis, 5 workers", "经 Redis 每秒任务数，5 个 worker"
    ),
    "end-to-end.http-5": goal(
        "ratio",
        True,
        1.0,
        1.1,
        "tasks per second through HTTP (32 connections), 5 workers",
        "经 HTTP（32 个连接）每秒任务数，5 个 worker",
    ),
    "end-to-end.redis-16": goal(
        "ratio", True, 1.0, 1.1, "tasks per second through Redis, 16 workers", "经 Redis 每秒任务数，16 个 worker"
    ),
    "end-to-end.http-16": goal(
        "ratio",
        True,
        1.0,
        1.1,
        "tasks per second through HTTP (32 connections), 16 workers",
        "经 HTTP（32 个连接）每秒任务数，16 个 worker",
    ),
    "push-32": goal("ratio", True, 0.35, 0.45, "durable POST /push, 32 connections", "持久的 POST /push，32 个连接"),
    "push-1": goal("ratio", True, 0.45, None, "durable POST /push, 1 connection", "持久的 POST /push，1 个连接"),
    "batch.1": goal(
        "ratio",
        True,
        0.5,
        None,
        "POST /api/v1/tasks:batch, 1,000 tasks each, 1 connection",
        "POST /api/v1/tasks:batch，每批 1,000 个任务，1 个连接",
    ),
    "batch.4": goal(
        "ratio",
        True,
        0.5,
        None,
        "POST /api/v1/tasks:batch, 1,000 tasks each, 4 connections",
        "POST /api/v1/tasks:batch，每批 1,000 个任务，4 个连接",
    ),
    "redis-drain": goal("ratio", True, 0.3, None, "Redis list to durable", "从 Redis 列表到持久存储"),
    "latency.redis-p50": goal(
        "ms",
        False,
        0.35,
        None,
        "LPUSH to first instruction, p50, beyond spawn + commit",
        "从 LPUSH 到第一条指令，p50，超出 spawn 加提交的部分",
    ),
    "latency.redis-p99": goal(
        "ms",
        False,
        1.0,
        None,
        "LPUSH to first instruction, p99, beyond spawn + commit",
        "从 LPUSH 到第一条指令，p99，超出 spawn 加提交的部分",
    ),
    "latency.http-p50": goal(
        "ms",
        False,
        0.35,
        None,
        "POST /push to first instruction, p50, beyond spawn + commit",
        "从 POST /push 到第一条指令，p50，超出 spawn 加提交的部分",
    ),
    "latency.http-p99": goal(
        "ms",
        False,
        1.0,
        None,
        "POST /push to first instruction, p99, beyond spawn + commit",
        "从 POST /push 到第一条指令，p99，超出 spawn 加提交的部分",
    ),
    "flat.push-p99": goal("ratio", False, 1.1, None, "p99 of a push, full queue to empty", "推送的 p99，满队列比空队列"),
    "flat.rate": goal("ratio", True, 0.9, None, "tasks per second, full queue to empty", "每秒任务数，满队列比空队列"),
    "flat.status": goal("ms", False, 20.0, None, "slowest GET /status, full queue", "最慢的 GET /status，满队列"),
    "flat.memory": goal("MB", False, 64.0, None, "memory of the daemon, full queue", "守护进程内存，满队列"),
    "flat.long-start": goal(
        "s", False, 5.0, None, "start with 10,000,000 tasks queued", "排有 10,000,000 个任务时的启动"
    ),
    "flat.long-memory": goal(
        "MB", False, 128.0, None, "memory with 10,000,000 tasks queued", "排有 10,000,000 个任务时的内存"
    ),
    "followers.slowest": goal(
        "ms",
        False,
        50.0,
        None,
        "slowest GET /status while 1,000 clients follow an output",
        "1,000 个客户端跟随输出时最慢的 GET /status",
    ),
    "wide.cpu": goal(
        "percent",
        False,
        5.0,
        None,
        "CPU while 5,000 commands of 1,000 channels run",
        "1,000 个通道的 5,000 个命令运行时的 CPU",
    ),
    "wide.refused": goal("count", False, 0.0, None, "of those, tasks refused or not started", "其中被拒绝或失败的任务"),
    "idle.cpu": goal("percent", False, 0.3, None, "CPU when idle", "空闲时的 CPU"),
    "idle.switches": goal("rate", False, 5.0, None, "context switches when idle", "空闲时的上下文切换"),
}
