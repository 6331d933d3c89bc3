"""How long conversations are, and which of them are far longer than the rest."""

import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from actwise.conversation import Message
from actwise.findings.finding import Case, Finding, Tally

_OUTLIER = 5
"""A conversation is an outlier when it is longer than this many times the 95th percentile."""


@dataclass(frozen=True)
class Lengths:
    """Order statistics of a length over conversations; all 0 when there is none."""

    shortest: int
    median: int
    p95: int
    longest: int


class Sizes:
    """Messages and characters of each conversation."""

    def __init__(self, max_examples: int) -> None:
        self._max_examples = max_examples
        self._messages = array("Q")
        self._characters = array("Q")
        self._places: list[str] = []

    def look(self, case: Case) -> tuple[str, int, int]:
        """See `Family.look`."""
        messages = case.conversation.messages
        return case.place, len(messages), sum(map(_characters, messages))

    def note(self, seen: tuple[str, int, int]) -> None:
        """Note the lengths of one conversation."""
        place, messages, characters = seen
        self._places.append(place)
        self._messages.append(messages)
        self._characters.append(characters)

    @property
    def messages(self) -> Lengths:
        """Messages per conversation."""
        return _lengths(self._messages)

    @property
    def characters(self) -> Lengths:
        """Characters per conversation: contents and calls, without tools' schemas and thoughts."""
        return _lengths(self._characters)

    def findings(self) -> Iterator[Finding]:
        """Yield the outliers."""
        limit = _OUTLIER * self.characters.p95
        outliers = Tally(self._max_examples)
        for place, characters in zip(self._places, self._characters, strict=True):
            if characters > limit:
                outliers.add(f"{place}: {characters} characters")
        yield from outliers.finding(
            "note",
            "very_long_conversation",
            f"conversation(s) more than {_OUTLIER} times as long as 95 % of all are",
            effect="They set the memory that training needs, and may not fit the model's context.",
            remedy="Cut them where a new request begins, or leave them out.",
        )


def _characters(message: Message) -> int:
    calls = sum(
        len(call.name) + len(json.dumps(call.arguments, ensure_ascii=False))
        for call in message.tool_calls
    )
    return len(message.content) + calls


def _lengths(values: Sequence[int]) -> Lengths:
    if not values:
        return Lengths(0, 0, 0, 0)
    ordered = sorted(values)
    last = len(ordered) - 1
    return Lengths(ordered[0], ordered[last // 2], ordered[round(last * 0.95)], ordered[last])
