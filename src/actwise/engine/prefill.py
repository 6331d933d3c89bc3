"""The prefill: what prompts share is computed once.

Prompts of one conversation are one tree; conversations that begin alike (the same system prompt and
tools) are one tree, too.

Letters in shapes: B rows (completions), P prompts, K key-value heads, T tokens of a trunk, S tokens
of a tail, D head dimension, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from actwise.engine.decoding import Decoding, Trunk, TrunkPrefix
from actwise.model.attention.interface import TreeAttention
from actwise.model.policy import Policy
from actwise.model.recurrence import RowRecurrence
from actwise.tree.forest import Forest, Node, shared_prefix_of
from actwise.tree.layout import lay_out

_PREFILL_TOKENS = 4096
"""Tokens of one prefill, unless one tree has more: this bounds memory."""
_LONGEST_TAIL = 16
"""A prompt's tokens after it has left the trunk are copied to its rows up to this number."""


@dataclass(frozen=True)
class Prompts:
    """Prompts after their prefill."""

    trunks: list[Trunk]
    prefixes: list[TrunkPrefix]
    """What each prompt reads of a trunk."""
    tails: dict[int, tuple[Tensor, Tensor]]
    """By layer, keys and values (P, K, S, D) that follow what is read from the trunk."""
    states: list[Tensor]
    """States of the layers that carry one along the row, (P, ...), in the order of their calls."""
    lengths_P: Tensor
    logits_PV: Tensor

    def decoding(self, prompt_B: Tensor) -> Decoding:
        """Begin to decode; `prompt_B` is in the order of the prefixes."""
        prefixes = [self.prefixes[i] for i in prompt_B.tolist()]
        tails = {n: (keys[prompt_B], values[prompt_B]) for n, (keys, values) in self.tails.items()}
        states = RowRecurrence([state[prompt_B] for state in self.states])
        return Decoding(self.trunks, prefixes, tails, states)


def prefill(policy: Policy, conversations: Sequence[Sequence[Sequence[int]]]) -> Prompts:
    """Compute all prompts."""
    groups = list(_forests(conversations))
    tail = _tail_length(groups)
    computed = [_compute(policy, forest, nodes, tail) for forest, nodes in groups]
    trunks: list[Trunk] = []
    prefixes: list[TrunkPrefix] = []
    for part in computed:
        prefixes += [TrunkPrefix(len(trunks) + r.trunk, r.length) for r in part.prefixes]
        trunks += part.trunks
    order = [i for _, nodes in groups for i in nodes]
    index = torch.tensor(order, device=policy.device).argsort()
    tails = {}
    for layer in computed[0].tails:
        keys, values = zip(*(part.tails[layer] for part in computed), strict=True)
        tails[layer] = torch.cat(keys)[index], torch.cat(values)[index]
    states = zip(*(part.states for part in computed), strict=True)
    return Prompts(
        trunks,
        [prefixes[i] for i in index.tolist()],
        tails,
        [torch.cat(parts)[index] for parts in states],
        torch.cat([part.lengths_P for part in computed])[index],
        torch.cat([part.logits_PV for part in computed])[index],
    )


def _compute(policy: Policy, forest: Forest, nodes: dict[int, Node], tail: int) -> Prompts:
    """Return the prompts of one forest, in the order of the nodes."""
    layout = lay_out(forest, policy.device)
    seen = [
        [index for part in forest.path(node) for index in layout.indices(part)]
        for node in nodes.values()
    ]
    ends_P = torch.tensor([indices[-1] for indices in seen], device=policy.device)
    attention = TreeAttention(layout, keep=[indices[-1] for indices in seen])
    logits_PV = policy.model(
        input_ids=layout.input_ids[None],
        position_ids=layout.position_ids[None],
        use_cache=False,
        logits_to_keep=ends_P,
        tree=attention,
    ).logits[0]
    lines, prefixes = _lines([indices[: len(indices) - tail] for indices in seen])
    trunks = [
        Trunk(
            {layer: _along(k, line) for layer, (k, _) in attention.kept.items()},
            {layer: _along(v, line) for layer, (_, v) in attention.kept.items()},
        )
        for line in lines
    ]
    tail_PS = torch.tensor([indices[len(indices) - tail :] for indices in seen], dtype=torch.long)
    tail_PS = tail_PS.to(policy.device)
    tails = {
        layer: (k[0][:, tail_PS].transpose(0, 1), v[0][:, tail_PS].transpose(0, 1))
        for layer, (k, v) in attention.kept.items()
    }
    lengths_P = torch.tensor([len(indices) for indices in seen], device=policy.device)
    return Prompts(trunks, prefixes, tails, attention.states, lengths_P, logits_PV)


def _lines(seen: Sequence[list[int]]) -> tuple[list[list[int]], list[TrunkPrefix]]:
    """Return the longest sequences, and of which each sequence is the beginning."""
    lines: list[list[int]] = []
    prefixes: dict[int, TrunkPrefix] = {}
    for i in sorted(range(len(seen)), key=lambda i: -len(seen[i])):
        length = len(seen[i])
        line = next((n for n, other in enumerate(lines) if other[:length] == seen[i]), len(lines))
        if line == len(lines):
            lines.append(seen[i])
        prefixes[i] = TrunkPrefix(line, length)
    return lines, [prefixes[i] for i in range(len(seen))]


def _forests(
    conversations: Sequence[Sequence[Sequence[int]]],
) -> Iterator[tuple[Forest, dict[int, Node]]]:
    """Yield forests of about as many tokens as one prefill takes, and where each prompt ends."""
    trees: dict[tuple[int, ...], dict[int, Sequence[int]]] = {}
    number = 0
    for prompts in conversations:
        if prompts:
            tree = trees.setdefault(shared_prefix_of(max(prompts, key=len)), {})
            tree.update(enumerate(prompts, number))
            number += len(prompts)
    forest = Forest()
    nodes: dict[int, Node] = {}
    for index, sequences in enumerate(trees.values()):
        nodes |= zip(sequences, forest.insert_all([*sequences.values()], tree=index), strict=True)
        if forest.num_tokens >= _PREFILL_TOKENS:
            yield forest, nodes
            forest, nodes = Forest(), {}
    if nodes:
        yield forest, nodes


def _tail_length(groups: Sequence[tuple[Forest, dict[int, Node]]]) -> int:
    """Return how many tokens of its end each prompt has for its rows alone.

    Where prompts leave the trunk for a few tokens, all have as many.
    """
    paths = [forest.path(node) for forest, nodes in groups for node in nodes.values()]
    ends = [path[-1].offset for path in paths if len(path) > 1]
    shortest = min(sum(part.offset for part in path) for path in paths)
    return min(max((end for end in ends if end <= _LONGEST_TAIL), default=0), shortest - 1)


def _along(x: Tensor, indices: list[int]) -> Tensor:
    """Return (1, K, T, D) of some indices; a view where they are side by side."""
    if indices[-1] - indices[0] == len(indices) - 1:
        return x[:, :, indices[0] : indices[-1] + 1]
    return x[:, :, indices]
