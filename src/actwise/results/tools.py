"""What a model did with each tool: how often, how well, and which one it took instead."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat, zip_longest
from typing import Any

Record = dict[str, Any]

NO_CALL = "no call"
"""Stands for a tool where none was recorded or called."""
UNREADABLE = "unreadable call"
"""Stands for a call that was begun and cannot be read."""


@dataclass(frozen=True)
class ToolUse:
    """One tool in the decisions of one model."""

    tool: str
    recorded: int
    """Calls of it in the record."""
    called: int
    """Calls of it by the model."""
    met: int
    """Recorded calls at whose decision the model called it, too, as often as it did."""
    decisions: int
    """Decisions whose record calls it."""
    right: int
    """Those of them that are right."""
    instead: tuple[tuple[str, int], ...]
    """What stands in the place of recorded calls of it that are not met, the commonest first."""


@dataclass(frozen=True)
class WrongArgument:
    """An argument of a tool, where the model called the recorded tool."""

    tool: str
    argument: str
    compared: int
    wrong: int


def confusion(
    records: Iterable[Record], recorded: Mapping[str, Sequence[str]]
) -> Counter[tuple[str, str]]:
    """Count what was called against what is recorded.

    Calls of one decision are paired by name first. What is left on both sides is paired in the
    order in which it stands, then with calls that cannot be read; what is still left has the
    partner `NO_CALL`. An answer in the place of an answer is (`NO_CALL`, `NO_CALL`).

    Args:
        records: From `Evaluator.evaluate`.
        recorded: By decision, the names of the tools that its record calls.

    Returns:
        Counts by (recorded, called).
    """
    counts: Counter[tuple[str, str]] = Counter()
    for record in records:
        called = [call["name"] for call in record["calls"]]
        wanted = list(recorded[record["decision"]])
        for name in list(wanted):
            if name in called:
                wanted.remove(name)
                called.remove(name)
                counts[name, name] += 1
        ours = [*called, *repeat(UNREADABLE, record["broken_calls"])]
        if not ours and not recorded[record["decision"]]:
            counts[NO_CALL, NO_CALL] += 1
        counts.update(zip_longest(wanted, ours, fillvalue=NO_CALL))
    return counts


def tool_uses(records: Sequence[Record], recorded: Mapping[str, Sequence[str]]) -> list[ToolUse]:
    """Return every tool that is recorded or called, the most often recorded first.

    Args:
        records: From `Evaluator.evaluate`.
        recorded: By decision, the names of the tools that its record calls.
    """
    wanted, called, decisions, right = (
        Counter[str](),
        Counter[str](),
        Counter[str](),
        Counter[str](),
    )
    for record in records:
        names = recorded[record["decision"]]
        wanted.update(names)
        called.update(call["name"] for call in record["calls"])
        decisions.update(set(names))
        if record["verdict"]["right"]:
            right.update(set(names))
    pairs = confusion(records, recorded)
    instead: dict[str, Counter[str]] = defaultdict(Counter)
    for (row, column), count in pairs.items():
        if row != column:
            instead[row][column] = count
    names = sorted(wanted.keys() | called.keys(), key=lambda n: (-wanted[n], -called[n], n))
    return [
        ToolUse(
            name,
            wanted[name],
            called[name],
            pairs[name, name],
            decisions[name],
            right[name],
            tuple(sorted(instead[name].items(), key=lambda item: (-item[1], item[0]))),
        )
        for name in names
    ]


def wrong_arguments(records: Iterable[Record]) -> list[WrongArgument]:
    """Return the arguments that were wrong at least once, the most often wrong first.

    Args:
        records: From `Evaluator.evaluate`.
    """
    compared, wrong = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for record in records:
        for comparison in record["verdict"]["comparisons"]:
            if comparison["decided_by"] != "ignored":
                place = comparison["tool"], comparison["argument"]
                compared[place] += 1
                wrong[place] += not comparison["equal"]
    found = [WrongArgument(*place, compared[place], n) for place, n in wrong.items() if n]
    return sorted(found, key=lambda a: (-a.wrong, a.compared, a.tool, a.argument))
