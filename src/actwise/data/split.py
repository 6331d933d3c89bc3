"""Divide conversations into what is trained on and what is measured on.

Never by turn: a conversation lies on one side with all its decisions, and so do the conversations
of one group, those that open with the same words and go on differently, and those that differ in
digits, case and punctuation alone; unless these are so many that the log is made of them.
"""

import hashlib
import random
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from actwise.conversation import Conversation
from actwise.data.fingerprint import SPECIFIC, prompt_of, turns_of
from actwise.data.stored import chosen
from actwise.errors import InputError
from actwise.formats.record import clip

_MOST = 2
"""How many times as large as a side a family may be."""
_TRIES, _MANY, _FEW = 8, 0.02, 3
"""Conversations that open alike are retries up to this number or share; of a small log, up to half
of it or this few."""
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
        group, shared = _commonest_group(conversations)
        same = (
            f"; {shared} of them are said to be of one session, conversation, thread or trace "
            f"({clip(group, 60)}), which is never parted: where they are not, take that key out of "
            "the records"
        )
        apart = "one family" if len(families) == 1 else f"{len(families)} independent families"
        raise InputError(
            f"{len(conversations)} conversations in {apart} are too few to train, choose and "
            "measure on",
            file=source,
            remedy="at least 3 are needed, and some hundreds for a number that can be trusted"
            + (same if shared > 1 else ""),
        )
    found = {side: chosen(conversations, indices) for side, indices in sides.items()}
    return Splits(found["train"], found["dev"], {"test": found["test"]})


def _commonest_group(conversations: Sequence[Conversation]) -> tuple[str, int]:
    groups = Counter(c.group for c in conversations if c.group is not None)
    return max(groups.items(), key=lambda item: item[1], default=("", 0))


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
    texts, exact, groups = array("Q"), array("Q"), array("Q")
    for conversation in conversations:
        texts.append(_digest(_said(conversation, letters=True)))
        exact.append(_digest(f"{prompt_of(conversation)}{_said(conversation, letters=False)}"))
        groups.append(0 if conversation.group is None else _digest(conversation.group))
    alike = np.array(texts, dtype=np.uint64)
    # "Order 17", "Order 18" and so on, to the end of the log.
    alike = np.where(np.isin(alike, _common(alike)), np.array(exact, dtype=np.uint64), alike)
    of_group = np.array(groups, dtype=np.uint64)
    keys = [_ranks(key) for key in (alike, openings(conversations), of_group)]
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

    It ends before the first turn of the assistant that follows some words. An opening of very many
    is no retry but a standing order, the button of a menu, or a question about a document in the
    system prompt. What tells such conversations apart belongs to their opening, too: the system
    prompt, or the next turn with what came back, where these mostly differ between those that
    agree until then; and whatever follows, where they are more than half of all. One that has
    no turn more then has 0.
    """
    before, after, begins, prompts = array("Q"), array("Q"), array("Q", [0]), array("Q")
    for conversation in conversations:
        turns = [turn for turn in turns_of(conversation) if turn.words >= SPECIFIC]
        before.extend(turn.before for turn in turns)
        after.extend(turn.after for turn in turns)
        begins.append(len(before))
        prompts.append(prompt_of(conversation))
    first = np.array(begins, dtype=np.int64)
    lengths = np.diff(first)

    def at(depth: int, of: "array[int]") -> npt.NDArray[np.uint64]:
        """Return what stands at a turn of each conversation, 0 where there is none."""
        values = np.append(np.array(of, dtype=np.uint64), np.uint64(0))
        return np.where(depth < lengths, values[np.minimum(first[:-1] + depth, len(of))], 0)

    found = at(0, before)
    for depth in range(max(lengths, default=0)):
        same = at(depth - 1, after) if depth else np.zeros_like(found)
        closer = at(depth, before) if depth else np.array(prompts, dtype=np.uint64)
        changed = False
        for opening in _common(found):
            members = np.flatnonzero(found == opening)
            most = depth > 0 and len(members) > len(found) / 2
            if most or _mostly_differ(same[members], closer[members]):
                found[members] = closer[members]
                changed = True
        if depth and not changed:
            break
    return found


def _common(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return the keys of more conversations than one request is tried for."""
    values, counts = np.unique(keys[keys != 0], return_counts=True)
    many = min(max(_TRIES, _MANY * len(keys)), max(_FEW, len(keys) / 2))
    return values[counts > many]


def _mostly_differ(same: npt.NDArray[np.uint64], closer: npt.NDArray[np.uint64]) -> bool:
    """Return whether most have a `closer` key that no other with the same `same` key has."""
    pairs = np.stack([same, closer], axis=1)[closer != 0]
    different = len(np.unique(pairs, axis=0)) - len(np.unique(pairs[:, 0]))
    return different > len(same) / 2


def _said(conversation: Conversation, *, letters: bool) -> str:
    contents = (
        (m.role, _NOT_LETTERS.sub(" ", m.content.lower()).strip() if letters else m.content)
        for m in conversation.messages
        if m.role in ("user", "assistant")
    )
    return "\n".join(f"{role} {content}" for role, content in contents)


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
