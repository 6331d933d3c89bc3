"""Fingerprints by which a conversation is known again, whatever was edited around it.

What counts is what was said and done, in order: system prompts, timestamps, ids of calls, thoughts,
labels and white space do not. A conversation has one fingerprint for each turn of the assistant, of
everything up to that turn; so the beginning of a conversation is known again, too.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import takewhile
from pathlib import Path

import numpy as np

from actwise.conversation import Conversation, Message
from actwise.data.stored import where
from actwise.errors import ConfigError, ModelError

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_DAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? )?"
_DATE = (
    rf"(?:\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}}"
    rf"|{_DAY}\d{{1,2}} {_MONTH},? \d{{4}}|{_DAY}{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})"
)
_CLOCK = (
    r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?[AaPp][Mm])?"
    r"(?: ?(?:Z|UTC|GMT))?(?:[+-]\d{2}:?\d{2})?"
)
_TIMESTAMP = re.compile(
    rf"\[[^\]\n]{{0,40}}\d{{1,2}}:\d{{2}}[^\]\n]{{0,40}}\]|{_DATE}(?:T|,? (?:at )?){_CLOCK}"
    rf"|{_DAY}{_MONTH} {{1,2}}\d{{1,2}} {_CLOCK} \d{{4}}"
)
"""A date with a time, or a time in brackets; a date or a time alone is what is talked about."""
_CJK = "\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")
_NUMBER = re.compile(r"\d+")
SPECIFIC = 4
"""Words from which on the beginning of a conversation says whose it is; "Hi!" does not."""


@dataclass(frozen=True)
class Turn:
    """A turn of the assistant, and what came before it."""

    index: int
    """Index of the message in its conversation."""
    before: int
    """Fingerprint of all that was said and done before it."""
    after: int
    """Fingerprint of that and of the turn itself."""
    words: int
    """Words said before it, by anybody but the system."""


def turns_of(conversation: Conversation) -> list[Turn]:
    """Return the turns of the assistant with their fingerprints."""
    hasher, system = blake2b(digest_size=8), blake2b(digest_size=8)
    found: list[Turn] = []
    words = 0
    for index, message in enumerate(conversation.messages):
        if message.role == "system":
            system.update(message.content.encode(errors="replace"))
            continue
        before = hasher.digest()
        text = _text(message)
        hasher.update(text.encode(errors="replace"))
        if message.role == "assistant":
            after = hasher.digest()
            if words < SPECIFIC:
                # Greetings are alike in many conversations; by them alone none is known again.
                after = blake2b(after + system.digest(), digest_size=8).digest()
            found.append(Turn(index, int.from_bytes(before), int.from_bytes(after), words))
        if words < SPECIFIC:  # more need not be counted
            words += len(_WORD.findall(text)) - 1  # the role
    return found


def prompt_of(conversation: Conversation) -> int:
    """Return a fingerprint of the system prompt that a conversation begins with.

    Times, dates and numbers in it do not count: they change from one request to the next.
    """
    hasher = blake2b(digest_size=8)
    for message in takewhile(lambda m: m.role == "system", conversation.messages):
        hasher.update(_lasting(message.content))
    return int.from_bytes(hasher.digest())


@lru_cache(maxsize=64)  # most logs have one, and it is long
def _lasting(prompt: str) -> bytes:
    text = _NUMBER.sub("", _TIMESTAMP.sub("", prompt))
    return " ".join(text.split()).encode(errors="replace")


def _text(message: Message) -> str:
    said = _TIMESTAMP.sub("", message.content) if ":" in message.content else message.content
    # The spacing of a result, which is often JSON, is its program's.
    plain = ("" if message.role == "tool" else " ").join(said.split())
    calls = [[call.name, call.arguments] for call in message.tool_calls]
    return f"{message.role} {plain}\n{json.dumps(calls, sort_keys=True) if calls else ''}\n"


class Sides:
    """Which conversations lie on which side of a split, by fingerprint."""

    def __init__(self, sides: Mapping[str, Iterable[int]]) -> None:
        """Take the fingerprints of all turns on each side; 17 bytes of each are kept."""
        self._names = list(sides)
        prints = [np.fromiter(of_side, dtype=np.uint64) for of_side in sides.values()]
        every = np.concatenate([np.empty(0, dtype=np.uint64), *prints])
        numbers = np.repeat(np.arange(len(prints), dtype=np.uint8), [len(p) for p in prints])
        self._prints, self._first = np.unique(every, return_index=True)
        # What lies on two sides, as a greeting does, counts for the last.
        _, last = np.unique(every[::-1], return_index=True)
        self._numbers = numbers[::-1][last]

    @classmethod
    def of(cls, sides: Mapping[str, Sequence[Conversation]]) -> "Sides":
        """Take the conversations on each side."""
        return cls(
            {
                side: (turn.after for c in conversations for turn in turns_of(c))
                for side, conversations in sides.items()
            }
        )

    def side_of(self, conversation: Conversation) -> str | None:
        """Return the side on which a conversation lies, or one that begins like it, if any."""
        turns = turns_of(conversation)
        # "Weather in Oslo?" is three words, but with its answer it is all that was said.
        known = [turn for turn in turns if turn.words >= SPECIFIC] or turns[-1:]
        for turn in reversed(known):
            place = int(np.searchsorted(self._prints, np.uint64(turn.after)))
            if place < len(self._prints) and self._prints[place] == turn.after:
                return self._names[self._numbers[place]]
        return None

    def count(self, conversations: Iterable[Conversation]) -> Counter[str]:
        """Count conversations by their side; those on none are left out."""
        return Counter(filter(None, map(self.side_of, conversations)))

    def only(self, side: str, conversations: Sequence[Conversation]) -> Sequence[Conversation]:
        """Return the conversations on one side.

        Raises:
            ConfigError: If there is none.
        """
        found = where(conversations, lambda c: self.side_of(c) == side)
        if not found:
            known = ", ".join(sorted(self._names[i] for i in set(self._numbers.tolist()))) or "none"
            raise ConfigError(
                f"no conversation of these logs is on the side {side!r} of the split that the "
                f"model was trained on (it has {known})"
            )
        return found

    def to_json(self) -> str:
        """Return the JSON text that a model's folder keeps."""
        order = np.argsort(self._first)
        prints, numbers = self._prints[order], self._numbers[order]
        sides, first = np.unique(numbers, return_index=True)
        return json.dumps(
            {
                self._names[side]: [f"{print:016x}" for print in prints[numbers == side].tolist()]
                for side in sides[np.argsort(first)].tolist()
            }
        )

    @classmethod
    def load(cls, folder: Path) -> "Sides | None":
        """Return what a model's folder keeps, or None where it keeps nothing.

        Raises:
            ModelError: If the file is damaged.
        """
        file = folder / SIDES_FILE
        if not file.is_file():
            return None
        try:
            kept = json.loads(file.read_bytes())
            return cls({str(s): [int(print, 16) for print in prints] for s, prints in kept.items()})
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise ModelError(f"{file}: is damaged ({error}); remove it") from error


SIDES_FILE = "conversations.json"
"""Name of the file, in a model's folder, that says which conversations it was trained on."""
