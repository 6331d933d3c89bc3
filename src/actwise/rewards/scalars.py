"""Compare single values: numbers, members of an enum, moments, and texts by a declared policy."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any, Literal

from rapidfuzz import fuzz

from actwise.rewards.facts import read
from actwise.rewards.settings import TextMatch
from actwise.rewards.typography import plain

# `\d` holds the digits of every script, as int() and float() do.
_NUMBER = re.compile(
    r"[+-]?(?:\d{1,40}|\d{1,3}(?:,\d{3}){1,12})(?:\.\d{1,40})?(?:[eE][+-]?[0-9]{1,3})?"
)
_BOOLEANS = {"true": True, "false": False}
_IDENTIFIER_SIGNS = re.compile(r"[0-9@_/:]")
# A model of something (iPhone15), or alternatives (and/or): written in capitals or not at will.
_WORDY = re.compile(r"[^\W\d_]{3,}\d{0,4}|[^\W\d_]+(?:-[^\W\d_]+)*/[^\W\d_]+(?:-[^\W\d_]+)*")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
_DATE_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}\S*")
_PHONE = re.compile(r"(?=\+|.*\()\+?[0-9() .-]{7,30}")
_OUTER = " \t\r\n.,;:!?\"'"
MOMENTS: dict[str, Callable[[str], date | time | datetime]] = {
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "date-time": datetime.fromisoformat,
}
"""How texts of these JSON schema formats are read."""


def coerce(value: Any, types: set[str]) -> Any:
    """Read a string as what the schema asks for, unless it allows strings."""
    if not isinstance(value, str) or not types or "string" in types:
        return value
    text = value.strip()
    if types & {"integer", "number"} and _NUMBER.fullmatch(text):
        digits = text.replace(",", "")
        return float(digits) if any(sign in text for sign in ".eE") else int(digits)
    if "boolean" in types and text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if types & {"object", "array"} and text.startswith(("{", "[")):
        return _from_json(text, value, types)
    return value


def _from_json(text: str, otherwise: str, types: set[str]) -> Any:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return otherwise
    return read if ("object" if isinstance(read, dict) else "array") in types else otherwise


def same_json(predicted: Any, gold: Any) -> bool:
    """Whether two JSON values are equal, however deep; true is not 1 here."""
    pairs = [(predicted, gold)]
    while pairs:
        ours, theirs = pairs.pop()
        if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
            pairs += [(ours[key], theirs[key]) for key in ours]
        elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
            pairs += zip(ours, theirs, strict=True)
        elif (
            isinstance(ours, dict | list)
            or isinstance(theirs, dict | list)
            or isinstance(ours, bool) is not isinstance(theirs, bool)
            or ours != theirs
        ):
            return False
    return True


def is_number(value: Any) -> bool:
    """Whether a value is a JSON number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def same_number(predicted: float, gold: float, tolerance: float) -> bool:
    """Whether two numbers are equal; the relative tolerance is for fractions alone."""
    if predicted == gold:
        return True
    if all(isinstance(n, int) or n.is_integer() for n in (predicted, gold)):
        return False
    try:
        return math.isclose(predicted, gold, rel_tol=tolerance)
    except OverflowError:  # a whole number beyond a double's range is not close to a fraction
        return False


def enum_member(value: str, members: list[Any]) -> str | None:
    """Return the member that is meant, in another case perhaps; None where it is not certain."""
    if value in members:
        return value
    folded = plain(value).strip().casefold()
    alike = [m for m in members if isinstance(m, str) and plain(m).strip().casefold() == folded]
    return alike[0] if len(alike) == 1 else None


def same_moment(predicted: str, gold: str, form: str) -> bool:
    """Whether two texts stand for the same moment, in one of `MOMENTS`."""
    read = MOMENTS[form]
    try:
        return read(predicted.strip()) == read(gold.strip())
    except ValueError:
        return False


def same_undeclared(predicted: str, gold: str) -> Literal["moment", "phone"] | None:
    """Return as what two texts are the same where the schema names no format, if they are.

    A date or time without a format is written in any of the ways that leave no doubt: "7 pm" is
    "19:00", but 01/05 is never 2026-01-05. A telephone number, which begins with + or has
    brackets, is its digits.
    """
    if moment := _moment(predicted):
        return "moment" if moment == _moment(gold) else None
    if _PHONE.fullmatch(predicted) or _PHONE.fullmatch(gold):
        digits = [re.sub(r"[() .-]", "", text) for text in (predicted, gold)]
        return "phone" if digits[0] == digits[1] else None
    return None


def _moment(text: str) -> Any:
    """Return the date, time or date-time that makes up a text, in a form that compares."""
    text = text.strip()
    if len(text) > 60:
        return None
    if _DATE_TIME.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return None
    found = read(text)
    if found.words or found.spelled or any(f.kind not in ("date", "time") for f in found.facts):
        return None
    return tuple((fact.kind, fact.value, fact.qualifier) for fact in found.facts)


def looks_like_identifier(text: str) -> bool:
    """Whether a text has no white space, and inside a digit or one of @ _ / :.

    A word that ends in a few digits ("iPhone15") and two words with a stroke between them
    ("and/or") are no identifiers, unless they are written in capitals.
    """
    text = text.strip()
    if any(c.isspace() for c in text) or not _IDENTIFIER_SIGNS.search(text):
        return False
    return text.isupper() or not _WORDY.fullmatch(text)


def same_identifier(predicted: str, gold: str) -> bool:
    """Whether two identifiers are the same to the letter; an e-mail address in any case."""
    ours, theirs = plain(predicted), plain(gold)
    if _EMAIL.fullmatch(ours) and _EMAIL.fullmatch(theirs):
        return ours.casefold() == theirs.casefold()
    return ours == theirs


def same_text(predicted: str, gold: str, match: TextMatch, similarity: float) -> bool:
    """Whether two texts are equal under a policy.

    Args:
        predicted: One text.
        gold: The other; white space and punctuation alone equal nothing but themselves.
        match: The policy.
        similarity: See `JudgeConfig.text_similarity`; counts for "similar" only.
    """
    if predicted == gold:
        return True
    if match == "exact":
        return False
    ours, theirs = _normalise(predicted), _normalise(gold)
    if match == "normalised" or not theirs:
        return bool(theirs) and ours == theirs
    # A likeness of letters says nothing of numbers: "table 12 at 7" is not "table 12 at 8".
    if _with_digit(ours) != _with_digit(theirs):
        return False
    # The ratio counts both lengths, so that a text that quotes everything is not similar.
    return fuzz.ratio(ours, theirs) >= 100 * similarity


def _normalise(text: str) -> str:
    # Not `casefold`, which makes "Maßen" of "Massen". Lines and their indentation are kept.
    lines = plain(text).strip(_OUTER).lower().splitlines()
    return "\n".join(
        line[: len(line) - len(line.lstrip())] + " ".join(line.split()) for line in lines
    )


def _with_digit(normalised: str) -> Counter[str]:
    words = (word.strip(_OUTER) for word in normalised.split())
    return Counter(word for word in words if any(sign.isdigit() for sign in word))
