"""Records of one conversation that was logged once per request, each with all that went before.

Such a log holds every conversation as often as the assistant took a turn. The longest record holds
all of it; the others are its beginnings. Trained on as they are, early turns count many times, and
a split parts a conversation from itself.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from actwise.conversation import Conversation, Message
from actwise.data.fingerprint import SPECIFIC, prompt_of, turns_of
from actwise.data.stored import chosen, rebuilt


class Ungrown(NamedTuple):
    """Conversations, each of them once."""

    conversations: Sequence[Conversation]
    beginnings: Sequence[Conversation]
    """The records that are the beginning of one of the conversations."""


def longest_records(conversations: Sequence[Conversation]) -> Ungrown:
    """Leave out the records that are the beginnings of longer ones, and those that teach nothing.

    The thought and the weight of a turn are taken from the records that end with it: in the longer
    ones it is history, from which servers remove thoughts. Where two records go on differently from
    a third, both are kept, and the turns that they share are learned in the first. Records under
    different system prompts, dates and numbers aside, are joined only where no third begins in the
    same words: a question that is asked of many documents, each in its system prompt, is asked in
    as many conversations.

    Args:
        conversations: In the order in which they were read, which is kept. Some 40 bytes of each
            turn are held, and no conversation.
    """
    turns = _Turns(conversations)
    joined = list(joins(turns.after, turns.owners, turns.prompts))
    if not joined:
        if not turns.learned.all():
            conversations = chosen(conversations, np.flatnonzero(turns.learned).tolist())
        return Ungrown(conversations, chosen(conversations, ()))
    is_beginning = np.zeros(len(conversations), dtype=np.bool_)
    edits = array("q")
    """For each turn of a longer record that others end with: it, the join, whether to learn it."""
    for number, (ends, holders) in enumerate(joined):
        is_beginning[turns.owners[ends]] = True
        for place, holder in enumerate(holders):
            # A greeting is answered in every conversation.
            edits.extend((holder, number, place == 0 or not turns.specific[holder]))
    of_turn = np.array(edits, dtype=np.int64).reshape(-1, 3)
    of_turn = of_turn[np.argsort(of_turn[:, 0], kind="stable")]
    spans = np.searchsorted(turns.owners[of_turn[:, 0]], np.arange(len(conversations) + 1))

    @lru_cache(maxsize=1000)  # hundreds of records may end where hundreds of others go on
    def ended(join: int) -> _Ended:
        return _Ended(
            [(conversations[int(turns.owners[e])], int(turns.index[e])) for e in joined[join][0]]
        )

    def whole(number: int) -> Conversation:
        """Return a record with what those that end within it say."""
        longer = conversations[number]
        messages, group = list(longer.messages), longer.group
        for holder, join, learned in of_turn[spans[number] : spans[number + 1]].tolist():
            index = int(turns.index[holder])
            messages[index] = ended(join).joined(messages[index], learned=bool(learned))
            group = group if group is not None else ended(join).group
        return longer.model_copy(update={"messages": tuple(messages), "group": group})

    kept = map(whole, np.flatnonzero(~is_beginning).tolist())
    return Ungrown(
        rebuilt(conversations, (c for c in kept if c.decisions())),
        chosen(conversations, np.flatnonzero(is_beginning & turns.learned).tolist()),
    )


class _Turns:
    """All turns of some conversations, one after the other."""

    def __init__(self, conversations: Sequence[Conversation]) -> None:
        after, owners, index, specific = array("Q"), array("I"), array("I"), array("b")
        prompts, learned = array("Q"), array("b")
        for number, conversation in enumerate(conversations):
            prompts.append(prompt_of(conversation))
            learned.append(bool(conversation.decisions()))
            for turn in turns_of(conversation):
                after.append(turn.after)
                owners.append(number)
                index.append(turn.index)
                specific.append(turn.words >= SPECIFIC)
        self.after = np.array(after, dtype=np.uint64)
        self.owners = np.array(owners, dtype=np.int64)
        self.index = np.array(index, dtype=np.int64)
        self.specific = np.array(specific, dtype=np.bool_)
        self.prompts = np.array(prompts, dtype=np.uint64)
        self.learned = np.array(learned, dtype=np.bool_)


def joins(
    after: npt.NDArray[np.uint64], owners: npt.NDArray[np.int64], prompts: npt.NDArray[np.uint64]
) -> Iterator[tuple[list[int], list[int]]]:
    """Yield turns that records end with, each time with the same turn of longer records.

    Args:
        after: Fingerprints of the turns of all records (`Turn.after`), record by record.
        owners: The number of the record of each turn, rising.
        prompts: The fingerprint of each record's system prompt (`prompt_of`).
    """
    if not len(owners):
        return
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    place = np.arange(len(owners)) - np.repeat(starts, np.diff(starts, append=len(owners)))
    last = np.diff(owners, append=-1) != 0
    within = np.flatnonzero(~last)
    within = within[np.argsort(after[within], kind="stable")]
    keys = after[within]
    ends = np.flatnonzero(last & np.isin(after, keys))
    # The longest first, so that it is known of every longer record whether it is kept itself.
    ends = ends[np.lexsort((after[ends], -place[ends]))]
    of_turn = prompts[owners]
    joined = np.zeros(len(prompts), dtype=np.bool_)
    for key, same in groupby(ends.tolist(), key=lambda end: after[end]):
        begin, stop = np.searchsorted(keys, key), np.searchsorted(keys, key, side="right")
        held = [turn for turn in within[begin:stop].tolist() if not joined[owners[turn]]]
        for found in _under_one_prompt(of_turn, list(same), held):
            joined[owners[found[0]]] = True
            yield found


def _under_one_prompt(
    prompts: npt.NDArray[np.uint64], ends: list[int], holders: list[int]
) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the ends and the holders of a turn that are of one conversation."""
    if len(ends) == len(holders) == 1:
        yield ends, holders
        return
    by_prompt: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for end in ends:
        by_prompt[int(prompts[end])][0].append(end)
    for holder in holders:
        by_prompt[int(prompts[holder])][1].append(holder)
    yield from ((ended, held) for ended, held in by_prompt.values() if ended and held)


class _Ended:
    """What records that end with one turn say of it."""

    def __init__(self, records: Sequence[tuple[Conversation, int]]) -> None:
        """Take each record with the index of its last turn."""
        ends = [record.messages[index] for record, index in records]
        self._thought = next((m.reasoning_content for m in ends if m.reasoning_content), None)
        self._labels = tuple(dict.fromkeys(label for m in ends for label in m.labels))
        self._weight = max(m.weight for m in ends)
        self.group = next((r.group for r, _ in records if r.group is not None), None)

    def joined(self, own: Message, *, learned: bool) -> Message:
        """Return the turn of a longer record with it."""
        return own.model_copy(
            update={
                "reasoning_content": own.reasoning_content or self._thought,
                "labels": tuple(dict.fromkeys(own.labels + self._labels)),
                "weight": self._weight if learned else 0,
            }
        )
