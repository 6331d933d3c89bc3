"""What a run trains and measures on: logs read, split, renamed, and fitted to a model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actwise.config import RunConfig
from actwise.conversation import Conversation
from actwise.data.fingerprint import Sides
from actwise.data.fit import (
    Unfit,
    completion_budget,
    context_of,
    count_left_out,
    fitting,
    rendered,
)
from actwise.data.load import read_logs
from actwise.data.rename import rename_share
from actwise.data.split import Splits, split
from actwise.run.progress import QUIET, Progress

if TYPE_CHECKING:  # logs are read and refused before transformers is imported
    from actwise.template.render import Template


@dataclass(frozen=True)
class Prepared:
    """Conversations in their splits, with what was left out on the way and where they are from."""

    splits: Splits
    skipped: list[dict[str, Any]]
    """By reason: "reason", "count", "examples" (places as "file:line")."""
    fingerprints: list[dict[str, Any]]
    """By file: "file", "sha256", "conversations"."""
    sides: Sides | None = None
    """By which the models that are trained know these conversations again."""
    max_tokens: int | None = None
    """Budget of a completion in tokens; None until `fit` has counted with a model's tokenizer."""


def prepare(files: Sequence[Path], config: RunConfig, progress: Progress = QUIET) -> Prepared:
    """Read logs, split them, and give tools other names in a share of what is trained on.

    Raises:
        InputError: A record cannot be used and is not to be skipped, or too few can.
        ConfigError: A rule under `reward.tools` names a tool that no conversation has.
    """
    logs = read_logs(files, config, progress)
    splits = split(
        logs.conversations,
        dev=config.data.dev_fraction,
        test=config.data.test_fraction,
        seed=config.seed,
    )
    sides = Sides.of({"train": splits.train, "dev": splits.dev, **splits.tests})
    return Prepared(renamed(splits, config), logs.skipped, logs.fingerprints, sides)


def renamed(splits: Splits, config: RunConfig) -> Splits:
    """Return splits with other names of tools in a share of the training split."""
    keep = list(config.reward.tools)
    return replace(
        splits, train=rename_share(splits.train, config.data.renamed, config.seed, keep=keep)
    )


def fit(
    prepared: Prepared,
    config: RunConfig,
    template: "Template",
    context_length: int,
    progress: Progress = QUIET,
) -> Prepared:
    """Leave out what a model cannot hold, and find out how long completions may be.

    Args:
        prepared: From `prepare`.
        config: The completion's budget and the context's limit may be set there.
        template: The model's template; counts tokens.
        context_length: Tokens that the model can hold.
        progress: Where it is shown how far that is.

    Raises:
        InputError: A conversation is too long and is not to be skipped, or a split becomes empty.
    """
    prepared = leave_out_unrendered(prepared, config, template, progress)
    train = progress.through("longest action", prepared.splits.train)
    budget = completion_budget(template, train, config)
    context = context_of(context_length, config)
    splits, too_long = fitting(
        template,
        prepared.splits,
        context=context,
        completion=budget,
        thoughts=bool(config.think.steps) and config.think.source not in ("derived", "self"),
        progress=progress,
    )
    skipped = [*prepared.skipped, *count_left_out(too_long, config)]
    return replace(prepared, splits=splits, skipped=skipped, max_tokens=budget)


def leave_out_unrendered(
    prepared: Prepared, config: RunConfig, template: "Template", progress: Progress = QUIET
) -> Prepared:
    """Leave out what a model's template cannot render.

    Raises:
        InputError: A conversation cannot be rendered and is not to be skipped, or a split becomes
            empty.
    """
    unfit: list[Unfit] = []

    def keep(conversations: Sequence[Conversation]) -> Sequence[Conversation]:
        kept, left_out = rendered(template, conversations, progress)
        unfit.extend(left_out)
        if not kept:
            raise left_out[0].error()
        return kept

    splits = Splits(
        keep(prepared.splits.train),
        keep(prepared.splits.dev),
        {name: keep(conversations) for name, conversations in prepared.splits.tests.items()},
    )
    skipped = [*prepared.skipped, *count_left_out(unfit, config)]
    return replace(prepared, splits=splits, skipped=skipped) if unfit else prepared
