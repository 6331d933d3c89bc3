"""A second reading of completions, for checks that share no code with the reward.

The judge reads completions with `template.parse` and facts with `rewards.facts`. A fault there is
invisible to everything that goes through them; what is here goes through neither, and is as plain
as can be.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from actwise.conversation import CONTROL_TAG, Message

_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
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
    """Texts between the tags of calls; a last call may be without its end."""
    answer: str
    """The rest, stripped."""
    unclosed: bool
    """A thought begins and never ends."""

    @cached_property
    def thought_words(self) -> list[str]:
        """The words of the thought."""
        return words(self.thought)

    @cached_property
    def answer_words(self) -> list[str]:
        """The words of the answer."""
        return words(self.answer)


def read(text: str) -> ReadCompletion:
    """Cut a completion at its tags."""
    head, closed, rest = text.partition("</think>")
    unclosed = not closed and "<think>" in text
    thought = head if closed or unclosed else ""
    if not closed:
        rest = "" if unclosed else text
    return ReadCompletion(
        text,
        thought.replace("<think>", "").strip(),
        tuple(body.strip() for body in _CALL.findall(rest)),
        _CALL.sub("\n", rest).strip(),
        unclosed,
    )


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


def _plain(body: str) -> str:
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):
        return f"unreadable: {body}"
    if not isinstance(record, dict):
        return f"no call: {body}"
    return _canonical([record.get("name"), record.get("arguments", {})])


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def has_stray_tag(reading: ReadCompletion) -> bool:
    """Whether a control tag stands inside the thought or the answer."""
    return bool(CONTROL_TAG.search(reading.thought) or CONTROL_TAG.search(reading.answer))
