"""Records of one conversation that was logged once per request, each with all that went before.

Such a log holds every conversation as often as the assistant took a turn. The longest record holds
all of it; the others are its beginnings. Trained on as they are, early turns count many times, and
a split parts a conversation from itself.
"""

from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from actwise.conversation import Conversation, Message
from actwise.data.fingerprint import SPECIFIC, turns_of
from actwise.data.stored import chosen, rebuilt


class Ungrown(NamedTuple):
    """Conversations, each of them once."""

    conversations: Sequence[Conversation]
    beginnings: Sequence[Conversation]
    """The records that are the beginning of one of the conversations."""


def longest_records(conversations: Sequence[Conversation]) -> Ungrown:
    """Leave out the records that are the beginnings of longer ones.

    The thought and the weight of a turn are taken from the record that ends with it: in the longer
    ones it is history, from which servers remove thoughts. Where two records go on differently from
    a third, both are kept, and the turns that they share are learned in the first.

    Args:
        conversations: In the order in which they were read, which is kept. Some 30 bytes of each
            turn are held, and no conversation.
    """
    turns = _Turns(conversations)
    last = turns.last()
    inner = np.flatnonzero(~last & np.isin(turns.after, turns.after[last]))
    inner = inner[np.argsort(turns.after[inner], kind="stable")]
    keys = turns.after[inner]
    ends = np.flatnonzero(last & np.isin(turns.after, keys))
    if not len(ends):
        return Ungrown(conversations, chosen(conversations, ()))
    is_beginning = np.zeros(len(conversations), dtype=np.bool_)
    is_beginning[turns.owners[ends]] = True
    pairs = array("q")
    """For each turn of a longer record that a beginning ends with: both turns, and whether this is
    not the first such record."""
    begins = np.searchsorted(keys, turns.after[ends])
    stops = np.searchsorted(keys, turns.after[ends], side="right")
    for end, begin, stop in zip(ends.tolist(), begins.tolist(), stops.tolist(), strict=True):
        holders = [i for i in inner[begin:stop].tolist() if not is_beginning[turns.owners[i]]]
        for first, holder in enumerate(holders):
            pairs.extend((holder, end, first > 0))
    edits = np.array(pairs, dtype=np.int64).reshape(-1, 3)
    owners = turns.owners[edits[:, 0]]
    order = np.argsort(owners, kind="stable")
    edits, spans = edits[order], np.searchsorted(owners[order], np.arange(len(conversations) + 1))

    def whole(number: int) -> Conversation:
        """Return a record with what those that end within it say."""
        longer = conversations[number]
        for holder, end, later in edits[spans[number] : spans[number + 1]].tolist():
            longer = _with_turn(
                longer,
                int(turns.index[holder]),
                conversations[int(turns.owners[end])],
                int(turns.index[end]),
                # A greeting is answered in every conversation.
                again=bool(later and turns.specific[end]),
            )
        return longer

    kept = map(whole, np.flatnonzero(~is_beginning).tolist())
    return Ungrown(
        rebuilt(conversations, (c for c in kept if c.decisions())),
        chosen(conversations, np.flatnonzero(is_beginning).tolist()),
    )


class _Turns:
    """All turns of some conversations, one after the other."""

    def __init__(self, conversations: Sequence[Conversation]) -> None:
        after, owners, index, specific = array("Q"), array("I"), array("I"), array("b")
        for number, conversation in enumerate(conversations):
            for turn in turns_of(conversation):
                after.append(turn.after)
                owners.append(number)
                index.append(turn.index)
                specific.append(turn.words >= SPECIFIC)
        self.after = np.array(after, dtype=np.uint64)
        self.owners = np.array(owners, dtype=np.int64)
        self.index = np.array(index, dtype=np.int64)
        self.specific = np.array(specific, dtype=np.bool_)

    def last(self) -> npt.NDArray[np.bool_]:
        """Return which turns are the last of their conversations."""
        last = np.ones(len(self.owners), dtype=np.bool_)
        last[:-1] = self.owners[1:] != self.owners[:-1]
        return last


def _with_turn(
    longer: Conversation, index: int, record: Conversation, end: int, *, again: bool
) -> Conversation:
    """Return a longer record with what only the record that ends with a turn says of it."""
    messages = list(longer.messages)
    own, other = messages[index], record.messages[end]
    messages[index] = _joined(own, other, weight=0 if again else other.weight)
    return longer.model_copy(
        update={
            "messages": tuple(messages),
            "group": longer.group if longer.group is not None else record.group,
        }
    )


def _joined(own: Message, other: Message, *, weight: int) -> Message:
    return own.model_copy(
        update={
            "reasoning_content": own.reasoning_content or other.reasoning_content,
            "labels": tuple(dict.fromkeys(own.labels + other.labels)),
            "weight": weight,
        }
    )
