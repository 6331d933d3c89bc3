"""The table of results as plain text, for the terminal."""

import io
from typing import Any

from rich.console import Console

from actwise.report.folder import Range, Results, Row
from actwise.report.words import METRICS, model_title, number, span
from actwise.results.columns import FoldedTable

_SLICES = ("call", "answer", "reasoning")
_METRICS = (
    "tool_names",
    "arguments",
    "answer_correctness",
    "not_checkable",
    "format",
    "thought_tokens",
)


def write_table(results: dict[str, Any], width: int = 100) -> str:
    """Return the table of `results.json` as text without colours.

    Args:
        results: What `results.json` holds; see `folder.Results`.
        width: Characters of a line; columns for which there is no room follow below.

    Returns:
        One line per row and one per floor; shares are in per cent.

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
    return f"{as_text(table, width)}\n{meaning}\n"


def as_text(table: FoldedTable, width: int) -> str:
    """Return a table as text without colours, each line ended."""
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, legacy_windows=False).print(table)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().rstrip().split("\n"))


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
