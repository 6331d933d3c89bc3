"""A layout as runs of tokens in a row: what layers with a state are computed by.

A run ends where a branch begins, so it starts from the state that one other run has left. Runs
whose states are known are computed at once.

Letters in shapes: R runs, L tokens of the longest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from actwise.tree.layout import Layout

_LIKE = 0.5
"""How long the shortest run of a batch is at least, relative to the longest."""


@dataclass(frozen=True)
class RunBatch:
    """Runs of similar length, padded on the right."""

    numbers: tuple[int, ...]
    """Tokens of the runs, in the layout's order."""
    follows: tuple[int, ...]
    """The runs whose states these start from; empty at the beginning of trees."""
    index_RL: Tensor
    """Places in the layout; padding repeats a run's first token."""
    real_RL: Tensor
    """False where it is padding."""


@dataclass(frozen=True)
class Runs:
    """All tokens of a layout."""

    batches: tuple[RunBatch, ...]
    """Each after those that it follows."""
    order_N: Tensor
    """Where each token of the layout is among the batches' tokens that are no padding."""
    ending: dict[int, int]
    """The run that ends at each of the last indices."""


def find_runs(layout: Layout, ends: Sequence[int] = ()) -> Runs:
    """Cut a layout into runs.

    Args:
        layout: To be cut.
        ends: Places at which a run has to end, too.
    """
    before = layout.predecessor.tolist()
    followers = [0] * len(before)
    for index in before:
        if index >= 0:
            followers[index] += 1
    last = set(ends)
    starts = [
        i
        for i, index in enumerate(before)
        if index != i - 1 or index < 0 or followers[index] > 1 or index in last
    ]
    stops = [*starts[1:], len(before)]
    ending = {stop - 1: number for number, stop in enumerate(stops)}
    follows = [ending[before[start]] if before[start] >= 0 else None for start in starts]
    level: list[int] = []
    for parent in follows:  # runs come after those that they follow
        level.append(0 if parent is None else level[parent] + 1)
    batches: list[list[int]] = []
    lengths = [stop - start for start, stop in zip(starts, stops, strict=True)]
    for number in sorted(range(len(starts)), key=lambda i: (level[i], -lengths[i])):
        first = batches[-1][0] if batches else number
        if not batches or level[first] != level[number] or lengths[number] < _LIKE * lengths[first]:
            batches.append([])
        batches[-1].append(number)
    made = [_batch(numbers, starts, lengths, follows, layout) for numbers in batches]
    indices = torch.cat([batch.index_RL[batch.real_RL] for batch in made])
    return Runs(tuple(made), indices.argsort(), ending)


def _batch(
    numbers: Sequence[int],
    starts: Sequence[int],
    lengths: Sequence[int],
    follows: Sequence[int | None],
    layout: Layout,
) -> RunBatch:
    device = layout.input_ids.device
    first_R1 = torch.tensor([[starts[i]] for i in numbers], device=device)
    length_R1 = torch.tensor([[lengths[i]] for i in numbers], device=device)
    steps_1L = torch.arange(lengths[numbers[0]], device=device)[None]
    real_RL = steps_1L < length_R1
    return RunBatch(
        tuple(numbers),
        tuple(parent for i in numbers if (parent := follows[i]) is not None),
        torch.where(real_RL, first_R1 + steps_1L, first_R1),
        real_RL,
    )


def ancestors(layout: Layout, count: int) -> Tensor:
    """Return the last `count` tokens up to each token, itself last, (N, count); -1 where none."""
    before = torch.cat([layout.predecessor, layout.predecessor.new_tensor([-1])])
    columns = [torch.arange(len(layout.predecessor), device=before.device)]
    for _ in range(count - 1):
        columns.append(before[columns[-1]])
    return torch.stack(columns[::-1], 1)
