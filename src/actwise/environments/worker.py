"""The process in which a user's own tools run; started by `functions.py`, as a script.

It stands alone: whatever the tools do to it, nothing but it is harmed. One JSON object a line, both
ways: {"do": "reset" | "call" | "state", ...} and {"value": ...} or {"error": ...}.
"""

import json
import os
import pkgutil
import sys
from collections.abc import Callable, Mapping
from typing import Any

LONGEST = 1_000_000
"""Characters of a result that are sent at most."""


class Tools:
    """What the user's object offers."""

    def __init__(self, found: Any) -> None:
        """Take a mapping of names to functions, or what makes the tools of a conversation."""
        self._found = found
        self._tools = found

    def reset(self, conversation: str) -> None:
        """Make the tools of a conversation anew."""
        if not isinstance(self._found, Mapping):
            self._tools = self._found(conversation)

    def call(self, name: str, arguments: dict[str, Any]) -> str:
        """Call a tool; a text is returned as it is, anything else as JSON."""
        value = self._function(name)(**arguments)
        return value if isinstance(value, str) else json.dumps(value, default=str)

    def state(self) -> str | None:
        """Return what the object's `state` returns, if it has one."""
        state = getattr(self._tools, "state", None)
        return None if state is None else json.dumps(state(), default=str, sort_keys=True)

    def _function(self, name: str) -> Callable[..., Any]:
        tools = self._tools
        public = not name.startswith("_") and name != "state"
        found = tools.get(name) if isinstance(tools, Mapping) else getattr(tools, name, None)
        if not public or not callable(found):
            raise LookupError(f"there is no tool {name}")
        return found


def main(path: str) -> None:
    """Answer requests until there are none any more."""
    # What the tools print must not get among the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.path.append(os.getcwd())

    def send(**answer: Any) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        tools = Tools(pkgutil.resolve_name(path))
    except (Exception, SystemExit) as error:  # a module of the user's may raise anything
        send(error=_what(error))
        return
    send(value=None)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            value = getattr(tools, request.pop("do"))(**request)
            send(value=value if value is None else value[:LONGEST])
        except (Exception, SystemExit) as error:  # so may a tool
            send(error=_what(error))


def _what(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:1000]


if __name__ == "__main__":
    main(sys.argv[1])
