"""The table of results as plain text, for the terminal."""

from typing import Any

from actwise.report.episodes import write_episodes
from actwise.report.folder import AttemptsRow, GivenRow, Range, Results, Row
from actwise.report.words import METRICS, model_title, number, span
from actwise.results.columns import FoldedTable, as_text

_SLICES = ("call", "answer", "reasoning")
_METRICS = (
    "tool_names",
    "arguments",
    "answer_correctness",
    "not_checkable",
    "format",
    "thought_tokens",
)

ATTEMPTS = {"pass@1": "pass_at_1", "pass@k": "pass_at_k", "live": "live"}
"""Titles of what is told of several attempts."""


def write_table(results: dict[str, Any], width: int = 100) -> str:
    """Return the table of `results.json` as text without colours.

    Args:
        results: What `results.json` holds; see `folder.Results`.
        width: Characters of a line; columns for which there is no room follow below.

    Returns:
        One line per row and one per floor, and below it the tables of what trained models were
        measured on besides; shares are in per cent.

    Raises:
        pydantic.ValidationError: If it is not of that shape.
    """
    content = Results.model_validate(results)
    slices = [name for name in _SLICES if any(name in row.slices for row in content.rows)]
    titles = [*slices, *(METRICS[name].title.replace(" ", "\n", 1) for name in _METRICS)]
    table = FoldedTable(
        ["model", "mode", "split", "action\naccuracy", "range", *titles], lead=3, left=("range",)
    )
    for split in content.splits():
        for row in content.of_split(split):
            table.add_row(*_cells(row, slices))
        for name, floor in content.floors.get(split, {}).items():
            accuracy = number(floor, share=True, unit=False)
            table.add_row(f"({name.replace('_', ' ')})", "floor", split, accuracy)
        table.add_section()
    meaning = "Shares in per cent; the range is the 95 % interval of action accuracy."
    parts = [f"{as_text(table, width)}\n{meaning}\n"]
    if content.episodes:
        parts.append(f"On its own history\n\n{write_episodes(results['episodes'], width)}")
    if content.attempts:
        parts.append(_attempts(content.attempts, width))
    if content.given:
        parts.append(_given(content.given, width))
    return "\n".join(parts)


def _attempts(rows: list[AttemptsRow], width: int) -> str:
    table = FoldedTable(["model", "mode", "split", "k", *ATTEMPTS], lead=3)
    for row in rows:
        figures = [row.metrics.get(name, Range()).value for name in ATTEMPTS.values()]
        shares = [number(value, share=True, unit=False) for value in figures]
        table.add_row(model_title(row.model), row.mode, row.split, str(row.attempts), *shares)
    return f"Sampled k times for each decision\n\n{as_text(table, width)}"


def _given(rows: list[GivenRow], width: int) -> str:
    table = FoldedTable(["model", "split", "thought", "decisions", "accuracy", "range"], lead=3)
    for row in rows:
        accuracy = row.metrics.get("action_accuracy", Range())
        cells = [model_title(row.model), row.split, row.given, str(row.decisions)]
        cells += [number(accuracy.value, share=True, unit=False), span(accuracy, share=True)]
        table.add_row(*cells)
    return f"With its thought cut to so many tokens, or given\n\n{as_text(table, width)}"


def _cells(row: Row, slices: list[str]) -> list[str]:
    accuracy = row.metrics.get("action_accuracy", Range())
    cells = [model_title(row.model), row.mode, row.split]
    cells += [number(accuracy.value, share=True, unit=False), span(accuracy, share=True)]
    for name in slices:
        part = row.slices.get(name)
        value = None if part is None else part.action_accuracy.value
        cells.append(number(value, share=True, unit=False))
    for name in _METRICS:
        value = row.metrics.get(name, Range()).value
        cells.append(number(value, share=METRICS[name].share, unit=False))
    return cells
