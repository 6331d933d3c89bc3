"""Running the stages, measuring, and reading what came out."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from actwise.cli.console import echo, echo_json, echo_skipped, error_console, is_first, width
from actwise.cli.options import (
    CONFIG,
    DATA,
    FORMAT,
    JSON,
    MODEL,
    OUT,
    QUIET,
    RECIPE,
    SET,
    TOOLS,
    layers,
    refuse_idle,
    with_options,
)
from actwise.errors import RunError
from actwise.run.progress import Progress

if TYPE_CHECKING:
    from actwise.api.runs import EpisodeEvaluation, Evaluation, LoadedRun
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
@QUIET
@JSON
def run(
    files: Sequence[Path],
    model: str,
    out: Path,
    format_name: str | None,
    tools: Path | None,
    recipe: str | None,
    config: Path | None,
    settings: Sequence[str],
    quiet: bool,
    as_json: bool,
) -> None:
    """Take logs through base, SFT, thinking and RL to a table and a report."""
    from actwise.config import layered

    resolved = layered(layers(recipe, config), settings)
    resolved = with_options(resolved, format=format_name, tools=tools)
    _run(out, model, files, resolved, quiet=quiet, as_json=as_json)


@click.command()
@click.option(
    "--out",
    default="runs/demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Run folder.",
)
@click.option(
    "--model", default="base", show_default=True, help="Folder or hub name; `base` is shipped."
)
@RECIPE
@SET
@QUIET
@JSON
def demo(
    out: Path,
    model: str,
    recipe: str | None,
    settings: Sequence[str],
    quiet: bool,
    as_json: bool,
) -> None:
    """Run everything on the desk, the embedded customer-service world, with the shipped model."""
    from actwise.config import layered, read_toml
    from actwise.desk import DEMO
    from actwise.desk.splits import prepare_desk

    config = layered([read_toml(DEMO), *layers(recipe)], settings)
    Progress(error_console(quiet=quiet)).say("making conversations of the desk")
    _run(out, model, prepare_desk(config), config, quiet=quiet, as_json=as_json)


def _budgets(context: click.Context, option: click.Parameter, given: str | None) -> list[int]:
    try:
        budgets = sorted({int(part) for part in (given or "").split(",") if part.strip()})
    except ValueError as error:
        raise click.BadParameter(f"{given}: numbers of tokens, such as 0,4,8,16") from error
    if budgets and budgets[0] < 0:
        raise click.BadParameter(f"{given}: a thought has no fewer than 0 tokens")
    return budgets


@click.command("eval")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
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
@click.option(
    "--episodes",
    "environment",
    metavar="ENVIRONMENT",
    help="Let the model act on its own history: in `recorded` logs, at the `desk` (no FILES), or "
    "with your own tools, module:object. See docs/episodes.md.",
)
@click.option("--mcp", metavar="COMMAND", help="The same with the tools of an MCP server.")
@click.option(
    "--search",
    default=0,
    type=click.IntRange(0),
    metavar="N",
    help="In episodes: measure with each step chosen among N by the model's value model, too.",
)
@click.option(
    "--budget",
    "budgets",
    callback=_budgets,
    metavar="N,N,...",
    help="Measure with thoughts cut to so many tokens, too; the curve is written with --out.",
)
@click.option(
    "--diagnose", is_flag=True, help="Measure from parts of the recorded thoughts on, too."
)
@FORMAT
@TOOLS
@CONFIG
@SET
@QUIET
@JSON
def evaluate(
    files: Sequence[Path],
    model: str,
    modes: Sequence["Mode"],
    out: Path | None,
    side: str | None,
    environment: str | None,
    mcp: str | None,
    search: int,
    budgets: Sequence[int],
    diagnose: bool,
    format_name: str | None,
    tools: Path | None,
    config: Path | None,
    settings: Sequence[str],
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure a model on logs, or on episodes."""
    from actwise import api
    from actwise.config import load_config
    from actwise.run.files import check_writable

    acting = {"environment": environment, "mcp": mcp}
    given = {f"episodes.{key}": value for key, value in acting.items() if value is not None}
    further = {"budgets": budgets, "diagnose": diagnose, "search": search}
    asked = {f"evaluate.{key}": value for key, value in further.items() if value}
    if not files and environment != "desk":
        raise click.UsageError("Missing argument 'FILES...'.")
    if files and environment == "desk":
        raise click.UsageError("--episodes desk makes its own conversations, and takes no FILES")
    if environment == "desk":
        refuse_idle("at the desk", format=format_name, tools=tools)
    # Not as ASCII: TOML has no halves of a surrogate pair.
    written = {key: json.dumps(v, ensure_ascii=False) for key, v in (given | asked).items()}
    chosen = [f"{key}={value}" for key, value in written.items()]
    resolved = load_config(config, [*settings, *chosen])
    resolved = with_options(resolved, format=format_name, tools=tools)
    if out is not None and (out / "run.json").exists():
        raise RunError(f"{out}: holds a run, whose results would be lost; choose another --out")
    options: dict[str, Any] = {
        "modes": modes,
        "split": side,
        "config": resolved,
        "console": error_console(quiet=quiet),
    }
    found: Evaluation | EpisodeEvaluation
    if given and (budgets or diagnose):
        raise click.UsageError("--budget and --diagnose measure decisions, and not --episodes")
    if search and not given:
        raise click.UsageError("--search chooses steps of episodes; add --episodes ENVIRONMENT")
    if out is not None:
        check_writable(out)
    if given:
        found = api.evaluate_episodes(model, files or None, **options)
    else:
        found = api.evaluate(model, files, **options)
    if not is_first():
        return
    if out is not None:  # first: whoever reads what is printed may stop reading
        _write_found(found, out)
    if as_json:
        echo_json(found.results)
    else:
        greedy = {} if given else {mode: found.records[mode] for mode in modes}
        _echo_found(found.results, greedy)
    if found.warning is not None:
        Progress(error_console()).say(f"warning: {found.warning}")


def _write_found(found: "Evaluation | EpisodeEvaluation", out: Path) -> None:
    from actwise.api.runs import Evaluation
    from actwise.run.files import write_json, write_named, write_records

    write_json(out / "results.json", found.results)
    for mode, records in found.records.items():
        write_records(out / f"{mode}.jsonl", records)
    if isinstance(found, Evaluation) and (curve := found.budget_curve()):
        write_named(out / "budget.svg", lambda path: path.write_text(curve, encoding="utf-8"))
    if "steering" in found.results:
        write_json(out / "steering.json", found.results["steering"])


def _echo_found(results: dict[str, Any], records: Mapping["Mode", list[dict[str, Any]]]) -> None:
    """Print the table of decisions, or of episodes, and what was wrong or left out."""
    from actwise.report import write_episodes, write_table
    from actwise.results.failures import failures_sentence

    episodes = results.get("episodes")
    click.echo(
        write_table(results, width()) if episodes is None else write_episodes(episodes, width())
    )
    for mode, of_mode in records.items():
        echo(f"wrong {mode}: {failures_sentence(of_mode)}")
    echo_skipped(results["skipped"])


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--watch", "live", is_flag=True, help="Serve a live page until the run ends.")
@click.option(
    "--port",
    default=0,
    type=click.IntRange(0, 65535),
    help="Port of the live page; any free one if absent.",
)
@QUIET
@JSON
def report(folder: Path, live: bool, port: int, quiet: bool, as_json: bool) -> None:
    """Write the report of a run folder, finished or not, and print its table."""
    from actwise.report import results_so_far, write_report, write_table
    from actwise.report.live import watch

    refuse_idle("without --watch", port=port and not live)
    if live:
        watch(folder, Progress(error_console(quiet=quiet)).say, port=port)
    results = results_so_far(folder)
    if as_json:
        echo_json(results)
    elif results["rows"]:
        click.echo(write_table(results, width()))
    page = write_report(folder)
    if not quiet and not as_json:
        click.echo(f"report: {page}")


def _run(
    out: Path,
    model: str,
    data: "Sequence[Path] | Prepared",
    config: "RunConfig",
    *,
    quiet: bool,
    as_json: bool,
) -> None:
    from actwise.api import train
    from actwise.report import write_table
    from actwise.report.words import size

    done = train(
        data,
        out,
        model=model,
        config=config,
        console=error_console(quiet=quiet),
        command=["actwise", *sys.argv[1:]],
    )
    if not is_first():
        return
    if as_json:
        echo_json(done.results)
        return
    click.echo(write_table(done.results, width()))
    echo(done.verdict)
    echo_skipped(done.results["skipped"])
    stages = done.results["stages"]
    times = ", ".join(f"{stage['name']} {stage['seconds']:.0f} s" for stage in stages)
    peak = max(stage["peak_memory"] for stage in stages)
    echo(f"time: {times}; peak memory: {size(peak)}")
    echo(f"wrong on {done.split}: {done.failures}")
    click.echo(f"results: {out / 'results.json'}\nreport: {out / 'report.html'}")
    if done.promoted in done.models:
        click.echo(f"model: {done.models[done.promoted]}")
    else:
        echo(f"model: none is better than {done.promoted} on the development split, so it stays")
    click.echo(f"next: {next_command(done)}")


def next_command(done: "LoadedRun") -> str:
    """Return what to type next: the audit, where a recipe learned from what it sampled."""
    sampled = any((done.folder / "rollouts").glob("*.jsonl"))
    return shlex.join(["actwise", "audit" if sampled else "report", str(done.folder)])
