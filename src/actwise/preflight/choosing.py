"""How well the development split tells which checkpoint is best."""

import math
from collections.abc import Iterator

from actwise.config import RunConfig
from actwise.conversation import all_decisions
from actwise.data.split import Splits
from actwise.findings.finding import Finding

_COARSE = 0.1
"""Half of the 95 % interval from which on a score hides what RL usually gains."""
_FINE = 200
"""Decisions of whose share the interval is 7 points to either side, at most."""
_MOST = 0.3
"""Share of all conversations that may be spent on choosing."""


def uncertainty(splits: Splits, config: RunConfig) -> tuple[int, float]:
    """Return the decisions that checkpoints are chosen by, and how far off their score may be.

    The latter is half of the 95 % interval of a share of one half, between 0 and 1, at the least:
    decisions of a conversation are alike, and answers that are not checkable count in no score.
    """
    decisions = len(list(all_decisions(splits.dev[: config.evaluate.dev_conversations])))
    return decisions, 0.98 / math.sqrt(decisions) if decisions else 1.0


def choice_findings(splits: Splits, config: RunConfig) -> Iterator[Finding]:
    """Warn where the choice of a checkpoint would be one by chance."""
    decisions, off = uncertainty(splits, config)
    if off > _COARSE:
        yield Finding(
            "warning",
            "few_to_choose_by",
            0,
            f"checkpoints are chosen by {decisions} decisions, and the share of these that is "
            f"right may be off by {100 * off:.0f} points or more",
            "RL that gains less can be taken for none, and the weights from before it are kept.",
            _remedy(splits, config),
        )


def _remedy(splits: Splits, config: RunConfig) -> str:
    sides = (splits.train, splits.dev, *splits.tests.values())
    total = sum(map(len, sides))
    decisions = sum(len(c.decisions()) for side in sides for c in side)
    dev = splits.dev[: config.evaluate.dev_conversations]
    of_dev = sum(len(c.decisions()) for c in dev)
    # A few conversations may hold most decisions, and none of them be among those of the split.
    needed = math.ceil(_FINE * max(total / decisions, len(dev) / of_dev))
    if needed > _MOST * total:
        return "Collect more conversations; the interval of the result is as wide."
    settings = []
    if needed > len(splits.dev):
        settings.append(f"data.dev_fraction={math.ceil(100 * needed / total) / 100:g}")
    if needed > config.evaluate.dev_conversations:
        settings.append(f"evaluate.dev_conversations={needed}")
    return f"--set {' --set '.join(settings)}."
