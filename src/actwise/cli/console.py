"""What the verbs print beside their results."""

from typing import Any

import click
from rich.console import Console

from actwise.errors import printable


def echo_skipped(skipped: list[dict[str, Any]], *, err: bool = False) -> None:
    """Tell what was left out, and why."""
    for item in skipped:
        places = ", ".join(item["examples"])
        told = f"left out: {item['count']} ({item['reason']}), such as {places}"
        click.echo(printable(told), err=err)


def error_console() -> Console:
    """Return where progress is shown, apart from results."""
    return Console(stderr=True)
