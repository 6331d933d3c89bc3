"""Recorded logs as an environment: what was recorded is replayed, and the rest is unknown.

A call that equals a recorded one returns its result, as long as the record had made it by the end
of the same turn. An answer that the judge does not find wrong brings the customer's next message.
Anything else ends the episode as diverged.
"""

from collections.abc import Sequence

from actwise.conversation import Conversation, Message, ToolCall
from actwise.environments import Diverged, Result
from actwise.environments.script import ScriptedCustomer, turns_of, with_results
from actwise.rewards.calls import match_calls
from actwise.rewards.judge import judge
from actwise.rewards.settings import JudgeConfig
from actwise.template.parse import ParsedCompletion


class RecordedEnvironment:
    """Replays one recorded conversation."""

    has_state = False

    def __init__(self, conversation: Conversation, settings: JudgeConfig) -> None:
        """Take the record, and how calls and answers are compared with it."""
        self._customer = ScriptedCustomer(conversation)
        self._tools = conversation.tools
        self._settings = settings
        self._recorded = [
            (turn.number, call, result)
            for turn in turns_of(conversation)
            for call, result in with_results(turn.messages)
        ]
        self._used: set[int] = set()

    @property
    def turn(self) -> int:
        """See `Environment.turn`."""
        return self._customer.turn

    def reset(self, turn: int, own: Sequence[Message] = ()) -> None:
        """See `Environment.reset`."""
        self._customer.turn = turn
        self._used = {i for i, (number, _, _) in enumerate(self._recorded) if number < turn}
        for call in (call for message in own for call in message.tool_calls):
            self.call(call)

    def call(self, call: ToolCall) -> Result:
        """Return the recorded result of an equal call: the next unused one, or the latest used."""
        made = [i for i, (number, _, _) in enumerate(self._recorded) if number <= self.turn]
        unused = [i for i in made if i not in self._used]
        for i in (*unused, *(i for i in reversed(made) if i in self._used)):
            if self._equal(call, self._recorded[i][1]):
                self._used.add(i)
                return Result(self._recorded[i][2])
        raise Diverged(f"no recorded call equals this one of {call.name}")

    def reply(self, answer: str) -> str | None:
        """Return the customer's next message; see `Environment.reply`."""
        turn = self._customer.recorded
        if turn.answer is not None:
            verdict = judge(
                ParsedCompletion(None, (), answer, ()),
                turn.answer,
                self._tools,
                thinking=False,
                settings=self._settings,
                context=turn.conversation.messages[: turn.end - 1],
            )
            if verdict.right is False:
                raise Diverged("another answer than the recorded one")
        return self._customer.reply()

    def state(self) -> None:
        """Return None: a record shows calls, not what they changed."""

    def close(self) -> None:
        """Do nothing."""

    def _equal(self, call: ToolCall, recorded: ToolCall) -> bool:
        match = match_calls([call], [recorded], self._tools, broken=0, settings=self._settings)
        return match.exact
