"""A second reading of completions, for checks that share no code with the reward.

The judge reads completions with `template.parse` and facts with `rewards.facts`. A fault there is
invisible to everything that goes through them; what is here goes through neither, and is as plain
as can be. Only what families of models write in place of JSON is read by their rows of
`template.syntaxes`.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from actwise.conversation import Message, Tool, ToolCall, tool_name, tool_parameters
from actwise.template.syntaxes import QWEN, Syntax

_DIGITS = re.compile(r"\d+(?:[.,:/-]\d+)*")
_WORD = re.compile(r"\w+(?:'\w+)?")
_NOT = re.compile(r"\b(?:no|not|never|cannot|unable|sorry)\b|n['’]t\b", re.IGNORECASE)


@dataclass(frozen=True)
class ReadCompletion:
    """A completion cut at its tags, whatever is wrong with it."""

    text: str
    thought: str
    """Up to the first end of a thought; the whole text where a thought never ends."""
    calls: tuple[str, ...]
    """Calls as JSON, or what stands in their place; a last call may be without its end."""
    answer: str
    """The rest, stripped."""
    unclosed: bool
    """A thought begins and never ends."""
    after_call: str
    """What stands after the last call."""
    syntax: Syntax = QWEN
    """How its model writes thoughts and calls."""

    @cached_property
    def thought_words(self) -> list[str]:
        """The words of the thought."""
        return words(self.thought)

    @cached_property
    def answer_words(self) -> list[str]:
        """The words of the answer."""
        return words(self.answer)


def read(text: str, syntax: Syntax = QWEN, tools: Sequence[Tool] = ()) -> ReadCompletion:
    """Cut a completion at its tags.

    Args:
        text: The completion.
        syntax: How its model writes thoughts and calls.
        tools: On offer; types for arguments that are written without.
    """
    begin, end = (mark.strip() for mark in syntax.think)
    head, closed, rest = text.partition(end)
    unclosed = not closed and begin in text
    thought = head if closed or unclosed else ""
    if not closed:
        rest = "" if unclosed else text
    # Without a mark after it a call lasts to the next one.
    body = (
        f"(.*?)(?:{re.escape(syntax.close)}|\\Z)" if syntax.close else f"(.+?)(?={syntax.open}|\\Z)"
    )
    call = re.compile(syntax.open + body, re.DOTALL)
    found = list(call.finditer(rest))
    return ReadCompletion(
        text,
        thought.replace(begin, "").strip(),
        tuple(written for match in found for written in _calls(match[1].strip(), syntax, tools)),
        call.sub("\n", rest).strip(),
        unclosed,
        rest[found[-1].end() :].strip() if found else "",
        syntax,
    )


def _calls(body: str, syntax: Syntax, tools: Sequence[Tool]) -> list[str]:
    """Return what stands between the marks as JSON texts of calls."""
    if syntax is QWEN:
        return [body]
    schemas = {tool_name(tool): tool_parameters(tool) for tool in tools}
    return [
        json.dumps({"name": found.name, "arguments": found.arguments}, sort_keys=True)
        if isinstance(found, ToolCall)
        else body
        for found in syntax.read(body, schemas)
    ]


def words(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return _WORD.findall(text.lower())


def facts(text: str) -> set[str]:
    """Return the tokens of a text that hold digits, as written, and "not" if it negates."""
    return set(_DIGITS.findall(text)) | ({"not"} if _NOT.search(text) else set())


def independent_verdict(reading: ReadCompletion, gold: Message, *, stopped: bool) -> float:
    """Compare a completion with the recorded action without the judge, in [0, 1].

    Calls: both sides as plain JSON, as multisets; the share in common of the larger side. No
    schema is consulted, so 7 and "7" differ. Answers: the tokens with digits and whether there is
    a negation, in common over all; the same of the words where neither side has any. Deliberately
    stricter and cruder than the judge: where the two differ, one of them is to be looked at.

    Args:
        reading: The completion.
        gold: The recorded action.
        stopped: Whether the completion ended by itself; 0 otherwise.
    """
    if not stopped or bool(reading.calls) != bool(gold.tool_calls):
        return 0.0
    if gold.tool_calls:
        ours = Counter(_plain(body) for body in reading.calls)
        theirs = Counter(_canonical([c.name, c.arguments]) for c in gold.tool_calls)
        return (ours & theirs).total() / max(ours.total(), theirs.total())
    stated, recorded = facts(reading.answer), facts(gold.content)
    if not stated | recorded:
        stated, recorded = set(reading.answer_words), set(words(gold.content))
    union = stated | recorded
    return len(stated & recorded) / len(union) if union else float(reading.answer == gold.content)


def values_beyond(reading: ReadCompletion, gold: Message) -> float | None:
    """Return how many more values calls hold than the recorded calls of their tools, in the mean.

    Values are what is neither an object nor a list, at any depth. None where no call is of a
    recorded tool; where one was called several times, its fullest call counts.
    """
    recorded: dict[Any, int] = {}
    for call in gold.tool_calls:
        recorded[call.name] = max(recorded.get(call.name, 0), _num_values(call.arguments))
    calls = [record for body in reading.calls if isinstance(record := _parsed(body), dict)]
    beyond = [
        _num_values(call.get("arguments", {})) - recorded[name]
        for call in calls
        if isinstance(name := call.get("name"), str) and name in recorded
    ]
    return sum(beyond) / len(beyond) if beyond else None


def _num_values(value: Any) -> int:
    count, left = 0, [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            left += item.values()
        elif isinstance(item, list):
            left += item
        else:
            count += 1
    return count


def _plain(body: str) -> str:
    record = _parsed(body)
    if not isinstance(record, dict):
        return f"no call: {body}"
    return _canonical([record.get("name"), record.get("arguments", {})])


def _parsed(body: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def has_stray_tag(reading: ReadCompletion) -> bool:
    """Whether a control tag stands inside the thought or the answer."""
    control = reading.syntax.control
    return bool(control.search(reading.thought) or control.search(reading.answer))
