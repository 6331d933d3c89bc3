"""Normalisation and gated layers that keep less for the backward pass.

What transformers' layers compute is kept by autograd, piece by piece, until the backward pass: more
than half of the memory of an update. Here only the inputs are kept, and the rest is computed again;
for a gated layer these are two products of eleven. Outputs and gradients are the same.
"""

import inspect
from collections.abc import Sequence
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from actwise.model.kernels.linear import Linear, product, weight_gradient

_CPU_SLICE, _GPU_SLICE = 512, 8192
"""Tokens for which a gated layer computes the gradient at once: fewer need less memory, and leave
most of a GPU idle."""
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
    if len(inspect.signature(module.forward).parameters) > 1:  # a gated one
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
    layers = module.gate_proj, module.up_proj, module.down_proj
    if all(type(layer) is Linear and layer.bias is None for layer in layers):
        weights = (layer.weight for layer in layers)
        out: Tensor = _GatedProducts.apply(x, *weights)  # type: ignore[no-untyped-call]
        return out
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


class _GatedProducts(torch.autograd.Function):
    """A whole gated layer, without biases."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
        ctx.save_for_backward(x, gate, up, down)
        return product(silu(product(x, gate)).mul_(product(x, up)), down)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        x, *weights = ctx.saved_tensors
        exact = torch.promote_types(x.dtype, torch.float32)
        sums = [torch.zeros_like(weight, dtype=exact) for weight in weights]
        dx = x.new_empty(x.shape)  # contiguous, so that slices write into it
        at_once = _CPU_SLICE if x.device.type == "cpu" else _GPU_SLICE
        slices = (y.flatten(0, -2).split(at_once) for y in (x, grads[0].contiguous(), dx))
        for x_MI, grad_MI, dx_MI in zip(*slices, strict=True):
            dx_MI.copy_(_slice_backward(x_MI, grad_MI, weights, sums))
        return dx, *(dweight.to(x.dtype) for dweight in sums)


def _slice_backward(
    x_MI: Tensor, grad_MI: Tensor, weights: Sequence[Tensor], sums: Sequence[Tensor]
) -> Tensor:
    """Return the gradient of the input; those of the weights are added to `sums`."""
    gate, up, down = weights
    gate_MO, up_MO = product(x_MI, gate), product(x_MI, up)
    silu_MO = silu(gate_MO)
    sums[2] += weight_gradient(silu_MO * up_MO, grad_MI)
    dgated_MO = product(grad_MI, down.t())
    dup_MO = silu_MO.mul_(dgated_MO)
    dgate_MO = torch.ops.aten.silu_backward(dgated_MO.mul_(up_MO), gate_MO)
    sums[0] += weight_gradient(x_MI, dgate_MO)
    sums[1] += weight_gradient(x_MI, dup_MO)
    return product(dgate_MO, gate.t()).add_(product(dup_MO, up.t()))
