"""Match predicted calls with the recorded ones.

Both are multisets: their order says nothing. A pair of calls scores 0 where the names differ, else
(1 + recorded arguments predicted equal) / (1 + recorded arguments + arguments too many). The pairs
are chosen to score most in all (optimal assignment, not greedy). The graded score divides by the
larger number of calls, so a call too many costs as much as a call too few, and listing k
candidates for one call earns at most 1/k.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from actwise.conversation import Tool, ToolCall, tool_name, tool_parameters
from actwise.rewards.arguments import ABSENT, Difference, SchemaComparer
from actwise.rewards.settings import JudgeSettings

_EXACT_BONUS = 1e-9
"""Between assignments that score the same, prefer the one with more calls fully equal."""


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
    notes: tuple[str, ...]
    """What differs, in short sentences."""


@dataclass(frozen=True)
class _Pair:
    score: float
    differences: tuple[Difference, ...]

    @property
    def exact(self) -> bool:
        return self.score == 1.0


_UNLIKE = _Pair(0.0, ())


def match_calls(
    predicted: Sequence[ToolCall],
    gold: Sequence[ToolCall],
    tools: Sequence[Tool],
    *,
    broken: int,
    settings: JudgeSettings,
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
    partners = _assign(pairs)
    chosen = [
        _UNLIKE if partner is None else pairs[i][partner] for i, partner in enumerate(partners)
    ]
    total = max(len(gold), len(predicted) + broken)
    exact = total == len(gold) and all(pair.exact for pair in chosen)
    weights = [max(1, len(call.arguments)) for call in gold]
    equal = sum(
        weight - sum(d.gold is not ABSENT for d in pair.differences)
        for weight, pair in zip(weights, chosen, strict=True)
        if pair is not _UNLIKE
    )
    return CallMatch(
        score=1.0 if exact else sum(pair.score for pair in chosen) / total,
        exact=exact,
        names=not broken and Counter(c.name for c in predicted) == Counter(c.name for c in gold),
        arguments=equal / sum(weights),
        recall=sum(pair.exact for pair in chosen) / len(gold),
        notes=tuple(_notes(predicted, gold, partners, chosen, schemas)),
    )


def _compare(
    predicted: ToolCall,
    gold: ToolCall,
    schemas: Mapping[str, Mapping[str, Any]],
    settings: JudgeSettings,
) -> _Pair:
    if predicted.name != gold.name:
        return _UNLIKE
    comparer = SchemaComparer(schemas.get(gold.name, {}), settings)
    differences = comparer.differences(predicted.arguments, gold.arguments)
    extra = sum(difference.gold is ABSENT for difference in differences)
    equal = len(gold.arguments) - (len(differences) - extra)
    return _Pair((1 + equal) / (1 + len(gold.arguments) + extra), differences)


def _assign(pairs: Sequence[Sequence[_Pair]]) -> list[int | None]:
    """Return for each recorded call the index of its partner, if it has one."""
    partners: list[int | None] = [None] * len(pairs)
    scores = np.array([[p.score + _EXACT_BONUS * p.exact for p in row] for row in pairs])
    if scores.size == 1:
        rows, columns = [0], [0]
    else:
        rows, columns = linear_sum_assignment(scores, maximize=True)
    for row, column in zip(rows, columns, strict=True):
        if pairs[row][column] is not _UNLIKE:
            partners[row] = int(column)
    return partners


def _notes(
    predicted: Sequence[ToolCall],
    gold: Sequence[ToolCall],
    partners: Sequence[int | None],
    chosen: Sequence[_Pair],
    schemas: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    notes = []
    for call, partner, pair in zip(gold, partners, chosen, strict=True):
        if partner is None:
            notes.append(f"missing call: {call.name}")
        notes += [_describe(difference) for difference in pair.differences]
    for index, call in enumerate(predicted):
        if index not in partners:
            offer = "" if call.name in schemas else " (not on offer)"
            notes.append(f"wrong or extra call: {_show(call.name)}{offer}")
    return notes


def _describe(difference: Difference) -> str:
    name, ours, theirs = _show(difference.name), difference.predicted, difference.gold
    if ours is ABSENT:
        return f"{name} missing: {_show(theirs)}"
    if theirs is ABSENT:
        return f"{name} not in the record: {_show(ours)}"
    return f"{name}: {_show(ours)} instead of {_show(theirs)}"


def _show(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
