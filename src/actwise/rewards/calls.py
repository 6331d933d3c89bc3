"""Match predicted calls with the recorded ones.

A pair of calls scores 0 where the names differ, else (1 + recorded arguments predicted equal) / (1
+ recorded arguments + arguments too many). The pairs are chosen to score most in all (optimal
assignment, not greedy), whatever the order of the calls, or without crossing each other where
`call_order` says that the order counts. The graded score divides by the
larger number of calls, so a call too many costs as much as a call too few, and listing k
candidates for one call earns at most 1/k. A call that repeats another one is too many, unless the
record repeats it, too: it must not earn what it has in common with yet another recorded call.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from actwise.conversation import Tool, ToolCall, tool_name, tool_parameters
from actwise.rewards.arguments import ABSENT, Compared, Deciding, SchemaComparer
from actwise.rewards.settings import JudgeConfig

_EXACT_BONUS = 1e-9
"""Between assignments that score the same, prefer the one with more calls fully equal."""


@dataclass(frozen=True)
class Comparison:
    """How one argument of two calls of one tool compared, and what decided."""

    tool: str
    argument: str
    equal: bool
    decided_by: Deciding


@dataclass(frozen=True)
class CallMatch:
    """How the predicted calls of a completion compare with the recorded ones."""

    score: float
    """Graded, in [0, 1]; 1 only if `exact`."""
    exact: bool
    """Every call equals its partner, and none is missing or too many."""
    names: bool
    """The multisets of names are equal."""
    arguments: float
    """Share of the recorded arguments predicted equal; a call without any counts as one."""
    recall: float
    """Share of the recorded calls predicted exactly."""
    comparisons: tuple[Comparison, ...]
    """Every argument of every recorded call that has a partner of its name."""
    notes: tuple[str, ...]
    """What differs, in short sentences."""


@dataclass(frozen=True)
class _Pair:
    arguments: tuple[Compared, ...]

    @property
    def counted(self) -> list[Compared]:
        return [part for part in self.arguments if part.decided_by != "ignored"]

    @property
    def recorded(self) -> int:
        return sum(part.gold is not ABSENT for part in self.counted)

    @property
    def equal(self) -> int:
        return sum(part.equal for part in self.counted if part.gold is not ABSENT)

    @property
    def exact(self) -> bool:
        return all(part.equal for part in self.arguments)

    @property
    def score(self) -> float:
        extra = sum(part.gold is ABSENT and not part.equal for part in self.counted)
        return (1 + self.equal) / (1 + self.recorded + extra)


def match_calls(
    predicted: Sequence[ToolCall],
    gold: Sequence[ToolCall],
    tools: Sequence[Tool],
    *,
    broken: int,
    settings: JudgeConfig,
) -> CallMatch:
    """Compare calls with the recorded ones.

    Args:
        predicted: The calls that could be read.
        gold: The recorded calls, at least one.
        tools: The tools on offer; a call of another tool is compared as plain JSON.
        broken: Calls that were begun and cannot be read; each counts as a wrong call.
        settings: How values are compared.
    """
    schemas = {tool_name(tool): tool_parameters(tool) for tool in tools}
    pairs = [[_compare(p, g, schemas, settings) for p in predicted] for g in gold]
    for index in _repeats(predicted, pairs, schemas, settings):
        for row in pairs:
            row[index] = None
    partners = _assign(pairs, settings)
    chosen = [None if partner is None else pairs[i][partner] for i, partner in enumerate(partners)]
    paired = [pair for pair in chosen if pair is not None]
    total = max(len(gold), len(predicted) + broken)
    exact = total == len(gold) == len(paired) and all(pair.exact for pair in paired)
    return CallMatch(
        score=1.0 if exact else sum(pair.score for pair in paired) / total,
        exact=exact,
        names=not broken and Counter(c.name for c in predicted) == Counter(c.name for c in gold),
        arguments=sum(pair.equal if pair.recorded else 1 for pair in paired)
        / sum(max(1, _counted(call, settings)) for call in gold),
        recall=sum(pair.exact for pair in paired) / len(gold),
        comparisons=tuple(
            Comparison(call.name, part.name, part.equal, part.decided_by)
            for call, pair in zip(gold, chosen, strict=True)
            if pair is not None
            for part in pair.arguments
        ),
        notes=tuple(_notes(predicted, gold, partners, chosen, schemas)),
    )


def _counted(call: ToolCall, settings: JudgeConfig) -> int:
    """Return how many arguments of a recorded call are not ignored."""
    tool = settings.tools.get(call.name)
    ignored = {n for n, own in tool.arguments.items() if own.ignore} if tool else set()
    return len(call.arguments.keys() - ignored)


def _compare(
    predicted: ToolCall,
    gold: ToolCall,
    schemas: Mapping[str, Mapping[str, Any]],
    settings: JudgeConfig,
) -> _Pair | None:
    """Return None for calls of different tools."""
    if predicted.name != gold.name:
        return None
    comparer = SchemaComparer(schemas.get(gold.name, {}), settings, gold.name)
    return _Pair(comparer.compare(predicted.arguments, gold.arguments))


def _repeats(
    predicted: Sequence[ToolCall],
    pairs: Sequence[Sequence[_Pair | None]],
    schemas: Mapping[str, Mapping[str, Any]],
    settings: JudgeConfig,
) -> list[int]:
    """Return the predicted calls that repeat earlier ones more often than the record does."""
    if len(pairs) == 1:
        return []  # one recorded call has one partner anyway
    found = []
    for index, call in enumerate(predicted):
        earlier = [_compare(call, other, schemas, settings) for other in predicted[:index]]
        recorded = [row[index] for row in pairs]
        if _exact(earlier) >= max(1, _exact(recorded)):
            found.append(index)
    return found


def _exact(pairs: Iterable[_Pair | None]) -> int:
    return sum(pair is not None and pair.exact for pair in pairs)


def _assign(pairs: Sequence[Sequence[_Pair | None]], settings: JudgeConfig) -> list[int | None]:
    """Return for each recorded call the index of its partner, if it has one."""
    partners: list[int | None] = [None] * len(pairs)
    scores = np.array(
        [[p.score + _EXACT_BONUS * p.exact if p else 0.0 for p in row] for row in pairs]
    )
    matched: Iterable[tuple[int, int]]
    if scores.size == 1:
        matched = [(0, 0)]
    elif settings.call_order == "recorded":
        matched = _align(scores)
    else:
        matched = zip(*linear_sum_assignment(scores, maximize=True), strict=True)
    for row, column in matched:
        if pairs[row][column] is not None:
            partners[row] = int(column)
    return partners


def _align(scores: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return pairs of row and column, both rising, whose scores add up to most."""
    rows, columns = scores.shape
    best = np.zeros((rows + 1, columns + 1))
    for i, j in product(reversed(range(rows)), reversed(range(columns))):
        best[i, j] = max(best[i + 1, j], best[i, j + 1], scores[i, j] + best[i + 1, j + 1])
    matched, i, j = [], 0, 0
    while i < rows and j < columns:
        if best[i, j] == best[i + 1, j]:
            i += 1
        elif best[i, j] == best[i, j + 1]:
            j += 1
        else:
            matched.append((i, j))
            i, j = i + 1, j + 1
    return matched


def _notes(
    predicted: Sequence[ToolCall],
    gold: Sequence[ToolCall],
    partners: Sequence[int | None],
    chosen: Sequence[_Pair | None],
    schemas: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    notes = []
    for call, pair in zip(gold, chosen, strict=True):
        if pair is None:
            notes.append(f"missing call: {call.name}")
        else:
            notes += [_describe(part) for part in pair.arguments if not part.equal]
    for index, call in enumerate(predicted):
        if index not in partners:
            offer = "" if call.name in schemas else " (not on offer)"
            notes.append(f"wrong or extra call: {_show(call.name)}{offer}")
    return notes


def _describe(part: Compared) -> str:
    name, ours, theirs = _show(part.name), part.predicted, part.gold
    if ours is ABSENT:
        return f"{name} missing: {_show(theirs)}"
    if theirs is ABSENT:
        return f"{name} not in the record: {_show(ours)}"
    return f"{name}: {_show(ours)} instead of {_show(theirs)}"


def _show(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
