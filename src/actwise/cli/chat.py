"""Talking to a model in the terminal."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from actwise.cli.options import STEER, Finite, refuse_idle
from actwise.errors import ConfigError

if TYPE_CHECKING:
    from actwise.chat.toolbox import Toolbox


_CALL_SECONDS = 30.0


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
@click.option(
    "--mcp",
    metavar="COMMAND",
    help="Offer the tools of an MCP server: a command that starts one, or its address.",
)
@click.option(
    "--call-seconds",
    default=_CALL_SECONDS,
    show_default=True,
    type=Finite(min=0, min_open=True),
    help="After which a call of an MCP server is given up.",
)
@click.option("--system", help="System prompt; the desk brings its own.")
@click.option(
    "--mode",
    type=click.Choice(["direct", "thinking"]),
    help="Whether it thinks before it acts; as it was measured, if absent.",
)
@click.option(
    "--budget",
    type=click.IntRange(min=0),
    help="Cut thoughts to so many tokens, as `eval --budget` does.",
)
@STEER
@click.option("--max-tokens", default=512, show_default=True, type=click.IntRange(min=1))
@click.option("--temperature", default=0.0, show_default=True, type=Finite(min=0))
@click.option("--seed", default=0, show_default=True, help="Of the sampling.")
def chat(
    name: str,
    stage: str | None,
    desk: bool,
    world: int,
    tools: Path | None,
    mcp: str | None,
    call_seconds: float,
    system: str | None,
    mode: str | None,
    budget: int | None,
    steer: str | None,
    max_tokens: int,
    temperature: float,
    seed: int,
) -> None:
    """Talk to a run's promoted model, or to any model."""
    from actwise.api.naming import chosen
    from actwise.model.startup import prepare_torch

    given = {"--desk": desk, "--tools": tools is not None, "--mcp": mcp is not None}
    if sum(given.values()) > 1:
        several = " and ".join(name for name, is_given in given.items() if is_given)
        raise ConfigError(f"{several}: choose one")
    refuse_idle("without --desk", world=world and not desk)
    refuse_idle("without --mcp", call_seconds=call_seconds != _CALL_SECONDS and mcp is None)
    model = chosen(name, stage)
    click.echo(f"loading {model.name} from {model.path}", err=True)
    prepare_torch()
    from actwise.chat.session import Session
    from actwise.chat.terminal import Terminal
    from actwise.engine.acting import LocalActor

    thinking = model.thinking if mode is None else mode == "thinking"
    with closing(_toolbox(world if desk else None, tools, mcp, call_seconds)) as toolbox:
        policy = model.load()
        steering = model.load_steering(policy, steer)
        if steering is not None:
            told = f"steered by a vector at layer {steering.layer}; --steer none turns it off"
            click.echo(told, err=True)
        actor = LocalActor(
            policy,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            budget=budget,
            steering=steering,
        )
        Terminal(Session(actor, toolbox, system=system, thinking=thinking)).talk()


def _toolbox(
    world: int | None, tools: Path | None, mcp: str | None, call_seconds: float
) -> "Toolbox":
    from actwise.chat.desk import DeskTools
    from actwise.chat.mcp import McpTools
    from actwise.chat.terminal import ask_result
    from actwise.chat.toolbox import TypedResults
    from actwise.formats.tool_files import load_tools

    if world is not None:
        return DeskTools(world)
    if mcp is not None:
        return McpTools(mcp, seconds=call_seconds)
    return TypedResults(() if tools is None else load_tools(tools), ask_result)
