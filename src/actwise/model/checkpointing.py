"""Activations computed again in the backward pass instead of being kept.

Of each layer only its input is kept; the rest is computed once more when the gradient gets there,
a forward pass more. Numbers stay the same, so it can be chosen from the memory at hand.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from actwise.config import RunConfig
from actwise.conversation import Conversation
from actwise.data.fit import longest_prompt
from actwise.model.memory import device_memory
from actwise.model.opening import text_layers
from actwise.model.policy import Policy
from actwise.model.processes import together
from actwise.tree.forest import Forest
from actwise.tree.layout import lay_out
from actwise.tree.packing import largest_pass

_PROBED = 256
"""Tokens of the pass by which it is measured what is kept."""
_ROOM = 0.8
"""Share of the memory that may be planned for; the rest is for what lives for a moment only."""


@dataclass(frozen=True)
class Needs:
    """Memory of training, in bytes, where activations are kept."""

    state: int
    """Weights, gradients, moments of the optimiser, and copies of the best weights."""
    activations: int
    """What the passes that are computed at once keep for the backward pass."""
    memory: int
    """Of the device."""

    @property
    def fit(self) -> bool:
        """Whether the device has room for both."""
        return self.state + self.activations <= _ROOM * self.memory


def choose_checkpointing(
    policy: Policy, config: RunConfig, train: Sequence[Conversation], completion: int
) -> Needs:
    """Let a policy compute activations again where asked for, or where memory is short.

    Args:
        policy: With as many workers as it will have.
        config: Decides where `model.checkpointing` is given.
        train: What will be trained on.
        completion: Tokens of the longest completion that is learned from.

    Returns:
        What training needs without.
    """
    longest = longest_prompt(policy.template, train)
    rl = config.rl
    learned = (rl.selection.keep or rl.num_generations) if rl.steps else 1
    pass_tokens = largest_pass(longest, learned * completion, config.max_batch_tokens)
    with policy.gathered():
        kept = kept_bytes(policy)
    needs = Needs(
        _state_bytes(policy),
        round(kept / _PROBED * pass_tokens * policy.workers),
        device_memory(policy.device),
    )
    wanted = not needs.fit if config.model.checkpointing is None else config.model.checkpointing
    if wanted:
        use_checkpointing(policy)
    return needs


def use_checkpointing(policy: Policy) -> None:
    """Compute the activations of each layer again in the backward pass, from now on."""
    model = getattr(policy.model, "get_base_model", lambda: policy.model)()
    for layer in text_layers(model).modules():
        if isinstance(layer, GradientCheckpointingLayer) and "forward" not in vars(layer):
            layer.forward = partial(_recomputed, layer.forward)
    policy.checkpointing = True


def _recomputed(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    # Nothing here draws random numbers, so no state of a generator has to be kept.
    return checkpoint(forward, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)


def kept_bytes(policy: Policy) -> int:
    """Return what a pass of some tokens keeps for its backward pass, weights aside."""
    weights = {p.untyped_storage().data_ptr() for p in policy.model.parameters()}
    kept: dict[int, int] = {}

    def count(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return x

    forest = Forest()
    end = forest.insert([1] * _PROBED)
    layout = lay_out(forest, policy.device)
    indices = torch.tensor(layout.indices(end)[1:], device=policy.device)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
        scores = policy.score(layout, indices)
    del scores
    return sum(kept.values())


def _state_bytes(policy: Policy) -> int:
    trained = policy.trainable().values()
    processes = together().count if policy.sharded else 1
    whole = sum(p.numel() * p.element_size() for p in policy.model.parameters())
    # Gradient and two moments in float32, the best weights and those at the beginning, and float32
    # weights of which smaller ones are rounded.
    moments = sum(
        p.numel() * (12 + 2 * p.element_size() + 4 * (p.element_size() < 4)) for p in trained
    )
    return whole + moments // processes
