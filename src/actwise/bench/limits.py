"""How far from the machine's limit: operations and bytes counted by hand, rates measured.

Only what has to be done is counted: nothing twice, no padding, no recomputation. A phase cannot
take less than its operations at the rate of a large matrix product, nor less than its bytes at the
rate of a copy; the larger of the two divided by the time it took is its share of the limit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from actwise.bench.shapes import Workload
from actwise.bench.timing import timed
from actwise.model.kernels.linear import product


@dataclass(frozen=True)
class Cost:
    """What a phase has to do."""

    flops: float
    """Operations of matrix products and attention; a multiplication and an addition are two."""
    bytes: float
    """Read and written: weights, keys and values, and what is kept for the backward pass."""

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.flops + other.flops, self.bytes + other.bytes)


@dataclass(frozen=True)
class Dimensions:
    """Sizes of a Qwen3 model."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    item: int
    """Bytes of one number."""

    @classmethod
    def of(cls, config: Any, dtype: torch.dtype) -> "Dimensions":
        """Read them from a model's configuration."""
        return cls(
            config.num_hidden_layers,
            config.hidden_size,
            config.intermediate_size,
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
            config.vocab_size,
            dtype.itemsize,
        )

    @property
    def layer_weights(self) -> int:
        """Numbers in the matrices of one layer."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return self.hidden * (2 * queries + 2 * keys) + 3 * self.hidden * self.intermediate

    @property
    def weight_bytes(self) -> int:
        """Bytes of all matrices, the tied embedding once."""
        return (self.layers * self.layer_weights + self.hidden * self.vocabulary) * self.item

    @property
    def kv_bytes(self) -> int:
        """Bytes of one token's keys and values."""
        return 2 * self.layers * self.kv_heads * self.head_dim * self.item

    def flops(self, tokens: int, scored: int, pairs: int) -> float:
        """Return the operations of a forward pass.

        Args:
            tokens: That are computed.
            scored: Tokens of which a distribution is computed.
            pairs: Pairs of tokens and the tokens they see.
        """
        linear = 2 * self.layers * self.layer_weights * tokens
        head = 2 * self.hidden * self.vocabulary * scored
        attention = 4 * self.layers * self.heads * self.head_dim * pairs
        return float(linear + head + attention)

    def kept_bytes(self, tokens: int) -> float:
        """Return the bytes that a forward pass keeps for the backward pass.

        Of each layer: its input, the normed input, the sum after attention and that normed; queries
        and keys before and after norm and rotation, and values; the attention's output; gate, up,
        gate's activation and the product. Logits need not be kept.
        """
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        layer = 4 * self.hidden + 3 * queries + 3 * keys + 4 * self.intermediate
        return float(layer * self.layers * tokens * self.item)


@dataclass(frozen=True)
class Tokens:
    """How many tokens a workload has as trees, or as rows."""

    computed: int
    scored: int
    pairs: int


def tree_tokens(work: Workload, *, completions: bool = True) -> Tokens:
    """Count the tokens of a workload's trees; without completions, of their trunks alone.

    Every prompt of a conversation is taken to be a prefix of the longest.
    """
    computed = scored = pairs = 0
    for groups in work.conversations:
        trunk = max(len(group.prompt) for group in groups)
        computed += trunk
        pairs += _seen(0, trunk)
        if not completions:
            scored += len(groups)
            continue
        for group in groups:
            # What completions of a decision begin with in common is computed once.
            branches = [r.sample.token_ids for r in group.rollouts]
            begun = {ids[:end] for ids in branches for end in range(1, len(ids) + 1)}
            computed += len(begun)
            scored += len(begun)
            pairs += sum(len(group.prompt) + len(tokens) for tokens in begun)
    return Tokens(computed, scored, pairs)


def row_tokens(work: Workload) -> Tokens:
    """Count the tokens of a workload when each completion has a row with its whole prompt."""
    computed = scored = pairs = 0
    for group in work.groups:
        for rollout in group.rollouts:
            length = len(group.prompt) + len(rollout.sample.token_ids)
            computed += length
            scored += len(rollout.sample.token_ids)
            pairs += _seen(0, length)
    return Tokens(computed, scored, pairs)


def _seen(before: int, tokens: int) -> int:
    """Return how many tokens are seen, in all, by tokens that follow `before` others."""
    return before * tokens + tokens * (tokens + 1) // 2


def update_cost(
    dimensions: Dimensions, tokens: Tokens, *, passes: int, reference: bool, adapters: bool = False
) -> Cost:
    """Return the cost of a gradient.

    Args:
        dimensions: Sizes of the model.
        tokens: Tokens of the workload.
        passes: Into how many forward and backward passes it is cut; each reads the weights.
        reference: Whether a reference model is scored as well.
        adapters: Whether adapters, which count for nothing, are trained in place of the weights.
    """
    forward = dimensions.flops(tokens.computed, tokens.scored, tokens.pairs)
    kept = dimensions.kept_bytes(tokens.computed)
    weights = dimensions.weight_bytes * passes
    # The backward pass has two products for each of the forward pass, one of them for the gradients
    # of the weights; it reads the weights again and adds to those gradients.
    return Cost(
        (3 - adapters + reference) * forward, (4 - 2 * adapters + reference) * weights + 2 * kept
    )


def prefill_cost(dimensions: Dimensions, tokens: Tokens) -> Cost:
    """Return the cost of computing trunks and keeping their keys and values."""
    return Cost(
        dimensions.flops(tokens.computed, tokens.scored, tokens.pairs),
        dimensions.weight_bytes + tokens.computed * dimensions.kv_bytes,
    )


def decode_cost(dimensions: Dimensions, work: Workload) -> Cost:
    """Return the cost of decoding all completions together, after their first tokens.

    A step reads the weights once, each trunk's keys and values once, and each row's own;
    completions that are equal so far are one row.
    """
    total = Cost(0, 0)
    trunks = sum(max(len(g.prompt) for g in groups) for groups in work.conversations)
    for step in range(1, work.completion_tokens):
        rows = [
            len(group.prompt)
            for group in work.groups
            for _ in {rollout.sample.token_ids[:step] for rollout in group.rollouts}
        ]
        flops = dimensions.flops(len(rows), len(rows), sum(rows) + len(rows) * step)
        read = trunks + len(rows) * step
        total += Cost(flops, dimensions.weight_bytes + read * dimensions.kv_bytes)
    return total


@dataclass(frozen=True)
class Machine:
    """What the machine can do, in operations and bytes a second."""

    matmul: float
    """Large square matrices."""
    model_matmul: float
    """As many tokens through the model's widest layer."""
    copy: float
    """Bytes read and written by copying what no cache holds."""
    side: int
    """Rows of the square matrices, and how many tokens."""

    def seconds(self, cost: Cost) -> float:
        """Return the least time that a phase can take."""
        return max(cost.flops / self.matmul, cost.bytes / self.copy)


def machine(dimensions: Dimensions, device: torch.device, dtype: torch.dtype) -> Machine:
    """Measure the machine; each rate is the best of ten runs, of the faster of two libraries."""
    # On a GPU large enough that the clock's own time, a few microseconds, does not count.
    side, megabytes = (2048, 256) if device.type == "cpu" else (8192, 2048)
    wide = dimensions.hidden, dimensions.intermediate
    square = torch.randn(side, side, device=device).to(dtype)
    tokens = torch.randn(side, wide[0], device=device).to(dtype)
    weights = torch.randn(wide[1], wide[0], device=device).to(dtype)
    source = torch.randn(megabytes << 18, device=device)
    target = torch.empty_like(source)
    return Machine(
        2 * side**3 / _fastest_product(square, square, device),
        2 * side * wide[0] * wide[1] / _fastest_product(tokens, weights, device),
        2 * source.nbytes / _best(lambda: target.copy_(source), device),
        side,
    )


def _fastest_product(x: Tensor, weight: Tensor, device: torch.device) -> float:
    return min(_best(partial(multiply, x, weight), device) for multiply in (product, linear))


def _best(work: Callable[[], object], device: torch.device) -> float:
    return min(timed(work, device).wall for _ in range(10))


def profile(work: Callable[[], object], device: torch.device, top: int = 8) -> list[dict[str, Any]]:
    """Return the operations that took the most time, with their share of all."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with record(activities=activities) as recorded:
        work()

    def own(event: Any) -> float:
        return float(
            event.self_device_time_total if device.type == "cuda" else event.self_cpu_time_total
        )

    events = sorted(recorded.key_averages(), key=own, reverse=True)
    total = sum(map(own, events))
    return [
        {"operation": event.key, "calls": event.count, "share": own(event) / total}
        for event in events[:top]
    ]
