"""The tools of an MCP server."""

import click

from actwise.conversation import Tool, ToolCall
from actwise.environments import Broken
from actwise.environments.mcp import McpServer
from actwise.errors import RunError


class McpTools:
    """Tools that an MCP server offers and runs."""

    def __init__(self, command: str, *, seconds: float) -> None:
        """Start a server, or connect to one.

        Args:
            command: As typed in a terminal; or an address that begins with http.
            seconds: Until a call is given up.

        Raises:
            ConfigError: The client is not installed, or the command is none.
            RunError: The server does not start, does not answer, or offers what cannot be used.
        """
        self.system = ""
        self._told = False
        try:
            self._server = McpServer(command, call_seconds=seconds)
            self.tools: tuple[Tool, ...] = self._server.tools()
        except Broken as error:
            raise RunError(f"--mcp: {error}") from error
        self.introduction = f"The MCP server offers {len(self.tools)} tools; /tools shows them"

    def run(self, call: ToolCall) -> str:
        """See `Toolbox.run`; what fails, or takes too long, is told as an error."""
        text = self._server.call(call).text
        if self._server.lost and not self._told:
            self._told = True
            click.echo(f"the MCP server has ended; what it said is in {self._server.log}", err=True)
        return text

    def reset(self) -> None:
        """See `Toolbox.reset`; the server stays as it is."""

    def close(self) -> None:
        """End the server, or leave it."""
        self._server.close(keep_log=self._told)
