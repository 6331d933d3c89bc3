"""From TOML files and `--set section.key=value` to a configuration."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from actwise.config.run import RunConfig
from actwise.errors import ConfigError


def load_config(file: Path | None, settings: Sequence[str] = ()) -> RunConfig:
    """Read a configuration.

    Args:
        file: TOML file; defaults where None.
        settings: "section.key=value" texts that overrule it; values are read as TOML where
            possible, else as text.

    Raises:
        ConfigError: Names the unknown key or impossible value.
    """
    return layered([] if file is None else [read_toml(file)], settings)


def layered(layers: Sequence[Mapping[str, Any]], settings: Sequence[str] = ()) -> RunConfig:
    """Return a configuration from sections that overrule each other.

    Args:
        layers: Sections, each overruling those before it.
        settings: As for `load_config`; they overrule all layers.

    Raises:
        ConfigError: Names the unknown key or impossible value.
    """
    record: dict[str, Any] = {}
    for layer in layers:
        record = overlaid(record, layer)
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {setting}: write it as section.key=value")
        _assign(record, key.strip().split("."), _value(value.strip()))
    return validated(record)


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return sections with others laid over them, key by key."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping):
            under = merged.get(key)
            value = overlaid(under if isinstance(under, Mapping) else {}, value)
        merged[key] = value
    return merged


def dotted(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested values by keys such as "section.key"."""
    found: dict[str, Any] = {}
    for key, value in sections.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{name}": inner for name, inner in dotted(value).items()}
        else:
            found[key] = value
    return found


def read_toml(file: Path) -> dict[str, Any]:
    """Return what a TOML file holds.

    Raises:
        ConfigError: It cannot be read, or is none.
    """
    try:
        return tomllib.loads(file.read_text("utf-8-sig"))  # Notepad puts a mark before it
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file}: not TOML: {error}") from error


def validated(record: dict[str, Any]) -> RunConfig:
    """Return a configuration from its sections.

    Raises:
        ConfigError: Names the unknown key or impossible value.
    """
    try:
        return RunConfig.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"{key}: no such setting; see `actwise settings`") from error
        message = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigError(f"{key}: {message}" if key else message) from error


def _assign(record: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        record = record.setdefault(part, {})
        if not isinstance(record, dict):
            raise ConfigError(f"{'.'.join(path)}: {part} is no section")
    record[path[-1]] = value


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
