"""The desk's tools on the desk's own database."""

from actwise.chat.toolbox import error_result
from actwise.conversation import Tool, ToolCall
from actwise.desk import generate_one, open_world


class DeskTools:
    """The world of one of the desk's held-out conversations."""

    def __init__(self, number: int) -> None:
        """Open the world of the test split's conversation of this number, from 0."""
        self._number = number
        self._open()

    def _open(self) -> None:
        self._id = f"desk-test-0-{self._number}"
        self._world = open_world(self._id)

    @property
    def system(self) -> str:
        """The policy of the business."""
        return self._world.policy

    @property
    def tools(self) -> tuple[Tool, ...]:
        """See `Toolbox.tools`."""
        return self._world.tools()

    @property
    def introduction(self) -> str:
        """See `Toolbox.introduction`."""
        said = [m.content for m in generate_one(self._id).messages if m.role == "user"]
        lines = "\n".join(f"  {text}" for text in [self.system, "", "Its customer said:", *said])
        return f"World {self._number} of the desk:\n{lines}"

    def run(self, call: ToolCall) -> str:
        """See `Toolbox.run`; a call may change the database."""
        try:
            return self._world.run(call)
        except (OverflowError, UnicodeEncodeError) as error:  # what SQLite cannot hold
            return error_result(str(error))

    def reset(self) -> None:
        """Go on to the next world."""
        self._world.close()
        self._number += 1
        self._open()
