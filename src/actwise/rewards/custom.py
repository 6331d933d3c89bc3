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

import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from actwise.conversation import Decision
from actwise.errors import ConfigError, RunError
from actwise.rewards.judge import NoVerdict
from actwise.rewards.missing import Missing
from actwise.rewards.settings import CustomReward
from actwise.template.parse import ParsedCompletion

RewardFunction = Callable[[ParsedCompletion, Decision], float]


@cache
def reward_function(name: str, path: str) -> RewardFunction:
    """Import a function.

    Args:
        name: Of the reward, for messages.
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
