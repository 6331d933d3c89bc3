"""Records of one conversation that was logged once per request, each with all that went before.

Such a log holds every conversation as often as the assistant took a turn. The longest record holds
all of it; the others are its beginnings. Trained on as they are, early turns count many times, and
a split parts a conversation from itself.
"""

from collections.abc import Sequence
from typing import NamedTuple

from actwise.conversation import Conversation, Message
from actwise.data.fingerprint import SPECIFIC, Turn, turns_of


class Ungrown(NamedTuple):
    """Conversations, each of them once."""

    conversations: list[Conversation]
    beginnings: list[Conversation]
    """The records that are the beginning of one of the conversations."""


def longest_records(conversations: Sequence[Conversation]) -> Ungrown:
    """Leave out the records that are the beginnings of longer ones.

    The thought and the weight of a turn are taken from the record that ends with it: in the longer
    ones it is history, from which servers remove thoughts. Where two records go on differently from
    a third, both are kept, and the turns that they share are learned in the first.

    Args:
        conversations: In the order in which they were read, which is kept.
    """
    turns = [turns_of(conversation) for conversation in conversations]
    holders: dict[int, list[int]] = {}
    """Fingerprint of a turn -> the records in which it is not the last one."""
    ends = {own[-1].after for own in turns if own}
    for number, own in enumerate(turns):
        for turn in own[:-1]:
            if turn.after in ends:
                holders.setdefault(turn.after, []).append(number)
    is_beginning = [bool(own) and own[-1].after in holders for own in turns]
    kept = [c for c, beginning in zip(conversations, is_beginning, strict=True) if not beginning]
    if len(kept) == len(conversations):
        return Ungrown(kept, [])
    whole = {
        number: conversation
        for number, conversation in enumerate(conversations)
        if not is_beginning[number]
    }
    beginnings = []
    for number, conversation in enumerate(conversations):
        if not is_beginning[number]:
            continue
        beginnings.append(conversation)
        end = turns[number][-1]
        longer = [holder for holder in holders[end.after] if holder in whole]
        for first, holder in enumerate(longer):
            whole[holder] = _with_turn(
                whole[holder],
                _index(turns[holder], end),
                conversation,
                end.index,
                # A greeting is answered in every conversation.
                again=first > 0 and end.words >= SPECIFIC,
            )
    return Ungrown([c for c in whole.values() if c.decisions()], beginnings)


def _index(turns: Sequence[Turn], end: Turn) -> int:
    return next(turn.index for turn in turns if turn.after == end.after)


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
