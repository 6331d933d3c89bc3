"""Divide conversations into what is trained on and what is measured on.

Never by turn: a conversation lies on one side with all its decisions, and so do the conversations
of one group, those that open with the same words and go on differently, and those that differ in
digits, case and punctuation alone.
"""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from actwise.conversation import Conversation
from actwise.data.fingerprint import SPECIFIC, turns_of
from actwise.errors import InputError

_MOST = 2
"""How many times as large as a side a family may be."""
_FEW = 3
_NOT_LETTERS = re.compile(r"[\W\d_]+")


@dataclass(frozen=True)
class Splits:
    """Conversations by what they are used for."""

    train: list[Conversation]
    dev: list[Conversation]
    """Checkpoints are chosen on these."""
    tests: dict[str, list[Conversation]]
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
    random.Random(f"split/{seed}").shuffle(families)
    sides: dict[str, list[Conversation]] = {"test": [], "dev": [], "train": []}
    wanted = {"test": test * len(conversations), "dev": dev * len(conversations)}
    # A family that is far larger than a side is trained on, unless there is no other for that side.
    families.sort(key=lambda family: len(family) > _MOST * (1 + max(wanted.values())))
    for family in families:
        small = len(family) <= _MOST * (1 + max(wanted.values()))
        side = next(
            (s for s, size in wanted.items() if len(sides[s]) < size and (small or not sides[s])),
            "train",
        )
        sides[side].extend(family)
    if not all(sides.values()):
        source = conversations[0].source.rpartition(":")[0] if conversations else "the data"
        raise InputError(
            f"{len(conversations)} conversations in {len(families)} independent families are too "
            "few to train, choose and measure on",
            file=source,
            remedy="at least 3 are needed, and some hundreds for a number that can be trusted",
        )
    return Splits(sides["train"], sides["dev"], {"test": sides["test"]})


def _families(conversations: Sequence[Conversation]) -> list[list[Conversation]]:
    """Return groups of conversations that must stay together, in order of appearance."""
    families: dict[str, list[Conversation]] = {}
    family_of: dict[str, str] = {}
    for conversation, opening in zip(conversations, openings(conversations), strict=True):
        keys = [f"text {_digest(conversation)}"]
        if opening is not None:
            keys.append(f"opening {opening}")
        if conversation.group is not None:
            keys.append(f"group {conversation.group}")
        known = {family_of[key] for key in keys if key in family_of}
        name = min(known, default=conversation.id)
        members = families.setdefault(name, [])
        for other in known - {name}:  # this conversation joins two families into one
            members.extend(families.pop(other))
            family_of = {k: name if f == other else f for k, f in family_of.items()}
        members.append(conversation)
        family_of.update(dict.fromkeys(keys, name))
    return list(families.values())


def openings(conversations: Sequence[Conversation]) -> list[int | None]:
    """Return for each conversation the fingerprint of how it opens: what two retries share.

    It ends before the first turn of the assistant that follows some words. Where more than half of
    all conversations open alike, as those of an agent that is always told the same do, a turn more
    belongs to their opening.
    """
    turns = [
        [turn for turn in turns_of(conversation) if turn.words >= SPECIFIC]
        for conversation in conversations
    ]
    found = [own[0].before if own else None for own in turns]
    for depth in range(1, max(map(len, turns), default=0)):
        (commonest, count), *_ = Counter(found).most_common(1)
        if commonest is None or count <= max(_FEW, len(found) / 2):
            break
        found = [
            opening if opening != commonest else own[depth].before if depth < len(own) else None
            for opening, own in zip(found, turns, strict=True)
        ]
    return found


def _digest(conversation: Conversation) -> str:
    text = "\n".join(
        f"{m.role} {_NOT_LETTERS.sub(' ', m.content.lower()).strip()}"
        for m in conversation.messages
        if m.role in ("user", "assistant")
    )
    return hashlib.sha256(text.encode()).hexdigest()
