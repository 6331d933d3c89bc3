"""Find the names in an answer: values of the conversation so far that it quotes.

No list of names is needed: what a tool returned, or was asked for, under some field is a candidate
for what an answer may name there. A field counts where the conversation holds several values of
it, so that naming one is a choice ("the corner room is cheaper", after two rooms were looked up).
Values with digits are left to the facts of `facts.py`, long ones are text and not names.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from actwise.rewards.facts import Fact, read

_MIN_LETTERS, _MAX_LETTERS, _MAX_WORDS = 3, 60, 6
# Values of this kind ("Here" of "here or to go") stand in answers without being meant as names.
_COMMON = frozenset((
    "all", "any", "both", "each", "else", "every", "here", "its", "more", "most", "none", "not",
    "now", "only", "other", "same", "than", "that", "the", "them", "then", "there", "these",
    "they", "this", "those", "with", "yes", "you", "your",
))  # fmt: skip
_ASIDE = re.compile(r"\s*\([^()]*\)")
_SPACE = re.compile(r"[\s_]+")


class _Candidates(NamedTuple):
    fields: dict[str, tuple[str, ...]]
    """For each value the fields that hold it."""
    quote: re.Pattern[str] | None
    """Finds the values in folded text, the longest of those that begin at one place."""


def names(text: str, context: tuple[str, ...]) -> tuple[Fact, ...]:
    """Return the names that a text quotes, each as a fact whose kind is its field.

    Args:
        text: An answer.
        context: The texts before it; those that are JSON objects or arrays hold the candidates.
    """
    candidates = _candidates(context)
    if candidates.quote is None:
        return ()
    quoted = dict.fromkeys(candidates.quote.findall(_folded(text)))
    return tuple(
        Fact(f"{field}:", value, None, value)
        for value in quoted
        for field in candidates.fields[value]
    )


@lru_cache(maxsize=256)
def _candidates(context: tuple[str, ...]) -> _Candidates:
    by_field: dict[str, dict[str, None]] = {}
    for text in context:
        for field, value in _values(text):
            by_field.setdefault(field, {})[value] = None
    fields: dict[str, tuple[str, ...]] = {}
    for field, values in by_field.items():
        if len(values) > 1:
            for value in values:
                fields[value] = (*fields.get(value, ()), field)
    if not fields:
        return _Candidates({}, None)
    longest_first = sorted(fields, key=len, reverse=True)
    alternatives = "|".join(re.escape(value) for value in longest_first)
    return _Candidates(fields, re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)"))


@lru_cache(maxsize=4096)
def _values(text: str) -> tuple[tuple[str, str], ...]:
    if not text.lstrip().startswith(("{", "[")):
        return ()
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    found = ((field, _folded(_ASIDE.sub("", value))) for field, value in _walk(record, ""))
    return tuple((field, value) for field, value in found if _is_name(value))


def _walk(value: Any, field: str) -> Iterator[tuple[str, str]]:
    """Yield every string under the key that is nearest above it."""
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _walk(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from _walk(part, field)


def _folded(text: str) -> str:
    return _SPACE.sub(" ", text.replace("’", "'")).strip().casefold()


def _is_name(value: str) -> bool:
    return (
        _MIN_LETTERS <= len(value) <= _MAX_LETTERS
        and len(value.split()) <= _MAX_WORDS
        and value not in _COMMON
        and any(letter.isalpha() for letter in value)
        and not read(value).facts
    )
