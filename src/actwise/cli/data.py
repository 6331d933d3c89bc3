"""Looking at logs and writing them in another format."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from actwise.cli.console import echo_json, echo_skipped, error_console, print_result
from actwise.cli.options import FILES, FORMAT, TOOLS, refuse_idle
from actwise.errors import ConfigError, InputError, printable
from actwise.run.cores import num_cores
from actwise.run.progress import Progress


@click.command()
@FILES
@FORMAT
@TOOLS
@click.option(
    "--against",
    "held_out",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Held-out logs, none of which may occur in FILES; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--html", type=click.Path(path_type=Path), help="Write them as a page, too.")
@click.option("--fix", type=click.Path(path_type=Path), help="Write a mended copy of FILES.")
@click.option(
    "--show",
    metavar="DECISION",
    help="Only show one decision token by token: 12#3 is line 12, messages[3].",
)
@click.option(
    "--model",
    help="Folder or hub name of a model: what its chat template cannot render is found, too. "
    "With --show, whose tokens are shown.",
)
def check(
    files: Sequence[Path],
    format_name: str | None,
    tools: Path | None,
    held_out: Sequence[Path],
    as_json: bool,
    html: Path | None,
    fix: Path | None,
    show: str | None,
    model: str | None,
) -> None:
    """Look through logs for what would poison training; exit code 2 if there are errors."""
    from actwise.api import template_path
    from actwise.doctor import examine_files, render, write_page
    from actwise.formats import read_files

    if show is not None:
        refuse_idle("with --show", against=held_out, json=as_json, html=html, fix=fix)
        items = read_files(files, format=format_name, tools=tools)
        _show(items, show, str(files[0]), model or "base")
        return
    for written in (html, fix):
        _check_apart(written, [*files, *held_out], tools)
    if html is not None and fix is not None and os.path.realpath(html) == os.path.realpath(fix):
        raise ConfigError(f"--fix and --html are the same file, {fix}; name two")
    with Progress(error_console()).reading([*held_out, *files]) as told:
        diagnosis, mending = examine_files(
            files,
            held_out=held_out,
            format=format_name,
            tools=tools,
            model=None if model is None else template_path(model),
            fix=fix,
            told=told,
            processes=num_cores(),
        )
    if mending is not None:
        click.echo(printable(f"{fix}: {mending}"), err=True)
    if as_json:
        echo_json(diagnosis.to_dict())
    else:
        print_result(render(diagnosis))
    if html is not None:
        write_page(diagnosis, html, files=[str(file) for file in files])
    if any(finding.severity == "error" for finding in diagnosis.findings):
        sys.exit(2)


@click.command()
@FILES
@FORMAT
@TOOLS
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write.")
def convert(files: Sequence[Path], format_name: str | None, tools: Path | None, out: Path) -> None:
    """Write logs of any known format as OpenAI chat messages, one conversation per line."""
    from actwise.formats import convert_files

    _check_apart(out, files, tools)
    with Progress(error_console()).reading(files) as told:
        written = convert_files(
            files, out, format=format_name, tools=tools, told=told, processes=num_cores()
        )
    kinds = written.decisions
    stream = not out.is_file()  # it may be what is printed to
    click.echo(
        f"{out}: {written.conversations} conversations with {kinds.total()} decisions "
        f"({kinds['call']} calls, {kinds['answer']} answers)",
        err=stream,
    )
    echo_skipped(written.skipped(), err=stream)


def _check_apart(written: Path | None, files: Sequence[Path], tools: Path | None) -> None:
    given = [path for path in (*files, tools) if path is not None and path.exists()]
    if written is not None and written.exists() and any(map(written.samefile, given)):
        raise InputError("would be overwritten", file=str(written), remedy="name another file")


def _show(items: Any, decision: str, file: str, model: str) -> None:
    from actwise.api import load_template
    from actwise.doctor.show import find_decision, render_tokens

    found = find_decision(items, decision, file=file)
    print_result(render_tokens(load_template(model), found))
