"""Conversations that occur again: exactly, nearly, or on the other side of a split."""

import re
from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from actwise.conversation import Conversation
from actwise.doctor.growth import Growth, Turns
from actwise.findings.finding import Case, Finding, Tally, canonical_json, digest

_SHINGLE = 5
"""Words in a row that are compared as one."""
_FEWEST_SHINGLES = 20
"""Shorter conversations resemble each other by chance."""
_MINIMA, _BANDS = 64, 8
_ALIKE = 0.85
"""Share of common minima, an estimate of the share of common shingles (error 0.045)."""
_AT_ONCE = 4096
_CJK = "\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_CJK}]|[^\W\d_{_CJK}]+")
"""A word in letters, or one character where words are not spaced; digits are left out."""

_draw = np.random.Generator(np.random.PCG64(0))
_FACTORS = _draw.integers(1, 2**63, _MINIMA, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_SHIFTS = _draw.integers(0, 2**63, _MINIMA, dtype=np.uint64)
_PLACE_FACTORS = _draw.integers(1, 2**63, _SHINGLE, dtype=np.uint64) * np.uint64(2) + np.uint64(1)

Uints = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


class Seen(NamedTuple):
    """What of a conversation tells that it occurs again."""

    place: str
    turns: Turns
    digest: int
    minima: bytes
    group: str | None


class Copies:
    """Exact and near duplicates, by MinHash over word shingles (Broder 1997) in bands.

    Held-out conversations are added first. Kept per conversation: its place, 8 bytes for the
    digest and 128 for the minima.
    """

    def __init__(self, max_examples: int) -> None:
        self._max_examples = max_examples
        self._places: list[str] = []
        self._digests = array("Q")
        self._minima = bytearray()
        self._groups: set[int] = set()
        self._held_out = 0
        self._in_both = Tally(max_examples)
        self._growth = Growth(max_examples)

    def look(self, case: Case) -> Seen:
        """See `Family.look`."""
        return Seen(
            case.place,
            Turns.of(case),
            content_digest(case),
            minima(case.conversation).tobytes(),
            case.conversation.group,
        )

    def note_held_out(self, seen: Seen) -> None:
        """Note a conversation of the other side of the split."""
        if len(self._places) > self._held_out:
            raise ValueError("held-out conversations come first")
        self._note(seen)
        self._held_out += 1
        if seen.group is not None:
            self._groups.add(digest(seen.group))

    def note(self, seen: Seen) -> None:
        """Note a conversation."""
        self._note(seen)
        if seen.group is not None and digest(seen.group) in self._groups:
            self._in_both.add(f"{seen.place}: group {seen.group!r}")

    def _note(self, seen: Seen) -> None:
        self._places.append(seen.place)
        self._growth.note(seen.turns)
        self._digests.append(seen.digest)
        self._minima += seen.minima

    def findings(self) -> Iterator[Finding]:
        """Yield leaks, then duplicates."""
        exact = _first_equal(np.array(self._digests))
        near = self._first_alike()
        # A record and its beginning are alike, and told of as such.
        beginning = self._growth.beginnings(self._held_out) >= 0
        near[(exact >= 0) | beginning | ((near >= 0) & beginning[near])] = -1
        leaked, again = self._tallies(exact, "same as")
        leaked_near, again_near = self._tallies(near, "much like")
        yield from self._leaks(leaked, leaked_near)
        yield from self._growth.findings(self._places, self._held_out, exact)
        yield from again.finding(
            "warning",
            "duplicate_conversation",
            "conversation(s) with the same messages and tools as an earlier one",
            effect="They weigh double, and are learned by heart first.",
            remedy="Remove them; `--fix` does.",
        )
        yield from again_near.finding(
            "note",
            "near_duplicate",
            "conversation(s) in nearly the same words as an earlier one, digits aside",
            effect="They add little to learn, and inflate the figures when a split parts them.",
            remedy="Give such conversations the same `group`, so that no split parts them.",
        )

    def _tallies(self, first: Ints, like: str) -> tuple[Tally, Tally]:
        """Count what is like a held-out conversation, and what is like an earlier one."""
        leaks, copies = Tally(self._max_examples), Tally(self._max_examples)
        for index in range(self._held_out, len(self._places)):
            if first[index] >= 0:
                tally = leaks if first[index] < self._held_out else copies
                tally.add(f"{self._places[index]}: {like} {self._places[first[index]]}")
        return leaks, copies

    def _leaks(self, leaked: Tally, leaked_near: Tally) -> Iterator[Finding]:
        effect = "What was trained on is measured; the figures flatter."
        yield from leaked.finding(
            "error",
            "leaked_conversation",
            "conversation(s) that stand among the held-out ones as well",
            effect=effect,
            remedy="Remove them from one of the two sides.",
        )
        yield from leaked_near.finding(
            "warning",
            "nearly_leaked_conversation",
            "conversation(s) in nearly the same words as a held-out one, digits aside",
            effect=effect,
            remedy="Move them to one side, all that are alike together.",
        )
        yield from self._in_both.finding(
            "warning",
            "group_on_both_sides",
            "conversation(s) of a group that has held-out conversations",
            effect=effect,
            remedy="Split by group: all conversations of one customer or task on one side.",
        )

    def _first_alike(self) -> Ints:
        """Return for each conversation the first one much like it, or -1."""
        signatures = np.frombuffer(self._minima, dtype=np.uint16).reshape(-1, _MINIMA)
        first = np.full(len(signatures), -1, dtype=np.int64)
        # A signature of zeros belongs to a conversation that is too short.
        long_enough = np.flatnonzero(signatures.any(axis=1))
        width = _MINIMA // _BANDS
        for band in range(_BANDS):
            part = np.ascontiguousarray(signatures[long_enough, band * width : (band + 1) * width])
            halves = part.view(np.uint64)
            keys = halves[:, 0] * _FACTORS[0] ^ halves[:, 1] * _FACTORS[1]
            candidates = long_enough[_heads(keys)]
            alike = (signatures[long_enough] == signatures[candidates]).mean(axis=1) >= _ALIKE
            found = alike & (candidates < long_enough)
            better = found & ((first[long_enough] < 0) | (candidates < first[long_enough]))
            first[long_enough[better]] = candidates[better]
        return first


def content_digest(case: Case) -> int:
    """Digest tools, messages and thoughts; without ids, which are random and mean nothing."""
    thoughts = [message.reasoning_content for message in case.conversation.messages]
    return digest("\n".join([case.tools_line, *case.lines, canonical_json(thoughts)]))


def minima(conversation: Conversation) -> npt.NDArray[np.uint16]:
    """Return the smallest hashes of the shingles under `_MINIMA` functions, 16 bits of each.

    Users' and assistant's words and calls count; system prompts and results, which repeat in all
    conversations of a service, do not. Too short a conversation gives zeros.
    """
    words = np.array([crc32(word.encode()) for word in _words(conversation)], dtype=np.uint64)
    count = len(words) - _SHINGLE + 1
    if count < _FEWEST_SHINGLES:
        return np.zeros(_MINIMA, dtype=np.uint16)
    shingles = np.zeros(count, dtype=np.uint64)
    for offset, factor in enumerate(_PLACE_FACTORS):
        shingles += words[offset : offset + count] * factor
    shingles ^= shingles >> np.uint64(32)
    smallest = np.full(_MINIMA, np.iinfo(np.uint64).max, dtype=np.uint64)
    for start in range(0, count, _AT_ONCE):
        hashes = shingles[start : start + _AT_ONCE, None] * _FACTORS + _SHIFTS
        smallest = np.minimum(smallest, hashes.min(axis=0))
    # The highest bits of a minimum are all zero; these are below them.
    return ((smallest * _FACTORS[0]) >> np.uint64(48)).astype(np.uint16)


def _words(conversation: Conversation) -> Iterator[str]:
    for message in conversation.messages:
        if message.role in ("user", "assistant"):
            yield from _WORD.findall(message.content.lower())
            for call in message.tool_calls:
                yield from _WORD.findall(f"{call.name} {_values(call.arguments)}".lower())


def _values(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(_values(item) for item in value.values())
    if isinstance(value, list):
        return " ".join(map(_values, value))
    return str(value)


def _heads(keys: Uints) -> Ints:
    """Return for each key the index of its first occurrence."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    heads: Ints = first[inverse]
    return heads


def _first_equal(keys: Uints) -> Ints:
    """Return for each key the index of an earlier equal one, or -1."""
    heads = _heads(keys)
    return np.where(heads < np.arange(len(keys)), heads, -1)
