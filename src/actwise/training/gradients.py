"""Gradients of several passes, added up."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from actwise.model.policy import Policy
from actwise.model.processes import together
from actwise.model.workers import in_order

T = TypeVar("T")


def add_gradients(
    policy: Policy,
    passes: Sequence[T],
    loss_of: Callable[[T], tuple[Tensor, dict[str, Tensor]]],
) -> dict[str, float]:
    """Add up the gradients of all passes in the policy's parameters.

    The sums are taken in the order of the passes, so they are the same with any number of workers,
    bit for bit.

    Args:
        policy: Computes as many passes at once as it has workers.
        passes: What `loss_of` is given.
        loss_of: Returns a pass's share of the loss, with gradient, and further figures. Called in
            several threads.

    Returns:
        The sums of the further figures, over all processes; the gradients are still this one's.
    """
    parameters = list(policy.trainable().values())

    def compute(one: T | None) -> tuple[tuple[Tensor | None, ...], dict[str, Tensor]]:
        loss, figures = (policy.idle(), {}) if one is None else loss_of(one)
        if policy.workers > 1:
            return torch.autograd.grad(loss, parameters, allow_unused=True), figures
        # In place: a large model on a GPU has no room for a second copy of its gradients.
        loss.backward()  # type: ignore[no-untyped-call]
        return (), figures

    sums: dict[str, float] = {}
    for grads, figures in in_order(compute, policy.even(passes), policy.workers):
        for parameter, grad in zip(parameters, grads, strict=False):
            if grad is not None:
                parameter.grad = grad if parameter.grad is None else parameter.grad.add_(grad)
        for name, figure in figures.items():
            sums[name] = sums.get(name, 0.0) + figure.item()
    return together().summed(sums)
