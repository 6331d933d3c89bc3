"""The floor under every result: what policies reach that look at nothing.

Some logs call one tool most of the time, or answer in one way; an action accuracy means little
before it is held against these.
"""

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import islice

import numpy as np

from actwise.conversation import Conversation, Decision, Kind, Message, all_decisions
from actwise.rewards.judge import judge
from actwise.rewards.settings import JudgeConfig
from actwise.template.parse import ParsedCompletion

NEUTRAL_ANSWER = "Is there anything else I can help you with?"
"""States no fact, refuses nothing and asks."""


def floors(
    decisions: Sequence[Decision], train: Sequence[Conversation], settings: JudgeConfig
) -> dict[str, float]:
    """Return the action accuracy that trivial policies reach on some decisions.

    The policies: `neutral_answer` always says `NEUTRAL_ANSWER`; `commonest_answer` always gives the
    commonest recorded answer of the training conversations, `commonest_call` their commonest
    recorded call or calls. As in every action accuracy, only decisions that are right or wrong
    count. A policy for which those hold no example, or of which nothing can be checked, is left
    out.

    Args:
        decisions: What the policies are measured on, at least one.
        train: Where the commonest actions are taken from.
        settings: As for the models they are compared with.
    """
    policies = {
        "neutral_answer": Message(role="assistant", content=NEUTRAL_ANSWER),
        "commonest_answer": _commonest(train, "answer"),
        "commonest_call": _commonest(train, "call"),
    }
    found = {}
    for name, action in policies.items():
        if action is None:
            continue
        verdicts = [_is_right(action, decision, settings) for decision in decisions]
        checked = [right for right in verdicts if right is not None]
        if checked:
            found[name] = sum(checked) / len(checked)
    return found


def _commonest(train: Sequence[Conversation], kind: Kind) -> Message | None:
    """Return the action of a kind that occurs most often, the first seen of several."""
    keys = np.fromiter(map(_key, _actions(train, kind)), dtype=np.uint64)
    if not len(keys):
        return None
    _, firsts, counts = np.unique(keys, return_index=True, return_counts=True)
    first = int(firsts[counts == counts.max()].min())
    return next(islice(_actions(train, kind), first, None))


def _actions(train: Sequence[Conversation], kind: Kind) -> Iterator[Message]:
    return (d.gold for d in all_decisions(train) if d.kind == kind)


def _key(action: Message) -> int:
    """Return 64 bits of what an action does."""
    calls = [json.dumps([call.name, call.arguments], sort_keys=True) for call in action.tool_calls]
    text = "\n".join(sorted(calls)) if calls else action.content.strip()
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def _is_right(action: Message, decision: Decision, settings: JudgeConfig) -> bool | None:
    answer = "" if action.tool_calls else action.content.strip()
    completion = ParsedCompletion(None, action.tool_calls, answer, ())
    return judge(
        completion,
        decision.gold,
        decision.conversation.tools,
        thinking=False,
        settings=settings,
        context=decision.history,
    ).right
