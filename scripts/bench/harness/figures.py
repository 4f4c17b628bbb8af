"""Figures and what is said about them: medians, percentiles, and the lines of a measurement.

A line is one row of the report: what was measured in each round, what it is held against, and the outcome.
"""
from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

FIGURE = TypeVar("FIGURE")


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share (0 to 1) of the values lies; the nearest one, never in between."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def ratios(values: Sequence[float], limits: Sequence[float]) -> list[float]:
    """Round by round, so that a slow moment of the machine meets both."""
    return [value / limit for value, limit in zip(values, limits, strict=True)]


def interleave(rounds: int, contestants: dict[str, Callable[[], FIGURE]]) -> dict[str, list[FIGURE]]:
    """Runs all contestants in turn and gives each one's figures in the order of the rounds.

    Every second round goes backwards, A B C C B A: nobody always follows the same one.
    """
    figures: dict[str, list[FIGURE]] = {name: [] for name in contestants}
    order = list(contestants.items())
    for _ in range(rounds):
        for name, run in order:
            figures[name].append(run())
        order.reverse()
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
    name_zh: str = ""
    """The name in Chinese, of a line without a goal; otherwise the goal has it."""
    shortfall: str = ""
    """Why the goal counts as missed whatever the figure; empty: the figure decides."""


@dataclass
class measurement:
    """What one measurement has found."""

    name: str
    lines: list[line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    """Peers without a line: not installed, or failed."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of peers, as far as only the peers themselves can tell."""
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
    name_zh: str = "",
) -> line:
    """A line whose figure is the ratio to its limit."""
    return line(
        name, unit, values, limit, limit_values, ratios(values, limit_values), goal, costs or {}, name_zh
    )


def middle_costs(costs: list[dict[str, float]]) -> dict[str, float]:
    """The median of each cost over the rounds."""
    names = sorted({name for round_costs in costs for name in round_costs})
    return {name: median([round_costs.get(name, 0.0) for round_costs in costs]) for name in names}
