"""A session in a terminal: what is written as it is written, and a few commands."""

import contextlib
import io
import json
import sys
from collections.abc import Callable

import click

from actwise.chat.session import MAX_ROUNDS, Event, Result, Session
from actwise.conversation import ToolCall, tool_name
from actwise.engine.acting import Action
from actwise.errors import InputError, printable
from actwise.template.calls import SURROGATE
from actwise.template.streaming import Delta

HELP = """\
/mode direct|thinking  answer at once, or think before; without a word: which it is
/raw                   the last completion as the model wrote it, with its marks
/reset                 forget the conversation and begin another one
/tools                 the tools on offer
/quit                  leave (or Ctrl-D)
Ctrl-C breaks off what the model is writing."""


class Terminal:
    """Reads lines of a person and shows what comes of them."""

    def __init__(self, session: Session) -> None:
        """Take the session; with line editing and a history of lines where the system has them."""
        self._session = session
        self._shown = ""
        """What the line that is being written is: "thought", "answer", or nothing."""
        with contextlib.suppress(ImportError):  # there is none on Windows
            import readline  # noqa: F401

    def talk(self) -> None:
        """Go on until the person leaves."""
        if isinstance(sys.stdin, io.TextIOWrapper) and sys.stdin.errors == "strict":
            # Else what was read together with bytes that are no UTF-8 is lost, too.
            sys.stdin.reconfigure(errors="surrogateescape")
        self._introduce()
        try:
            while (line := self._listen()) != "/quit":
                if line.startswith("/"):
                    self._command(line)
                elif line:
                    self._turn(line)
        except EOFError:  # also where the result of a call was asked for
            click.echo()

    def _listen(self) -> str:
        try:
            return _read_line("you> ").strip()
        except KeyboardInterrupt:
            click.echo("\n/quit or Ctrl-D leaves")
            return ""

    def _introduce(self) -> None:
        if self._session.toolbox.introduction:
            click.echo(printable(self._session.toolbox.introduction))
        click.echo(f"mode: {self._mode()}; /help lists the commands")

    def _mode(self) -> str:
        return "thinking" if self._session.thinking else "direct"

    def _command(self, line: str) -> None:
        name, _, rest = line.partition(" ")
        commands: dict[str, Callable[[], object]] = {
            "/help": lambda: click.echo(HELP),
            "/mode": lambda: self._set_mode(rest.strip()),
            "/raw": self._raw,
            "/reset": self._reset,
            "/tools": self._tools,
        }
        commands.get(name, lambda: click.echo(f"no such command: {printable(name)}; /help"))()

    def _set_mode(self, mode: str) -> None:
        if mode in ("direct", "thinking"):
            self._session.thinking = mode == "thinking"
        elif mode:
            click.echo("there are the modes direct and thinking")
            return
        click.echo(f"mode: {self._mode()}")

    def _raw(self) -> None:
        last = self._session.last
        click.echo("nothing has been said" if last is None else printable(last.text))

    def _reset(self) -> None:
        self._session.reset()
        self._introduce()

    def _tools(self) -> None:
        for tool in self._session.toolbox.tools:
            function = tool["function"]
            click.echo(printable(f"{tool_name(tool)}: {function.get('description', '')}"))
            click.echo(printable(f"  {json.dumps(function.get('parameters', {}))}"))

    def _turn(self, line: str) -> None:
        events = self._session.turn(line)
        try:
            for event in events:
                self._show(event)
            last = self._session.last
            if last is not None and last.calls:
                click.secho(
                    f"(stopped after {MAX_ROUNDS} actions that all called tools; "
                    "what you say next lets it go on)",
                    fg="yellow",
                )
        except KeyboardInterrupt:
            events.close()
            self._end_line()
            click.secho("(broken off)", fg="yellow")
        except InputError as error:
            self._end_line()
            click.secho(printable(f"{error}, or /reset"), fg="yellow")

    def _show(self, event: Event) -> None:
        if isinstance(event, Delta):
            self._write("thought", event.thought)
            self._write("answer", event.answer)
            for call in event.calls:
                self._end_line()
                click.secho(printable(f"call     {written(call)}"), fg="cyan")
        elif isinstance(event, Result):
            click.secho(printable(f"result   {event.text}"), fg="green")
        else:
            self._end_line()
            self._remark(event)

    def _write(self, kind: str, text: str) -> None:
        if not text:
            return
        if self._shown != kind:
            self._end_line()
            click.secho(f"{kind:<9}", nl=False, dim=True)
            self._shown = kind
        click.secho(printable(text), nl=False, dim=kind == "thought")

    def _end_line(self) -> None:
        if self._shown:
            click.echo()
        self._shown = ""

    def _remark(self, action: Action) -> None:
        problems = [error.value for error in action.parsed.errors]
        if action.truncated:
            problems.append("cut at the limit of tokens")
        if problems:
            told = ", ".join(problem.replace("_", " ") for problem in problems)
            click.secho(f"({told}; /raw shows it as it was written)", fg="yellow")


def ask_result(call: ToolCall) -> str:
    """Ask the person what a tool returns."""
    return _read_line(f"result of {printable(call.name)}> ")


def _read_line(prompt: str) -> str:
    """Ask until a line is text; a standard input that is closed has ended."""
    if sys.stdin is None:
        raise EOFError
    while True:
        line = input(prompt)
        if not SURROGATE.search(line):
            return line
        click.echo("that is no UTF-8; type it again")


def written(call: ToolCall) -> str:
    """Return a call as people write one: name and arguments as JSON."""
    return f"{call.name} {json.dumps(call.arguments, ensure_ascii=False)}"
