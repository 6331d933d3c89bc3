"""The errors a user can cause, and what each tells her.

ActwiseError            anything below: one line on the terminal, exit code 2
├── InputError          a file or a record in it cannot be used: names file, line and remedy
├── ConfigError         a setting is unknown or impossible: names the key
├── ModelError          a model cannot be used: no chat template, no way to express thoughts
└── RunError            a run cannot go on: its folder is another run's or cannot be written, a
                        reward of the user's own failed, an endpoint refuses to be asked
"""

import json
import re
from typing import Any

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class ActwiseError(Exception):
    """A mistake that its user can mend; the message is one line and ends with the remedy."""


class InputError(ActwiseError):
    """A file, or one record in it, cannot be used."""

    def __init__(
        self, problem: str, *, file: str, line: int | None = None, remedy: str = ""
    ) -> None:
        self.problem, self.file, self.line, self.remedy = problem, file, line, remedy
        place = file if line is None else f"{file}:{line}"
        super().__init__(f"{place}: {problem}" + (f"; {remedy}" if remedy else ""))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_input_error, (self.problem, self.file, self.line, self.remedy)


def _rebuild_input_error(problem: str, file: str, line: int | None, remedy: str) -> InputError:
    return InputError(problem, file=file, line=line, remedy=remedy)


class ConfigError(ActwiseError):
    """A setting is unknown or impossible."""


class ModelError(ActwiseError):
    """A model or its tokenizer cannot be used."""


class RunError(ActwiseError):
    """A run cannot begin or go on."""


def printable(text: str) -> str:
    """Return a text for a terminal: what would steer it is written as an escape.

    Logs hold what strangers wrote; a control sequence in them could hide lines, or change the
    title of the window. Line feeds and tabs stay.
    """
    return _STEERING.sub(lambda match: ascii(match[0])[1:-1], text)


def printable_json(value: Any) -> str:
    """Return a value as JSON for a terminal: what would steer it is written as an escape of JSON's.

    It reads back as the same value.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
