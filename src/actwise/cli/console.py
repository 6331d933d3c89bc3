"""What the verbs print: results on stdout, progress and warnings on stderr."""

import os
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.text import Text

from actwise.errors import printable, printable_json
from actwise.run.files import finite


def print_result(found: RenderableType) -> None:
    """Print a result: on a terminal broken between words, elsewhere each line as it is."""
    console = Console()
    console.print(found, soft_wrap=not console.is_terminal)


def echo(text: str) -> None:
    """Print text as a result; what would steer the terminal is written as an escape."""
    print_result(Text(printable(text)))


def echo_json(found: Any) -> None:
    """Print a result as JSON; numbers that are not finite, which JSON has not, become null."""
    click.echo(printable_json(finite(found)))


def echo_skipped(skipped: list[dict[str, Any]], *, err: bool = False) -> None:
    """Tell what was left out, and why."""
    for item in skipped:
        places = ", ".join(item["examples"])
        told = f"left out: {item['count']} ({item['reason']}), such as {places}"
        click.echo(printable(told), err=err)


def width() -> int:
    """Return how wide results may be."""
    return Console().width


def error_console(*, quiet: bool = False) -> Console:
    """Return where progress is shown, apart from results: by the first of several processes."""
    return Console(stderr=True, quiet=quiet or not is_first())


def is_first() -> bool:
    """Return whether this process speaks for all that compute a run together."""
    return os.environ.get("RANK", "0") == "0"
