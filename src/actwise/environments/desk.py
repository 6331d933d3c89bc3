"""The desk as an environment: a database of its own, and a customer who answers questions.

The customer says what she says in the record. Asked something that the record does not ask, she
tells what she knows of her request, or repeats herself; after some such questions she goes on.
"""

import json
import sqlite3
import time
from collections.abc import Sequence

from actwise.conversation import Conversation, Message, ToolCall, tool_name, tool_parameters
from actwise.desk.conversations import Knowledge, is_of_the_desk, knowledge, open_world
from actwise.desk.world import World
from actwise.environments import Broken, Result, failed
from actwise.environments.script import ScriptedCustomer
from actwise.formats.tools import argument_problem
from actwise.rewards.stance import stance

_STEPS = 1000
"""Of SQLite's machine between two looks at the clock."""
_ASKED = {
    "number": ("number",),
    "quantity": ("quantity", "how many", "pieces"),
    "date": ("date", "day", "when"),
    "product": ("product", "what", "which"),
    "room": ("room",),
    "plan": ("plan",),
}
"""Words by which a question asks for something that a customer may know."""


class DeskEnvironment:
    """One conversation of the desk, in a world of its own."""

    has_state = True

    def __init__(self, conversation: Conversation, *, call_seconds: float, questions: int) -> None:
        """Take a conversation.

        Args:
            conversation: As `desk.generate` made it, perhaps with other names of its tools.
            call_seconds: Until a call is broken off.
            questions: Questions that the record does not ask and the customer answers all the same.

        Raises:
            Broken: It is no conversation of the desk.
        """
        if not is_of_the_desk(conversation.id):
            raise Broken(f"{conversation.id} is no conversation of the desk")
        self._conversation = conversation
        self._customer = ScriptedCustomer(conversation)
        self._call_seconds = call_seconds
        self._questions = self._left = questions
        self.world = open_world(conversation.id)
        self._names = _names(conversation, self.world)
        arguments = [pair for _, of_one in self._names.values() for pair in of_one.items()]
        self._fields = {theirs: ours for ours, theirs in arguments if "_" in theirs}
        self._acts: list[str] = []

    @property
    def turn(self) -> int:
        """See `Environment.turn`."""
        return self._customer.turn

    def reset(self, turn: int, own: Sequence[Message] = ()) -> None:
        """See `Environment.reset`."""
        self.close()
        self.world = open_world(self._conversation.id)
        self._acts = []
        self._customer.turn, self._left = turn, self._questions
        for message in (*self._customer.before(turn), *own):
            for call in message.tool_calls:
                self.call(call)

    def call(self, call: ToolCall) -> Result:
        """Run a call on the database; what does not fit the schema is refused."""
        offered = {tool_name(tool): tool for tool in self._conversation.tools}
        if call.name not in offered:
            return failed(f"there is no tool {call.name}")
        if problem := argument_problem(offered[call.name], call.arguments):
            return failed(problem)
        name, arguments = self._names[call.name]
        own = ToolCall(
            name=name,
            arguments={arguments[k]: v for k, v in call.arguments.items() if k in arguments},
        )
        database = self.world.database
        end = time.monotonic() + self._call_seconds
        database.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
        try:
            text = self.world.run(own)
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            return failed(str(error))
        finally:
            database.set_progress_handler(None, _STEPS)
        if self.world.changes(own) and "error" not in json.loads(text):
            self._acts.append(json.dumps([name, own.arguments], sort_keys=True))
        # Other names of arguments are also those of the fields that are called like them.
        row = {self._fields.get(key, key): value for key, value in json.loads(text).items()}
        return Result(json.dumps(row))

    def reply(self, answer: str) -> str | None:
        """See `Environment.reply`."""
        recorded = self._customer.recorded.answer
        asks = stance(answer).asks and not (recorded and stance(recorded.content).asks)
        if asks and self._left:
            self._left -= 1
            known = knowledge(self._conversation.id)[self.turn]
            return self._tell(answer.casefold(), known)
        return self._customer.reply()

    def state(self) -> str:
        """Return the rows, and the acts that were carried out, in any order."""
        return "\n".join([*self.world.database.iterdump(), *sorted(self._acts)])

    def close(self) -> None:
        """Give the database back."""
        self.world.close()

    def _tell(self, question: str, known: Knowledge) -> str:
        """Return what the customer says to a question that the record does not ask."""
        for name, words in _ASKED.items():
            if name in known and any(word in question for word in words):
                return f"{known[name]}, please."
        return self._customer.recorded.history[-1].content


def _names(conversation: Conversation, world: World) -> dict[str, tuple[str, dict[str, str]]]:
    """Return what the world calls each tool and its arguments, by their names in a conversation.

    A training conversation may have been given other names; their order stays.
    """
    return {
        tool_name(ours): (
            tool_name(theirs),
            dict(zip(*(tool_parameters(t)["properties"] for t in (ours, theirs)), strict=True)),
        )
        for ours, theirs in zip(conversation.tools, world.tools(), strict=True)
    }
