"""Arguments and options that several verbs share."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from actwise.config import RunConfig


class Finite(click.FloatRange):
    """A range of numbers; "nan" and "inf" are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType.convert`."""
        number = super().convert(value, param, ctx)
        return number if math.isfinite(number) else self.fail(f"{value} is no number.", param, ctx)


FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
DATA = click.option(
    "--data",
    "files",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="Logs; may be given several times.",
)
MODEL = click.option(
    "--model", required=True, help="Folder or hub name of the model; `base` is shipped."
)
FORMAT = click.option("--format", "format_name", help="Format of the logs; recognised if absent.")
TOOLS = click.option(
    "--tools", type=click.Path(path_type=Path), help="File of tools, for logs that have none."
)
CONFIG = click.option("--config", type=click.Path(path_type=Path), help="TOML file of settings.")
SET = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One setting.")
RECIPE = click.option(
    "--recipe",
    metavar="NAME|FILE",
    help="Related work to run as (`actwise recipes`), or a recipe of your own; settings that are "
    "given besides overrule it.",
)
OUT = click.option("--out", required=True, type=click.Path(path_type=Path), help="Run folder.")
QUIET = click.option("--quiet", "-q", is_flag=True, help="Print the result alone, no progress.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
STEER = click.option(
    "--steer",
    metavar="FILE|none",
    help="Vector that is added inside of thoughts; that with which it was measured, if absent.",
)


def refuse_idle(reason: str, **options: Any) -> None:
    """Refuse options that would be ignored.

    Args:
        reason: Why they would be.
        options: By their names, and whether each is given.

    Raises:
        UsageError: If one is given.
    """
    idle = [f"--{name.replace('_', '-')}" for name, given in options.items() if given]
    if idle:
        raise click.UsageError(f"{' and '.join(idle)} would have no effect {reason}")


def layers(recipe: str | None, config: Path | None = None) -> list[dict[str, Any]]:
    """Return the sections of a recipe and of a configuration, of those that are given."""
    from actwise.config import read_toml
    from actwise.recipes import read_recipe

    own = [] if config is None else [read_toml(config)]
    return own if recipe is None else [read_recipe(recipe).settings, *own]


def with_options(config: "RunConfig", **options: Any) -> "RunConfig":
    """Let options of the command line overrule the section `data` where they are given."""
    given = {name: value for name, value in options.items() if value is not None}
    return config.model_copy(update={"data": config.data.model_copy(update=given)})
