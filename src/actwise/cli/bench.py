"""Measuring speed and memory."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from actwise.cli.console import echo_skipped, error_console
from actwise.cli.options import FORMAT, TOOLS, refuse_idle
from actwise.model.startup import prepare_torch

_PARTS = ("update", "rollout", "step", "sft", "optimiser", "memory", "scaling", "limits")
_SHAPES = ("desk", "service", "large")


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(_PARTS))
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    default=("desk",),
    type=click.Choice([*_SHAPES, "all"]),
    help="Short conversations, so if absent, long ones, or (on a GPU) a model of 1.7 billion "
    "parameters; may be given several times.",
)
@click.option(
    "--conversations", default=8, type=click.IntRange(1), help="Of one step; 8 if absent."
)
@click.option("--repeats", default=3, type=click.IntRange(1), help="Rounds; 3 if absent.")
@click.option("--device", default="cpu", help="A torch device; the CPU if absent.")
@click.option(
    "--model",
    help="Folder or hub name of a model to measure with; one with random weights if absent.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16"]),
    help="Type of everybody's weights; the shape's if absent.",
)
@click.option(
    "--lora-rank", type=click.IntRange(1), help="Train adapters of this rank; limits and rollout."
)
@click.option(
    "--rows",
    type=click.IntRange(1),
    help="Most rows that peers compute at once; on a CPU 8 if absent. Fewer need less memory.",
)
@click.option(
    "--threads", type=click.IntRange(1), help="Cores that each contestant may use; all if absent."
)
@click.option(
    "--data",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Logs to take conversations from, in place of the desk's.",
)
@FORMAT
@TOOLS
@click.option(
    "--out",
    default="runs/bench",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder.",
)
def bench(
    parts: Sequence[str],
    shapes: Sequence[str],
    conversations: int,
    repeats: int,
    device: str,
    model: str | None,
    dtype: str | None,
    lora_rank: int | None,
    rows: int | None,
    threads: int | None,
    files: Sequence[Path],
    format_name: str | None,
    tools: Path | None,
    out: Path,
) -> None:
    """Measure speed and memory beside peers: all PARTS, or some of them.

    PARTS are update, rollout, step, sft, optimiser, memory, scaling and limits. TRL, a peer, comes
    with the extra `bench`. Interrupted, the same command goes on after the last finished part.
    """
    from actwise.config import DataConfig, RunConfig
    from actwise.data.load import Logs, read_logs

    if not files:
        refuse_idle("without --data", format=format_name, tools=tools)
    logs = Logs([], [], [])
    if files:
        data = DataConfig(format=format_name, tools=tools, bad_records="skip")
        logs = read_logs(files, RunConfig(data=data))
    prepare_torch()
    from actwise.bench.measure import Request, run_benchmark
    from actwise.bench.report import page

    found = run_benchmark(
        out,
        parts or _PARTS,
        _SHAPES if "all" in shapes else tuple(dict.fromkeys(shapes)),
        Request(
            conversations,
            repeats,
            device,
            ", ".join(file.name for file in files) or None,
            model,
            dtype,
            lora_rank,
            rows,
        ),
        logs=logs.conversations,
        threads=threads,
        command=" ".join(["actwise", *sys.argv[1:]]),
        console=error_console(),
    )
    click.echo(page(found))
    echo_skipped(logs.skipped)
    click.echo(f"results: {out / 'bench.json'}\npage: {out / 'bench.md'}")
