"""Behaviours put into thoughts before they are learned, so that RL finds something to strengthen.

What RL can amplify has to be there at times: a start whose thoughts are all terse leaves groups in
which nothing differs (BRIDGE, arXiv:2505.18917). Two behaviours are injected. *Exploration*: try a
step that is locked, and say what is not known yet. *Exploitation*: gather what is known before
anything is derived from it. Both are read off the graph of values in a recorded conversation: a
step depends on the results whose fields it quotes, and is locked while one of them is still to
come. Logs without results that are JSON have no such graph, and get nothing injected.
"""

import json
import re
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from actwise.conversation import Decision, Message, tool_name
from actwise.thoughts.numbers import BEGINS, ENDS

_NUMBER = re.compile(r"\d+")
_FAILURE = "error"
"""The field of a result that nothing depends on."""
_MOST_KNOWN = 4
"""Fields that are gathered in one thought, the latest."""


def with_behaviours(
    decision: Decision, thought: str, draw: Random, *, exploration: float, exploitation: float
) -> str:
    """Return a thought with behaviours before it.

    Args:
        decision: The decision that it leads to.
        thought: A thought about it.
        draw: Decides whether there are any.
        exploration: Probability of a locked step that is tried, where there is one.
        exploitation: Probability that what the action rests on is gathered, where it is anything.
    """
    parts = []
    locked, known = locked_step(decision, draw), gathered(decision, thought)
    if draw.random() < exploration and locked is not None:
        parts.append(locked)
    if draw.random() < exploitation and known is not None:
        parts.append(known)
    return " ".join([*parts, thought])


def locked_step(decision: Decision, draw: Random) -> str | None:
    """Return a sentence that tries what can only be done after this decision's results.

    Returns:
        None where no later step of the same turn quotes a field of them.
    """
    messages = decision.conversation.messages
    results = _results_of(messages, decision.index)
    later = decision.index + 1 + len(results)
    if not decision.gold.tool_calls or later >= len(messages):
        return None
    step = messages[later]
    if step.role != "assistant":
        return None
    needed = [field for field, _ in _quoted(_fields(results), _stated(step))]
    if not needed:
        return None
    return (
        f"{_purpose(decision, step)} already? The {_words(draw.choice(needed))} is not known yet."
    )


def gathered(decision: Decision, thought: str) -> str | None:
    """Return a sentence with the fields of earlier results that a decision rests on.

    Args:
        decision: With its record.
        thought: What leads to it; a field counts that it or the action quotes.
    """
    results = [m for m in decision.history if m.role == "tool"]
    found = _quoted(_fields(results), f"{thought} {_stated(decision.gold)}")
    texts = [f"{_words(field)} {value}" for field, value in found]
    return f"Known: {', '.join(texts[-_MOST_KNOWN:])}." if texts else None


def _results_of(messages: Sequence[Message], call: int) -> list[Message]:
    results = []
    for message in messages[call + 1 :]:
        if message.role != "tool":
            break
        results.append(message)
    return results


def _fields(results: Sequence[Message]) -> list[tuple[str, str]]:
    """Return fields and values of results, each once."""
    found = [pair for result in results for pair in _leaves("", _decoded(result.content))]
    return list(dict.fromkeys(found))


def _decoded(content: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _leaves(field: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(str(key), part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(field, part)
    elif field not in ("", _FAILURE) and value not in (None, "") and not isinstance(value, bool):
        yield field, str(value)


def _quoted(fields: Sequence[tuple[str, str]], text: str) -> list[tuple[str, str]]:
    """Return the fields whose value, or a number in it ("August 16"), stands in a text."""
    return [
        (field, value)
        for field, value in fields
        if any(_stands(part, text) for part in (value, *_NUMBER.findall(value)))
    ]


def _stands(part: str, text: str) -> bool:
    # Patterns take long to compile, and results hold thousands of values that stand nowhere.
    return part in text and re.search(f"{BEGINS}{re.escape(part)}{ENDS}", text) is not None


def _stated(step: Message) -> str:
    """Return what a step says: its thought, its words and the values of its calls."""
    values = [str(v) for call in step.tool_calls for v in call.arguments.values()]
    return " ".join([step.reasoning_content or "", step.content, *values])


def _purpose(decision: Decision, step: Message) -> str:
    if not step.tool_calls:
        return "Answer"
    name = step.tool_calls[0].name
    tools = {tool_name(tool): tool["function"] for tool in decision.conversation.tools}
    return str(tools.get(name, {}).get("description") or name).rstrip(".")


def _words(field: str) -> str:
    return field.replace("_", " ")
