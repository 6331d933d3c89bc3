"""Intervals that are no narrower than a few seeds allow.

Resampling three or five seeds makes the part of an interval that is due to seeds too narrow: of
95 % intervals 77 to 94 % held the truth in a simulation, the fewer the more seeds differed. Where
the figure of each seed is known, an interval therefore reaches at least as far as Student's t from
the seeds alone (a mean of three seeds is known to 2.5 times their standard deviation, of five to
1.2 times). Two seeds tell next to nothing of others (9 times), and one nothing; their intervals are
left as they are, and nothing is concluded from them.
"""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from actwise.experiment.cells import Figures
from actwise.results.stats import Interval

ENOUGH = 3
"""Seeds from which on something is concluded."""
_STUDENT = (4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Quantiles at 97.5 % for 2, 3, ... degrees of freedom; the last stands for more."""


def no_surer_than_seeds(figures: Figures) -> Figures:
    """Return figures whose intervals also hold what the seeds alone tell.

    Widened are the shares of all right decisions and the differences; of the shares of single kinds
    of decisions the seeds are not kept. A relative gain becomes as much wider as its difference.
    """
    return {
        **figures,
        "rows": [_row(row) for row in figures["rows"]],
        "paired": [_pair(pair) for pair in figures["paired"]],
    }


def over_seeds(found: Interval, per_seed: Sequence[float]) -> Interval:
    """Return an interval that reaches as far as the seeds alone say, where they are enough."""
    if len(per_seed) < ENOUGH:
        return found
    quantile = _STUDENT[min(len(per_seed) - ENOUGH, len(_STUDENT) - 1)]
    reach = quantile * statistics.stdev(per_seed) / math.sqrt(len(per_seed))
    return Interval(
        found.value, min(found.low, found.value - reach), max(found.high, found.value + reach)
    )


def _row(row: Figures) -> Figures:
    metrics = dict(row["metrics"])
    if "action_accuracy" in metrics:
        found = over_seeds(Interval(**metrics["action_accuracy"]), row["per_seed"])
        # A share has no more room than there is.
        metrics["action_accuracy"] = Interval(
            found.value, max(found.low, 0.0), min(found.high, 1.0)
        )._asdict()
    return {**row, "metrics": metrics}


def _pair(pair: Figures) -> Figures:
    before = Interval(**pair["difference"])
    after = over_seeds(before, pair["per_seed"])
    relative: Any = pair["relative"]
    if relative is not None:
        own = Interval(**relative)
        below = (own.value - own.low) * _times(after.value - after.low, before.value - before.low)
        above = (own.high - own.value) * _times(
            after.high - after.value, before.high - before.value
        )
        relative = Interval(own.value, max(own.value - below, -1.0), own.value + above)._asdict()
    return {**pair, "difference": after._asdict(), "relative": relative}


def _times(after: float, before: float) -> float:
    return after / before if before > 0 else 1.0
