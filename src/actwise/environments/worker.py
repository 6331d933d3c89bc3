"""The process in which a user's own tools run; started by `functions.py`, as a script.

It stands alone: whatever the tools do to it, nothing but it is harmed. One JSON object a line, both
ways: {"do": "reset" | "call" | "state", ...} and {"value": ...}, {"error": ...} or, where `state`
returns what cannot be compared, {"refused": ...}.
"""

import asyncio
import inspect
import json
import os
import pkgutil
import sys
from collections.abc import Callable, Mapping
from typing import Any

LONGEST = 1_000_000
"""Characters of a result that are sent at most."""


class NotComparable(Exception):
    """Two processes would write the same value in different ways."""


class Tools:
    """What the user's object offers."""

    def __init__(self, found: Any) -> None:
        """Take a mapping of names to functions, or what makes the tools of a conversation."""
        self._found = found
        self._tools = found
        # One for all: what a tool keeps open, such as a connection, belongs to its loop.
        self._loop = asyncio.new_event_loop()

    def reset(self, conversation: str) -> None:
        """Make the tools of a conversation anew."""
        if not isinstance(self._found, Mapping):
            self._tools = self._awaited(self._found(conversation))

    def call(self, name: str, arguments: dict[str, Any]) -> str:
        """Call a tool; a text is returned as it is, anything else as JSON."""
        value = self._awaited(self._function(name)(**arguments))
        text = value if isinstance(value, str) else json.dumps(value, default=_told)
        return text[:LONGEST]

    def state(self) -> str | None:
        """Return what the object's `state` returns, if it has one, as JSON.

        Raises:
            NotComparable: It returns anything but JSON and sets.
        """
        state = getattr(self._tools, "state", None)
        if state is None:
            return None
        value = self._awaited(state())
        try:
            return _in_order(value)
        except (TypeError, ValueError) as error:
            raise NotComparable(
                f"what state() returns cannot be compared ({error}): return only dicts, lists, "
                "sets, texts, numbers, True, False and None"
            ) from error

    def _awaited(self, value: Any) -> Any:
        """Return a value, of an `async def` what it returns."""
        if not inspect.isawaitable(value):
            return value

        async def wait() -> Any:
            return await value

        return self._loop.run_until_complete(wait())

    def _function(self, name: str) -> Callable[..., Any]:
        tools = self._tools
        public = not name.startswith("_") and name != "state"
        found = tools.get(name) if isinstance(tools, Mapping) else getattr(tools, name, None)
        if not public or not callable(found):
            raise LookupError(f"there is no tool {name}")
        return found


def _in_order(value: Any) -> str:
    """Return JSON that is equal where the values are."""
    return json.dumps(value, default=_listed, sort_keys=True)


def _listed(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return [json.loads(text) for text in sorted(map(_in_order, value))]
    raise TypeError(f"{type(value).__name__} is not JSON")


def _told(value: Any) -> Any:
    """Return something for JSON as a model may read it: dates and the like as texts."""
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if " at 0x" in (text := str(value)):
        raise TypeError(f"a tool returned {type(value).__name__}, which is not JSON")
    return text


def main(path: str) -> None:
    """Answer requests until there are none any more."""
    # What the tools print must not get among the answers, nor may they, or what they start, read
    # the requests.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
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
    for line in requests:
        request = json.loads(line)
        try:
            value = getattr(tools, request.pop("do"))(**request)
            send(value=value)
        except NotComparable as error:
            send(refused=str(error))
        except (Exception, SystemExit) as error:  # so may a tool
            send(error=_what(error))


def _what(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:1000]


if __name__ == "__main__":
    main(sys.argv[1])
