"""Talking to a model in the terminal."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from actwise.errors import ConfigError

if TYPE_CHECKING:
    from actwise.chat.toolbox import Toolbox


@click.command()
@click.argument("name", metavar="RUN|MODEL")
@click.option("--stage", help="Which model of a run: base, sft, ...; the promoted one if absent.")
@click.option("--desk", is_flag=True, help="Offer the tools of the desk, which answer.")
@click.option(
    "--world",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Which of the desk's worlds.",
)
@click.option(
    "--tools",
    type=click.Path(path_type=Path),
    help="Offer the tools of a file; you type what they return.",
)
@click.option("--system", help="System prompt; the desk brings its own.")
@click.option(
    "--mode",
    type=click.Choice(["direct", "thinking"]),
    help="Whether it thinks before it acts; as it was measured, if absent.",
)
@click.option("--max-tokens", default=512, show_default=True, type=click.IntRange(min=1))
@click.option("--temperature", default=0.0, show_default=True, type=click.FloatRange(min=0))
@click.option("--seed", default=0, show_default=True, help="Of the sampling.")
def chat(
    name: str,
    stage: str | None,
    desk: bool,
    world: int,
    tools: Path | None,
    system: str | None,
    mode: str | None,
    max_tokens: int,
    temperature: float,
    seed: int,
) -> None:
    """Talk to a run's promoted model, or to any model."""
    from actwise.api.naming import chosen
    from actwise.model.startup import prepare_torch

    if desk and tools is not None:
        raise ConfigError("--desk and --tools: choose one")
    model = chosen(name, stage)
    click.echo(f"loading {model.name} from {model.path}", err=True)
    prepare_torch()
    from actwise.chat.session import Session
    from actwise.chat.terminal import Terminal
    from actwise.engine.acting import LocalActor

    actor = LocalActor(model.load(), max_tokens=max_tokens, temperature=temperature, seed=seed)
    thinking = model.thinking if mode is None else mode == "thinking"
    session = Session(actor, _toolbox(desk, world, tools), system=system, thinking=thinking)
    Terminal(session).talk()


def _toolbox(desk: bool, world: int, tools: Path | None) -> "Toolbox":
    from actwise.chat.desk import DeskTools
    from actwise.chat.terminal import ask_result
    from actwise.chat.toolbox import TypedResults
    from actwise.formats.tool_files import load_tools

    if desk:
        return DeskTools(world)
    return TypedResults(() if tools is None else load_tools(tools), ask_result)
