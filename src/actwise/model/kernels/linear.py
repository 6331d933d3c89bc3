"""Matrix products on a CPU, by what is fastest there.

torch's float32 products go to MKL, which uses half of the vector width of a processor that is not
Intel's; oneDNN, which comes with torch, uses all of it: the same sums in the same precision, twice
as fast where that is so. Intel's own are faster with MKL (docs/experiments/speed.md).

A processor without AVX-512 has nothing for bfloat16, and torch multiplies it there one number at a
time. Products in float32 of the same numbers, rounded to bfloat16 afterwards, are as exact, 7 times
as fast, and 40 times with a transposed weight, as in every backward pass.
"""

import os
import platform
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

_AVAILABLE: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
# Not public. The operator behind compiled linear layers; it has no gradient of its own.
_onednn: Any = torch.ops.mkldnn._linear_pointwise if _AVAILABLE else None
_CPU_INFO = Path("/proc/cpuinfo")
_FEW = 800_000
"""Multiplications for which a call of oneDNN, ten microseconds, costs more than it saves."""
_FEW_ROWS = 8
"""Below that bfloat16 is multiplied in less time than a weight is converted."""

_COMPILED = 64
"""Products kept compiled for each core: more than one pass has sizes."""


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `x @ weight.T + bias`, without gradient.

    Args:
        x: (..., inputs); copied where it is not contiguous.
        weight: (outputs, inputs), contiguous or the transpose of something contiguous. Other
            strides give the right result very slowly.
        bias: (outputs,)
    """
    if _lacks_bfloat16(x):
        exact = product(x.float(), weight.float(), None if bias is None else bias.float())
        return exact.to(x.dtype)
    if _suits(x, len(weight)):
        result: Tensor = _onednn(x, weight, bias, "none", [], "")
        return result
    return nn.functional.linear(x, weight, bias)


def weight_gradient(x_MI: Tensor, grad_MO: Tensor) -> Tensor:
    """Return the gradient of a weight, (outputs, inputs), from a layer's input and its output's."""
    # The first operand is copied to be transposed: let it be the smaller one.
    if x_MI.shape[1] < grad_MO.shape[1]:
        return product(x_MI.t(), grad_MO.t()).t()
    return product(grad_MO.t(), x_MI.t())


def _is_intel() -> bool:
    named = _CPU_INFO.read_text() if _CPU_INFO.exists() else platform.processor()
    return "GenuineIntel" in named


_FASTER = _AVAILABLE and not _is_intel()
_HAS_BFLOAT16: bool = _AVAILABLE and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _lacks_bfloat16(x: Tensor) -> bool:
    slow = not _HAS_BFLOAT16 and x.dtype == torch.bfloat16 and x.device.type == "cpu"
    return slow and x.numel() >= _FEW_ROWS * x.shape[-1]


def _suits(x: Tensor, outputs: int) -> bool:
    plain = _FASTER and x.dtype == torch.float32 and x.device.type == "cpu"
    return plain and x.numel() * outputs > _FEW


class Linear(nn.Linear):
    """A linear layer that multiplies with `product`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return (..., outputs)."""
        fast = _lacks_bfloat16(input) or _suits(input, self.out_features)
        if not fast or torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        if not torch.is_grad_enabled():
            return product(input, self.weight, self.bias)
        result: Tensor = _Linear.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return result


def use_fast_products(model: nn.Module) -> None:
    """Make the linear layers of a model multiply with `product`; parameters stay as they are."""
    _keep_few_compiled_products()
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = Linear


def _keep_few_compiled_products() -> None:
    """Let oneDNN forget products for sizes that do not come again.

    Each pass has its own number of tokens, for which products are compiled, a quarter of a megabyte
    each. By default 1,024 are kept by oneDNN, and as many for each thread by what torch puts on top
    of it. Both look for these variables at their first product.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_COMPILED * (os.cpu_count() or 1)))
    os.environ.setdefault("LRU_CACHE_CAPACITY", str(_COMPILED))


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous()
        grad_MO, x_MI = grad.flatten(0, -2), x.flatten(0, -2)
        dx = dw = db = None
        if ctx.needs_input_grad[0]:
            dx = product(grad, weight.t())
        if ctx.needs_input_grad[1]:
            dw = weight_gradient(x_MI, grad_MO)
        if ctx.needs_input_grad[2]:
            db = grad_MO.sum(0)
        return dx, dw, db
