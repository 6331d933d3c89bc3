"""What a model acts in: the tools it calls, and the customer it talks to.

An environment belongs to one episode at a time and shares nothing with others. What goes wrong in a
call is a result that says so, never an exception; three things end an episode: a call that ends the
conversation (`Finished`), a record that does not say what would follow (`Diverged`), and an
environment that is of no use any more (`Broken`).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from actwise.conversation import Conversation, Message, ToolCall


class Diverged(Exception):
    """The model left what is recorded, so nobody knows what would have followed."""


class Finished(Exception):
    """A call has ended the conversation, such as one that hands over to a person."""


class Broken(Exception):
    """The environment cannot be reset or does not answer; the message says why."""


@dataclass(frozen=True)
class Result:
    """What a call returned."""

    text: str
    """As the model reads it; of a failed call an explanation."""
    failed: bool = False
    """The call was refused, raised, or took too long."""


def failed(problem: str) -> Result:
    """Return what a model reads of a call that failed."""
    return Result(json.dumps({"error": problem}, ensure_ascii=False), failed=True)


class Environment(Protocol):
    """The surroundings of one conversation."""

    has_state: bool
    """Whether `state` may tell anything; where not, nothing is run to ask for it."""

    @property
    def turn(self) -> int:
        """Number of the recorded turn that the model is in; see `script.turns_of`."""
        ...

    def reset(self, turn: int, own: Sequence[Message] = ()) -> None:
        """Go to the beginning of a recorded turn, as if all before had gone as recorded.

        Args:
            turn: Its number; one after the last is the end of the conversation.
            own: What was done in the turn since, whose calls are run again.

        Raises:
            Broken: It cannot.
        """
        ...

    def call(self, call: ToolCall) -> Result:
        """Run a call.

        Raises:
            Finished: It has ended the conversation.
            Diverged: The record does not say what it returns.
            Broken: There is nothing any more to run it.
        """
        ...

    def reply(self, answer: str) -> str | None:
        """Let the customer hear an answer, and return what she says, or None where she is done.

        Where `turn` stays the same, she has only answered a question.

        Raises:
            Diverged: The record does not say what she would say.
        """
        ...

    def state(self) -> str | None:
        """Return what the calls have changed, as a text that is equal where the state is.

        None where it cannot be seen: then the calls themselves are compared.
        """
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


Opens = Callable[[Conversation], Environment]
"""Opens the environment of a conversation, to be reset before use."""
