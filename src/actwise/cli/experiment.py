"""The repeated experiments on the desk."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from actwise.cli.console import error_console
from actwise.cli.options import SET
from actwise.errors import ConfigError
from actwise.model.startup import model_path, prepare_torch


def _seeds(_context: click.Context, _option: click.Parameter, value: str) -> Sequence[int]:
    """Read a number of seeds, or the first and the last of them."""
    first, between, last = value.partition("-")
    if not first.isdecimal() or (between and not last.isdecimal()):
        raise click.BadParameter(f"{value!r} is neither a number nor two, as in 3-4")
    found = range(int(first), int(last) + 1) if between else range(int(first))
    if not found:
        raise click.BadParameter(f"{value!r} names no seed")
    return found


_OPTIONS = (
    click.option(
        "--seeds",
        default="5",
        metavar="N|FIRST-LAST",
        callback=_seeds,
        show_default=True,
        help="Repetitions: so many, or those from the first to the last.",
    ),
    click.option(
        "--jobs",
        default=1,
        type=click.IntRange(1),
        show_default=True,
        help="Runs at a time; each has one thread.",
    ),
    click.option(
        "--out",
        default="runs/paper",
        type=click.Path(path_type=Path),
        show_default=True,
        help="Folder of the runs; `paper` and `ablations` share what they have in common.",
    ),
    click.option(
        "--arms",
        help="Names of arms to run, separated by commas; the first is always run. All by default.",
    ),
    click.option(
        "--model", default="base", show_default=True, help="Folder or hub name; `base` is shipped."
    ),
    click.option(
        "--page",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write the figures into this page, and as JSON beside it.",
    ),
    click.option(
        "--finished",
        is_flag=True,
        help="Run nothing; put together what is finished.",
    ),
    click.option(
        "--with",
        "others",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Figures (JSON) of other seeds, from another machine; put together with these. With "
        "--finished no run is needed.",
    ),
    SET,
)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.group(no_args_is_help=False)
def experiment() -> None:
    """Repeat runs on the desk with several seeds, and compare their models with intervals."""


@experiment.command()
@_options
@click.option(
    "--readme",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the figures between the marks `paper` of this file.",
)
def paper(readme: Path | None, **options: Any) -> None:
    """Compare base, SFT, and GRPO with and without thinking, as the paper does."""
    prepare_torch()
    from actwise.experiment.page import readme_block, write_block
    from actwise.experiment.paper import PAPER

    figures = _experiment(PAPER, "What the desk says about thinking before acting", **options)
    if readme is not None:
        write_block(readme, "paper", readme_block(figures))


@experiment.command()
@_options
def ablations(settings: Sequence[str], **options: Any) -> None:
    """Change one part of the method at a time, and see what it matters."""
    prepare_torch()
    from actwise.config import load_config
    from actwise.desk import PAPER
    from actwise.experiment.ablations import ablations as design

    config = load_config(PAPER, settings)
    heading = "What each part of the method is worth"
    _experiment(design(config), heading, settings=settings, **options)


@experiment.command()
@_options
def recipes(settings: Sequence[str], arms: str | None, out: Path, **options: Any) -> None:
    """Hold each recipe of a related work against its control; --arms takes names of recipes."""
    prepare_torch()
    from actwise.config import load_config
    from actwise.desk import RECIPES
    from actwise.experiment.recipes import recipes as design
    from actwise.experiment.recipes import with_controls
    from actwise.recipes import names, read_recipe

    found = [read_recipe(name) for name in names()]
    chosen = None if arms is None else ",".join(with_controls(arms.split(","), found))
    heading = "What the recipes of related work do on the desk"
    experiment = design(load_config(RECIPES, settings), found)
    _experiment(experiment, heading, settings=settings, arms=chosen, out=out, **options)


def _experiment(
    design: Any,
    heading: str,
    *,
    seeds: Sequence[int],
    jobs: int,
    out: Path,
    arms: str | None,
    model: str,
    page: Path | None,
    finished: bool,
    others: Sequence[Path],
    settings: Sequence[str],
) -> dict[str, Any]:
    from actwise.experiment.certainty import no_surer_than_seeds
    from actwise.experiment.collect import collect, finished_seeds
    from actwise.experiment.page import page as render
    from actwise.experiment.page import write_block
    from actwise.experiment.pooling import pooled, read_figures, refuse_seeds
    from actwise.run.files import write_json

    begin = time.monotonic()
    beside = None if page is None else page.with_suffix(".json")
    if beside is not None and os.path.realpath(beside) in map(os.path.realpath, others):
        raise ConfigError(
            f"--with: {beside} is what --page writes anew; keep it under another name"
        )
    parts = [(read_figures(file), str(file)) for file in others]
    if not finished:
        refuse_seeds(seeds, parts)
        _run_arms(design, seeds, jobs, out, arms, model, settings)
    own = out / f"{design.name}.json"
    if not parts or finished_seeds(design.arms[0], out, seeds):
        parts.insert(0, (collect(design, out, seeds), str(own)))
        write_json(own, parts[0][0])
    figures = no_surer_than_seeds(pooled(parts))
    if page is not None and beside is not None:
        write_block(page, "figures", render(figures), heading=heading)
        write_json(beside, figures)
    click.echo(render(figures))
    click.echo(
        f"\ntime: {time.monotonic() - begin:.0f} s now, {figures['seconds']:.0f} s of "
        f"computing in all\nfigures: {beside or own}"
    )
    return figures


def _run_arms(
    design: Any,
    seeds: Sequence[int],
    jobs: int,
    out: Path,
    arms: str | None,
    model: str,
    settings: Sequence[str],
) -> None:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from actwise.experiment.runs import run_experiment
    from actwise.run.progress import Progress

    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_prepare_worker) as executor:
        try:
            run_experiment(
                design,
                out,
                seeds,
                model_path(model),
                settings,
                arms=arms.split(",") if arms else (),
                executor=executor,
                jobs=jobs,
                command=["actwise", *sys.argv[1:]],
                progress=Progress(error_console()),
            )
        finally:
            executor.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    """Prepare torch, and see to it that no run goes on without who started it."""
    from multiprocessing import parent_process
    from threading import Thread

    def end_with_parent() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            # Threads cannot end a process in an orderly way; a run may be cut off anywhere.
            os._exit(1)

    Thread(target=end_with_parent, daemon=True).start()
    prepare_torch()
