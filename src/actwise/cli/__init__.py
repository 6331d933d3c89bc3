"""The command line: one verb for each thing a person wants.

Heavy imports stay inside the verbs that need them, so that `--help`, `check` and `report` answer
at once.
"""

import io
import os
import sys
import threading
from contextlib import nullcontext
from typing import NoReturn

import click

from actwise import __version__
from actwise.cli.audit import audit
from actwise.cli.bench import bench
from actwise.cli.chat import chat
from actwise.cli.data import check, convert
from actwise.cli.experiment import experiment
from actwise.cli.export import export
from actwise.cli.fetch import fetch
from actwise.cli.init import init
from actwise.cli.interrupt import prompt_interrupt
from actwise.cli.preflight import preflight
from actwise.cli.recipes import recipes
from actwise.cli.runs import compare, runs
from actwise.cli.serve import serve
from actwise.cli.settings import list_settings
from actwise.cli.training import demo, evaluate, report, run
from actwise.errors import ActwiseError, printable


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context) -> None:
    """Teach a small language model to think before it acts, from conversation logs."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for verb in (
    init,
    check,
    convert,
    preflight,
    run,
    demo,
    evaluate,
    report,
    compare,
    runs,
    audit,
    chat,
    serve,
    export,
    list_settings,
    recipes,
    fetch,
    experiment,
    bench,
):
    cli.add_command(verb)


_RESUMED = ("run", "demo", "experiment", "bench")
"""Verbs that keep what they have done."""
_ATTENDED = ("chat", "serve")
"""Verbs that go on after Ctrl-C, or end in an order of their own."""


def main() -> None:
    """Run the command line; every mistake of a user's ends in one line and exit code 2."""
    _write_any_text()
    interrupted = "actwise: interrupted"
    if sys.argv[1:] and sys.argv[1] in _RESUMED:
        interrupted += "; the same command goes on from here"
    told = threading.Event()
    attended = bool(sys.argv[1:]) and sys.argv[1] in _ATTENDED
    try:
        with nullcontext() if attended else prompt_interrupt(interrupted, told):
            cli(standalone_mode=False, prog_name="actwise")
    except ActwiseError as error:
        if getattr(error, "__notes__", None):  # another process of the run tells it
            sys.exit(2)
        _complain(str(error))
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "actwise"
        _complain(f"{error.format_message().rstrip('.')}; see `{command} --help`")
    except PermissionError as error:
        if error.filename is None:
            raise
        _complain(f"{error.filename}: {error.strerror}; ask its owner, or name another")
    except (KeyboardInterrupt, click.Abort):
        told.set()
        click.echo(interrupted, err=True)
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output has seen enough; nothing is left to tell them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _write_any_text() -> None:
    """Let results and progress hold any character, whatever the system's encoding is.

    Files and pipes get UTF-8, which JSON is in; a terminal that has not a character its escape.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = stream.encoding if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def _complain(problem: str) -> NoReturn:
    click.echo("actwise: " + printable(" ".join(problem.splitlines())), err=True)
    sys.exit(2)
