"""Which conversations are computed in one pass, and what of them only once.

Conversations that begin alike, with the same system prompt and tools, go together: what they have
in common is computed once in each pass. A conversation that is larger than a pass is divided by
its decisions, at the price of its trunk being computed again for each part.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from actwise.tree.forest import Forest, Node, common_prefix, shared_prefix_of
from actwise.tree.layout import Layout, lay_out

_BRANCHES = 3
"""Times the trunk's length that the branches of a pass may have, however long the trunk is."""


@dataclass(frozen=True)
class Tree:
    """A conversation's decisions: prompts, most of them on one trunk, and completions as branches.

    Prompts of turns that a model has gone on with by itself leave the trunk for long.
    """

    prompts: tuple[Sequence[int], ...]
    completions: tuple[tuple[Sequence[int], ...], ...]
    """Completions of each prompt."""

    @cached_property
    def trunk(self) -> Sequence[int]:
        """The longest prompt."""
        return max(self.prompts, key=len)

    @cached_property
    def shared_prefix(self) -> tuple[int, ...]:
        """By which conversations that begin alike are found."""
        return shared_prefix_of(self.trunk)

    @cached_property
    def branch_tokens(self) -> tuple[int, ...]:
        """Tokens of each prompt's completions, what they begin with in common only once."""
        counts = []
        for of_one in self.completions:
            forest = Forest()
            forest.insert_all(of_one)
            counts.append(forest.num_tokens)
        return tuple(counts)

    @property
    def num_branch_tokens(self) -> int:
        """Tokens of all completions."""
        return sum(self.branch_tokens)

    @cached_property
    def added_tokens(self) -> tuple[int, ...]:
        """Tokens that each decision adds to the trunk and the prompts before its own."""
        forest = Forest()
        forest.insert(self.trunk)
        counts = []
        for prompt, branches in zip(self.prompts, self.branch_tokens, strict=True):
            before = forest.num_tokens
            forest.insert(prompt)
            counts.append(forest.num_tokens - before + branches)
        return tuple(counts)

    @property
    def num_tokens(self) -> int:
        """What a forward pass computes at most."""
        return len(self.trunk) + sum(self.added_tokens)

    def part(self, decisions: Sequence[int]) -> "Tree":
        """Return the tree of some decisions."""
        return Tree(
            tuple(self.prompts[i] for i in decisions),
            tuple(self.completions[i] for i in decisions),
        )


@dataclass(frozen=True)
class Part:
    """Decisions of one conversation that are computed in the same pass."""

    conversation: int
    """Its number in what was packed."""
    decisions: range
    tree: Tree


def pack(trees: Sequence[Tree], limit: int) -> list[list[Part]]:
    """Return the passes over some conversations.

    Args:
        trees: One of each conversation; none is empty.
        limit: Tokens of a pass. A single decision may exceed it, and so may parts with branches of
            three times their trunk's length: smaller ones would compute the trunk too often.
    """
    prefixes: dict[tuple[int, ...], list[int]] = {}
    for i, tree in enumerate(trees):
        prefixes.setdefault(tree.shared_prefix, []).append(i)
    passes: list[list[Part]] = []
    used = 0
    parts = (p for alike in prefixes.values() for i in alike for p in _parts(i, trees[i], limit))
    for part in parts:
        size = part.tree.num_tokens - (_shared(part, passes[-1]) if passes else 0)
        if not passes or used + size > limit:
            passes.append([])
            used, size = 0, part.tree.num_tokens
        passes[-1].append(part)
        used += size
    return passes


def largest_pass(trunk: int, branches: int, limit: int) -> int:
    """Return the most tokens that a pass of `pack` has.

    Args:
        trunk: Length of the longest.
        branches: Tokens of the completions of one decision, which is never divided.
        limit: See `pack`.
    """
    return max(limit, (1 + _BRANCHES) * trunk) + branches


def grow(parts: Sequence[Part]) -> tuple[Forest, list[tuple[Node, int]]]:
    """Return a pass as a forest, and the end and length of each completion in the parts' order."""
    forest = Forest()
    numbers: dict[tuple[int, ...], int] = {}
    trees = [part.tree for part in parts]
    for tree in sorted(trees, key=lambda tree: -len(tree.trunk)):
        forest.insert(tree.trunk, tree=numbers.setdefault(tree.shared_prefix, len(numbers)))
    return forest, [
        (forest.insert([*prompt, *completion], tree=numbers[tree.shared_prefix]), len(completion))
        for tree in trees
        for prompt, completions in zip(tree.prompts, tree.completions, strict=True)
        for completion in completions
    ]


def lay_out_pass(parts: Sequence[Part], device: torch.device) -> tuple[Layout, Tensor]:
    """Return a pass as tensors, and the indices of all completions' tokens in the parts' order."""
    forest, ends = grow(parts)
    layout = lay_out(forest, device)
    indices = [index for end in ends for index in layout.last_indices(*end)]
    return layout, torch.tensor(indices, device=device)


def _parts(conversation: int, tree: Tree, limit: int) -> Iterator[Part]:
    """Divide a conversation that is larger than a pass, into parts of about equal branches."""
    room = max(limit - len(tree.trunk), _BRANCHES * len(tree.trunk))
    every = sum(tree.added_tokens)
    count = 1 if tree.num_tokens <= limit else -(-every // room)
    begin, branches = 0, 0
    for i, tokens in enumerate(tree.added_tokens):
        branches += tokens
        last = i + 1 == len(tree.prompts)
        if last or branches * count >= every:
            decisions = range(begin, i + 1)
            yield Part(conversation, decisions, tree.part(decisions))
            begin, branches = i + 1, 0


def _shared(part: Part, others: Sequence[Part]) -> int:
    """Return how many tokens of a part's trunk are computed for others anyway."""
    prefix = part.tree.shared_prefix
    alike = [other.tree.trunk for other in others if other.tree.shared_prefix == prefix]
    return max((common_prefix(trunk, part.tree.trunk) for trunk in alike), default=0)
