"""The table of episodes as plain text, for the terminal."""

import io
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from actwise.report.folder import Range
from actwise.report.words import model_title, number, span

_SHARES = {"left_open": "left\nopen", "diverged": "diverged", "answered": "answered"}
_MEANS = {"calls_before_answer": "calls\nbefore", "tokens_before_answer": "tokens\nbefore"}

_PROBLEMS = 3
"""What environments said that is shown."""


def write_episodes(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows of `results.json`'s "episodes" as text without colours."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("model", "mode", "split", "unit"):
        table.add_column(title, no_wrap=True)
    for title in ("episodes", "success", "range", *_SHARES.values(), *_MEANS.values(), "ends"):
        table.add_column(title, justify="left" if title in ("range", "ends") else "right")
    for row in rows:
        table.add_row(*(Text(cell) for cell in _cells(row)))
    out = io.StringIO()
    Console(file=out, width=1000, color_system=None, legacy_windows=False).print(table)
    lines = [line.rstrip() for line in out.getvalue().rstrip().split("\n")]
    problems = {problem for row in rows for problem in row["problems"]}
    lines += ["", *(f"went wrong: {problem}" for problem in sorted(problems)[:_PROBLEMS])]
    lines += [
        "",
        "Shares in per cent, with 95 % intervals over conversations; calls and tokens before the",
        "customer could read the first word of an answer.",
    ]
    return "\n".join(lines) + "\n"


def _cells(row: dict[str, Any]) -> list[str]:
    metrics = {name: Range.model_validate(value) for name, value in row["metrics"].items()}
    success = metrics.get("success", Range())
    cells = [model_title(row["model"]), row["mode"], row["split"], row["unit"]]
    cells += [str(row["episodes"]), number(success.value, share=True, unit=False)]
    cells.append(span(success, share=True))
    for name in (*_SHARES, *_MEANS):
        value = metrics.get(name, Range()).value
        cells.append(number(value, share=name in _SHARES, unit=False))
    ends = {name: count for name, count in row["ends"].items() if name != "answered"}
    cells.append(", ".join(f"{count} {name}" for name, count in ends.items()))
    return cells
