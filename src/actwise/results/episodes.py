"""From judged episodes to the table: shares and means with intervals over conversations."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from actwise.results.summary import mean_interval

Record = dict[str, Any]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


EPISODE_METRICS: dict[str, Callable[[Record], float | None]] = {
    "success": lambda r: r["success"],
    "left_open": lambda r: r["success"] is None,
    "diverged": lambda r: r["end"] == "diverged",
    "answered": lambda r: r["end"] == "answered",
    "needless_questions": lambda r: r["needless_questions"],
    "calls": lambda r: r["calls"],
    "failed_calls": lambda r: r["failed_calls"],
    "tokens": lambda r: r["tokens"],
    "tokens_before_act": lambda r: _mean(r["tokens_before_act"]),
    "calls_before_answer": lambda r: _mean(r["calls_before_answer"]),
    "tokens_before_answer": lambda r: _mean(r["tokens_before_answer"]),
}
"""Value of each metric of an episode; None where it does not apply."""


def episode_row(
    model: str, mode: str, split: str, unit: str, records: Sequence[Record], search: int = 0
) -> dict[str, Any]:
    """Return one row of the table.

    Args:
        model: Name of the model.
        mode: "direct" or "thinking".
        split: What was measured on.
        unit: "turn" or "conversation".
        records: From `EpisodeEvaluator.evaluate`.
        search: Completions of each step among which one was chosen; 0 where it acted greedily.
    """
    return {
        "model": model,
        "mode": mode,
        "split": split,
        "unit": unit,
        "search": search,
        "episodes": len(records),
        "conversations": len({record["conversation"] for record in records}),
        "metrics": {
            name: interval
            for name, value in EPISODE_METRICS.items()
            if (interval := mean_interval(records, value)) is not None
        },
        "ends": dict(Counter(record["end"] for record in records).most_common()),
        "problems": dict(Counter(r["problem"] for r in records if r["problem"]).most_common(5)),
    }
