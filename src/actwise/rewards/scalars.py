"""Compare single values: numbers, members of an enum, moments, and texts by a declared policy."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

from rapidfuzz import fuzz

from actwise.rewards.settings import TextMatch

_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")
_BOOLEANS = {"true": True, "false": False}
_IDENTIFIER_SIGNS = re.compile(r"[0-9@_/:]")
_WITH_DIGIT = re.compile(r"[^\s0-9]*[0-9]\S*")
_OUTER = " \t\n\r.,;:!?\"'“”‘’"
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
        return float(text) if any(sign in text for sign in ".eE") else int(text)
    if "boolean" in types:
        return _BOOLEANS.get(text.lower(), value)
    return value


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
    folded = value.strip().casefold()
    alike = [m for m in members if isinstance(m, str) and m.strip().casefold() == folded]
    return alike[0] if len(alike) == 1 else None


def same_moment(predicted: str, gold: str, form: str) -> bool:
    """Whether two texts stand for the same moment, in one of `MOMENTS`."""
    read = MOMENTS[form]
    try:
        return read(predicted.strip()) == read(gold.strip())
    except ValueError:
        return False


def looks_like_identifier(text: str) -> bool:
    """Whether a text has no white space, and inside a digit or one of @ _ / :."""
    return not any(c.isspace() for c in text.strip()) and bool(_IDENTIFIER_SIGNS.search(text))


def same_text(predicted: str, gold: str, match: TextMatch, similarity: float) -> bool:
    """Whether two texts are equal under a policy.

    Args:
        predicted: One text.
        gold: The other; white space and punctuation alone equal nothing but themselves.
        match: The policy.
        similarity: See `JudgeSettings.text_similarity`; counts for "similar" only.
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
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(_OUTER)


def _with_digit(normalised: str) -> Counter[str]:
    return Counter(word.strip(_OUTER) for word in _WITH_DIGIT.findall(normalised))
