"""Normalisation and gated layers that keep less for the backward pass.

What transformers' layers compute between their products is kept by autograd, piece by piece, until
the backward pass; a quarter of the memory of an update. Here only the inputs are kept, and the
rest, which costs little, is computed again. Outputs and gradients are the same.
"""

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

_GATED_PARTS = {"gate_proj", "up_proj", "down_proj", "act_fn"}


def use_lean_layers(model: nn.Module) -> None:
    """Give the layers that are known here a leaner backward pass; parameters stay as they are.

    They are known by what they do, not by their names, which differ from model to model.
    """
    for module in model.modules():
        if _is_rms_norm(module):
            module.forward = MethodType(_normalise, module)
        elif _is_gated(module):
            module.forward = MethodType(_gate, module)


@torch.no_grad()
def _is_rms_norm(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    if not isinstance(getattr(module, "variance_epsilon", None), float) or weight is None:
        return False
    return torch.equal(module(_row(weight)), _normalise(module, _row(weight)))


@torch.no_grad()
def _is_gated(module: nn.Module) -> bool:
    if {name for name, _ in module.named_children()} != _GATED_PARTS:
        return False
    row = _row(module.get_parameter("gate_proj.weight"))
    return torch.equal(module(row), _gate(module, row))


def _row(weight: Tensor) -> Tensor:
    """Return an input, (1, inputs), for a layer with this weight."""
    size = weight.shape[-1]
    return torch.linspace(-2, 3, size, dtype=weight.dtype, device=weight.device)[None]


def _normalise(module: Any, x: Tensor) -> Tensor:
    result: Tensor = _RmsNorm.apply(x, module.weight, module.variance_epsilon)  # type: ignore[no-untyped-call]
    return result


def _gate(module: Any, x: Tensor) -> Tensor:
    gated = _Gated.apply(module.gate_proj(x), module.up_proj(x))  # type: ignore[no-untyped-call]
    result: Tensor = module.down_proj(gated)
    return result


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        # As transformers does it, operation by operation.
        exact = x.float()
        scale = torch.rsqrt(exact.pow(2).mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(x, weight, scale)
        return weight * (exact * scale).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight, scale = ctx.saved_tensors
        normal = x.float() * scale
        dweight = (grads[0] * normal).flatten(0, -2).sum(0)
        dnormal = (grads[0] * weight).float()
        along = torch.linalg.vecdot(dnormal, normal)[..., None] / x.shape[-1]
        dx = dnormal.sub_(normal.mul_(along)).mul_(scale)
        return dx.to(x.dtype), dweight.to(weight.dtype), None


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return silu(gate) * up

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        dgate = torch.ops.aten.silu_backward(grads[0] * up, gate)
        return dgate, silu(gate).mul_(grads[0])
