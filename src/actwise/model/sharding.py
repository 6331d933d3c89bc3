"""Weights divided among the processes of a run, by torch's `fully_shard` (FSDP2).

Of each weight a process keeps a part, and so of its gradient, of what the optimiser knows of it, of
the best weights and of the anchor. In the passes of a training step the weights of a layer are put
together while it is computed; so all processes have to compute a pass at the same time, an empty
one where another has more of them. Where each goes at its own pace, as in sampling, all weights are
put together for a while (`ShardedPolicy.gathered`).
"""

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers.modeling_layers import GradientCheckpointingLayer

from actwise.model.kernels.output_layer import Scores
from actwise.model.opening import text_layers
from actwise.model.policy import Policy
from actwise.model.processes import company
from actwise.tree.forest import Forest
from actwise.tree.layout import Layout, lay_out

T = TypeVar("T")

_OF_PARTS, _OF_ALL = ("_forward_pre_hooks", "_forward_hooks"), "_state_dict_pre_hooks"
"""Where torch keeps what it does before and after a module is called or saved."""


class ShardedPolicy(Policy):
    """A policy of which each process of a run keeps a part."""

    sharded = True

    def __init__(self, policy: Policy) -> None:
        """Divide the weights of a policy, which is equal in all processes."""
        super().__init__(policy.model, policy.template)
        self._scorer = _Scorer(policy)
        self._whole = False
        mesh = init_device_mesh(self.device.type, (dist.get_world_size(),))
        base = getattr(self.model, "get_base_model", lambda: self.model)()
        layers = [m for m in text_layers(base).modules() if _is_layer(m)]
        for module in (*layers, self._scorer):
            fully_shard(module, mesh=mesh, reshard_after_forward=True)
        self._parts = [m for m in self._scorer.modules() if isinstance(m, FSDPModule)]
        for part in self._parts:  # gradients are sums, and no means
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
        with torch.no_grad():  # the first module that is called becomes the root of all
            self.idle()

    def score(self, layout: Layout, indices: Tensor, *, temperature: float = 1.0) -> Scores:
        """See `Policy.score`; outside of `gathered` all processes score at the same time."""
        with company():
            scores: Scores = self._scorer(layout, indices, temperature)
        return scores

    def even(self, passes: Sequence[T]) -> list[T | None]:
        """See `Policy.even`."""
        most = torch.tensor(len(passes))
        with company():
            dist.all_reduce(most, dist.ReduceOp.MAX)
        return [*passes, *[None] * (int(most) - len(passes))]

    def idle(self) -> Tensor:
        """See `Policy.idle`."""
        forest = Forest()
        forest.attach(forest.insert([0]), [0])
        layout = lay_out(forest, self.device)
        scores = self.score(layout, torch.tensor([1], device=self.device))
        return 0.0 * scores.logprobs.sum()

    @contextlib.contextmanager
    def gathered(self) -> Iterator[None]:
        """See `Policy.gathered`."""
        if self._whole:
            yield
            return
        with company():
            for part in self._parts:
                part.unshard()
        # By these a layer would wait for other processes, or be divided again.
        hooks: list[tuple[nn.Module, str]] = [
            (part, name) for part in self._parts for name in _OF_PARTS
        ]
        hooks += [(module, _OF_ALL) for module in self._scorer.modules()]
        kept = [getattr(module, name) for module, name in hooks]
        for module, name in hooks:
            setattr(module, name, OrderedDict())
        self._whole = True
        try:
            yield
        finally:
            self._whole = False
            for (module, name), own in zip(hooks, kept, strict=True):
                setattr(module, name, own)
            for part in self._parts:
                part.reshard()

    @contextlib.contextmanager
    def using(self, weights: dict[str, Tensor]) -> Iterator[None]:
        """See `Policy.using`; the policy's own weights are copied meanwhile, each its part."""
        own = self.weights()
        try:
            self.set_weights(weights)
            yield
        finally:
            self.set_weights(own)

    def digests(self) -> dict[str, str]:
        """See `Policy.digests`."""
        with self.gathered():
            return super().digests()

    def to_save(self, state: Callable[[], T]) -> Callable[[], T]:
        """See `Policy.to_save`."""
        with company():
            whole: T = _put_together(state(), keep=dist.get_rank() == 0)
        return lambda: whole


class _Scorer(nn.Module):
    """All that a pass computes, as one module."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.model = policy.model
        self._score = policy.score

    def forward(self, layout: Layout, indices: Tensor, temperature: float) -> Scores:
        """See `Policy.score`."""
        return self._score(layout, indices, temperature=temperature)


def part_like(whole: Tensor, own: Tensor) -> Tensor:
    """Return the part of a tensor that this process keeps, as it does of another of its shape."""
    if not isinstance(own, DTensor):
        return whole
    return distribute_tensor(
        whole.to(own.device), own.device_mesh, own.placements, src_data_rank=None
    )


def full(value: Tensor) -> Tensor:
    """Return a figure of which each process may have a part."""
    if isinstance(value, DTensor):
        with company():
            return value.full_tensor()
    return value


def _is_layer(module: nn.Module) -> bool:
    return isinstance(module, GradientCheckpointingLayer)


def _put_together(value: Any, *, keep: bool) -> Any:
    """Return a state with whole tensors on the CPU; without them in processes that do not keep."""
    if isinstance(value, Mapping):
        return {key: _put_together(inner, keep=keep) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_put_together(inner, keep=keep) for inner in value]
    if isinstance(value, DTensor):
        whole = value.full_tensor()
        return whole.cpu() if keep else None
    return value
