"""Judge a whole turn: what its calls did, and what the customer was told at its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from actwise.conversation import Message, Tool, ToolCall
from actwise.rewards.calls import match_calls
from actwise.rewards.judge import judge
from actwise.rewards.settings import JudgeConfig
from actwise.template.parse import ParsedCompletion


@dataclass(frozen=True)
class TurnVerdict:
    """What the judge found."""

    success: bool | None
    """What was recorded was done, and the customer was told what the record tells. None: done, but
    the answer is not checkable."""
    done: bool
    """The calls changed what the recorded ones change."""
    answer: float
    """Correctness of the answer, in [0, 1]; 1 where the record ends without one."""


FAILED = TurnVerdict(False, False, 0.0)
"""Of a turn that never came to an answer."""


def judge_turn(
    calls: Sequence[ToolCall],
    answer: ParsedCompletion,
    recorded: Sequence[Message],
    tools: Sequence[Tool],
    *,
    states: tuple[str | None, str | None],
    settings: JudgeConfig,
    context: Sequence[Message],
) -> TurnVerdict:
    """Judge a turn against the recorded one.

    Args:
        calls: All that were made in it.
        answer: What it ended with.
        recorded: The recorded turn, from its first message to its last.
        tools: On offer.
        states: Of the environment after this turn and after the recorded one. Where either is None,
            the turn's calls have to be the recorded ones, in any order and none too many.
        settings: How calls and answers are compared.
        context: All messages before the answer, the model's own included.
    """
    if None in states:
        done = _same_calls(calls, recorded, tools, settings)
    else:
        done = states[0] == states[1]
    last = recorded[-1]
    if last.role != "assistant" or last.tool_calls:
        return TurnVerdict(done, done, 1.0)
    verdict = judge(answer, last, tools, thinking=False, settings=settings, context=context)
    success = verdict.right if done else False
    return TurnVerdict(success, done, verdict.answer_correctness or 0.0)


def _same_calls(
    calls: Sequence[ToolCall],
    recorded: Sequence[Message],
    tools: Sequence[Tool],
    settings: JudgeConfig,
) -> bool:
    gold = [call for message in recorded for call in message.tool_calls]
    if not gold or not calls:
        return not gold and not calls
    return match_calls(calls, gold, tools, broken=0, settings=settings).exact


def turn_reward(
    verdict: TurnVerdict,
    *,
    in_form: bool,
    calls_score: float,
    calls_weight: float,
    gated: bool = True,
) -> float:
    """Return what a turn earns, in [0, 1].

    Success earns 1, an answer that is not checkable its correctness, anything else nothing; and
    nothing is earned where a completion of the turn is out of form. The score of the calls is added
    to success alone, as in Interleaved (arXiv:2505.19640), and the sum divided by what it can be.

    Args:
        verdict: Of the turn.
        in_form: Whether every completion has the right form.
        calls_score: See `calls_score`.
        calls_weight: What that counts beside success.
        gated: Whether it counts there alone; else it is added to whatever the turn earns.
    """
    earned = verdict.answer if verdict.success is None else float(verdict.success)
    if not in_form:
        earned = 0.0
    if gated and not (in_form and verdict.success):
        calls_score = 0.0
    return (earned + calls_weight * calls_score) / (1 + calls_weight)


def calls_score(
    steps: Sequence[Sequence[ToolCall]],
    recorded: Sequence[ToolCall],
    tools: Sequence[Tool],
    settings: JudgeConfig,
    how: Literal["discounted", "share", "all"],
) -> float:
    """Return how much of the recorded calls a turn made, in [0, 1].

    Args:
        steps: The calls of each completion of the turn, in order.
        recorded: The recorded calls of the turn; 1 where there are none.
        tools: On offer.
        settings: How calls are compared.
        how: "all": 1 where every recorded call was made, else 0; "share": the share that was;
            "discounted": 1 where every one was, else each counts one over the number of the
            completion that first made it.
    """

    def first(gold: ToolCall) -> int | None:
        for number, calls in enumerate(steps, start=1):
            for call in calls:
                if match_calls([call], [gold], tools, broken=0, settings=settings).exact:
                    return number
        return None

    found = [first(call) for call in recorded]
    made = [number for number in found if number is not None]
    if len(made) == len(found):
        return 1.0
    if how == "all":
        return 0.0
    return sum(1 / number if how == "discounted" else 1 for number in made) / len(found)
