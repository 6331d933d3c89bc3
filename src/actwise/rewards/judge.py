"""Judge one completion against the recorded action.

Training reward, filtering of traces, evaluation and audit all call `judge`. It returns parts, not
only a number.

*Right* is about what would happen: the calls that would be run, the answer that would be read. A
call decision is right when the calls equal the recorded ones and none is broken; an answer
decision is right when nothing is called and every fact of the record is stated and none
contradicted. Where nothing in an answer decides, it is neither right nor wrong but *not checkable*
(`right` is None): it counts in no accuracy, keeps no thought and promotes no model, and earns what
its wording or a judging model gives. A missing thought, a stray tag or words after a call are
faults of format: they cost reward and leave `right` alone. Words before a call are not judged.

*Reward* is the weighted mean of the components, in [0, 1] (or 1 where all of them are faultless and
else 0, by `reward.combine`), and 0 where the kind of action is
wrong (a call instead of an answer or an answer instead of a call), so that a tidy format never
pays for the wrong kind. It is also 0 in thinking mode without a thought, or the shortest way to
more reward would be to think nothing (`reward.require_thought`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from actwise.conversation import Message, Tool
from actwise.rewards.answers import match_answer
from actwise.rewards.calls import Comparison, match_calls
from actwise.rewards.settings import JudgeConfig
from actwise.template.parse import ParsedCompletion

_MAX_NOTES = 20
_RUN = 4
"""Words of a run that is looked for twice."""


@dataclass(frozen=True)
class NoVerdict:
    """A component that could not be had: it is left out of the reward, never counted as 0."""

    reason: str


@dataclass(frozen=True)
class Verdict:
    """What the judge found; shares and scores are in [0, 1]."""

    right: bool | None
    """The action is fully right; the format is not part of it. None: not checkable."""
    format: float
    """1 without format errors, else 0."""
    tool_accuracy: float | None
    """None where the record answers."""
    answer_correctness: float | None
    """None where the record calls."""
    thought_length: float | None
    """Words of thought as a share of the target, at most 1; None when not thinking."""
    extra: dict[str, float]
    """Components from outside: the judge endpoint's ("endpoint") and the user's own, by name."""
    missing: tuple[str, ...]
    """Those for which there is no verdict; the notes say why."""
    reward: float
    """Weighted mean of the components, or what `reward.combine` says; 0 for the wrong kind of
    action and for a thoughtless one."""
    tool_names: bool | None
    """The multiset of called names is the recorded one; None where the record answers."""
    arguments: float | None
    """Share of the recorded arguments predicted equal; None where the record answers."""
    recall: float
    """Share of the recorded calls predicted exactly; for an answer 1 if the model answered."""
    missed_call: bool
    """The record calls and the completion does not try to."""
    needless_call: bool
    """The record answers and the completion calls, or tries to."""
    thoughtless: bool
    """A thought is required (`reward.require_thought`, thinking mode) and there is none: it is
    missing, empty or never ends."""
    errors: tuple[str, ...]
    """Format errors, as values of `FormatError`."""
    comparisons: tuple[Comparison, ...]
    """Which comparison decided on each argument of a recorded call; empty for an answer."""
    notes: tuple[str, ...]
    """What differs from the record, in short sentences; at most 20 and a count of the rest."""

    def components(self) -> dict[str, float]:
        """Return what the reward is made of, by the names of `JudgeConfig.weights`.

        The keys depend on the decision and the mode alone, so that a group has one set of them;
        only those of `missing` are left out. All are 0 where the reward is: for the wrong kind of
        action, and where a required thought is missing.
        """
        parts = {
            "format": self.format,
            "tool_accuracy": self.tool_accuracy,
            "answer_correctness": self.answer_correctness,
            "thought_length": self.thought_length,
            **self.extra,
        }
        nothing = self.missed_call or self.needless_call or self.thoughtless
        return {
            name: 0.0 if nothing else value for name, value in parts.items() if value is not None
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as a JSON object."""
        return asdict(self) | {
            "errors": list(self.errors),
            "missing": list(self.missing),
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
            "notes": list(self.notes),
        }


def judge(
    completion: ParsedCompletion,
    gold: Message,
    tools: Sequence[Tool],
    *,
    thinking: bool,
    settings: JudgeConfig,
    context: Sequence[Message] = (),
    similarity: float | None = None,
    extra: Mapping[str, float | NoVerdict] = MappingProxyType({}),
) -> Verdict:
    """Judge a completion against the recorded action.

    Args:
        completion: The completion, parsed in the mode given by `thinking`.
        gold: The recorded assistant message.
        tools: The tools on offer; their schemas decide how arguments compare.
        thinking: Whether the completion was generated in thinking mode.
        settings: What counts and how much.
        context: The messages before the decision. An answer may quote facts from them, of kinds
            that the record does not state; without context every such fact is a contradiction.
        similarity: How alike the wordings of the answer and the record are; see `match_answer`.
        extra: Components that are found elsewhere, by the names of `JudgeConfig.weights`.
    """
    called = bool(completion.calls) or completion.broken_calls > 0
    missed = bool(gold.tool_calls) and not called
    needless = called and not gold.tool_calls
    if gold.tool_calls:
        action = _judge_calls(completion, gold, tools, settings)
    else:
        action = _judge_answer(completion, gold, settings, context, similarity, called=called)
    components = {"format": float(not completion.errors), **action.components}
    if thinking:
        components["thought_length"] = _thought_length(completion, settings)
    found = {name: v for name, v in extra.items() if not isinstance(v, NoVerdict)}
    lost = {name: v for name, v in extra.items() if isinstance(v, NoVerdict)}
    thoughtless = thinking and settings.require_thought and completion.closed_thought is None
    nothing = missed or needless or thoughtless
    no_verdicts = tuple(f"no verdict of {name}: {v.reason}" for name, v in lost.items())
    return Verdict(
        right=action.right,
        format=components["format"],
        tool_accuracy=components.get("tool_accuracy"),
        answer_correctness=components.get("answer_correctness"),
        thought_length=components.get("thought_length"),
        extra=found,
        missing=tuple(lost),
        reward=0.0 if nothing else _reward(completion, action, {**components, **found}, settings),
        tool_names=action.tool_names,
        arguments=action.arguments,
        recall=action.recall,
        missed_call=missed,
        needless_call=needless,
        thoughtless=thoughtless,
        errors=tuple(str(error) for error in completion.errors),
        comparisons=action.comparisons,
        notes=_at_most(_MAX_NOTES, (*no_verdicts, *action.notes)),
    )


@dataclass(frozen=True)
class _Action:
    """The part of a verdict that depends on the kind of the recorded action."""

    right: bool | None
    components: dict[str, float]
    recall: float
    notes: tuple[str, ...]
    comparisons: tuple[Comparison, ...] = ()
    tool_names: bool | None = None
    arguments: float | None = None


def _judge_calls(
    completion: ParsedCompletion, gold: Message, tools: Sequence[Tool], settings: JudgeConfig
) -> _Action:
    match = match_calls(
        completion.calls, gold.tool_calls, tools, broken=completion.broken_calls, settings=settings
    )
    accuracy = float(match.exact) if settings.tool_accuracy == "binary" else match.score
    return _Action(
        right=match.exact,
        components={"tool_accuracy": accuracy},
        recall=match.recall,
        notes=match.notes,
        comparisons=match.comparisons,
        tool_names=match.names,
        arguments=match.arguments,
    )


def _judge_answer(
    completion: ParsedCompletion,
    gold: Message,
    settings: JudgeConfig,
    context: Sequence[Message],
    similarity: float | None,
    *,
    called: bool,
) -> _Action:
    if called:
        return _Action(False, {"answer_correctness": 0.0}, 0.0, ("calls where the record answers",))
    asked = next((m.content for m in reversed(context) if m.role == "user"), "")
    match = match_answer(
        completion.answer,
        gold.content,
        texts(context),
        settings,
        asked=asked,
        similarity=similarity,
    )
    return _Action(
        right=match.right,
        components={"answer_correctness": match.correctness},
        recall=float(bool(completion.answer)),
        notes=match.notes,
    )


def texts(context: Sequence[Message]) -> list[str]:
    """Return what messages state: their contents and the arguments of their calls."""
    contents = [message.content for message in context]
    calls = [call.arguments for message in context for call in message.tool_calls]
    return contents + [json.dumps(arguments, ensure_ascii=False) for arguments in calls]


def _thought_length(completion: ParsedCompletion, settings: JudgeConfig) -> float:
    words = len((completion.thought or "").split())
    return min(1.0, words / settings.thought_length_target)


def _reward(
    completion: ParsedCompletion,
    action: _Action,
    components: dict[str, float],
    settings: JudgeConfig,
) -> float:
    if settings.combine == "all":
        # An answer may be right in other words than the record's, which its correctness counts.
        whole = dict.fromkeys(action.components, float(action.right is True))
        weights = settings.weights()
        reward = float(all(v == 1 for n, v in {**components, **whole}.items() if weights[n]))
    else:
        reward = _weighted_mean(components, settings)
    if settings.repetition:
        texts_said = (completion.thought or "", completion.answer)
        reward *= 1 - settings.repetition * max(map(repeated_share, texts_said))
    return reward


def repeated_share(text: str) -> float:
    """Return the share of a text's runs of four words that occurred before in it."""
    words = text.split()
    runs = [tuple(words[i : i + _RUN]) for i in range(len(words) - _RUN + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def _weighted_mean(components: dict[str, float], settings: JudgeConfig) -> float:
    weights = settings.weights()
    total = sum(weights[name] for name in components)
    # Rounding must not lift a mean of ones above 1.
    return min(1.0, sum(weights[name] * value for name, value in components.items()) / total)


def _at_most(limit: int, notes: tuple[str, ...]) -> tuple[str, ...]:
    if len(notes) <= limit:
        return notes
    return (*notes[:limit], f"and {len(notes) - limit} more")
