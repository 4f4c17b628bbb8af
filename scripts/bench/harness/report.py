"""The report of a run: a table for the terminal, results.json, and results.md, which may go into the READMEs.

All three say the same: what was measured, what it is held against, the ratio, the goal, and if it is met.
"""
from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .figures import line, measurement, median
from .goals import GOALS, write_figure
from .machine import in_words, peer_versions

BEGIN = "<!-- benchmark:begin -->"
END = "<!-- benchmark:end -->"
WORDS = {
    "en": {
        "what": "what",
        "measured": "TaskRunner",
        "limit": "held against",
        "compared": "figure",
        "goal": "goal",
        "aim": "aim",
        "verdict": "verdict",
        "met": "met",
        "reached": "met, and the aim",
        "missed": "**missed**",
        "peers": "For comparison, in the same rounds, /bin/true:",
        "peer": "who",
        "rate": "commands per second",
        "share": "of one bare spawner",
        "machine": "Measured on: ",
        "versions": "Versions: ",
        "absent": "not installed, or failed",
        "partial": "This run left measurements out.",
        "quick": "A quick run: too short for its figures to be quoted.",
        "spread": "Medians; in brackets the least and the greatest of the rounds. The figure is the median of "
        "each round's ratio, or what the goal names.",
    },
    "zh": {
        "what": "项目",
        "measured": "TaskRunner",
        "limit": "对照",
        "compared": "数值",
        "goal": "目标",
        "aim": "期望",
        "verdict": "结论",
        "met": "达到",
        "reached": "达到，也达到期望",
        "missed": "**未达到**",
        "peers": "同一轮次中的对比，命令为 /bin/true：",
        "peer": "程序",
        "rate": "每秒命令数",
        "share": "与单个裸启动进程之比",
        "machine": "测量环境：",
        "versions": "版本：",
        "absent": "未安装或失败",
        "partial": "本次运行略去了部分测量。",
        "quick": "快速运行：时间太短，数值不宜引用。",
        "spread": "均为中位数；括号内为各轮的最小值与最大值。“数值”是每轮比值的中位数，或目标所指的量。",
    },
}


def write_number(value: float) -> str:
    if value == int(value):
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def with_spread(values: list[float], unit: str = "") -> str:
    """The median, and the least and the greatest behind it when there are several."""
    text = write_number(median(values)) + (f" {unit}" if unit else "")
    if len(values) > 1:
        text += f" ({write_number(min(values))}–{write_number(max(values))})"
    return text


def verdict(one: line) -> str:
    """A key of WORDS, or nothing for what has no goal."""
    if not one.goal:
        return ""
    goal, figure = GOALS[one.goal], median(one.compared)
    if one.shortfall or not goal.met(figure):
        return "missed"
    return "reached" if goal.aimed is not None and goal.reached(figure) else "met"


def compared_text(one: line) -> str:
    kind = GOALS[one.goal].kind if one.goal else "ratio"
    if not one.compared:
        return ""
    text = write_figure(kind, median(one.compared))
    if len(one.compared) > 1 and kind == "ratio":
        text += f" ({min(one.compared):.2f}–{max(one.compared):.2f})"
    return text


def goal_texts(one: line) -> tuple[str, str]:
    if not one.goal:
        return "", ""
    goal = GOALS[one.goal]
    sign = "≥ " if goal.at_least else "≤ "
    return (
        sign + write_figure(goal.kind, goal.demanded),
        "" if goal.aimed is None else sign + write_figure(goal.kind, goal.aimed),
    )


def limit_text(one: line) -> str:
    return f"{one.limit}: {with_spread(one.limit_values)}" if one.limit_values else ""


def title_of(one: line, language: str) -> str:
    """What a table of that language calls it."""
    if one.goal:
        return GOALS[one.goal].title_zh if language == "zh" else GOALS[one.goal].title
    return one.name_zh if language == "zh" and one.name_zh else one.name


def in_columns(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def for_terminal(found: list[measurement]) -> str:
    words = WORDS["en"]
    rows = [["measurement", "what", "measured", "held against", "figure", "goal", "aim", "verdict"]]
    for one in found:
        for row in one.lines:
            rows.append(
                [
                    one.name,
                    row.name,
                    with_spread(row.values, row.unit),
                    limit_text(row),
                    compared_text(row),
                    *goal_texts(row),
                    words.get(verdict(row), "").replace("*", ""),
                ]
            )
    parts = [in_columns(rows), ""]
    for one in found:
        for row in one.lines:
            if row.costs:
                parts.append(
                    f"{one.name}, {row.name}: CPU microseconds per task: "
                    + ", ".join(f"{name} {cost:.0f}" for name, cost in row.costs.items())
                )
        parts += [f"{one.name}: {note}" for note in one.notes]
        if one.failure:
            parts.append(f"{one.name}: COULD NOT BE MEASURED: {one.failure}")
    return "\n".join(parts)


def in_json(found: list[measurement], about: dict[str, Any], quick: bool) -> dict[str, Any]:
    measurements = []
    for one in found:
        written = asdict(one)
        for row, source in zip(written["lines"], one.lines, strict=True):
            row["median"] = median(source.values)
            if source.compared:
                row["figure"] = median(source.compared)
            if source.goal:
                row["verdict"] = "missed" if verdict(source) == "missed" else "met"
        measurements.append(written)
    goals = {key: asdict(goal) for key, goal in GOALS.items()}
    return {"machine": about, "quick": quick, "goals": goals, "measurements": measurements}


def table_row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def in_markdown(
    found: list[measurement], about: dict[str, Any], quick: bool, partial: bool, language: str = "en"
) -> str:
    words = WORDS[language]
    columns = ("what", "measured", "limit", "compared", "goal", "aim", "verdict")
    parts = [table_row([words[name] for name in columns]), "|---" * len(columns) + "|"]
    peers = [table_row([words["peer"], words["rate"], words["share"]]), "|---|---:|---:|"]
    for one in found:
        for row in one.lines:
            if one.name == "end-to-end" and not row.goal:
                peers.append(table_row([title_of(row, language), with_spread(row.values), compared_text(row)]))
                continue
            parts.append(
                table_row(
                    [
                        title_of(row, language),
                        with_spread(row.values, row.unit),
                        limit_text(row),
                        compared_text(row),
                        *goal_texts(row),
                        words.get(verdict(row), ""),
                    ]
                )
            )
        if one.name == "end-to-end":
            peers += [table_row([name, words["absent"], "—"]) for name in one.absent]
    if len(peers) > 2:
        parts += ["", words["peers"], "", *peers]
        parts += ["", f"{words['versions']}{peer_versions(about)}."]
    parts += ["", words["spread"] + " " + words["machine"] + in_words(about) + "."]
    if quick:
        parts += ["", words["quick"]]
    if partial:
        parts += ["", words["partial"]]
    return "\n".join(parts) + "\n"


def write(
    directory: Path, found: list[measurement], about: dict[str, Any], quick: bool, partial: bool
) -> None:
    (directory / "results.json").write_text(
        json.dumps(in_json(found, about, quick), indent=2, ensure_ascii=False) + "\n"
    )
    (directory / "results.md").write_text(in_markdown(found, about, quick, partial))


def marks_of(readme: Path) -> str:
    """What is wrong with the marks between which the table goes; empty: nothing."""
    whole = readme.read_text()
    if whole.count(BEGIN) == 1 and whole.count(END) == 1 and whole.find(BEGIN) < whole.find(END):
        return ""
    return f"{readme.name} must have the lines {BEGIN} and {END}, once each and in this order"


def put_into(readme: Path, text: str) -> str:
    """Puts a text between the marks of a README; gives why it cannot, or nothing."""
    if problem := marks_of(readme):
        return problem
    whole = readme.read_text()
    readme.write_text(whole[: whole.find(BEGIN) + len(BEGIN)] + "\n" + text + whole[whole.find(END) :])
    return ""
