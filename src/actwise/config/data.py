"""Settings of the data."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from actwise.config.section import Section


class DataConfig(Section):
    """Which conversations are used and how they are split."""

    format: str | None = None
    """Name of the logs' format; recognised where not given."""
    tools: Path | None = None
    """JSON list of tools for conversations that bring none."""
    bad_records: Literal["stop", "skip"] = "stop"
    """What to do with records that cannot be used: refuse to start, or leave them out and count."""
    dev_fraction: float = Field(0.05, gt=0, lt=0.5)
    """Share of conversations on which checkpoints are chosen."""
    test_fraction: float = Field(0.15, gt=0, lt=0.5)
    """Share of conversations that is only measured on."""
    limit: int | None = Field(None, ge=1)
    """Use this many conversations, drawn at random; all where not given."""
    renamed: float = Field(0.0, ge=0, le=1)
    """Share of the training conversations in which tools and arguments get other names, so that the
    model reads schemas instead of learning names by heart: for tools that change, or that are not
    in the logs. Tools under `reward.tools` keep their names."""


class DeskConfig(Section):
    """How many conversations of the desk are made; for `demo` and `experiment` alone."""

    train: int = Field(600, ge=1)
    """To train on."""
    dev: int = Field(30, ge=1)
    """To choose checkpoints on."""
    test: int = Field(80, ge=1)
    """To measure on, of the same kind."""
    shifted: int = Field(80, ge=1)
    """To measure on, of another kind."""
