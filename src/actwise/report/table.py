"""The table of results as plain text, for the terminal."""

import io
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from actwise.report.folder import Range, Results, Row
from actwise.report.words import METRICS, model_title, number, span

_SLICES = ("call", "answer", "reasoning")
_METRICS = (
    "tool_names",
    "arguments",
    "answer_correctness",
    "not_checkable",
    "format",
    "thought_tokens",
)


def write_table(results: dict[str, Any]) -> str:
    """Return the table of `results.json` as text without colours.

    Args:
        results: What `results.json` holds; see `folder.Results`.

    Returns:
        One line per row and one per floor; shares are in per cent.

    Raises:
        pydantic.ValidationError: If it is not of that shape.
    """
    content = Results.model_validate(results)
    slices = [name for name in _SLICES if any(name in row.slices for row in content.rows)]
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("model", "mode", "split"):
        table.add_column(title, no_wrap=True)
    table.add_column("action\naccuracy", justify="right", no_wrap=True)
    table.add_column("range", no_wrap=True)
    for title in [*slices, *(METRICS[name].title.replace(" ", "\n", 1) for name in _METRICS)]:
        table.add_column(Text(title), justify="right", no_wrap=True)
    for split in content.splits():
        for row in content.of_split(split):
            table.add_row(*(Text(cell) for cell in _cells(row, slices)))
        for name, floor in content.floors.get(split, {}).items():
            cells = (
                f"({name.replace('_', ' ')})",
                "floor",
                split,
                number(floor, share=True, unit=False),
            )
            table.add_row(*(Text(cell) for cell in cells))
        table.add_section()
    out = io.StringIO()
    # As wide as it needs: a table that a narrow terminal wraps can still be read, a cut one not.
    console = Console(file=out, width=1000, color_system=None, legacy_windows=False)
    console.print(table)
    lines = [line.rstrip() for line in out.getvalue().rstrip().split("\n")]
    lines += ["", "Shares in per cent; the range is the 95 % interval of action accuracy."]
    return "\n".join(lines) + "\n"


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
