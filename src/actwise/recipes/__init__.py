"""Related work as recipes: a TOML file for each, of settings and what they are held against.

A recipe says which part of a work is ported and which is not, so that nobody takes a row of our
table for a row of theirs. To use one with changes, copy it (`actwise recipes NAME > mine.toml`) and
name the copy (`actwise run --recipe mine.toml`). Adding one is adding a file.
"""

import difflib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from actwise.config import overlaid, read_toml, validated
from actwise.errors import ConfigError

FOLDER = Path(__file__).parent


class Expected(BaseModel):
    """One thing that a recipe is compared with its control by, and what is expected of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    metric: str
    """By its name in `experiment.measures`."""
    sign: Literal["+", "-", "="]
    """Whether the recipe is expected above its control, below, or as good."""
    against: str = "control"
    """Name of the control, if not the one that is called so."""
    than: float | None = None
    """Held against this number, and not against a control."""
    margin: float = Field(0.02, gt=0)
    """As good is what is known to differ by less: of shares, 0.02 are two points."""


class Recipe(BaseModel):
    """Settings that port a work, and what they are held against."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    """Also that of its file."""
    work: str
    """What the work is called."""
    arxiv: str = Field(pattern=r"^\d{4}\.\d{5}$")
    """Its number there."""
    ported: str
    """What of it is done here."""
    left_out: str
    """What of it is not."""
    claims: tuple[Expected, ...] = Field(min_length=1)
    """What is expected of it."""
    control_steps: float = Field(1.0, gt=0)
    """Steps of RL that the control gets for one of the recipe's, so that both cost as much."""
    equal_tokens: bool = False
    """Whether the control trains until it has sampled as many tokens as the recipe did;
    `control_steps` then only says for how long its learning rate rises."""
    trial: dict[str, Any] = {}
    """Sections of the configuration that `actwise experiment recipes` has for both, so that the
    claim can show on its scale; `run` does not."""
    settings: dict[str, Any]
    """Sections of the configuration."""
    control: dict[str, Any]
    """What is other in what it is held against, which has the same settings besides."""
    controls: dict[str, dict[str, Any]] = {}
    """Further ones, by the names that claims have for them."""

    @model_validator(mode="after")
    def _known(self) -> "Recipe":
        for claim in self.claims:
            if claim.against not in ("control", *self.controls):
                raise ValueError(f"claims: there is no [controls.{claim.against}]")
        return self

    def control_settings(self) -> dict[str, dict[str, Any]]:
        """Return the sections of what it is held against, by the name of each."""
        every = {"control": self.control, **self.controls}
        return {name: overlaid(self.settings, control) for name, control in every.items()}


def names() -> list[str]:
    """Return the names of the recipes that are shipped, in order."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def recipe_file(given: str) -> Path:
    """Return the file of a recipe.

    Args:
        given: Name of one that is shipped, or a file of the user's own.

    Raises:
        ConfigError: There is neither; says what may have been meant.
    """
    if given in names():
        return FOLDER / f"{given}.toml"
    if given.endswith(".toml") or "/" in given:
        return Path(given)
    close = difflib.get_close_matches(given.lower(), names(), n=1, cutoff=0.4)
    meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(names())}"
    raise ConfigError(f"--recipe {given}: no such recipe; {meant}")


def read_recipe(given: str) -> Recipe:
    """Read a recipe; see `recipe_file`.

    Raises:
        ConfigError: There is none, or it holds what no recipe or no configuration does.
    """
    file = recipe_file(given)
    try:
        recipe = Recipe.model_validate(read_toml(file))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        what = {"missing": "is missing", "extra_forbidden": "means nothing in a recipe"}
        problem = what.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise ConfigError(
            f"{file}: {f'{key}: ' if key else ''}{problem}; see one that is shipped with "
            "`actwise recipes NAME`"
        ) from error
    for sections in (recipe.trial, recipe.settings, *recipe.control_settings().values()):
        try:
            validated(sections)
        except ConfigError as error:
            raise ConfigError(f"{file}: {error}") from error
    return recipe
