"""Calls with argument values that nothing before them holds."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

from actwise.conversation import Conversation, Message
from actwise.findings.finding import Case, Finding, Tally, clipped

_SHORTEST_VALUE = 3
"""Shorter argument values turn up in any context by chance and prove nothing."""
_LONGEST_COPY = 8
"""Values of more words are prose (a summary, a thought): worded by the agent, not copied."""
_MANY = 0.2
"""From this share of calls on, the log rather than the agent is to be suspected."""
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
"""Characters of languages without spaces; two count as a word."""
_BETWEEN_WORDS = re.compile(r"[\s,;|/]+")
_CLOCK = re.compile(r"(\d{1,2}):\d{2}(?::\d{2})?")
_AROUND_A_WORD = ".,;:!?()[]{}\"'`<>=+*/-"


class Reachable:
    """Arguments that the model would have to work out or to guess."""

    def __init__(self, max_examples: int) -> None:
        self.calling = 0
        """Decisions that call."""
        self.unreachable = Tally(max_examples)

    def look(self, case: Case) -> tuple[int, list[str]]:
        """See `Family.look`."""
        calling = sum(1 for d in case.conversation.decisions() if d.kind == "call")
        found = _unreachable(case.conversation)
        return calling, [f"{case.at(index)} calls with {value}" for index, value in found]

    def note(self, seen: tuple[int, list[str]]) -> None:
        """Count the calls."""
        calling, unreachable = seen
        self.calling += calling
        self.unreachable.extend(unreachable)

    def findings(self) -> Iterator[Finding]:
        """Yield the decisions that are out of reach."""
        many = self.unreachable.count >= _MANY * self.calling
        yield from self.unreachable.finding(
            "warning" if many else "note",
            "unreachable_argument",
            f"of {self.calling} calling decisions with an argument value that occurs nowhere "
            "before",
            effect="The model has to work it out or to guess it; guesses taught become inventions.",
            remedy="Check that the log holds all that the agent saw: system prompt, account data, "
            "the results of all calls.",
        )


def _unreachable(conversation: Conversation) -> Iterator[tuple[int, str]]:
    """Yield the indices of decisions with a value that occurs nowhere before, and that value."""
    seen = [_plain_tools(json.dumps(conversation.tools, ensure_ascii=False))]
    read = 0
    for decision in conversation.decisions():
        if not decision.gold.tool_calls:
            continue
        seen.extend(map(_visible_text, conversation.messages[read : decision.index]))
        read = decision.index
        for call in decision.gold.tool_calls:
            missing = next((v for v in _leaves(call.arguments) if not _occurs(v, seen)), None)
            if missing is not None:
                yield decision.index, f"{call.name}: {clipped(missing)}"
                break


def _visible_text(message: Message) -> str:
    """Return what later decisions see of a message: no thought, but the calls."""
    calls = [[call.name, call.arguments] for call in message.tool_calls]
    text = message.content + (json.dumps(calls, ensure_ascii=False) if calls else "")
    return _plain(text)


def _leaves(value: Any) -> Iterator[str | int | float]:
    """Yield the strings and numbers in an argument value that can be looked for."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, bool) or value is None or value in ("true", "false", "null"):
        return
    elif len(str(value).strip()) >= _SHORTEST_VALUE:
        yield value


def _occurs(value: str | int | float, texts: Sequence[str]) -> bool:
    if not isinstance(value, str):
        return _number_occurs(value, texts)
    if _text_occurs(value, texts):
        return True
    words = _BETWEEN_WORDS.split(value.strip())
    if len(words) + len(_CJK.findall(value)) / 2 > _LONGEST_COPY:
        return True
    said = _said_as(value)
    if said:
        return any(_number_occurs(number, texts) for number in said)
    # Put together from several places: "152 + 103", "oat milk OR soy milk", "A-7,A-9".
    parts = [part for part in (word.strip(_AROUND_A_WORD) for word in words) if part]
    return len(parts) > 1 and all(
        len(part) < _SHORTEST_VALUE or _text_occurs(part, texts) for part in parts
    )


def _text_occurs(value: str, texts: Sequence[str]) -> bool:
    plain = _plain(value)
    if any(plain in text for text in texts):
        return True
    # It may stand in a tool result, which is JSON text with its own escapes.
    escaped = {_plain(json.dumps(value, ensure_ascii=ascii)[1:-1]) for ascii in (True, False)}
    return any(spelling in text for spelling in escaped - {plain} for text in texts)


def _number_occurs(value: int | float, texts: Sequence[str]) -> bool:
    digits = str(value) if isinstance(value, int) else f"{value:.15g}"
    zeros = "0*" if "." in digits else r"(?:\.0+)?"
    pattern = re.compile(rf"(?<![\d.]){re.escape(digits)}{zeros}(?!\.?\d)")
    return any(digits in text and pattern.search(text) for text in texts)


def _said_as(value: str) -> tuple[int, ...]:
    """Return numbers of which one is said where a date or time is meant.

    "2024-05-20" is said as "May 20", and "16:30" as "half past 4".
    """
    try:
        return (date.fromisoformat(value[:10]).day,)
    except ValueError:
        clock = _CLOCK.fullmatch(value)
        return (int(clock[1]), int(clock[1]) % 12 or 12) if clock else ()


def _plain(text: str) -> str:
    """Even out what is written differently and means the same: case, spaces, 1,000 and 1000."""
    return " ".join(re.sub(r"(?<=\d),(?=\d{3})", "", text).lower().split())


# Logs of one service declare the same tools in every record.
_plain_tools = lru_cache(maxsize=64)(_plain)
