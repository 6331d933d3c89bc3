"""Forests to be scored, and the same computed as whole sequences by ordinary models."""

import copy
import random
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from actwise.model.attention.interface import IMPLEMENTATION
from actwise.tree.forest import Forest, Node
from actwise.tree.layout import Layout, lay_out


def for_trees(model: Any) -> Any:
    """Return a copy of a model that attends over trees."""
    model = copy.deepcopy(model)
    model.set_attn_implementation(IMPLEMENTATION)
    return model


@dataclass
class Case:
    """A forest, the tokens that are scored and a weight for each."""

    layout: Layout
    indices: Tensor
    rows: list[list[int]]
    """For each segment the whole sequence that ends with it."""
    scored: list[list[tuple[int, float]]]
    """For each row the indices that are scored there, with their weights."""

    @property
    def weights(self) -> Tensor:
        return torch.tensor([weight for row in self.scored for _, weight in row])


def make_case(seed: int, *, longest: int = 20) -> Case:
    """Grow trees with branches at any depth up to 4; every token but the first is scored once."""
    draw = random.Random(seed)
    forest = Forest()
    depth, indices = [], []
    for tree in range(draw.choice((1, 3))):
        trunk = forest.insert(tokens(draw, longest), tree=tree)
        depth.append(0)
        own = [trunk.segment]
        for _ in range(draw.randint(1, 8)):
            parent = draw.choice([s for s in own if depth[s] < 4])
            offset = draw.randint(1, len(forest.segments[parent].token_ids))
            node = forest.attach(Node(parent, offset), tokens(draw, longest // 2))
            depth.append(depth[parent] + 1)
            own.append(node.segment)
    layout = lay_out(forest)
    rows, scored = [], []
    for index, segment in enumerate(forest.segments):
        end = Node(index, len(segment.token_ids))
        row = forest.token_ids(end)
        begin = max(1, len(row) - len(segment.token_ids))
        rows.append(row)
        scored.append([(i, draw.uniform(-1, 1)) for i in range(begin, len(row))])
        indices += list(layout.indices(end, first=begin - (len(row) - len(segment.token_ids))))
    return Case(layout, torch.tensor(indices), rows, scored)


def tokens(draw: random.Random, most: int) -> list[int]:
    return [draw.randrange(64) for _ in range(draw.randint(1, most))]


def row_by_row(model: Any, case: Case, temperature: float = 1.0) -> Tensor:
    """Return the log-probs that the model gives to the scored tokens of each sequence alone."""
    logprobs = []
    for row, scored in zip(case.rows, case.scored, strict=True):
        logits = model(input_ids=torch.tensor([row]), use_cache=False).logits[0] / temperature
        of_row = logits.log_softmax(-1)
        logprobs += [of_row[i - 1, row[i]] for i, _ in scored]
    return torch.stack(logprobs)


def gradients(model: Any, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}


def assert_same_gradients(
    ours: dict[str, Tensor], theirs: dict[str, Tensor], tolerance: float = 1e-5
) -> None:
    assert ours.keys() == theirs.keys()
    whole = torch.cat([g.flatten() for g in theirs.values()]).norm()
    assert whole > 0
    for name, gradient in theirs.items():
        # Some gradients are zero but for rounding (a key's bias does not change a softmax).
        scale = max(float(gradient.norm()), 1e-2 * float(whole))
        assert float((ours[name] - gradient).norm()) <= tolerance * scale, name
