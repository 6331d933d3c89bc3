"""Messages from logs in which everything said or done is an entry of its own."""

from typing import Any, Literal

from actwise.conversation import Message, ToolCall


class Turns:
    """Collects messages: one speaker twice in a row is one turn, words before a call belong to it.

    Whoever says something and then calls a tool without having been answered has taken one action;
    as two, the first would teach to stop where the second begins.
    """

    def __init__(self, system: str | None = None) -> None:
        self.messages: list[Message] = [Message(role="system", content=system)] if system else []
        self._calls = 0

    def say(self, role: Literal["user", "assistant"], text: str) -> None:
        """Add a text, as a line of its own where the same speaker goes on."""
        last = self.messages[-1] if self.messages else None
        if last is not None and last.role == role and not last.tool_calls:
            self.messages[-1] = last.model_copy(update={"content": f"{last.content}\n{text}"})
        else:
            self.messages.append(Message(role=role, content=text))

    def call(self, name: str, arguments: dict[str, Any]) -> str:
        """Add a call and return the id it was given."""
        self._calls += 1
        made = ToolCall(name=name, arguments=arguments, id=f"call_{self._calls}")
        last = self.messages[-1] if self.messages else None
        if last is not None and last.role == "assistant" and not last.tool_calls:
            self.messages[-1] = last.model_copy(update={"tool_calls": (made,)})
        else:
            self.messages.append(Message(role="assistant", tool_calls=(made,)))
        return f"call_{self._calls}"

    def result(self, call_id: str, name: str, text: str) -> None:
        """Add what a call returned."""
        self.messages.append(Message(role="tool", content=text, tool_call_id=call_id, name=name))
