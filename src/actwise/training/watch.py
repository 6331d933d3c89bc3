"""Says early, from the first tens of steps, when RL is not learning, and what to change.

The signs are those of runs that ended no better than they began: groups that are dead, thoughts
that shrink, a policy that is sure of itself too soon, decisions that no completion ever gets right,
servers that sample from something else.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

WATCHED_STEPS = 20
"""Steps that are averaged, and after which signs are looked for again."""

FEW_LIVE = 0.25
SHRUNK = 0.7
SURE = 0.5
UNSOLVED = 0.4
MISMATCH = 0.05


def warnings(metrics: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what the metrics of RL's steps give reason to worry about, each with its remedy.

    Args:
        metrics: A record of each step since the first, in order; see docs/method.md.

    Returns:
        A sentence by the name of its figure. Nothing before the first `WATCHED_STEPS`. Live groups
        and servers are judged at once, everything else by the last `WATCHED_STEPS` against the
        first.
    """
    if len(metrics) < WATCHED_STEPS:
        return {}
    first, last = metrics[:WATCHED_STEPS], metrics[-WATCHED_STEPS:]
    found: dict[str, str] = {}
    if (live := _mean(last, "live_groups")) < FEW_LIVE:
        found["live_groups"] = (
            f"{live:.0%} of the groups are live, so a step learns from few decisions: begin from a "
            "model that is right at times (a shorter think stage, or thoughts recorded for more "
            "kinds of decisions), or --set rl.selection.live_groups=16"
        )
    if (mismatch := _mean(last, "mismatch_kl")) > MISMATCH:
        found["mismatch_kl"] = (
            f"the servers that sample and what is trained differ by {mismatch:.3f} nats a token: "
            "start them with the --dtype of model.dtype, and see docs/engines.md"
        )
    if len(metrics) < 2 * WATCHED_STEPS:
        return found
    if _mean(last, "thought_words") < SHRUNK * _mean(first, "thought_words"):
        found["thought_words"] = (
            f"thoughts have shrunk from {_mean(first, 'thought_words'):.1f} to "
            f"{_mean(last, 'thought_words'):.1f} words: see in rollouts/ whether they still "
            "decide; a larger rl.kl_coefficient holds them, and so does a larger "
            "rl.likelihood.weight where rl.unit=decision"
        )
    if _mean(last, "entropy") < SURE * _mean(first, "entropy"):
        found["entropy"] = (
            f"entropy has fallen from {_mean(first, 'entropy'):.3f} to "
            f"{_mean(last, 'entropy'):.3f}, so little new is tried: use a lower rl.learning_rate, "
            "or a larger rl.kl_coefficient"
        )
    unsolved = _mean(last, "unsolved")
    if unsolved > UNSOLVED and unsolved > 0.95 * _mean(first, "unsolved"):
        found["unsolved"] = (
            f"{unsolved:.0%} of the decisions still have no right completion: record thoughts for "
            "their kinds, or try more with a larger rl.num_generations"
        )
    return found


def _mean(metrics: Sequence[Mapping[str, Any]], name: str) -> float:
    # A step without a live group has no entropy. Nothing compares with NaN, so nothing is said.
    values = [value for record in metrics if (value := record.get(name)) is not None]
    return sum(values) / len(values) if values else math.nan
