"""Rewards of the user's own: functions named in the configuration.

    # my_rewards.py, in the working directory or installed
    def polite(completion, decision):
        return 1.0 if "please" in completion.answer.lower() else 0.0

    [reward.custom.polite]
    function = "my_rewards:polite"
    weight = 0.2

A function gets the `ParsedCompletion` and the `Decision` and returns a number from 0 to 1. The same
arguments must always give the same number, or a resumed run ends with other weights.
"""

import hashlib
import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from actwise.conversation import Decision
from actwise.errors import ConfigError, RunError
from actwise.rewards.judge import NoVerdict
from actwise.rewards.missing import Missing
from actwise.rewards.settings import CustomReward, JudgeConfig
from actwise.template.parse import ParsedCompletion

RewardFunction = Callable[[ParsedCompletion, Decision], float]


@cache
def reward_function(name: str, path: str) -> RewardFunction:
    """Import a function.

    Args:
        name: Name of the reward, for messages.
        path: "module:function"; the module may lie in the working directory.

    Raises:
        ConfigError: There is no such function, or its module cannot be imported.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last, so that no file there hides a package
    try:
        function = pkgutil.resolve_name(path)
    except Exception as error:  # a module of the user's may raise anything
        raise ConfigError(f"reward.custom.{name}.function: {path}: {_what(error)}") from error
    if not callable(function):
        raise ConfigError(f"reward.custom.{name}.function: {path} is not a function")
    return function


def custom_reward(
    name: str, settings: CustomReward, completion: ParsedCompletion, decision: Decision
) -> float | NoVerdict:
    """Return what a user's function thinks of a completion.

    Returns:
        A number in [0, 1]; or, where the function fails and `on_error` is "skip", why there is
        none.

    Raises:
        RunError: The function fails and `on_error` is "stop"; names the decision.
    """
    function = reward_function(name, settings.function)
    try:
        reason, value = "", _checked(function(completion, decision))
    except (Exception, SystemExit) as error:  # a function of the user's may raise anything
        reason, value = _what(error), 0.0
    if settings.on_error == "skip":
        verdict = NoVerdict(reason) if reason else value
        _missing(name).add(verdict)
        return verdict
    if not reason:
        return value
    raise RunError(
        f"reward.custom.{name}: {settings.function} failed on decision {decision.key}: {reason}; "
        f"mend it, or leave such completions out with --set reward.custom.{name}.on_error=skip"
    )


def source_digests(settings: JudgeConfig) -> dict[str, str]:
    """Return a digest of the source of each reward, by what a person calls it.

    The source is the file of the function's module, and of the modules in its folder that it uses.
    """
    found = {}
    for name, custom in settings.custom.items():
        module = sys.modules.get(reward_function(name, custom.function).__module__)
        if file := _file(module):
            digest = hashlib.sha256()
            for source in sorted(_sources(module, file.parent, {file})):
                digest.update(f"{source.name}\0".encode() + source.read_bytes())
            found[f"reward.custom.{name} ({file.name})"] = digest.hexdigest()
    return found


def _sources(module: Any, folder: Path, found: set[Path]) -> set[Path]:
    """Add the files in a folder of the modules that a module uses, and of those that they use."""
    for value in list(vars(module).values()):
        used = value if isinstance(value, ModuleType) else sys.modules.get(_module_of(value))
        file = _file(used)
        inside = file is not None and file.is_relative_to(folder)
        if file is not None and inside and file not in found and "site-packages" not in file.parts:
            found |= _sources(used, folder, found | {file})
    return found


def _module_of(value: Any) -> str:
    name = getattr(value, "__module__", None)
    return name if isinstance(name, str) else ""


def _file(module: Any) -> Path | None:
    file = getattr(module, "__file__", None)
    return None if file is None else Path(file).resolve()


@cache
def _missing(name: str) -> Missing:
    return Missing(f"reward.custom.{name}", 1.0)  # "skip" allows any number


def _checked(value: Any) -> float:
    number = float(value)
    if not 0 <= number <= 1:
        raise ValueError(f"returned {value!r}; a reward is a number from 0 to 1")
    return number


def _what(error: BaseException) -> str:
    """Return an exception in one line, with the place in the user's code if it arose there."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not _is_ours(f.filename)]
    if not frames:
        return text
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"


def _is_ours(file: str) -> bool:
    return file in (__file__, pkgutil.__file__, importlib.__file__) or file.startswith("<frozen")
