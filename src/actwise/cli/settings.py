"""The settings: listed, or as a TOML file to begin from."""

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import BaseModel

from actwise.cli.console import echo_json
from actwise.cli.options import refuse_idle
from actwise.config import RunConfig
from actwise.errors import ConfigError

_WIDTH = 88
"""Of the comments in a TOML file."""


@dataclass(frozen=True)
class Setting:
    """One setting."""

    key: str
    """With its sections, such as "rl.anchor.kind"; what stands for names of the user's own is in
    angle brackets."""
    default: Any
    meaning: str
    choices: tuple[str, ...]
    """The values that it may have, where it is one of some words."""
    holds_sections: bool = False
    """Whether its value is a section that is not there by default, or several by names."""
    absent: bool = False
    """Whether it is in such a section."""


@click.command("settings")
@click.argument("section", default="")
@click.option(
    "--toml",
    "as_toml",
    is_flag=True,
    help="As a TOML file for --config, with all defaults and what they mean.",
)
@click.option("--json", "as_json", is_flag=True, help="As a JSON list.")
def list_settings(section: str, as_toml: bool, as_json: bool) -> None:
    """List settings with their defaults and meanings: all, or those of SECTION.

    SECTION is such as `rl`, `rl.anchor` or `rl.steps`.
    """
    refuse_idle("with --json", toml=as_toml and as_json)
    settings = of_section(section)
    if as_json:
        echo_json([{name: _plain(x) for name, x in asdict(s).items()} for s in settings])
    elif as_toml:
        click.echo(toml(settings), nl=False)
    else:
        for setting in settings:
            click.echo(f"{setting.key} = {setting.default}")
            click.echo(textwrap.indent("\n".join(_explanation(setting, _WIDTH)), "    "))


def of_section(section: str) -> list[Setting]:
    """Return the settings of a section and of the sections in it; all of them for "".

    Raises:
        ConfigError: There is no such section or setting.
    """
    settings = describe()
    found = [s for s in settings if not section or f"{s.key}.".startswith(f"{section}.")]
    if not found:
        known = ", ".join(dict.fromkeys(s.key.split(".")[0] for s in settings if "." in s.key))
        raise ConfigError(f"{section}: no such section or setting; the sections are {known}")
    return found


def toml(settings: Sequence[Setting]) -> str:
    """Return settings as a TOML file that changes nothing; what has no value is a comment."""
    sections: dict[str, list[Setting]] = {"": []}  # those of no section have to come first
    for setting in settings:
        sections.setdefault(setting.key.rpartition(".")[0], []).append(setting)
    about = {s.key: _comment(s) for s in settings if s.holds_sections}
    lines: list[str] = []
    for section, inside in sections.items():
        if section and inside:
            lines += about.get(section.removesuffix(".<name>"), [])
            lines += [f"# [{section}]" if inside[0].absent else f"[{section}]"]
        for setting in inside:
            if not setting.holds_sections:
                lines += [*_comment(setting), _toml_line(setting), ""]
    return "\n".join(lines)


def _comment(setting: Setting) -> list[str]:
    return [f"# {line}" for line in _explanation(setting, _WIDTH)]


def _toml_line(setting: Setting) -> str:
    name = setting.key.rpartition(".")[2]
    if setting.default is None:
        return f"# {name} ="
    value = json.dumps(_plain(setting.default), ensure_ascii=False)
    return f"{'# ' if setting.absent else ''}{name} = {value}"


def _explanation(setting: Setting, width: int) -> list[str]:
    choices = f" One of {', '.join(setting.choices)}." if setting.choices else ""
    return textwrap.wrap(setting.meaning + choices, width, break_on_hyphens=False)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def describe() -> list[Setting]:
    """Return every setting."""
    return list(_describe(RunConfig, "", absent=False))


def _describe(section: type[BaseModel], prefix: str, *, absent: bool) -> Iterator[Setting]:
    for name, info in section.model_fields.items():
        kind = info.annotation
        key = f"{prefix}{name}"
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _describe(kind, f"{key}.", absent=absent)
            continue
        default = (
            "(to be given)" if info.is_required() else info.get_default(call_default_factory=True)
        )
        # SomeSection | None, or dict[str, SomeSection]: sections by names of the user's own.
        inner = [p for p in get_args(kind) if isinstance(p, type) and issubclass(p, BaseModel)]
        choices = tuple(map(str, get_args(kind))) if get_origin(kind) is Literal else ()
        yield Setting(key, default, _meaning(section, name), choices, bool(inner), absent)
        names = "<name>." if get_origin(kind) is dict else ""
        for part in inner:
            yield from _describe(part, f"{key}.{names}", absent=True)


def _meaning(section: type[BaseModel], name: str) -> str:
    """Return a field's docstring; a section that only changes a default inherits it."""
    inherited = [c for c in section.__mro__ if issubclass(c, BaseModel) and name in c.model_fields]
    text = next(d for c in inherited if (d := c.model_fields[name].description))
    return " ".join(text.split())
