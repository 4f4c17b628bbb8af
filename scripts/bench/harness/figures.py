"""Figures and what is said about them: medians, percentiles, and the lines of a measurement.

A line is one row of the report: what was measured in each round, what it is held against, and the outcome.
"""
from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share (0 to 1) of the values lies; the nearest one, never in between."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def ratios(values: Sequence[float], limits: Sequence[float]) -> list[float]:
    """Round by round, so that a slow moment of the machine meets both."""
    return [value / limit for value, limit in zip(values, limits, strict=True)]


def interleave(rounds: int, contestants: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Runs all contestants in turn, A B C A B C, and gives each one's figures in the order of the rounds."""
    figures: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            figures[name].append(run())
    return figures


@dataclass
class line:
    """One row of the report."""

    name: str
    unit: str
    """Of `values` and `limit_values`."""
    values: list[float]
    """One per round."""
    limit: str = ""
    """What it is held against, in words."""
    limit_values: list[float] = field(default_factory=list)
    compared: list[float] = field(default_factory=list)
    """What the goal speaks of, such as the ratio of each round; the median of these counts."""
    goal: str = ""
    """Key in goals.GOALS; empty: a figure for information."""
    costs: dict[str, float] = field(default_factory=dict)
    """Where the time went, for instance CPU microseconds per task of each process."""


@dataclass
class measurement:
    """What one measurement has found."""

    name: str
    lines: list[line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    """Peers without a line: not installed, or failed."""
    failure: str = ""
    """Why it could not be made; empty when it could."""


def against(
    name: str,
    unit: str,
    values: list[float],
    limit: str,
    limit_values: list[float],
    goal: str = "",
    costs: dict[str, float] | None = None,
) -> line:
    """A line whose goal speaks of the ratio to its limit."""
    return line(name, unit, values, limit, limit_values, ratios(values, limit_values), goal, costs or {})
