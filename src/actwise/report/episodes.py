"""The table of episodes as plain text, for the terminal."""

from collections.abc import Sequence
from typing import Any

from actwise.errors import printable
from actwise.report.folder import EpisodesRow, Range
from actwise.report.words import model_title, number, span
from actwise.results.columns import FoldedTable, as_text

_SHARES = {"left_open": "left\nopen", "diverged": "diverged", "answered": "answered"}
_MEANS = {
    "tokens_before_act": "tokens\nto act",
    "calls_before_answer": "calls\nbefore",
    "tokens_before_answer": "tokens\nbefore",
}

_PROBLEMS = 3
"""What environments said that is shown."""


def write_episodes(found: Sequence[dict[str, Any]], width: int = 100) -> str:
    """Return the rows of `results.json`'s "episodes" as text without colours.

    Args:
        found: The rows.
        width: Characters of a line; columns for which there is no room follow below.
    """
    rows = [EpisodesRow.model_validate(row) for row in found]
    figures = ["episodes", "success", "range", *_SHARES.values(), *_MEANS.values(), "ends"]
    titles = ["model", "mode", "split", "unit", *figures]
    table = FoldedTable(titles, lead=4, left=("range", "ends"))
    for row in rows:
        table.add_row(*_cells(row))
    lines = [as_text(table, width)]
    problems = {problem for row in rows for problem in row.problems}
    lines += [f"went wrong: {printable(problem)}" for problem in sorted(problems)[:_PROBLEMS]]
    lines += [
        "",
        "Shares in per cent, with 95 % intervals over conversations; tokens before the first call",
        "or answer began, and calls and tokens before the first word of an answer.",
    ]
    return "\n".join(lines) + "\n"


def _cells(row: EpisodesRow) -> list[str]:
    success = row.metrics.get("success", Range())
    unit = f"{row.unit}, best of {row.search}" if row.search else row.unit
    cells = [model_title(row.model), row.mode, row.split, unit]
    cells += [str(row.episodes), number(success.value, share=True, unit=False)]
    cells.append(span(success, share=True))
    for name in (*_SHARES, *_MEANS):
        value = row.metrics.get(name, Range()).value
        cells.append(number(value, share=name in _SHARES, unit=False))
    ends = {name: count for name, count in row.ends.items() if name != "answered"}
    cells.append(", ".join(f"{count} {name}" for name, count in ends.items()))
    return cells
