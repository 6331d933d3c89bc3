"""The tools of an MCP server: as an environment, and for whoever else wants to call them.

The official client (`pip install 'actwise[mcp]'`) speaks to a server that is started by a command,
or reached at an address. Each environment starts a server of its own, so what one episode changes
no other sees; a server at an address is shared, and keeps what was changed in it.
"""

import os
import shlex
import tempfile
from collections.abc import Sequence
from concurrent.futures import TimeoutError as NotInTime
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from actwise.conversation import Conversation, Message, Tool, ToolCall
from actwise.environments import Broken, Result, failed
from actwise.environments.script import ScriptedCustomer
from actwise.errors import ConfigError
from actwise.formats.record import Unusable
from actwise.formats.tools import read_tools

_START_SECONDS = 30.0
"""For a server to start and to introduce itself."""
_PAGES = 100
"""Of a list of tools that never ends."""


class McpServer:
    """A server, spoken to from a thread of its own; close it after use."""

    def __init__(self, command: str, *, call_seconds: float) -> None:
        """Start a server, or connect to one.

        Args:
            command: As typed in a terminal; or an address that begins with http.
            call_seconds: Until a call is given up.

        Raises:
            ConfigError: The client is not installed, or the command is none.
            Broken: The server does not start, or does not answer.
        """
        self._seconds = call_seconds
        self._stack = ExitStack()
        self.lost = False
        """Whether it has gone in the middle of a conversation."""
        parameters = _parameters(command)
        descriptor, path = tempfile.mkstemp(prefix="actwise-mcp-", suffix=".log")
        self.log = Path(path)
        """What a server that was started here says of itself, beside what it answers."""
        try:
            with open(descriptor, "w", encoding="utf-8") as log:
                self._connect(parameters, log)
        except BaseException as error:
            said = isinstance(error, Exception) and self.log.stat().st_size > 0
            self.close(keep_log=said)
            if not isinstance(error, Exception):
                raise
            log_told = f"; what it said is in {self.log}" if said else ""
            raise Broken(
                f"the MCP server `{command}` does not answer: {_what(error)}{log_told}"
            ) from error

    def tools(self) -> tuple[Tool, ...]:
        """Return the tools that it offers.

        Raises:
            Broken: It does not tell them, or one cannot be used.
        """
        found: list[dict[str, Any]] = []
        cursor = None
        try:
            for _ in range(_PAGES):
                page = self._ask(self._client.list_tools, _START_SECONDS, cursor=cursor)
                found += [
                    tool.model_dump(mode="json", by_alias=True, exclude_none=True)
                    for tool in page.tools
                ]
                cursor = page.next_cursor
                if cursor is None:
                    break
            return read_tools(found)
        except Unusable as error:
            raise Broken(f"a tool of the MCP server cannot be used: {error.detail}") from error
        except Exception as error:  # whatever the server answers
            raise Broken(f"the MCP server does not list its tools: {_what(error)}") from error

    def call(self, call: ToolCall) -> Result:
        """Call a tool and return the text of its result; of what fails, an explanation."""
        try:
            found = self._ask(
                self._client.call_tool,
                self._seconds,
                name=call.name,
                arguments=call.arguments,
                # The client's own limit, that of a start, may be less; ours comes first.
                read_timeout_seconds=self._seconds + _START_SECONDS,
            )
        except NotInTime:
            return failed(f"takes longer than {self._seconds:g} s")
        except Exception as error:  # whatever the server answers
            self.lost = self.lost or "Connection closed" in str(error)
            return failed(_what(error))
        parts = [getattr(part, "text", f"[{part.type}]") for part in found.content]
        return Result("\n".join(parts), failed=found.is_error)

    def close(self, *, keep_log: bool = False) -> None:
        """End the server, or leave it; its log goes with it where nobody was told of it."""
        self._stack.close()
        if not keep_log:
            self.log.unlink(missing_ok=True)

    def _connect(self, parameters: Any, log: TextIO) -> None:
        from anyio.from_thread import start_blocking_portal
        from mcp.client import Client
        from mcp.client.stdio import stdio_client

        # On the terminal it would stand between what is written.
        started = not isinstance(parameters, str)
        target = stdio_client(parameters, errlog=log) if started else parameters
        self._portal = self._stack.enter_context(start_blocking_portal())
        self._client = Client(target, read_timeout_seconds=_START_SECONDS)
        self._stack.enter_context(self._portal.wrap_async_context_manager(self._client))

    def _ask(self, function: Any, seconds: float, **arguments: Any) -> Any:
        async def ask() -> Any:
            return await function(**arguments)

        future = self._portal.start_task_soon(ask)
        try:
            return future.result(timeout=seconds)
        except NotInTime:
            future.cancel()
            raise


class McpEnvironment:
    """One conversation with the tools of an MCP server; the customer is the recorded one."""

    has_state = False

    def __init__(self, conversation: Conversation, command: str, *, call_seconds: float) -> None:
        """Take a conversation; its server starts with `reset`."""
        self._customer = ScriptedCustomer(conversation)
        self._command = command
        self._call_seconds = call_seconds
        self._server: McpServer | None = None

    @property
    def turn(self) -> int:
        """See `Environment.turn`."""
        return self._customer.turn

    def reset(self, turn: int, own: Sequence[Message] = ()) -> None:
        """Start a server anew; see `Environment.reset`."""
        self.close()
        self._server = McpServer(self._command, call_seconds=self._call_seconds)
        self._customer.turn = turn
        for message in (*self._customer.before(turn), *own):
            for call in message.tool_calls:
                self.call(call)

    def call(self, call: ToolCall) -> Result:
        """See `McpServer.call` and `Environment.call`."""
        assert self._server is not None
        result = self._server.call(call)
        if self._server.lost:
            raise Broken(f"the MCP server `{self._command}` ended in the middle of a conversation")
        return result

    def reply(self, answer: str) -> str | None:
        """See `Environment.reply`."""
        return self._customer.reply()

    def state(self) -> None:
        """Return None: what a server keeps cannot be seen."""

    def close(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.close()
            self._server = None


def _parameters(command: str) -> Any:
    """Return how a server is started, or its address."""
    try:
        from mcp.client.stdio import StdioServerParameters
    except ImportError as error:
        raise ConfigError("an MCP server needs its client: pip install 'actwise[mcp]'") from error
    if command.startswith(("http://", "https://")):
        return command
    try:
        program, *arguments = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"mcp: `{command}` is no command: {error}") from error
    # The client would hide most of the environment from the server, and with it the user's keys.
    return StdioServerParameters(command=program, args=arguments, env=dict(os.environ))


def _what(error: BaseException) -> str:
    """Return an error in one line; of several at once the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]
