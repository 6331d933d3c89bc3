"""Divide conversations into what is trained on and what is measured on.

Never by turn: a conversation lies on one side with all its decisions, and so do the conversations
of one group, those that open with the same words and go on differently, and those that differ in
digits, case and punctuation alone.
"""

import hashlib
import random
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from actwise.conversation import Conversation
from actwise.data.fingerprint import SPECIFIC, turns_of
from actwise.data.stored import chosen
from actwise.errors import InputError

_MOST = 2
"""How many times as large as a side a family may be."""
_FEW = 3
_NOT_LETTERS = re.compile(r"[\W\d_]+")


@dataclass(frozen=True)
class Splits:
    """Conversations by what they are used for."""

    train: Sequence[Conversation]
    dev: Sequence[Conversation]
    """Checkpoints are chosen on these."""
    tests: dict[str, Sequence[Conversation]]
    """Measured on once at the end of each stage, by name."""


def split(conversations: Sequence[Conversation], *, dev: float, test: float, seed: int) -> Splits:
    """Divide conversations at random, whole families at a time.

    Args:
        conversations: All that are used.
        dev: Share for development, in (0, 1).
        test: Share for the test, in (0, 1).
        seed: The same seed gives the same split.

    Raises:
        InputError: If a side would stay empty.
    """
    families = _families(conversations)
    order = list(range(len(families)))
    random.Random(f"split/{seed}").shuffle(order)
    sides = {side: array("I") for side in ("test", "dev", "train")}
    wanted = {"test": test * len(conversations), "dev": dev * len(conversations)}
    # A family that is far larger than a side is trained on, unless there is no other for that side.
    most = _MOST * (1 + max(wanted.values()))
    order.sort(key=lambda family: families.size(family) > most)
    for family in order:
        small = families.size(family) <= most
        side = next(
            (s for s, size in wanted.items() if len(sides[s]) < size and (small or not sides[s])),
            "train",
        )
        sides[side].extend(families.members(family))
    if not all(sides.values()):
        source = conversations[0].source.rpartition(":")[0] if conversations else "the data"
        apart = "one family" if len(families) == 1 else f"{len(families)} independent families"
        raise InputError(
            f"{len(conversations)} conversations in {apart} are too few to train, choose and "
            "measure on",
            file=source,
            remedy="at least 3 are needed, and some hundreds for a number that can be trusted",
        )
    found = {side: chosen(conversations, indices) for side, indices in sides.items()}
    return Splits(found["train"], found["dev"], {"test": found["test"]})


class _Families:
    """Conversations that must stay together, as chains of indices: 28 bytes of each."""

    def __init__(self, count: int) -> None:
        self._next = array("q", [-1]) * count
        self._last = array("I", range(count))
        self._size = array("I", [1]) * count
        self._joined = array("q", [-1]) * count
        """The family that a family has become a part of."""
        self._firsts: array[int] = array("I")

    def __len__(self) -> int:
        return len(self._firsts)

    def family_of(self, member: int) -> int:
        """Return the first member of a family, by which it is known."""
        while (above := self._joined[member]) >= 0:
            if self._joined[above] >= 0:
                self._joined[member] = self._joined[above]
            member = above
        return member

    def join(self, family: int, other: int) -> None:
        """Put all members of another family behind those of a family."""
        self._next[self._last[family]] = other
        self._last[family] = self._last[other]
        self._size[family] += self._size[other]
        self._joined[other] = family

    def close(self) -> None:
        """Number the families in the order of their first members."""
        self._firsts.extend(i for i, above in enumerate(self._joined) if above < 0)

    def size(self, number: int) -> int:
        """Return how many members a family has."""
        return self._size[self._firsts[number]]

    def members(self, number: int) -> Iterator[int]:
        """Yield the members of a family."""
        member = self._firsts[number]
        while member >= 0:
            yield member
            member = self._next[member]


def _families(conversations: Sequence[Conversation]) -> _Families:
    """Return groups of conversations that must stay together, in order of appearance."""
    texts, groups = array("Q"), array("Q")
    for conversation in conversations:
        texts.append(_digest(_letters(conversation)))
        groups.append(0 if conversation.group is None else _digest(conversation.group))
    keys = [_ranks(np.array(k, dtype=np.uint64)) for k in (texts, openings(conversations), groups)]
    seen = [array("q", [-1]) * len(conversations) for _ in keys]
    """A conversation with each key."""
    families = _Families(len(conversations))
    for number in range(len(conversations)):
        own = [(known, key[number]) for known, key in zip(seen, keys, strict=True)]
        own = [(known, key) for known, key in own if key >= 0]
        found = {families.family_of(known[key]) for known, key in own if known[key] >= 0}
        # Where a conversation joins several families into one, that has the name of one of them.
        name = (
            min(found, key=lambda f: conversations[f].id)
            if len(found) > 1
            else next(iter(found), number)
        )
        for other in sorted(found - {name}):
            families.join(name, other)
        if name != number:
            families.join(name, number)
        for known, key in own:
            known[key] = name
    families.close()
    return families


def _ranks(keys: npt.NDArray[np.uint64]) -> "array[int]":
    """Return for each key its number among the different ones, or -1 where it is 0."""
    _, numbers = np.unique(keys, return_inverse=True)
    numbers[keys == 0] = -1
    return array("q", numbers.astype(np.int64).tobytes())


def openings(conversations: Sequence[Conversation]) -> npt.NDArray[np.uint64]:
    """Return for each conversation the fingerprint of how it opens: what two retries share.

    It ends before the first turn of the assistant that follows some words. Where more than half of
    all conversations open alike, as those of an agent that is always told the same do, a turn more
    belongs to their opening. One that has no such turn has 0.
    """
    before, begins = array("Q"), array("Q", [0])
    for conversation in conversations:
        before.extend(t.before for t in turns_of(conversation) if t.words >= SPECIFIC)
        begins.append(len(before))
    before.append(0)
    turns = np.array(before, dtype=np.uint64)
    first = np.array(begins, dtype=np.int64)
    lengths = np.diff(first)

    def at(depth: int) -> npt.NDArray[np.uint64]:
        there = np.minimum(first[:-1] + depth, len(turns) - 1)
        return np.where(depth < lengths, turns[there], np.uint64(0))

    found = at(0)
    for depth in range(1, max(lengths, default=0)):
        values, counts = np.unique(found, return_counts=True)
        commonest, count = values[counts.argmax()], counts.max()
        if commonest == 0 or count <= max(_FEW, len(found) / 2):
            break
        found = np.where(found == commonest, at(depth), found)
    return found


def _letters(conversation: Conversation) -> str:
    return "\n".join(
        f"{m.role} {_NOT_LETTERS.sub(' ', m.content.lower()).strip()}"
        for m in conversation.messages
        if m.role in ("user", "assistant")
    )


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
