"""What kinds of wrong actions there are, and how often each occurs."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

_UNREADABLE = frozenset(
    ("unclosed_thought", "unclosed_call", "broken_json", "missing_name", "arguments_not_object")
)
"""Values of `FormatError` with which an action cannot be read, or only in part."""

KINDS = {
    "cut off": "the completion ran into its limit of length",
    "unreadable": "a call or a thought that does not end, or is no JSON",
    "missed call": "a tool had to be called, and none was",
    "needless call": "an answer was due, and a tool was called",
    "wrong tool": "other tools were called than the recorded ones, or not all of them",
    "wrong arguments": "the recorded tools were called with other arguments",
    "wrong answer": "an answer lacks a fact of the recorded one, or contradicts it",
}
"""Each wrong decision is of the first of these kinds that fits."""


def kind_of_failure(record: dict[str, Any]) -> str | None:
    """Return the kind of a judged decision; None where it is right or not checkable.

    Args:
        record: From `Evaluator.evaluate`.
    """
    verdict = record["verdict"]
    if verdict["right"] is not False:
        return None
    if record["stop"] == "length":
        return "cut off"
    if _UNREADABLE.intersection(verdict["errors"]):
        return "unreadable"
    if verdict["missed_call"]:
        return "missed call"
    if verdict["needless_call"]:
        return "needless call"
    if record["kind"] == "answer":
        return "wrong answer"
    return "wrong arguments" if verdict["tool_names"] else "wrong tool"


OUTCOMES = ("right", *KINDS, "not checkable")
"""Each decision has one of these."""


def outcome(record: dict[str, Any]) -> str:
    """Return what became of a judged decision, one of `OUTCOMES`."""
    if record["verdict"]["right"] is None:
        return "not checkable"
    return kind_of_failure(record) or "right"


def failures(records: Iterable[dict[str, Any]]) -> Counter[str]:
    """Count the kinds of what is wrong in judged decisions; see `KINDS`."""
    kinds = map(kind_of_failure, records)
    return Counter(kind for kind in kinds if kind is not None)


def failures_sentence(records: Iterable[dict[str, Any]]) -> str:
    """Say how much is wrong and of what kinds, the commonest first, such as for a terminal."""
    counts = failures(records)
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    return f"{counts.total()} decisions: {kinds}" if counts else "nothing"
