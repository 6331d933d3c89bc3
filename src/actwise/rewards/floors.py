"""The floor under every result: what policies reach that look at nothing.

Some logs call one tool most of the time, or answer in one way; an action accuracy means little
before it is held against these.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from actwise.conversation import Decision, Message
from actwise.rewards.judge import judge
from actwise.rewards.settings import JudgeConfig
from actwise.template.parse import ParsedCompletion

NEUTRAL_ANSWER = "Is there anything else I can help you with?"
"""States no fact, refuses nothing and asks."""


def floors(
    decisions: Sequence[Decision], train: Sequence[Decision], settings: JudgeConfig
) -> dict[str, float]:
    """Return the action accuracy that trivial policies reach on some decisions.

    The policies: `neutral_answer` always says `NEUTRAL_ANSWER`; `commonest_answer` always gives the
    commonest recorded answer of the training decisions, `commonest_call` their commonest recorded
    call or calls. As in every action accuracy, only decisions that are right or wrong count. A
    policy for which the training decisions hold no example, or of which nothing can be checked, is
    left out.

    Args:
        decisions: What the policies are measured on, at least one.
        train: Where the commonest actions are taken from.
        settings: As for the models they are compared with.
    """
    policies = {
        "neutral_answer": Message(role="assistant", content=NEUTRAL_ANSWER),
        "commonest_answer": _commonest(d.gold for d in train if d.kind == "answer"),
        "commonest_call": _commonest(d.gold for d in train if d.kind == "call"),
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


def _commonest(actions: Iterable[Message]) -> Message | None:
    """Return the action that occurs most often, the first seen of several."""
    by_key: dict[str, Message] = {}
    counts: Counter[str] = Counter()
    for action in actions:
        key = _key(action)
        by_key.setdefault(key, action)
        counts[key] += 1
    return by_key[counts.most_common(1)[0][0]] if counts else None


def _key(action: Message) -> str:
    if not action.tool_calls:
        return action.content.strip()
    calls = [json.dumps([call.name, call.arguments], sort_keys=True) for call in action.tool_calls]
    return "\n".join(sorted(calls))


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
