"""Looking ahead at a run: what cannot work, and what it will cost."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from actwise.cli.console import echo_json, error_console, print_result
from actwise.cli.options import (
    CONFIG,
    DATA,
    FORMAT,
    MODEL,
    RECIPE,
    SET,
    TOOLS,
    layers,
    with_options,
)
from actwise.model.startup import model_path, prepare_torch
from actwise.run.progress import Progress


@click.command()
@DATA
@MODEL
@click.option(
    "--out",
    default=Path(),
    type=click.Path(path_type=Path),
    help="Where the run folder will be, here if absent; its disk is looked at.",
)
@FORMAT
@TOOLS
@RECIPE
@CONFIG
@SET
@click.option(
    "--decisions",
    default=24,
    show_default=True,
    type=click.IntRange(min=1),
    help="Training decisions to sample for; whole batches are taken.",
)
@click.option("--no-model", is_flag=True, help="Leave out what the model has to sample for.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def preflight(
    files: Sequence[Path],
    model: str,
    out: Path,
    format_name: str | None,
    tools: Path | None,
    recipe: str | None,
    config: Path | None,
    settings: Sequence[str],
    decisions: int,
    no_model: bool,
    as_json: bool,
) -> None:
    """Check a run before it begins; exit code 2 if it cannot work."""
    from actwise.config import layered
    from actwise.data.prepare import prepare

    resolved = layered(layers(recipe, config), settings)
    resolved = with_options(resolved, format=format_name, tools=tools)
    path = model_path(model)
    console = error_console()
    prepared = prepare(files, resolved, Progress(console))
    Progress(console).say("loading torch and transformers")
    prepare_torch(path)
    from actwise.preflight import preflight as examine
    from actwise.preflight import render

    found = examine(
        path,
        prepared,
        resolved,
        decisions=decisions,
        with_model=not no_model,
        out=out,
        console=console,
    )
    if as_json:
        echo_json(found.to_dict())
    else:
        print_result(render(found))
    if found.refused:
        sys.exit(2)
