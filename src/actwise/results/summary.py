"""From judged decisions to the table: means with intervals, slices, paired differences.

Each row of the table is one model in one mode on one split. All intervals are 95 % bootstrap
intervals over conversations.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from actwise.results.stats import bootstrap_mean, paired_bootstrap

Record = dict[str, Any]

_FEW = 30
"""Conversations below which intervals are wide and themselves uncertain."""
FEWEST = 6
"""Conversations from which on models can be told apart: if all of fewer favour the same one, chance
alone does that in more than 5 % of the cases (of five, 2 / 2 ** 5), whatever the interval."""

METRICS: dict[str, Callable[[Record], float | None]] = {
    "action_accuracy": lambda r: r["verdict"]["right"],
    "tool_names": lambda r: r["verdict"]["tool_names"],
    "arguments": lambda r: r["verdict"]["arguments"],
    "recall": lambda r: r["verdict"]["recall"],
    "answer_correctness": lambda r: r["verdict"]["answer_correctness"],
    "missed_calls": lambda r: r["verdict"]["missed_call"] if r["kind"] == "call" else None,
    "needless_calls": lambda r: r["verdict"]["needless_call"] if r["kind"] == "answer" else None,
    "not_checkable": lambda r: r["verdict"]["right"] is None,
    "format": lambda r: r["verdict"]["format"],
    "truncated": lambda r: r["stop"] == "length",
    "thought_tokens": lambda r: r["thought_tokens"],
}
"""Value of each metric at a decision; None where the metric does not apply."""


def share_right(records: Sequence[Record]) -> float:
    """Return the share of the decisions judged right or wrong that are right; NaN without any.

    Decisions whose verdict is "not checkable" do not count.
    """
    known = [r["verdict"]["right"] for r in records if r["verdict"]["right"] is not None]
    return sum(known) / len(known) if known else math.nan


def both_known(
    ours: Sequence[Record],
    theirs: Sequence[Record],
    value: Callable[[Record], float | None] = METRICS["action_accuracy"],
) -> tuple[list[float], list[float], list[str]]:
    """Return a metric of two models, on the decisions at which it applies to both.

    Args:
        ours: Judged decisions of one model.
        theirs: Those of the other, which hold the same decisions.
        value: The metric; whether they are right where not given.

    Returns:
        The value at each decision of the one and of the other, and its conversation.
    """
    other = {record["decision"]: value(record) for record in theirs}
    pairs = [(value(r), other[r["decision"]], r["conversation"]) for r in ours]
    known = [(float(a), float(b), c) for a, b, c in pairs if a is not None and b is not None]
    return [a for a, _, _ in known], [b for _, b, _ in known], [c for _, _, c in known]


def row(model: str, mode: str, split: str, records: Sequence[Record]) -> dict[str, Any]:
    """Return one row of the table.

    Args:
        model: Name of the model.
        mode: "direct" or "thinking".
        split: Name of the split.
        records: From `Evaluator.evaluate`, at least one.
    """
    slices = {}
    for name in sorted({s for record in records for s in slices_of(record)}):
        of_slice = [record for record in records if name in slices_of(record)]
        slices[name] = {
            "decisions": len(of_slice),
            "action_accuracy": mean_interval(of_slice, METRICS["action_accuracy"]) or {},
        }
    return {
        "model": model,
        "mode": mode,
        "split": split,
        "decisions": len(records),
        "conversations": len({record["conversation"] for record in records}),
        "metrics": {
            name: interval
            for name, value in METRICS.items()
            if (interval := mean_interval(records, value)) is not None
        },
        "slices": slices,
    }


def given_row(
    given: str, model: str, mode: str, split: str, records: Sequence[Record]
) -> dict[str, Any]:
    """Return a row of what a model does after a thought that is given, or steered.

    Args:
        given: What is given, such as "thought of 8" (tokens).
        model: As for `row`.
        mode: As for `row`.
        split: As for `row`.
        records: As for `row`.
    """
    return {"given": given, **row(model, mode, split, records)}


def paired(
    split: str,
    model: tuple[str, Sequence[Record]],
    against: tuple[str, Sequence[Record]],
) -> list[dict[str, Any]]:
    """Return how much more often one model is right than another on the same decisions.

    Args:
        split: Name of the split.
        model: Name and records of the one.
        against: Name and records of the other, on the same decisions.

    Returns:
        One difference over all decisions and one for each slice that has any at which both can be
        checked.
    """
    differences = []
    for name in ["all", *sorted({s for record in model[1] for s in slices_of(record)})]:
        ours = [r for r in model[1] if name == "all" or name in slices_of(r)]
        of_model, of_other, clusters = both_known(ours, against[1])
        if not clusters:
            continue
        result = paired_bootstrap(of_model, of_other, clusters, seed=0)
        relative = result.relative
        differences.append(
            {
                "split": split,
                "model": model[0],
                "against": against[0],
                "slice": name,
                "conversations": len(set(clusters)),
                "difference": result.difference._asdict(),
                "relative": None if relative is None else relative.value,
                "relative_interval": None if relative is None else relative._asdict(),
            }
        )
    return differences


def slices_of(record: Record) -> list[str]:
    """Return the slices of the table that a judged decision belongs to, besides all."""
    return [record["kind"], *record["labels"]]


def mean_interval(
    records: Sequence[Record], value: Callable[[Record], float | None]
) -> dict[str, float] | None:
    """Return the mean of a metric and its interval over conversations; None where it never applies.

    Args:
        records: Each with its "conversation".
        value: The metric.
    """
    pairs = [(v, r["conversation"]) for r in records if (v := value(r)) is not None]
    if not pairs:
        return None
    values, clusters = zip(*pairs, strict=True)
    return bootstrap_mean([float(v) for v in values], clusters, seed=0)._asdict()


def verdict_sentence(
    rows: Sequence[dict[str, Any]],
    differences: Sequence[dict[str, Any]],
    promoted: str,
    headline: tuple[str, str] | None,
) -> str:
    """Say in words what the run found on its first test split.

    Args:
        rows: The table.
        differences: From `paired`.
        promoted: The model that was best on the development split, with its mode.
        headline: The two models, with their modes, of whose difference it is said.
    """
    split = rows[0]["split"]
    found = [
        _comparison(d)
        for d in differences
        if d["split"] == split and d["slice"] == "all" and (d["model"], d["against"]) == headline
    ] or [
        f"{r['model']} ({r['mode']}) is right on "
        f"{100 * r['metrics']['action_accuracy']['value']:.1f} %."
        for r in rows
        if r["split"] == split and "action_accuracy" in r["metrics"]
    ]
    found = found or ["no decision can be checked."]
    few = min(r["conversations"] for r in rows if r["split"] == split)
    if few < _FEW:
        found.append(f"{few} conversations are few to tell models apart by.")
    return f"On {split}, {' '.join(found)} Promoted by the development split: {promoted}."


def _comparison(paired_difference: dict[str, Any]) -> str:
    value, low, high = (100 * paired_difference["difference"][k] for k in ("value", "low", "high"))
    told = (low > 0 or high < 0) and paired_difference["conversations"] >= FEWEST
    found = "not told apart from" if not told else "better than" if low > 0 else "worse than"
    # Where nothing was told apart, a relative figure would make much of what may be chance.
    relative = paired_difference["relative"] if told else None
    gain = "" if relative is None else f", {100 * relative:+.1f} % relative"
    model, against = paired_difference["model"], paired_difference["against"]
    return f"{model} is {found} {against}: {value:+.1f} points ({low:+.1f} to {high:+.1f}){gain}."


def best_on_development(scores: dict[str, float]) -> str:
    """Return the name with the highest score; of equals the earliest, without scores the last."""
    known = {name: score for name, score in scores.items() if not math.isnan(score)}
    return max(known, key=lambda name: known[name]) if known else list(scores)[-1]
