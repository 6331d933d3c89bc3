"""Where a model's configuration and tokenizer are; looked at before a library builds from them."""

import json
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig
from transformers.utils import find_adapter_config_file

from actwise.errors import ModelError

_MOST = 10_000
"""Of layers, heads, experts: more are a damaged configuration, and would be built one by one."""


def base_of_adapters(name: str) -> str | None:
    """Return the model that adapters were trained for, or None where a name is a model's.

    Raises:
        ModelError: They do not say for which, or name themselves.
    """
    file = find_adapter_config_file(name)
    if file is None:
        return None
    base = json.loads(Path(file).read_bytes()).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ModelError(f"{name}: adapters that do not say for which model; merge them into it")
    if base == name or (Path(base).exists() and Path(base).samefile(name)):
        raise ModelError(f"{name}: adapters for themselves; correct base_model_name_or_path")
    return base


def tokenizer_source(name: str) -> str:
    """Return where a model's tokenizer is: adapters may be saved without one.

    Raises:
        ModelError: The model's configuration cannot be one.
    """
    base = base_of_adapters(name)
    if base is None:
        check_config(name)
        return name
    beside = (Path(name) / file for file in ("tokenizer.json", "tokenizer_config.json"))
    return (
        tokenizer_source(base)
        if Path(name).is_dir() and not any(map(Path.exists, beside))
        else name
    )


def check_config(name: str) -> None:
    """Refuse a configuration from which too much would be built.

    Raises:
        ModelError: Names the entry.
    """
    record, _ = PretrainedConfig.get_config_dict(name, trust_remote_code=False)
    for key, value in _numbers(record):
        least = 1 if key == "num_hidden_layers" else 0
        if key.startswith("num_") and not least <= value <= _MOST:
            raise ModelError(f"{name}: its configuration says {key} = {value}; fetch it again")


def _numbers(record: dict[str, Any]) -> list[tuple[str, int]]:
    """Return the whole numbers of a configuration and of the ones in it."""
    inner = [value for value in record.values() if isinstance(value, dict)]
    own = [(key, value) for key, value in record.items() if isinstance(value, int)]
    return own + [pair for part in inner for pair in _numbers(part)]
