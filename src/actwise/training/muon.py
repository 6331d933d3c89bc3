"""Muon in float32, for CPUs.

torch's own computes its Newton-Schulz iteration in bfloat16. A CPU without units for that emulates
it, which takes ten to thirty times as long as float32; with them there is little to gain, because
the matrices of a model that is trained on a CPU are small. One precision for all CPUs also means
that no feature of a processor decides how finely the numbers are rounded.

Letters in shapes: R rows and C columns, R <= C.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from actwise.model.kernels.linear import product

_MOMENTUM = 0.95
_COEFFICIENTS = 3.4445, -4.7750, 2.0315
"""Of the quintic, as in torch; Jordan 2024, https://kellerjordan.github.io/posts/muon."""
_ITERATIONS = 5
_LEAST = 1e-7
"""Length below which an update is no longer stretched to one."""


class Muon(torch.optim.Optimizer):
    """What `torch.optim.Muon(adjust_lr_fn="match_rms_adamw")` computes, without its rounding."""

    def __init__(self, matrices: Iterable[Tensor], *, lr: float, weight_decay: float) -> None:
        """Take matrices of two dimensions, a rate, and how fast weights decay by themselves."""
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    update = orthogonal(self._nesterov(matrix))
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(update, alpha=-0.2 * max(matrix.shape) ** 0.5 * group["lr"])

    def _nesterov(self, matrix: Tensor) -> Tensor:
        state = self.state[matrix]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        grad: Tensor = matrix.grad  # type: ignore[assignment]
        state["momentum_buffer"].lerp_(grad, 1 - _MOMENTUM)
        return grad.lerp(state["momentum_buffer"], _MOMENTUM)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return a matrix with the same singular vectors, all of whose singular values are about one.

    They lie between 0.7 and 1.2, those aside that were next to nothing.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.t()).t()
    a, b, c = _COEFFICIENTS
    x_RC = matrix.float().contiguous()
    x_RC = x_RC / x_RC.norm().clamp(min=_LEAST)
    for _ in range(_ITERATIONS):
        gram_RR = product(x_RC, x_RC)
        # Symmetric, so it is its own transpose.
        polynomial_RR = product(gram_RR, gram_RR).mul_(c).add_(gram_RR, alpha=b)
        x_RC = product(polynomial_RR, x_RC.t()).add_(x_RC, alpha=a)
    return x_RC
