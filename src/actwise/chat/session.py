"""A conversation between a person, a model and tools, without a terminal."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from actwise.chat.toolbox import Toolbox, run_checked
from actwise.conversation import ToolCall
from actwise.engine.acting import Action, Actor
from actwise.environments import failed
from actwise.template.streaming import Delta

MAX_ROUNDS = 16
"""Actions of the model in a row: one that calls tools for ever is stopped."""


@dataclass(frozen=True)
class Result:
    """What a tool returned."""

    call: ToolCall
    text: str


Event = Delta | Action | Result
"""What happens in a turn: something is written, an action is complete, a tool has returned."""


class Session:
    """One conversation after another with one model and one box of tools."""

    def __init__(
        self, actor: Actor, toolbox: Toolbox, *, system: str | None = None, thinking: bool = True
    ) -> None:
        """Begin.

        Args:
            actor: The model.
            toolbox: The tools on offer.
            system: System prompt; that of the tools where None.
            thinking: Whether the model thinks before it acts.
        """
        self.toolbox = toolbox
        self.thinking = thinking
        self.messages: list[dict[str, Any]] = []
        """The conversation in OpenAI's shape."""
        self.last: Action | None = None
        self._actor = actor
        self._system = system
        self._begin()

    def reset(self) -> None:
        """Begin another conversation."""
        self.toolbox.reset()
        self._begin()

    def _begin(self) -> None:
        system = self.toolbox.system if self._system is None else self._system
        self.messages = [{"role": "system", "content": system}] if system else []
        self.last = None

    def turn(self, text: str) -> Generator[Event, None, None]:
        """Say something and let the model act until it answers.

        A turn that is broken off, by an exception or because nobody asks for its next event, leaves
        the conversation such that it can go on: with what is complete of it, or, where nothing is,
        as it was.

        Raises:
            InputError: The conversation cannot be rendered, or leaves no room in the context.
        """
        before = len(self.messages)
        self.messages.append({"role": "user", "content": text})
        try:
            for _ in range(MAX_ROUNDS):
                action = yield from self._act()
                yield action
                if not action.calls:
                    return
                yield from self._run(action)
        finally:
            if len(self.messages) == before + 1:
                self.messages.pop()

    def _act(self) -> Generator[Event, None, Action]:
        action = yield from self._actor(self.messages, self.toolbox.tools, thinking=self.thinking)
        self.last = action
        message = action.message
        if not message["content"] and "tool_calls" not in message:
            message["content"] = action.text  # what cannot be read is what was said
        self.messages.append(message)
        return action

    def _run(self, action: Action) -> Generator[Result, None, None]:
        """Run the calls of an action; each has a result in the end, whatever happens."""
        open_calls = list(zip(action.message["tool_calls"], action.parsed.calls, strict=True))
        try:
            while open_calls:
                written, call = open_calls[0]
                text = run_checked(self.toolbox, call)
                self._add_result(written, text)
                open_calls.pop(0)
                yield Result(call, text)
        finally:
            for written, _ in open_calls:
                self._add_result(written, failed("interrupted").text)

    def _add_result(self, call: dict[str, Any], text: str) -> None:
        self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": text})
