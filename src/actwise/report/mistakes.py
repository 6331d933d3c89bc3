"""The tables of what went wrong: kinds of failure, tools, arguments."""

from collections import Counter
from dataclasses import dataclass

from actwise.report.judged import Decisions, Measured
from actwise.results.failures import OUTCOMES, outcome
from actwise.results.tools import (
    NO_CALL,
    UNREADABLE,
    ToolUse,
    WrongArgument,
    confusion,
    tool_uses,
    wrong_arguments,
)

MATRIX_TOOLS = 12
"""Tools of a confusion matrix; the rarer ones are in the table alone."""
OTHERS = "other tools"


@dataclass(frozen=True)
class Matrix:
    """What was called (columns) against what is recorded (rows)."""

    rows: list[str]
    columns: list[str]
    counts: Counter[tuple[str, str]]

    @property
    def most(self) -> int:
        """The largest count, at least 1."""
        return max(self.counts.values(), default=1)


@dataclass(frozen=True)
class Mistakes:
    """What one model got wrong on one split."""

    measured: Measured
    decisions: int
    outcomes: Counter[str]
    tools: list[ToolUse]
    matrix: Matrix
    arguments: list[WrongArgument]


def mistakes(decisions: Decisions) -> dict[str, list[Mistakes]]:
    """Return by split what each model got wrong."""
    recorded = decisions.recorded()
    found: dict[str, list[Mistakes]] = {}
    for measured, records in decisions.evaluations.items():
        uses = tool_uses(records, recorded)
        found.setdefault(measured.split, []).append(
            Mistakes(
                measured,
                len(records),
                Counter(map(outcome, records)),
                uses,
                matrix(confusion(records, recorded), [use.tool for use in uses]),
                wrong_arguments(records),
            )
        )
    return found


def matrix(pairs: Counter[tuple[str, str]], tools: list[str]) -> Matrix:
    """Return counts of recorded and called tools as a matrix of readable size.

    Args:
        pairs: From `confusion`.
        tools: The most important first.
    """
    shown = {*tools[:MATRIX_TOOLS], NO_CALL, UNREADABLE}
    counts: Counter[tuple[str, str]] = Counter()
    for (row, column), count in pairs.items():
        counts[row if row in shown else OTHERS, column if column in shown else OTHERS] += count
    order = [*tools[:MATRIX_TOOLS], OTHERS, UNREADABLE, NO_CALL]
    return Matrix(
        [name for name in order if any(row == name for row, _ in counts)],
        [name for name in order if any(column == name for _, column in counts)],
        counts,
    )


def failures(of_split: list[Mistakes]) -> list[str]:
    """Return the outcomes that some model has, in the order of `OUTCOMES`."""
    return [name for name in OUTCOMES if any(m.outcomes[name] for m in of_split)]
