"""Attention over a forest of segments, plugged into transformers' models as they are.

A model loaded with `attn_implementation=IMPLEMENTATION` hands its queries, keys and values to what
is passed as `tree=` to its forward call: a `TreeAttention` here, a decoding step in the sampler.

On a CPU the softmax is taken in two parts, a segment's own tokens and its ancestors', and the parts
are merged by their log-sum-exp. No key is copied for a branch and nothing is computed for tokens
that do not see each other. The backward pass runs each part's flash kernel with the *merged*
output and log-sum-exp, which gives exactly the part's share of the gradient (Dao 2022,
arXiv:2205.14135, section 3.1: it depends on the rest of the row through these two alone).
Elsewhere a dense mask goes to scaled-dot-product attention.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from actwise.errors import ModelError
from actwise.tree import Layout

IMPLEMENTATION = "actwise_tree"

# The public function does not return the log-sum-exp, without which parts cannot be merged.
_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_flash_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


class Attends(Protocol):
    """What a forward call is given as `tree=`."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """Return the outputs (batch, heads, tokens, dim) of one layer."""
        ...


class TreeAttention:
    """Attention in which every token of a layout sees its ancestors and itself."""

    def __init__(self, layout: Layout, *, keep: bool = False) -> None:
        """Prepare for one forward pass.

        Args:
            layout: The only row of the batch is this layout.
            keep: Whether to keep each layer's keys and values, for decoding.
        """
        self.layout = layout
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self._keep = keep
        self._mask: Tensor | None = None

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """Return (1, heads, N, dim)."""
        if self._keep:
            self.keys.append(k)
            self.values.append(v)
        if q.device.type == "cpu":
            return _TwoPart.apply(q, k, v, self.layout, scale)  # type: ignore[no-untyped-call]
        return self.attend_densely(q, k, v, scale)

    def attend_densely(self, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """Do the same with a dense mask, on any device."""
        if self._mask is None:
            self._mask = self.layout.visible()[None, None]
        return scaled_dot_product_attention(
            q, k, v, attn_mask=self._mask, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
        )


def _forward(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    tree: Attends | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    if tree is None:
        raise ModelError(
            f"{type(module).__name__} was not handed tree=, so its model cannot be used for trees; "
            "use one whose forward call passes its keyword arguments on"
        )
    if sliding_window is not None or softcap is not None or s_aux is not None:
        raise ModelError(
            f"{type(module).__name__} uses a sliding window, soft-capped scores or attention "
            "sinks, which tree attention does not cover; use a model with plain causal attention"
        )
    if query.shape[-1] != value.shape[-1]:
        raise ModelError(
            f"{type(module).__name__} has keys and values of different sizes, which tree attention "
            "does not cover; use a model with plain causal attention"
        )
    if dropout:
        raise ModelError("attention dropout is not supported; set attention_dropout to 0")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    # Under autocast, norms and rotations of queries and keys come out in float32.
    query, key = query.to(value.dtype), key.to(value.dtype)
    layer: int = module.layer_idx  # type: ignore[assignment]
    return tree.attend(layer, query, key, value, scale).transpose(1, 2), None


AttentionInterface.register(IMPLEMENTATION, _forward)


class _TwoPart(torch.autograd.Function):
    """Own tokens and ancestors, merged; shapes (1, heads, N, dim)."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, layout: Layout, scale: float) -> Tensor:
        # Stored token-major, so that the caller's transpose back is free.
        out = q.new_empty(1, q.shape[2], q.shape[1], v.shape[-1]).transpose(1, 2)
        lse = torch.empty(q.shape[:3], dtype=torch.promote_types(q.dtype, torch.float32))
        for trunk in layout.trunks:
            out[:, :, trunk], lse[:, :, trunk] = _flash(
                q[:, :, trunk], k[:, :, trunk], v[:, :, trunk], 0.0, True, scale=scale
            )
        for batch in layout.own:
            out_b, lse_b = _flash(
                *(_gather(x, batch.index) for x in (q, k, v)), 0.0, True, scale=scale
            )
            out[0].index_copy_(1, batch.places, out_b.transpose(0, 1).flatten(1, 2)[:, batch.flat])
            lse[0].index_copy_(1, batch.places, lse_b.transpose(0, 1).flatten(1, 2)[:, batch.flat])
        for group in layout.siblings:
            out_p, lse_p = _flash(
                q[:, :, group.queries],
                _along(k, group.path),
                _along(v, group.path),
                0.0,
                False,
                scale=scale,
            )
            merge_(out[:, :, group.queries], lse[:, :, group.queries], out_p, lse_p)
        ctx.save_for_backward(q, k, v, out, lse)
        ctx.layout, ctx.scale = layout, scale
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        q, k, v, out, lse = ctx.saved_tensors
        (grad,) = grads
        layout, scale = ctx.layout, ctx.scale
        dq, dk, dv = (x.new_zeros(x.shape) for x in (q, k, v))
        for trunk in layout.trunks:
            at = (slice(None), slice(None), trunk)
            dq[at], dk[at], dv[at] = _flash_backward(
                grad[at], q[at], k[at], v[at], out[at], lse[at], 0.0, True, scale=scale
            )
        for batch in layout.own:
            _own_backward(batch, grad, q, k, v, out, lse, (dq, dk, dv), scale)
        for group in layout.siblings:
            at = (slice(None), slice(None), group.queries)
            dq_p, dk_p, dv_p = _flash_backward(
                grad[at],
                q[at],
                _along(k, group.path),
                _along(v, group.path),
                out[at],
                lse[at],
                0.0,
                False,
                scale=scale,
            )
            dq[at] += dq_p
            begin = 0
            for part in group.path:
                end = begin + part.stop - part.start
                dk[:, :, part] += dk_p[:, :, begin:end]
                dv[:, :, part] += dv_p[:, :, begin:end]
                begin = end
        return dq, dk, dv, None, None


def merge_(out: Tensor, lse: Tensor, out_p: Tensor, lse_p: Tensor) -> None:
    """Merge attention over more keys into attention over some, in place.

    Shape:
        out, out_p are (..., tokens, dim); lse, lse_p (..., tokens).
    """
    total = torch.logaddexp(lse, lse_p)
    out.mul_((lse - total).exp()[..., None].to(out.dtype))
    out.add_(out_p * (lse_p - total).exp()[..., None].to(out.dtype))
    lse.copy_(total)


def _own_backward(
    batch: Any, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor,
    into: tuple[Tensor, Tensor, Tensor], scale: float,
) -> None:  # fmt: skip
    size, longest = batch.index.shape
    padded_grad = grad.new_zeros(size * longest, *grad.shape[1::2])
    padded_grad[batch.flat] = grad[0].transpose(0, 1)[batch.places]
    # An infinite log-sum-exp makes a padding row's probabilities zero rather than overflow.
    padded_lse = lse.new_full((lse.shape[1], size * longest), torch.finfo(lse.dtype).max)
    padded_lse[:, batch.flat] = lse[0][:, batch.places]
    parts = _flash_backward(
        padded_grad.view(size, longest, *padded_grad.shape[1:]).transpose(1, 2),
        *(_gather(x, batch.index) for x in (q, k, v, out)),
        padded_lse.view(-1, size, longest).transpose(0, 1),
        0.0, True, scale=scale,
    )  # fmt: skip
    for total, part in zip(into, parts, strict=True):
        total[0].index_add_(1, batch.places, part.transpose(0, 1).flatten(1, 2)[:, batch.flat])


def _gather(x: Tensor, index: Tensor) -> Tensor:
    """Return (segments, heads, longest, dim)."""
    return x[0].transpose(0, 1)[index].transpose(1, 2)


def _along(x: Tensor, path: Sequence[slice]) -> Tensor:
    if len(path) == 1:
        return x[:, :, path[0]]
    return torch.cat([x[:, :, part] for part in path], dim=2)
