"""From sampled completions of each decision to the table: what a model can do, and how surely."""

from collections.abc import Callable, Sequence
from typing import Any

from actwise.results.summary import mean_interval

Record = dict[str, Any]


def known(record: Record) -> bool:
    """Return whether some completion of a decision can be checked."""
    return bool(record["checked"])


def failed(record: Record) -> bool:
    """Return whether every completion that can be checked is wrong, and some can."""
    return known(record) and not record["right"]


ATTEMPT_METRICS: dict[str, Callable[[Record], float | None]] = {
    "pass_at_1": lambda r: r["right"] / r["checked"] if known(r) else None,
    "pass_at_k": lambda r: r["right"] > 0 if known(r) else None,
    "live": lambda r: 0 < r["right"] < r["checked"] if known(r) else None,
}
"""Value of each metric of a decision: share of its completions that are right, whether any is, and
whether some are and others not; None where it does not apply."""


def attempts_row(model: str, mode: str, split: str, records: Sequence[Record]) -> dict[str, Any]:
    """Return one row of the table.

    Args:
        model: Name of the model.
        mode: "direct" or "thinking".
        split: What was measured on.
        records: From `evaluation.attempts.attempts`, at least one.
    """
    return {
        "model": model,
        "mode": mode,
        "split": split,
        "decisions": len(records),
        "attempts": records[0]["attempts"],
        "metrics": {
            name: interval
            for name, value in ATTEMPT_METRICS.items()
            if (interval := mean_interval(records, value)) is not None
        },
    }
