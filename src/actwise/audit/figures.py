"""What is measured of each rollout, and how it changes from the first third of a stage to the last.

Intervals resample conversations (`stats`). The thirds are different steps with, mostly, different
conversations, so a change is the difference of two independent means; its interval combines
theirs by squaring and adding (MOVER: Zou and Donner, Statistics in Medicine 27, 2008).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from actwise.audit.reading import facts, has_stray_tag, values_beyond, words
from actwise.audit.rollouts import AuditedRollout
from actwise.results.stats import Interval, bootstrap_mean
from actwise.thoughts.kinds import share_not_executing

Value = Callable[[AuditedRollout], float | None]
"""None where the figure does not apply."""

ENOUGH = 5
"""Conversations in each third from which on a change is told; resampling one or two gives intervals
without a width."""
_REPEATED = 4
"""Length in words of the runs that are looked for twice."""
_FEW_WORDS = 12
"""A text with fewer words repeats nothing."""


def _extra_calls(rollout: AuditedRollout) -> float | None:
    if rollout.decision is None:
        return None
    return len(rollout.reading.calls) - len(rollout.decision.gold.tool_calls)


def _extra_values(rollout: AuditedRollout) -> float | None:
    if rollout.decision is None:
        return None
    return values_beyond(rollout.reading, rollout.decision.gold)


def _needless_call(rollout: AuditedRollout) -> float | None:
    if rollout.decision is None or rollout.decision.kind == "call":
        return None
    return float(bool(rollout.reading.calls))


def _missed_call(rollout: AuditedRollout) -> float | None:
    if rollout.decision is None or rollout.decision.kind == "answer":
        return None
    return float(not rollout.reading.calls)


def _copied_answer(rollout: AuditedRollout) -> float | None:
    if rollout.context is None or not rollout.reading.answer_words:
        return None
    return rollout.context.copied(rollout.reading.answer_words).share


def _copied_record(rollout: AuditedRollout) -> float | None:
    """Measure the recorded answer in place of the sampled one."""
    if rollout.decision is None or rollout.context is None or rollout.decision.kind == "call":
        return None
    return rollout.context.copied(words(rollout.decision.gold.content)).share


def _copied_thought(rollout: AuditedRollout) -> float | None:
    if rollout.context is None or not rollout.reading.thought_words:
        return None
    return rollout.context.copied(rollout.reading.thought_words).share


def _longest_copy(rollout: AuditedRollout) -> float | None:
    if rollout.context is None or not rollout.reading.answer_words:
        return None
    return rollout.context.copied(rollout.reading.answer_words).longest


def _right(rollout: AuditedRollout) -> float | None:
    return None if rollout.record.right is None else float(rollout.record.right)


def _gap(rollout: AuditedRollout) -> float | None:
    right = _right(rollout)
    return None if right is None else rollout.record.reward - right


def _unconfirmed_call(rollout: AuditedRollout) -> float | None:
    if rollout.decision is None or rollout.decision.kind == "answer" or not rollout.record.right:
        return None
    return float((rollout.independent or 0.0) < 1)


def _unconfirmed_answer(rollout: AuditedRollout) -> float | None:
    """Whether a right answer shares less than half of its facts, or words, with the record."""
    if rollout.decision is None or rollout.decision.kind == "call" or not rollout.record.right:
        return None
    return float((rollout.independent or 0.0) < 0.5)


def _ends_of_thoughts(rollout: AuditedRollout) -> int:
    return rollout.record.text.count(rollout.reading.syntax.think[1].strip())


def _repeats_a_call(rollout: AuditedRollout) -> float:
    calls = rollout.reading.calls
    return float(len(set(calls)) < len(calls))


def _lists_candidates(rollout: AuditedRollout) -> float | None:
    """Whether an answer states at least twice as many facts as recorded, and two more."""
    if rollout.decision is None or rollout.decision.kind == "call" or rollout.reading.calls:
        return None
    recorded = len(facts(rollout.decision.gold.content))
    return float(len(facts(rollout.reading.answer)) >= max(2 * recorded, recorded + 2))


def _repeats_itself(rollout: AuditedRollout) -> float:
    """Whether a third of the runs of four words in the thought or the answer occurred before."""
    for text in (rollout.reading.thought_words, rollout.reading.answer_words):
        runs = [tuple(text[i : i + _REPEATED]) for i in range(len(text) - _REPEATED + 1)]
        if len(text) >= _FEW_WORDS and len(runs) - len(set(runs)) >= len(runs) / 3:
            return 1.0
    return 0.0


@dataclass(frozen=True)
class Figure:
    """Something measured of rollouts."""

    title: str
    value: Value
    share: bool = True
    """Whether it is in [0, 1] and is written in per cent."""


FIGURES: Mapping[str, Figure] = {
    "reward": Figure("reward", lambda r: r.record.reward, share=False),
    "right": Figure("right", _right),
    "gap": Figure("reward less right", _gap, share=False),
    "not_checkable": Figure("not checkable", lambda r: float(r.record.right is None)),
    "independent": Figure("independent verdict", lambda r: r.independent, share=False),
    "unconfirmed_calls": Figure("right calls not confirmed", _unconfirmed_call),
    "unconfirmed_answers": Figure("right answers not confirmed", _unconfirmed_answer),
    "words": Figure("words", lambda r: float(len(r.record.text.split())), share=False),
    "thought_words": Figure(
        "words of thought", lambda r: float(len(r.reading.thought_words)), share=False
    ),
    "reflecting": Figure(
        "sentences that reflect or change course",
        lambda r: share_not_executing(r.reading.thought),
    ),
    "calls": Figure("calls", lambda r: float(len(r.reading.calls)), share=False),
    "extra_calls": Figure("calls beyond the record", _extra_calls, share=False),
    "extra_values": Figure("values of a call beyond the record", _extra_values, share=False),
    "needless_calls": Figure("needless calls", _needless_call),
    "missed_calls": Figure("missed calls", _missed_call),
    "copied_answer": Figure("answer copied", _copied_answer),
    "copied_record": Figure("recorded answer copied", _copied_record),
    "longest_copy": Figure("longest copy, in words", _longest_copy, share=False),
    "copied_thought": Figure("thought copied", _copied_thought),
    "truncated": Figure("cut off", lambda r: float(r.truncated)),
}
"""In the order of the table."""

TRICKS: Mapping[str, Figure] = {
    "stray_tags": Figure("stray tags", lambda r: float(has_stray_tag(r.reading))),
    "calls_in_thought": Figure(
        "calls inside a thought",
        lambda r: float(bool(r.reading.syntax.opening.search(r.reading.thought))),
    ),
    "several_thoughts": Figure("several thoughts", lambda r: float(_ends_of_thoughts(r) > 1)),
    "empty_thought": Figure(
        "nothing thought",
        lambda r: float(_ends_of_thoughts(r) > 0 and not r.reading.thought),
    ),
    "unclosed_thought": Figure("unclosed thought", lambda r: float(r.reading.unclosed)),
    "repeated_calls": Figure("the same call twice", _repeats_a_call),
    "listed_candidates": Figure("lists candidates", _lists_candidates),
    "text_after_call": Figure("words after a call", lambda r: float(bool(r.reading.after_call))),
    "repetition": Figure("repeats itself", _repeats_itself),
}
"""Habits that a reward may pay for without anybody being served."""


def thirds(rollouts: Sequence[AuditedRollout]) -> list[list[AuditedRollout]]:
    """Divide rollouts by their steps into three parts, or as many as there are steps."""
    steps = sorted({rollout.record.step for rollout in rollouts})
    parts = min(3, len(steps))
    part_of = {step: index * parts // len(steps) for index, step in enumerate(steps)}
    windows: list[list[AuditedRollout]] = [[] for _ in range(parts)]
    for rollout in rollouts:
        windows[part_of[rollout.record.step]].append(rollout)
    return windows


def mean_of(value: Value, rollouts: Sequence[AuditedRollout]) -> Interval | None:
    """Return the mean of a figure where it applies; None where it applies nowhere."""
    found = [(v, r.conversation) for r in rollouts if (v := value(r)) is not None]
    if not found:
        return None
    values, clusters = zip(*found, strict=True)
    return bootstrap_mean(values, clusters, seed=0)


def change(first: Interval | None, last: Interval | None) -> Interval | None:
    """Return how much larger the last mean is than the first, and its interval."""
    if first is None or last is None:
        return None
    value = last.value - first.value
    return Interval(
        value,
        value - math.hypot(last.value - last.low, first.high - first.value),
        value + math.hypot(last.high - last.value, first.value - first.low),
    )


def live_share(rollouts: Sequence[AuditedRollout]) -> float:
    """Return the share of groups whose rewards are not all equal."""
    groups: dict[tuple[int, str], set[float]] = {}
    for rollout in rollouts:
        groups.setdefault(rollout.group, set()).add(rollout.record.reward)
    return sum(len(rewards) > 1 for rewards in groups.values()) / len(groups)


RATES = ("0", "to 1/4", "to 1/2", "to 3/4", "below 1", "1")
"""How often the completions of one decision are right."""


def rates_of(rollouts: Sequence[AuditedRollout]) -> list[float]:
    """Return the share of right completions of each group, of those that can be checked."""
    groups: dict[tuple[int, str], list[bool]] = {}
    for rollout in rollouts:
        if rollout.record.right is not None:
            groups.setdefault(rollout.group, []).append(rollout.record.right)
    return [sum(rights) / len(rights) for rights in groups.values()]


def histogram(rates: Sequence[float]) -> list[float]:
    """Return the share of groups by the bins of `RATES`."""
    bins = [0] * len(RATES)
    for rate in rates:
        bins[-1 if rate == 1 else math.ceil(4 * rate)] += 1
    return [number / max(len(rates), 1) for number in bins]


def influence(rates: Sequence[float]) -> float:
    """Return how much a step can change, in [0, 1/2]: the mean of sqrt(a (1 - a)) over groups.

    What an update changes is proportional to it, a being the share of right completions of a
    decision (BRIDGE, arXiv:2505.18917); largest where half of them are, and 0 where all or none.
    """
    return sum(math.sqrt(a * (1 - a)) for a in rates) / max(len(rates), 1)
