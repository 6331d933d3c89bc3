"""A user's own tools as an environment: Python functions, in a process of their own.

    # shop.py, in the working directory
    class Shop:
        def __init__(self, conversation_id): ...     # a fresh one for each episode
        def get_order(self, order_id): ...           # a tool, by its name in the logs
        def state(self): ...                         # optional: what is compared at the end

    actwise eval logs.jsonl --model runs/first/models/rl --episodes shop:Shop

The object is a class or function that takes the id of the conversation, or a mapping of names to
functions that keep no state; `async def` is awaited. A call that takes too long ends the process;
what was called before is called again in a new one. States are compared as JSON, in which sets may
stand. The customer is the recorded one.
"""

import contextlib
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from actwise.conversation import Conversation, Message, ToolCall
from actwise.environments import Broken, Result, failed, worker
from actwise.environments.script import ScriptedCustomer
from actwise.errors import ConfigError

_START_SECONDS = 300.0
"""For the imports of the user's module, on a busy machine, too."""


class Functions:
    """Processes that run the tools of one object; those that are idle are used again."""

    def __init__(self, path: str, *, call_seconds: float, python: str = sys.executable) -> None:
        """Take the object.

        Args:
            path: "module:object"; the module may lie in the working directory.
            call_seconds: Until a call is given up.
            python: The interpreter that runs the tools, which may have other packages.

        Raises:
            ConfigError: There is no such object, or its module cannot be imported.
        """
        # -P: what lies beside the script hides no package.
        self._command = [python, "-P", str(Path(worker.__file__)), path]
        self._call_seconds = call_seconds
        self._idle: list[_Process] = []
        try:
            self.give_back(self.take())
        except Broken as error:
            raise ConfigError(f"episodes.environment: {path}: {error}") from error

    def take(self) -> "_Process":
        """Return a process that is idle, or a new one; raises Broken where none starts."""
        return self._idle.pop() if self._idle else _Process(self._command, self._call_seconds)

    def give_back(self, process: "_Process") -> None:
        """Keep a process for the next episode, if it still answers."""
        if process.alive:
            self._idle.append(process)


class FunctionsEnvironment:
    """One conversation with a user's tools."""

    has_state = True

    def __init__(self, conversation: Conversation, functions: Functions) -> None:
        """Take a conversation; its customer is the recorded one."""
        self._conversation = conversation
        self._functions = functions
        self._customer = ScriptedCustomer(conversation)
        self._process: _Process | None = None
        self._made: list[ToolCall] = []

    @property
    def turn(self) -> int:
        """See `Environment.turn`."""
        return self._customer.turn

    def reset(self, turn: int, own: Sequence[Message] = ()) -> None:
        """See `Environment.reset`."""
        self._customer.turn = turn
        self._made = []
        self._begin()
        for message in (*self._customer.before(turn), *own):
            for call in message.tool_calls:
                self.call(call)

    def call(self, call: ToolCall) -> Result:
        """Call a function; one that raises or takes too long has failed."""
        self._go_on()
        result = self._ask(call)
        if self._process is not None and self._process.alive:
            self._made.append(call)
        return result

    def reply(self, answer: str) -> str | None:
        """See `Environment.reply`."""
        return self._customer.reply()

    def state(self) -> str | None:
        """Return what the tools' own `state` returns; None where they have none or it raises.

        Raises:
            ConfigError: It returns what cannot be compared with what another process returns.
        """
        self._go_on()
        assert self._process is not None
        try:
            return self._process.ask(do="state")
        except _Failed:
            return None

    def close(self) -> None:
        """Leave the process to the next episode."""
        if self._process is not None:
            self._functions.give_back(self._process)
            self._process = None

    def _begin(self) -> None:
        """Make the tools anew."""
        if self._process is None or not self._process.alive:
            self._process = self._functions.take()
        try:
            self._process.ask(do="reset", conversation=self._conversation.id)
        except _Failed as error:
            raise Broken(f"the tools cannot be reset: {error}") from error

    def _go_on(self) -> None:
        """Call in a new process what was called before, where the last one has ended."""
        if self._process is None or not self._process.alive:
            self._begin()
            for made in self._made:
                self._ask(made)

    def _ask(self, call: ToolCall) -> Result:
        assert self._process is not None
        try:
            text = self._process.ask(do="call", name=call.name, arguments=call.arguments)
        except _Failed as error:
            return failed(str(error))
        return Result(text or "")


class _Failed(Exception):
    """The tool raised, or the process is no more."""


class _Process:
    """A process with a user's tools."""

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        self.alive = True
        self._path = command[-1]
        self._seconds = seconds
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        assert self._process.stdout is not None
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(
            target=_read, args=(self._process.stdout, self._lines), daemon=True
        ).start()
        try:
            self._answer(_START_SECONDS)
        except _Failed as error:
            self._end()
            raise Broken(str(error)) from error

    def ask(self, **request: Any) -> str | None:
        """Ask for something and return the answer.

        Raises:
            _Failed: With what the tools raised; or it took too long, and the process was ended.
            ConfigError: A state cannot be compared.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then no answer comes, either
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return self._answer(self._seconds)

    def _answer(self, seconds: float) -> str | None:
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            self._end()
            raise _Failed(f"takes longer than {seconds:g} s") from None
        if not line:
            self._end()
            raise _Failed("the process of the tools ended")
        answer: dict[str, str | None] = json.loads(line)
        if "refused" in answer:
            raise ConfigError(f"episodes.environment: {self._path}: {answer['refused']}")
        if "error" in answer:
            raise _Failed(answer["error"])
        return answer["value"]

    def _end(self) -> None:
        self.alive = False
        self._process.kill()
        self._process.wait()


def _read(stream: IO[str], lines: "queue.SimpleQueue[str]") -> None:
    """Pass on lines, and an empty one at the end."""
    for line in stream:
        lines.put(line)
    lines.put("")
