"""Running the stages, measuring, and reading what came out."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from actwise.cli.console import echo_skipped, error_console
from actwise.cli.options import (
    CONFIG,
    DATA,
    FILES,
    FORMAT,
    MODEL,
    OUT,
    RECIPE,
    SET,
    TOOLS,
    recipe_layers,
    with_options,
)
from actwise.errors import RunError

if TYPE_CHECKING:
    from actwise.config import Mode, RunConfig
    from actwise.data.prepare import Prepared


@click.command()
@DATA
@MODEL
@OUT
@FORMAT
@TOOLS
@RECIPE
@CONFIG
@SET
def run(
    files: Sequence[Path],
    model: str,
    out: Path,
    format_name: str | None,
    tools: Path | None,
    recipe: str | None,
    config: Path | None,
    settings: Sequence[str],
) -> None:
    """Take logs through base, SFT, thinking and RL to a table and a report."""
    from actwise.config import layered, read_toml
    from actwise.data.prepare import prepare

    own = [] if config is None else [read_toml(config)]
    resolved = layered([*recipe_layers(recipe), *own], settings)
    resolved = with_options(resolved, format=format_name, tools=tools)
    _run(out, model, prepare(files, resolved), resolved)


@click.command()
@click.option("--out", default="runs/demo", type=click.Path(path_type=Path), help="Run folder.")
@click.option("--model", default="base", help="Folder or hub name; `base` is shipped.")
@RECIPE
@SET
def demo(out: Path, model: str, recipe: str | None, settings: Sequence[str]) -> None:
    """Run everything on the desk, the embedded customer-service world, with the shipped model."""
    from actwise.config import layered, read_toml
    from actwise.desk import DEMO
    from actwise.desk.splits import prepare_desk

    config = layered([read_toml(DEMO), *recipe_layers(recipe)], settings)
    _run(out, model, prepare_desk(config), config)


@click.command("eval")
@FILES
@MODEL
@click.option(
    "--mode",
    "modes",
    multiple=True,
    type=click.Choice(["direct", "thinking"]),
    default=("direct", "thinking"),
    help="Modes to measure; both if absent.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write records and table there, too.")
@click.option(
    "--split",
    "side",
    help="Only conversations on this side of the split that the model was trained on: test.",
)
@FORMAT
@TOOLS
@CONFIG
@SET
def evaluate(
    files: Sequence[Path],
    model: str,
    modes: Sequence["Mode"],
    out: Path | None,
    side: str | None,
    format_name: str | None,
    tools: Path | None,
    config: Path | None,
    settings: Sequence[str],
) -> None:
    """Measure a model on logs."""
    from actwise.api import evaluate as measure
    from actwise.config import load_config
    from actwise.run.files import write_json, write_records

    resolved = load_config(config, settings)
    resolved = with_options(resolved, format=format_name, tools=tools)
    if out is not None and (out / "run.json").exists():
        raise RunError(f"{out}: holds a run, whose results would be lost; choose another --out")
    found = measure(model, files, modes=modes, split=side, config=resolved, console=error_console())
    click.echo(found.table)
    echo_skipped(found.results["skipped"])
    if out is not None:
        write_json(out / "results.json", found.results)
        for mode, records in found.records.items():
            write_records(out / f"{mode}.jsonl", records)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Write the report of a run folder, finished or not, and print its table."""
    from actwise.report import write_report, write_table

    page = write_report(folder)
    results = folder / "results.json"
    if results.exists():
        click.echo(write_table(json.loads(results.read_text(encoding="utf-8"))))
    click.echo(f"report: {page}")


@click.command("settings")
def list_settings() -> None:
    """List every setting with its default and meaning."""
    from actwise.config import describe

    for key, default, meaning in describe():
        click.echo(f"{key} = {default}\n    {meaning}")


def _run(out: Path, model: str, prepared: "Prepared", config: "RunConfig") -> None:
    from actwise.api import train
    from actwise.report.words import size

    done = train(
        prepared,
        out,
        model=model,
        config=config,
        console=error_console(),
        command=["actwise", *sys.argv[1:]],
    )
    click.echo(done.table)
    click.echo(done.verdict)
    echo_skipped(done.results["skipped"])
    stages = done.results["stages"]
    times = ", ".join(f"{stage['name']} {stage['seconds']:.0f} s" for stage in stages)
    peak = max(stage["peak_memory"] for stage in stages)
    click.echo(f"time: {times}; peak memory: {size(peak)}")
    click.echo(f"results: {out / 'results.json'}\nreport: {out / 'report.html'}")
