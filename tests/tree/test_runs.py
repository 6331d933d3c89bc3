"""Runs: each token once, each run after the one whose state it starts from."""

import random

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from actwise.tree.forest import Forest, Node
from actwise.tree.layout import lay_out
from actwise.tree.runs import ancestors, find_runs


def grown(draw: random.Random) -> Forest:
    forest = Forest()
    for tree in range(draw.randint(1, 3)):
        own = [forest.insert([1] * draw.randint(1, 12), tree=tree).segment]
        for _ in range(draw.randint(0, 6)):
            parent = draw.choice(own)
            offset = draw.randint(1, len(forest.segments[parent].token_ids))
            own.append(forest.attach(Node(parent, offset), [2] * draw.randint(1, 9)).segment)
    return forest


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False))
def test_tokens_counted_along_runs_have_their_depth(draw: random.Random) -> None:
    layout = lay_out(grown(draw))
    count = len(layout.input_ids)
    ends = draw.sample(range(count), draw.randint(0, min(4, count)))
    runs = find_runs(layout, ends)
    reached: dict[int, int] = {}
    depths = []
    for batch in runs.batches:
        starts = [reached[number] for number in batch.follows] or [0] * len(batch.numbers)
        real = batch.real_RL
        depth = torch.tensor(starts)[:, None] + real.cumsum(1) - 1
        depths.append(depth[real])
        for row, number in enumerate(batch.numbers):
            reached[number] = int(depth[row][real[row]][-1]) + 1
    assert torch.equal(torch.cat(depths)[runs.order_N], layout.position_ids)
    for end in ends:
        assert reached[runs.ending[end]] == layout.position_ids[end] + 1


@settings(max_examples=50, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 5))
def test_ancestors_are_found_one_by_one(draw: random.Random, count: int) -> None:
    layout = lay_out(grown(draw))
    before = layout.predecessor.tolist()
    for index, seen in enumerate(ancestors(layout, count).tolist()):
        expected = [index]
        while len(expected) < count:
            expected.insert(0, before[expected[0]] if expected[0] >= 0 else -1)
        assert seen == expected
