"""Tables in Markdown, and how figures stand in their cells."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

Figures = dict[str, Any]


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def every(found: Iterable[Figures], **wanted: str) -> Iterator[Figures]:
    """Yield the figures that have some values."""
    return (f for f in found if all(f[key] == value for key, value in wanted.items()))


def slice_of(row: Figures, name: str) -> Figures | None:
    """Return the action accuracy of a slice of a row, where it has one."""
    part = row["slices"].get(name)
    return part and part["action_accuracy"]


def percent(share: float) -> str:
    """Write a share."""
    return f"{100 * share:.1f}"


def interval(interval: Figures | None) -> str:
    """Write a share with its interval; nothing where there is none."""
    if interval is None:
        return ""
    value, low, high = (percent(interval[key]) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def signed(interval: Figures | None, unit: str = "", factor: float = 100) -> str:
    """Write a difference with its interval; a share's in points."""
    if interval is None:
        return "–"
    value, low, high = (f"{factor * interval[key]:+.1f}" for key in ("value", "low", "high"))
    return f"{value}{unit} ({low} to {high})"
