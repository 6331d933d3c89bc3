"""The prefill: what prompts share is computed once.

Prompts of one conversation are one tree; conversations that begin alike (the same system prompt and
tools) are one tree, too. Prompts that begin like one that was kept are computed from there on.

Letters in shapes: B rows (completions), P prompts, K key-value heads, T tokens of a trunk, S tokens
of a tail, D head dimension, V vocabulary.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from actwise.engine.decoding import Decoding, Trunk, TrunkPrefix
from actwise.engine.prefixes import KeptPrefixes, Prefix
from actwise.model.attention.interface import ContinuedAttention, TreeAttention
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
    reused: list[int]
    """How many tokens of each prompt were kept from an earlier one."""

    def decoding(self, prompt_B: Tensor) -> Decoding:
        """Begin to decode; `prompt_B` is in the order of the prefixes."""
        prefixes = [self.prefixes[i] for i in prompt_B.tolist()]
        tails = {n: (keys[prompt_B], values[prompt_B]) for n, (keys, values) in self.tails.items()}
        states = RowRecurrence([state[prompt_B] for state in self.states])
        return Decoding(self.trunks, prefixes, tails, states)


@dataclass(frozen=True)
class _Pass:
    """Prompts that are computed at once."""

    forest: Forest
    """What is computed of them."""
    nodes: dict[int, Node]
    """Where each prompt ends, by its number."""
    past: Prefix | None = None
    """What they go on from, if from anything."""
    length: int = 0
    """How many tokens of it."""


def prefill(
    policy: Policy,
    conversations: Sequence[Sequence[Sequence[int]]],
    kept: KeptPrefixes | None = None,
) -> Prompts:
    """Compute all prompts.

    Args:
        policy: The model.
        conversations: The prompts of each; they are numbered through.
        kept: Where beginnings of prompts are looked for and kept, if anywhere; not of models whose
            layers carry a state along the row, which is only known where a prompt ended.
    """
    passes = list(_passes(policy, conversations, kept))
    tail = _tail_length(passes)
    computed = [_compute(policy, one, tail) for one in passes]
    if kept is not None and not computed[0].states:
        prompts = [prompt for of_one in conversations for prompt in of_one]
        for one, part in zip(passes, computed, strict=True):
            _keep(kept, policy, [prompts[i] for i in one.nodes], part)
    trunks: list[Trunk] = []
    prefixes: list[TrunkPrefix] = []
    for part in computed:
        prefixes += [TrunkPrefix(len(trunks) + r.trunk, r.length) for r in part.prefixes]
        trunks += part.trunks
    order = [i for one in passes for i in one.nodes]
    reused = [length for part in computed for length in part.reused]
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
        [reused[i] for i in index.tolist()],
    )


def _keep(
    kept: KeptPrefixes, policy: Policy, prompts: Sequence[Sequence[int]], computed: Prompts
) -> None:
    """Keep the trunks of a pass."""
    for number, trunk in enumerate(computed.trunks):
        of_it = [i for i, reading in enumerate(computed.prefixes) if reading.trunk == number]
        longest = max(of_it, key=lambda i: computed.prefixes[i].length)
        kept.keep(policy, prompts[longest][: computed.prefixes[longest].length], trunk)


def _compute(policy: Policy, one: _Pass, tail: int) -> Prompts:
    """Return the prompts of one pass, in the order of the nodes."""
    forest, nodes, length = one.forest, one.nodes, one.length
    layout = lay_out(forest, policy.device)
    seen = [
        [index for part in forest.path(node) for index in layout.indices(part)]
        for node in nodes.values()
    ]
    ends = [indices[-1] for indices in seen]
    ends_P = torch.tensor(ends, device=policy.device)
    past = {} if one.past is None else _beginning(one.past.trunk, length)
    attention = (
        ContinuedAttention(layout, past, keep=ends) if past else TreeAttention(layout, keep=ends)
    )
    logits_PV = policy.model(
        input_ids=layout.input_ids[None],
        position_ids=layout.position_ids[None] + length,
        use_cache=False,
        logits_to_keep=ends_P,
        tree=attention,
    ).logits[0]
    lines, prefixes = _lines([indices[: len(indices) - tail] for indices in seen])
    prefixes = [TrunkPrefix(r.trunk, length + r.length) for r in prefixes]
    trunks = [_trunk(attention.kept, past, line) for line in lines]
    tail_PS = torch.tensor([indices[len(indices) - tail :] for indices in seen], dtype=torch.long)
    tail_PS = tail_PS.to(policy.device)
    tails = {
        layer: (k[0][:, tail_PS].transpose(0, 1), v[0][:, tail_PS].transpose(0, 1))
        for layer, (k, v) in attention.kept.items()
    }
    lengths_P = torch.tensor([length + len(indices) for indices in seen], device=policy.device)
    reused = [length] * len(seen)
    return Prompts(trunks, prefixes, tails, attention.states, lengths_P, logits_PV, reused)


def _beginning(trunk: Trunk, length: int) -> dict[int, tuple[Tensor, Tensor]]:
    return {n: (k[:, :, :length], trunk.values[n][:, :, :length]) for n, k in trunk.keys.items()}


def _trunk(
    new: Mapping[int, tuple[Tensor, Tensor]],
    past: Mapping[int, tuple[Tensor, Tensor]],
    line: list[int],
) -> Trunk:
    """Return what was computed before, if anything, and then some of the new tokens."""
    pairs = {layer: tuple(_along(x, line) for x in pair) for layer, pair in new.items()}
    if past:
        pairs = {
            layer: tuple(torch.cat(both, 2) for both in zip(past[layer], pair, strict=True))
            for layer, pair in pairs.items()
        }
    return Trunk({n: k for n, (k, _) in pairs.items()}, {n: v for n, (_, v) in pairs.items()})


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


def _passes(
    policy: Policy, conversations: Sequence[Sequence[Sequence[int]]], kept: KeptPrefixes | None
) -> Iterator[_Pass]:
    """Yield passes of about as many tokens as one prefill takes."""
    trees: dict[tuple[int, ...], dict[int, Sequence[int]]] = {}
    continued: dict[tuple[Prefix, int], dict[int, Sequence[int]]] = {}
    number = 0
    for prompts in conversations:
        numbered = dict(enumerate(prompts, number))
        number += len(prompts)
        if kept is not None:
            for i, prompt in enumerate(prompts, number - len(prompts)):
                if (found := kept.longest(policy, prompt)) is not None:
                    continued.setdefault(found, {})[i] = numbered.pop(i)
        if numbered:
            beginning = shared_prefix_of(max(numbered.values(), key=len))
            trees.setdefault(beginning, {}).update(numbered)
    for (past, length), sequences in continued.items():
        forest = Forest()
        ends = forest.insert_all([prompt[length:] for prompt in sequences.values()])
        yield _Pass(forest, dict(zip(sequences, ends, strict=True)), past, length)
    forest = Forest()
    nodes: dict[int, Node] = {}
    for index, sequences in enumerate(trees.values()):
        nodes |= zip(sequences, forest.insert_all([*sequences.values()], tree=index), strict=True)
        if forest.num_tokens >= _PREFILL_TOKENS:
            yield _Pass(forest, nodes)
            forest, nodes = Forest(), {}
    if nodes:
        yield _Pass(forest, nodes)


def _tail_length(passes: Sequence[_Pass]) -> int:
    """Return how many tokens of its end each prompt has for its rows alone.

    Where prompts leave the trunk for a few tokens, all have as many.
    """
    paths = [one.forest.path(node) for one in passes for node in one.nodes.values()]
    ends = [path[-1].offset for path in paths if len(path) > 1]
    shortest = min(sum(part.offset for part in path) for path in paths)
    return min(max((end for end in ends if end <= _LONGEST_TAIL), default=0), shortest - 1)


def _along(x: Tensor, indices: list[int]) -> Tensor:
    """Return (1, K, T, D) of some indices; a view where they are side by side."""
    if indices[-1] - indices[0] == len(indices) - 1:
        return x[:, :, indices[0] : indices[-1] + 1]
    return x[:, :, indices]
