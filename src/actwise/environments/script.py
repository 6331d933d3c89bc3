"""A recorded conversation as turns: what the customer says, and what the assistant did then."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from actwise.conversation import Conversation, Message, ToolCall


@dataclass(frozen=True)
class Turn:
    """What the assistant did between two messages of the customer."""

    conversation: Conversation
    number: int
    begin: int
    """Index of its first message."""
    end: int
    """Index after its last one."""

    @property
    def key(self) -> str:
        """A name that is unique among the turns of a run."""
        return f"{self.conversation.id}#{self.begin}"

    @property
    def history(self) -> tuple[Message, ...]:
        """Everything before."""
        return self.conversation.messages[: self.begin]

    @property
    def messages(self) -> tuple[Message, ...]:
        """What the assistant did, and what it got back."""
        return self.conversation.messages[self.begin : self.end]

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """All calls of the turn."""
        return tuple(call for message in self.messages for call in message.tool_calls)

    @property
    def answer(self) -> Message | None:
        """What the assistant said at the end; None where the record ends with calls."""
        last = self.messages[-1]
        return last if last.role == "assistant" and not last.tool_calls else None

    @property
    def measured(self) -> bool:
        """Whether all of it may be learned and measured."""
        return all(m.weight for m in self.messages if m.role == "assistant")


def turns_of(conversation: Conversation) -> list[Turn]:
    """Return the turns of a conversation.

    Words of the assistant before the first message of a customer are history, unless no customer
    speaks at all.
    """
    turns: list[Turn] = []
    spoken = not any(message.role == "user" for message in conversation.messages)
    begin = 0
    for ours, messages in groupby(conversation.messages, lambda m: m.role in ("assistant", "tool")):
        run = list(messages)
        spoken = spoken or run[0].role == "user" or run[-1].role == "user"
        if ours and spoken:
            turns.append(Turn(conversation, len(turns), begin, begin + len(run)))
        begin += len(run)
    return turns


def opening(turns: list[Turn], number: int) -> tuple[Message, ...]:
    """Return what was said between a turn and the one before: the customer's messages.

    Empty for the number after the last turn, unless the record ends with a customer's message.
    """
    begin = turns[number - 1].end if number else 0
    messages = turns[0].conversation.messages
    return messages[begin : turns[number].begin if number < len(turns) else len(messages)]


def with_results(messages: Sequence[Message]) -> Iterator[tuple[ToolCall, str]]:
    """Yield the calls that have a recorded result, with it; ids hold within one message alone."""
    pending: list[ToolCall] = []
    for message in messages:
        if message.role == "assistant":
            pending = list(message.tool_calls)
        for call in pending if message.role == "tool" else []:
            by_id = message.tool_call_id is not None
            if call.id == message.tool_call_id if by_id else message.name in (None, call.name):
                pending.remove(call)
                yield call, message.content
                break


class ScriptedCustomer:
    """Says what the recorded customer says, whatever she is told."""

    def __init__(self, conversation: Conversation) -> None:
        """Take the record."""
        self.turn = 0
        self._turns = turns_of(conversation)

    @property
    def recorded(self) -> Turn:
        """The recorded turn that the model is in."""
        return self._turns[self.turn]

    def before(self, turn: int) -> tuple[Message, ...]:
        """Return all messages up to the end of the turn before one."""
        end = self._turns[turn - 1].end if turn else 0
        return self._turns[0].conversation.messages[:end]

    def reply(self) -> str | None:
        """Go on to the next turn, and return what is said before it; None where there is none."""
        self.turn += 1
        if self.turn == len(self._turns):
            return None
        said = [m.content for m in opening(self._turns, self.turn) if m.role == "user"]
        return "\n\n".join(said)
