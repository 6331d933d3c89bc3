"""Which decisions are sampled, and which completions of them are learned from.

A group whose rewards are all equal teaches nothing, and costs as much to sample as any other.
*Resting*: decisions that were all right are not sampled again for a while. *Refilling*: further
conversations are drawn until enough groups are live (dynamic sampling, DAPO, arXiv:2503.14476), so
that no step is taken on a handful of them. *Thinning*: many completions are sampled, which is cheap
because they share their beginnings, and few are kept, those whose rewards differ most (PODS,
arXiv:2504.13818); a rare right completion is found more often, and the update stays as short.
"""

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, TypeVar

from actwise.config import RlConfig
from actwise.conversation import Conversation
from actwise.training.stage import batch_of

T = TypeVar("T")


def refilled(
    conversations: Sequence[Conversation],
    config: RlConfig,
    seed: int,
    kept: dict[str, Any],
    sample: Callable[[list[Conversation]], Sequence[T]],
    live: Callable[[T], bool],
) -> list[T]:
    """Sample until enough is live, or as many conversations are drawn as may be.

    Args:
        conversations: To draw from.
        config: Says how many are drawn at a time, how often, and what is enough.
        seed: Of the order in which they are drawn.
        kept: What the checkpoint keeps; changed in place. "drawn" counts the batches, the one that
            is being sampled among them.
        sample: Returns what is compared in a batch of conversations.
        live: Whether there is something to learn from it.
    """
    wanted, most = config.selection.live_groups, config.selection.most
    found: list[T] = []
    for _ in range(1 if wanted is None else most):
        drawn = kept.setdefault("drawn", 0)
        batch = batch_of(conversations, config.conversations_per_step, drawn, seed)
        kept["drawn"] = drawn + 1
        found += sample(batch)
        if wanted is not None and sum(map(live, found)) >= wanted:
            break
    return found


def at_most(items: list[T], limit: int | None, draw: Random) -> list[T]:
    """Return items in their order, so many drawn at random where there are more than a limit."""
    if limit is None or limit >= len(items):
        return items
    return [items[i] for i in sorted(draw.sample(range(len(items)), limit))]


class Resting:
    """Decisions that are left out until some step."""

    def __init__(self, steps: int, kept: dict[str, Any]) -> None:
        """Go on where a checkpoint left off.

        Args:
            steps: How long a decision rests after all its completions were right; 0 for never.
            kept: What the checkpoint keeps; changed in place. "resting" holds the first step at
                which each decision takes part again, by its key.
        """
        self._steps = steps
        self._kept = kept
        kept.setdefault("resting", {})

    def awake(
        self, batch: Sequence[list[T]], key: Callable[[T], str], step: int
    ) -> Sequence[list[T]]:
        """Return what takes part in a step, by conversation; all of it where all of it rests."""
        resting: dict[str, int] = self._kept["resting"]
        found = [[item for item in items if resting.get(key(item), 0) <= step] for items in batch]
        return found if any(found) else batch

    def solved(self, keys: Iterable[str], step: int) -> None:
        """Let decisions rest after this step."""
        if self._steps:
            resting = {key: end for key, end in self._kept["resting"].items() if end > step + 1}
            self._kept["resting"] = resting | dict.fromkeys(keys, step + 1 + self._steps)


def most_varied(rewards: Sequence[float], keep: int) -> list[int]:
    """Return the completions whose rewards have the greatest variance of all subsets of a size.

    Such a subset is always made of the best and the worst, so only the numbers of each are tried.
    Of equal rewards the first are taken; of equal variances the one with more of the best.

    Args:
        rewards: What the completions of one decision earn.
        keep: The size; all are returned where there are no more.

    Returns:
        Indices into `rewards`, ascending.
    """
    if keep >= len(rewards):
        return list(range(len(rewards)))
    order = sorted(range(len(rewards)), key=lambda i: -rewards[i])
    subsets = [order[:best] + order[len(order) - keep + best :] for best in range(keep, -1, -1)]
    return sorted(max(subsets, key=lambda subset: _variance([rewards[i] for i in subset])))


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values)
