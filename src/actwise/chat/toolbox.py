"""Where the results of a conversation's tools come from."""

from collections.abc import Callable
from typing import Protocol

from actwise.conversation import Tool, ToolCall, tool_name
from actwise.environments import failed
from actwise.formats.record import Unusable
from actwise.formats.tools import argument_problem


class Toolbox(Protocol):
    """Tools that are on offer, and what becomes of a call of them."""

    @property
    def system(self) -> str:
        """The system prompt that belongs to the tools; empty where none does."""
        ...

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools, in OpenAI's shape."""
        ...

    @property
    def introduction(self) -> str:
        """What a person should know before a conversation; empty where nothing."""
        ...

    def run(self, call: ToolCall) -> str:
        """Return the result of a call that fits the tool's schema; never raises for a failure."""
        ...

    def reset(self) -> None:
        """Get ready for another conversation."""
        ...

    def close(self) -> None:
        """End what was started for the tools."""
        ...


def run_checked(toolbox: Toolbox, call: ToolCall) -> str:
    """Return the result of a call, or of one that cannot be made the error, as JSON."""
    tool = next((tool for tool in toolbox.tools if tool_name(tool) == call.name), None)
    if tool is None:
        return failed(f"there is no tool {call.name!r}").text
    try:
        problem = argument_problem(tool, call.arguments)
    except Unusable as error:
        problem = error.detail
    return toolbox.run(call) if problem is None else failed(problem).text


class TypedResults:
    """Tools, perhaps none, of which a person types what they return."""

    def __init__(self, tools: tuple[Tool, ...], ask: Callable[[ToolCall], str]) -> None:
        """Take the tools, and how the person is asked for the result of a call."""
        self.system = ""
        self.introduction = ""
        self.tools = tools
        self._ask = ask

    def run(self, call: ToolCall) -> str:
        """See `Toolbox.run`."""
        return self._ask(call)

    def reset(self) -> None:
        """See `Toolbox.reset`."""

    def close(self) -> None:
        """See `Toolbox.close`."""
