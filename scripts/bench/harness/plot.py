"""The plot of a run, as SVG: every figure as a share of its goal, with the spread of the rounds.

Right of the line the goal is met. Figures of which less is better are turned over, so that right is better.
"""
from __future__ import annotations

from html import escape
from math import log10
from pathlib import Path

from .figures import line, measurement, median
from .goals import GOALS, write_figure
from .report import verdict

WIDTH, ROW, TOP, LEFT, RIGHT = 960, 26, 64, 380, 110
LEAST, MOST = 0.1, 10.0
"""The range of the axis; what lies beyond is drawn at its end."""
GOOD, BAD, QUIET = "#2a7f4f", "#b5402f", "#777777"


def share(one: line, figure: float) -> float:
    """1 at the goal, more beyond it; a goal of zero is met or not."""
    goal = GOALS[one.goal]
    if goal.at_least:
        return figure / goal.demanded
    if goal.demanded == 0:
        return 2.0 if figure <= 0 else LEAST
    return MOST if figure <= 0 else goal.demanded / figure


def place(value: float) -> float:
    inside = min(MOST, max(LEAST, value))
    return LEFT + (log10(inside) - log10(LEAST)) / (log10(MOST) - log10(LEAST)) * (WIDTH - LEFT - RIGHT)


def text(x: float, y: float, what: str, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {extra}>{escape(what)}</text>'


def draw_row(one: line, y: float) -> list[str]:
    goal, figure = GOALS[one.goal], median(one.compared)
    colour = BAD if verdict(one) == "missed" else GOOD
    at, zero = place(share(one, figure)), place(1)
    parts = [
        text(LEFT - 12, y + 4, one.name, 'text-anchor="end"'),
        f'<rect x="{min(at, zero):.1f}" y="{y - 7:.1f}" width="{max(1.5, abs(at - zero)):.1f}" height="14" '
        f'fill="{colour}" fill-opacity="0.75"/>',
    ]
    if len(one.compared) > 1:
        ends = [place(share(one, value)) for value in (min(one.compared), max(one.compared))]
        parts.append(f'<path d="M{ends[0]:.1f} {y:.1f}H{ends[1]:.1f}" stroke="{QUIET}" stroke-width="1.5"/>')
    parts.append(text(WIDTH - 8, y + 4, f"{write_figure(goal.kind, figure)}", 'text-anchor="end"'))
    return parts


def draw(found: list[measurement], subtitle: str) -> str:
    rows = [one for each in found for one in each.lines if one.goal]
    height = TOP + ROW * len(rows) + 40
    bottom = TOP + ROW * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="12" fill="#222222">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        text(12, 22, "TaskRunner: each figure as a share of its goal", 'font-size="16" font-weight="bold"'),
        text(12, 40, subtitle, f'font-size="10" fill="{QUIET}"'),
    ]
    for value in (0.1, 0.2, 0.5, 1, 2, 5, 10):
        x = place(value)
        parts.append(
            f'<path d="M{x:.1f} {TOP - 8}V{bottom}" stroke="{"#222222" if value == 1 else "#dddddd"}"/>'
        )
        parts.append(text(x, bottom + 16, f"{value:g}", 'text-anchor="middle"'))
    parts.append(text(place(1), bottom + 32, "goal", 'text-anchor="middle" font-weight="bold"'))
    for number, one in enumerate(rows):
        parts += draw_row(one, TOP + ROW * number + ROW / 2)
    return "\n".join([*parts, "</svg>"]) + "\n"


def write(path: Path, found: list[measurement], subtitle: str) -> None:
    path.write_text(draw(found, subtitle))
