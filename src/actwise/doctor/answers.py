"""Answers that say nothing, that say always the same, or that nothing can be checked of."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from actwise.findings.finding import Case, Finding, Tally, clipped
from actwise.rewards.answers import is_checkable

_PLACEHOLDERS = {"null", "none", "nan", "undefined", "[object object]"}
"""What programs write where a text is missing."""
_SHARE, _OFTEN = 0.05, 20
"""An answer is boilerplate when it makes up this share of all answers, and occurs this often."""
_WINDOW = 20_000
_UNCHECKED = 0.5
"""Share of answers (of 20 at least) that nothing can be checked of from which on it is said."""


@dataclass
class Seen:
    """The answers of one conversation."""

    blank: list[str] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    """Each with its place."""
    unchecked: int = 0


class Answers:
    """The texts with which the assistant answers."""

    def __init__(self, max_examples: int) -> None:
        self._max_examples = max_examples
        self._blank = Tally(max_examples)
        self._texts = _Frequent()
        self.unchecked = 0
        """Answers that claim nothing, so that in other words they are neither right nor wrong."""

    def look(self, case: Case) -> Seen:
        """See `Family.look`."""
        seen = Seen()
        for index, message in enumerate(case.conversation.messages):
            if message.role != "assistant" or message.tool_calls or not message.weight:
                continue
            text = " ".join(message.content.split())
            if text.lower() in _PLACEHOLDERS or not any(map(_says_something, text)):
                seen.blank.append(f"{case.at(index)} answers {clipped(text)}")
            seen.texts.append((text, case.at(index)))
            seen.unchecked += not is_checkable(message.content)
        return seen

    def note(self, seen: Seen) -> None:
        """Count the answers."""
        self._blank.extend(seen.blank)
        for text, place in seen.texts:
            self._texts.add(text, place)
        self.unchecked += seen.unchecked

    def findings(self) -> Iterator[Finding]:
        """Yield blank answers and boilerplate."""
        yield from self._blank.finding(
            "warning",
            "empty_answer",
            "answer(s) without a letter or digit, or with what programs write for a missing text",
            effect="The model learns to answer nothing, which is easy and so learned first.",
            remedy="Restore the text, or cut the conversation before it.",
        )
        if self.unchecked > _UNCHECKED * max(_OFTEN, self._texts.seen):
            yield Finding(
                "note",
                "unchecked_answers",
                self.unchecked,
                f"of {self._texts.seen} answers state no fact, name, label or refusal",
                "In other words they count neither as right nor as wrong: no accuracy, no kept "
                "thought and no choice of a model rests on them.",
                "Give reward.embedding a sentence-embedding model or reward.endpoint a judge, or "
                "train on calls (--set rl.decisions=calls).",
            )
        often = max(_OFTEN, _SHARE * self._texts.seen)
        frequent = [entry for entry in self._texts.entries() if entry[0] >= often]
        if frequent:
            share = sum(count for count, _, _ in frequent) / self._texts.seen
            yield Finding(
                "note",
                "boilerplate_answer",
                len(frequent),
                f"text(s) that each make up at least {_SHARE:.0%} of all answers, together "
                f"{share:.0%}",
                "The model learns to say them by default; accuracy on answers looks better than "
                "it is.",
                "Keep a few conversations of each and leave out the rest, or weigh them down.",
                [
                    f"{place} answers {clipped(text)}, {count} times"
                    for count, text, place in frequent[: self._max_examples]
                ],
            )


def _says_something(character: str) -> bool:
    # Beyond ASCII a symbol is a word: an emoji is an answer, an ellipsis is not.
    return character.isalnum() or ord(character) > 0x2FFF


class _Frequent:
    """The texts that occur often, by lossy counting (Manku and Motwani, VLDB 2002).

    Counts are short by at most one for every `_WINDOW` texts seen; memory holds some windows.
    """

    def __init__(self) -> None:
        self.seen = 0
        self._entries: dict[str, tuple[int, int, str]] = {}
        """Text -> count, how many may have been missed before, first place."""

    def add(self, text: str, place: str) -> None:
        window = self.seen // _WINDOW
        count, missed, first = self._entries.get(text, (0, window, place))
        self._entries[text] = (count + 1, missed, first)
        self.seen += 1
        if self.seen % _WINDOW == 0:
            self._entries = {t: e for t, e in self._entries.items() if e[0] + e[1] > window + 1}

    def entries(self) -> list[tuple[int, str, str]]:
        """Return (count, text, first place), most frequent first."""
        return sorted(
            ((count, text, place) for text, (count, _, place) in self._entries.items()),
            key=lambda entry: -entry[0],
        )
