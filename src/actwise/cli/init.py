"""A commented file of settings to begin with, fitted to the logs."""

import json
import shlex
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from actwise.cli.console import echo
from actwise.cli.options import FORMAT, TOOLS
from actwise.config import RunConfig, load_config
from actwise.errors import InputError
from actwise.run.files import write_text

if TYPE_CHECKING:
    from actwise.conversation import Conversation
    from actwise.doctor import Diagnosis

_TESTED, _CHOSEN_BY = 30, 20
"""Conversations that there should be to measure on, and to choose checkpoints by."""
_PASSES = 5
"""Over the training conversations, beyond which training should end when nothing gets better."""


@click.command()
@click.argument("files", nargs=-1, metavar="[LOGS]...", type=click.Path(path_type=Path))
@click.option(
    "--out",
    default="actwise.toml",
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write.",
)
@click.option("--model", default="base", show_default=True, help="The model that will be trained.")
@FORMAT
@TOOLS
def init(
    files: Sequence[Path], out: Path, model: str, format_name: str | None, tools: Path | None
) -> None:
    """Write a commented file of settings that fits LOGS, and say what to type next."""
    if out.exists():
        raise InputError("exists already", file=str(out), remedy="name another --out, or remove it")
    found = _examined(files, format_name, tools) if files else None
    given = [str(file) for file in files] or ["LOGS.jsonl"]
    data = [part for file in given for part in ("--data", file)]
    arguments = [*data, "--model", model, "--config", str(out)]
    look = shlex.join(["actwise", "preflight", *arguments])
    run = shlex.join(["actwise", "run", *arguments, "--out", "runs/first"])
    text = starter(found, model, format_name=format_name, tools=tools, commands=(look, run))
    write_text(out, text)
    load_config(out)
    echo(f"{out}: settings to begin with" + ("" if found is None else f", for {_facts(found)}"))
    click.echo(f"next: {look if found is not None else run}")


def _examined(files: Sequence[Path], format_name: str | None, tools: Path | None) -> "Diagnosis":
    """Look through logs as a run takes them: each conversation once, however often it was logged.

    Raises:
        InputError: If there is no conversation in them.
    """
    from actwise.data.grown import longest_records
    from actwise.data.stored import Store
    from actwise.doctor import examine
    from actwise.formats import Rejected, read_files

    rejected: list[Rejected] = []

    def usable() -> Iterator["Conversation"]:
        for item in read_files(files, format=format_name, tools=tools):
            if isinstance(item, Rejected):
                rejected.append(replace(item, conversation=None))
            else:
                yield item

    conversations = longest_records(Store(usable())).conversations
    if not conversations:
        raise InputError("no usable conversation", file=str(files[0]), remedy="see `actwise check`")
    return examine(chain(rejected, conversations))


def starter(
    found: "Diagnosis | None",
    model: str,
    *,
    format_name: str | None = None,
    tools: Path | None = None,
    commands: Sequence[str] = (),
) -> str:
    """Return a TOML file of the settings that matter first.

    Args:
        found: What the logs consist of; None where there are none yet.
        model: That will be trained.
        format_name: Of the logs, where it was given.
        tools: File of the tools, where it was given.
        commands: That use the file, to stand at its head.
    """
    defaults = RunConfig()
    lines = [
        *_comment("Settings of a run" + ("" if found is None else f" on {_facts(found)}") + "."),
        *_comment("What is not here has its default; `actwise settings --toml` shows all."),
        "#",
        *(f"#   {command}" for command in commands),
        "",
        *_comment("Another seed is another split, order and sampling: how much of it is chance."),
        "seed = 0",
        "",
        *_data(found, format_name, tools),
        "",
        *_model(model),
        "",
        *_sft(found, defaults),
        "",
        *_think(found, defaults),
        "",
        *_rl(defaults),
        "",
        *_reward(found),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _data(found: "Diagnosis | None", format_name: str | None, tools: Path | None) -> Iterator[str]:
    yield "[data]"
    if format_name is not None:
        yield f"format = {json.dumps(format_name)}"
    if tools is not None:
        yield f"tools = {json.dumps(str(tools), ensure_ascii=False)}"
    rejected = 0 if found is None else sum(found.rejected.values())
    if rejected:
        yield from _comment(
            f'{rejected} records cannot be used (`actwise check` says why). "stop" refuses to '
            "begin with such."
        )
    else:
        yield from _comment('"skip" leaves out records that cannot be used, and counts them.')
    yield f'bad_records = "{"skip" if rejected else "stop"}"'
    number = None if found is None else found.conversations
    test, dev = _share(number, 0.15, _TESTED), _share(number, 0.05, _CHOSEN_BY)
    yield from _comment("Whole conversations, kept back to measure on; and to choose checkpoints.")
    if number is not None and number * test < _TESTED:
        yield from _comment(f"Of {number} conversations few can be: intervals will be wide.")
    yield f"test_fraction = {test}"
    yield f"dev_fraction = {dev}"
    yield from _comment(
        "Where tools change, or others come: other names of tools in a share of what is trained."
    )
    yield "# renamed = 0.5"


def _share(conversations: int | None, usual: float, wanted: int) -> float:
    """Return a share by which enough conversations are kept back, at most twice the usual one."""
    if conversations is None:
        return usual
    return max(usual, min(2 * usual, round(wanted / max(1, conversations), 2)))


def _model(model: str) -> Iterator[str]:
    yield "[model]"
    if model == "base":
        yield from _comment("All weights of the shipped model; for a large one adapters:")
        yield "# lora_rank = 16"
    else:
        yield from _comment("Adapters take less memory; without this line all weights are trained.")
        yield "lora_rank = 16"


def _sft(found: "Diagnosis | None", defaults: RunConfig) -> Iterator[str]:
    yield "[sft]"
    steps, size = defaults.sft.steps, defaults.sft.conversations_per_step
    yield from _comment(f"Steps of {size} conversations that learn the recorded actions.")
    yield f"steps = {steps}"
    passes = 0.0 if found is None else steps * size / max(1, found.conversations)
    if passes > _PASSES:
        yield from _comment(
            f"That would be {passes:.0f} passes over yours: it ends when so many looks at the "
            "development split have brought nothing better."
        )
        yield "patience = 3"
        yield "evaluate_every = 25"


def _think(found: "Diagnosis | None", defaults: RunConfig) -> Iterator[str]:
    yield "[think]"
    if found is None:
        yield from _comment("auto: recorded thoughts where there are any, and derived ones.")
        yield 'source = "auto"'
    elif found.thoughts:
        yield from _comment(
            f"{found.thought_share:.0%} of the decisions have a recorded thought: the start learns "
            "from those and from such as are derived from the recorded actions."
        )
        yield 'source = "both"'
    else:
        yield from _comment(
            "No thought is recorded: those of the start are derived from the recorded actions, and "
            "outcomes teach the rest."
        )
        yield 'source = "derived"'
    yield f"steps = {defaults.think.steps}"


def _rl(defaults: RunConfig) -> Iterator[str]:
    yield "[rl]"
    yield from _comment('GRPO on outcomes. "direct" learns to act without a thought.')
    yield f'mode = "{defaults.rl.mode}"'
    yield f"steps = {defaults.rl.steps}"
    yield from _comment("Completions tried for each decision; more find more, and cost as much.")
    yield f"num_generations = {defaults.rl.num_generations}"


def _reward(found: "Diagnosis | None") -> Iterator[str]:
    yield "[reward]"
    unreachable = 0.0 if found is None else found.unreachable_share
    if unreachable:
        yield from _comment(
            f"{unreachable:.0%} of the calls have an argument that occurs nowhere before them; "
            "such as nobody can know (an id, a free text) are better not compared:"
        )
    else:
        yield from _comment("An argument that nobody can know is better not compared:")
    yield "# tools.NAME.arguments.ARGUMENT.ignore = true"
    if found is not None and found.unchecked_answers:
        yield from _comment(
            f"{found.unchecked_share:.0%} of the answers state no fact that could be checked: they "
            "count in no accuracy, and earn by their wording."
        )


def _facts(found: "Diagnosis") -> str:
    calls, answers = found.decisions["call"], found.decisions["answer"]
    return (
        f"{found.conversations} conversations with {calls} calls and {answers} answers to learn, "
        f"{found.thought_share:.0%} with a thought"
    )


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, 88, break_on_hyphens=False)]
