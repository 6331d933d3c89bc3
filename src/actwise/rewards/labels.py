"""Answers that are values: JSON, and labels of a word or two."""

import json
import re
from typing import Any

from actwise.rewards.facts import read
from actwise.rewards.lexicon import SOCIAL
from actwise.rewards.stance import stance
from actwise.rewards.typography import plain

_MAX_LABEL_WORDS = 2
_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n\s*```\s*\Z", re.DOTALL)
_LABEL = re.compile(r"[^\W_]+(?:[-_/ ][^\W_]+){0,3}\.?")


def parsed(text: str) -> Any | None:
    """Return the value of a text that is a JSON object or array, fenced or not; else None."""
    fenced = _FENCE.match(text)
    text = (fenced[1] if fenced else text).strip()
    if not text.startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def label_of(text: str) -> str | None:
    """Return a text that is a label: a word or two, no fact, no politeness, no statement."""
    text = plain(text).strip()
    if not _LABEL.fullmatch(text):
        return None
    words = text.rstrip(".").split()
    if (text.endswith(".") and len(words) > 1) or len(words) > _MAX_LABEL_WORDS:
        return None
    if not SOCIAL.isdisjoint(text.casefold().rstrip(".").split()):
        return None
    if read(text).facts or read(text).spelled:
        return None
    found = stance(text.rstrip("."))
    content = sum(len(clause.content) + len(clause.excluding) for clause in found.clauses)
    return text if content >= len(words) and found.opening is None else None


def another_label(predicted: str, label: str) -> str | None:
    """Return why a text does not give a label, or None where it holds the label."""
    words = re.findall(r"\w+", plain(predicted).casefold())
    wanted = re.findall(r"\w+", label.casefold())
    if not set(wanted) <= set(words):
        return f"another label than {label}"
    if "or" not in wanted and _is_alternative(wanted, words):
        return f"leaves open whether {label} or another label"
    return None


def _is_alternative(wanted: list[str], words: list[str]) -> bool:
    """Whether a label stands beside an "or"."""
    size = len(wanted)
    places = (i for i in range(len(words)) if words[i : i + size] == wanted)
    return any("or" in words[max(0, i - 2) : i] + words[i + size : i + size + 1] for i in places)
