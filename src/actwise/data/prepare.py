"""What a run trains and measures on: logs read, split, renamed, and fitted to a model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actwise.config import RunConfig
from actwise.data.fit import completion_budget, context_of, count_left_out, fitting
from actwise.data.load import read_logs
from actwise.data.rename import rename_share
from actwise.data.split import Splits, split

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
    max_tokens: int | None = None
    """Budget of a completion in tokens; None until `fit` has counted with a model's tokenizer."""


def prepare(files: Sequence[Path], config: RunConfig) -> Prepared:
    """Read logs, split them, and give tools other names in a share of what is trained on.

    Raises:
        InputError: A record cannot be used and is not to be skipped, or too few can.
        ConfigError: A rule under `reward.tools` names a tool that no conversation has.
    """
    logs = read_logs(files, config)
    splits = split(
        logs.conversations,
        dev=config.data.dev_fraction,
        test=config.data.test_fraction,
        seed=config.seed,
    )
    return Prepared(renamed(splits, config), logs.skipped, logs.fingerprints)


def renamed(splits: Splits, config: RunConfig) -> Splits:
    """Return splits with other names of tools in a share of the training split."""
    keep = list(config.reward.tools)
    return replace(
        splits, train=rename_share(splits.train, config.data.renamed, config.seed, keep=keep)
    )


def fit(
    prepared: Prepared, config: RunConfig, template: "Template", context_length: int
) -> Prepared:
    """Leave out what a model cannot hold, and find out how long completions may be.

    Args:
        prepared: From `prepare`.
        config: The completion's budget and the context's limit may be set there.
        template: Of the model; counts tokens.
        context_length: Tokens that the model can hold.

    Raises:
        InputError: A conversation is too long and is not to be skipped, or a split becomes empty.
    """
    budget = completion_budget(template, prepared.splits.train, config)
    context = context_of(context_length, config)
    splits, too_long = fitting(template, prepared.splits, context=context, completion=budget)
    skipped = [*prepared.skipped, *count_left_out(too_long, context, config)]
    return replace(prepared, splits=splits, skipped=skipped, max_tokens=budget)
