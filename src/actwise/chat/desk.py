"""The desk's tools on the desk's own database."""

from actwise.conversation import Tool, ToolCall
from actwise.desk import generate_one
from actwise.environments.desk import DeskEnvironment

_SECONDS = 5.0
"""That a call may take."""


class DeskTools:
    """The world of one of the desk's held-out conversations."""

    def __init__(self, number: int) -> None:
        """Open the world of the test split's conversation of this number, from 0."""
        self._number = number
        self._open()

    def _open(self) -> None:
        self._conversation = generate_one(f"desk-test-0-{self._number}")
        self._desk = DeskEnvironment(self._conversation, call_seconds=_SECONDS, questions=0)

    @property
    def system(self) -> str:
        """The policy of the business."""
        return self._conversation.messages[0].content

    @property
    def tools(self) -> tuple[Tool, ...]:
        """See `Toolbox.tools`."""
        return self._conversation.tools

    @property
    def introduction(self) -> str:
        """See `Toolbox.introduction`."""
        said = [m.content for m in self._conversation.messages if m.role == "user"]
        lines = "\n".join(f"  {text}" for text in [self.system, "", "Its customer said:", *said])
        return f"World {self._number} of the desk:\n{lines}"

    def run(self, call: ToolCall) -> str:
        """See `Toolbox.run`; a call may change the database."""
        return self._desk.call(call).text

    def reset(self) -> None:
        """Go on to the next world."""
        self.close()
        self._number += 1
        self._open()

    def close(self) -> None:
        """See `Toolbox.close`."""
        self._desk.close()
