"""What readers of one record share: how a record fails, and JSON that loses nothing."""

import json
import math
from dataclasses import dataclass, field
from typing import Any

from actwise.conversation import Conversation

MAX_DEPTH = 100
"""Levels of arrays and objects that a JSON value may have; what reads, checks and renders it later
goes a level deeper for each, several calls at a time."""


@dataclass(frozen=True)
class Rejected:
    """A record that cannot be used; reading goes on with the next one."""

    file: str
    line: int
    """Line on which the record begins, from 1."""
    reason: str
    """A short word such as "broken_json", by which rejections are counted."""
    detail: str
    """One sentence: what is wrong, where in the record, and the remedy."""
    count: int = 1
    """How many places of the record are wrong, where the reader counts them."""
    about: str | None = None
    """The tool that is the reason, if one is."""
    conversation: Conversation | None = field(default=None, compare=False, repr=False)
    """The record as far as it was read: there when only a rule of `validate` refuses it."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.detail}"


class Unusable(Exception):
    """Raised by the reader of one record; becomes a `Rejected` that knows file and line."""

    def __init__(
        self, reason: str, detail: str, count: int = 1, *, about: str | None = None
    ) -> None:
        self.reason, self.detail, self.count, self.about = reason, detail, count, about
        super().__init__(detail)


def strict_json(text: str) -> Any:
    """Parse JSON, refusing what a plain `json.loads` would lose or could not write again.

    A key that occurs twice is accepted when both values are equal (real logs have it).

    Raises:
        ValueError: On text that is not JSON, NaN and infinities, one key with two different
            values, half of a surrogate pair, or nesting too deep to be read.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    # Few records have so many brackets, and only those can be so deep.
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise ValueError(f"it is nested too deeply (more than {MAX_DEPTH} levels)")
    # Only an escape can hold half a pair; the search spares every other text the encoding.
    if "\\ud" in text or "\\uD" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("a \\ud... escape is half of a character") from None
    return value


def _is_deeper(value: Any, limit: int) -> bool:
    """Return whether arrays and objects are nested deeper than a limit."""
    level = [value]
    for _ in range(limit + 1):
        level = [outer for outer in level if isinstance(outer, dict | list)]
        if not level:
            return False
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return True


def kind_of(value: Any) -> str:
    """Name the JSON type of a value, with its article, for a message to the user."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    names: dict[type, str] = {str: "a string", list: "an array", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def clip(text: str, width: int = 160) -> str:
    """Shorten a text to `width` characters, for a message to the user."""
    return text if len(text) <= width else text[: width - 1] + "…"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        for key, value in pairs:
            # Compared as text: in Python 1 == True and 1 == 1.0, in JSON they differ.
            if json.dumps(value) != json.dumps(out[key]):
                raise ValueError(f"the key {key!r} occurs twice with different values")
    return out


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {clip(text, 40)} is too large")
    return value
