"""Attention over a layout by matrix products, for CPUs.

Segments are cut into pieces, and the softmax is taken in parts, over a query's own piece and over
what its piece follows, which are merged by their log-sum-exp. No key is copied for a branch, and
but for one half of each piece nothing is computed for tokens that do not see each other. Scores are
computed again in the backward pass; with the *merged* output and log-sum-exp each part gives
exactly its share of the gradient (Dao 2022, arXiv:2205.14135, section 3.1: it depends on the rest
of the row through these two alone). All this is products of matrices, because the backward pass of
torch's fused attention is slow on a CPU.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from actwise.model.kernels.linear import product
from actwise.tree.layout import Block, Layout, OwnBatch

_LOG2_E = math.log2(math.e)
_FEW_SCORES = 100_000
"""Scores of a head below which one product of all heads is faster than one for each."""
_MANY_SCORES = 800_000
"""Scores that are computed at once at most."""
_LEAST, _TINY = torch.finfo(torch.float32).min, torch.finfo(torch.float32).tiny


class AttentionByParts(torch.autograd.Function):
    """Own pieces and paths, merged; queries (1, H, N, D), keys and values (1, K, N, D)."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        layout: Layout,
        scale: float,
        sinks: Tensor | None,
    ) -> Tensor:
        """Return (1, H, N, D); see `Attends.attend`."""
        # Scores in units of log 2: exp2 is several times as fast as exp.
        q_KRD = _rows(q * (scale * _LOG2_E), k.shape[1])
        k_KND, v_KND = _rows(k, k.shape[1]), _rows(v, k.shape[1])
        out_KRD, lse_KR = _attend(q_KRD, k_KND, v_KND, layout)
        sink_KR = None
        if sinks is not None:
            sink_KG = sinks.to(q_KRD.dtype).view(k.shape[1], -1) * _LOG2_E
            sink_KR = sink_KG.repeat(1, q.shape[2])
            total_KR = torch.logaddexp2(lse_KR, sink_KR)
            out_KRD.mul_((lse_KR - total_KR).exp2_()[..., None])
            lse_KR = total_KR
        out = _heads(out_KRD, q)
        ctx.save_for_backward(q_KRD, k_KND, v_KND, out, lse_KR, sink_KR)
        ctx.layout, ctx.scale = layout, scale
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of queries, keys and values, and of sinks."""
        q_KRD, k_KND, v_KND, out, lse_KR, sink_KR = ctx.saved_tensors
        (grad,) = grads
        kv_heads, dtype = len(k_KND), q_KRD.dtype
        delta = (grad.to(dtype) * out).sum(-1, keepdim=True)
        rows = _Rows(q_KRD, _rows(grad, kv_heads), lse_KR, _rows(delta, kv_heads).squeeze(2))
        dq, dk, dv = (torch.empty_like(x) for x in (q_KRD, k_KND, v_KND))
        for batch in ctx.layout.own:
            _own_backward(batch, rows, k_KND, v_KND, (dq, dk, dv), ctx.layout.window)
        for block in ctx.layout.blocks:
            _path_backward(block, rows, k_KND, v_KND, (dq, dk, dv), ctx.layout)
        dq *= ctx.scale
        dk *= 1 / _LOG2_E
        dsinks = None
        if sink_KR is not None:
            # Its value is zero: what is left of a score's gradient comes through all others.
            dsink_KR = -(sink_KR - lse_KR).exp2_() * rows.delta_KR
            dsinks = dsink_KR.unflatten(1, (-1, grad.shape[1] // kv_heads)).sum(1).flatten()
        return _heads(dq, grad), _heads(dk, grad), _heads(dv, grad), None, None, dsinks


class _Rows(NamedTuple):
    """What the backward pass needs of every query; R rows, tokens times heads of a group."""

    q_KRD: Tensor
    grad_KRD: Tensor
    lse_KR: Tensor
    """Log-sum-exp of all that the query sees, to the base of 2."""
    delta_KR: Tensor
    """Product of the output with its gradient."""


def _attend(q_KRD: Tensor, k_KND: Tensor, v_KND: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """Return outputs (K, R, D) and log-sum-exp (K, R)."""
    out_KRD, lse_KR = torch.empty_like(q_KRD), q_KRD.new_empty(q_KRD.shape[:2])
    group = q_KRD.shape[1] // k_KND.shape[1]
    for batch in layout.own:
        q, keys = _gather(q_KRD, batch.index, group), _gather(k_KND, batch.index, 1)
        scores = _own_scores(q, keys, layout.window)
        top = scores.amax(-1, keepdim=True)
        probs = scores.sub_(top).exp2_()
        total = probs.sum(-1, keepdim=True)
        out = probs @ _gather(v_KND, batch.index, 1)
        _scatter(out_KRD, batch, out.div_(total))
        _scatter(lse_KR[..., None], batch, total.log2_().add_(top))
    for block in layout.blocks:
        for head, row in _portions(block, len(k_KND), group):
            keys, values = (x[head, block.seen] for x in (k_KND, v_KND))
            scores = _products(q_KRD[head, row], keys)
            if block.partly:
                scores.masked_fill_(_beyond(layout, row, block.seen, group), -torch.inf)
            # A query that sees nothing here has a log-sum-exp of almost minus infinity.
            top = scores.amax(-1, keepdim=True).clamp_min_(_LEAST)
            probs = scores.sub_(top).exp2_()
            total = probs.sum(-1, keepdim=True).clamp_min_(_TINY)
            out = _products(probs, values.transpose(1, 2)).div_(total)
            lse = total.log2_().add_(top)[..., 0]
            _merge2_(out_KRD[head, row], lse_KR[head, row], out, lse)
    return out_KRD, lse_KR


def _merge2_(out: Tensor, lse: Tensor, out_p: Tensor, lse_p: Tensor) -> None:
    total = torch.logaddexp2(lse, lse_p)
    out.mul_((lse - total).exp2_()[..., None]).add_(out_p.mul_((lse_p - total).exp2_()[..., None]))
    lse.copy_(total)


def _beyond(layout: Layout, row: slice, seen: slice, group: int) -> Tensor:
    """Return where tokens lie beyond the window of a query, (rows, seen)."""
    depth_R = layout.position_ids.repeat_interleave(group)[row]
    assert layout.window is not None
    return depth_R[:, None] - layout.position_ids[seen] >= layout.window


def _path_backward(
    block: Block,
    rows: _Rows,
    k_KND: Tensor,
    v_KND: Tensor,
    into: tuple[Tensor, Tensor, Tensor],
    layout: Layout,
) -> None:
    dq, dk, dv = into
    group = rows.q_KRD.shape[1] // k_KND.shape[1]
    for head, row in _portions(block, len(k_KND), group):
        q, grad, lse, delta = (x[head, row] for x in rows)
        keys, values = (x[head, block.seen] for x in (k_KND, v_KND))
        # Keys by queries: then no product has a large operand to copy.
        probs_KPR = _products(keys, q).sub_(lse[:, None]).exp2_()
        if block.partly:
            probs_KPR.masked_fill_(_beyond(layout, row, block.seen, group).t(), 0)
        dv[head, block.seen] += _products(probs_KPR, grad.transpose(1, 2))
        dscores_KPR = _products(values, grad).sub_(delta[:, None]).mul_(probs_KPR)
        dk[head, block.seen] += _products(dscores_KPR, q.transpose(1, 2))
        dq_KDR = _products(keys.transpose(1, 2), dscores_KPR.transpose(1, 2))
        dq[head, row] += dq_KDR.transpose(1, 2)


def _portions(block: Block, kv_heads: int, group: int) -> Iterator[tuple[slice, slice]]:
    """Yield key-value heads and rows to be computed together.

    Blocks of few scores are computed whole, others head by head and in portions whose scores stay
    in the cache.
    """
    begin, end = block.queries.start * group, block.queries.stop * group
    seen = block.seen.stop - block.seen.start
    if (end - begin) * seen < _FEW_SCORES:
        yield slice(0, kv_heads), slice(begin, end)
        return
    count = -(-(end - begin) * seen // _MANY_SCORES)
    cuts = [begin + (end - begin) * i // count for i in range(count + 1)]
    for head in range(kv_heads):
        for first, last in pairwise(cuts):
            yield slice(head, head + 1), slice(first, last)


def _products(x_KAB: Tensor, y_KCB: Tensor) -> Tensor:
    """Return (K, A, C): x times the transpose of y."""
    if len(x_KAB) == 1:
        return product(x_KAB[0], y_KCB[0])[None]
    return x_KAB @ y_KCB.transpose(1, 2)


def _own_backward(
    batch: OwnBatch,
    rows: _Rows,
    k_KND: Tensor,
    v_KND: Tensor,
    into: tuple[Tensor, Tensor, Tensor],
    window: int | None,
) -> None:
    group = rows.q_KRD.shape[1] // k_KND.shape[1]
    q, grad = (_gather(x, batch.index, group) for x in (rows.q_KRD, rows.grad_KRD))
    keys, values = (_gather(x, batch.index, 1) for x in (k_KND, v_KND))
    lse, delta = (_gather(x[..., None], batch.index, group) for x in (rows.lse_KR, rows.delta_KR))
    # Padding repeats a query, whose gradient must not be counted again.
    padding = torch.ones(batch.index.numel(), dtype=torch.bool)
    padding[batch.flat] = False
    lse.masked_fill_(padding.view(*batch.index.shape, 1).repeat_interleave(group, 1), torch.inf)
    probs = _own_scores(q, keys, window).sub_(lse).exp2_()
    dscores = (grad @ values.transpose(2, 3)).sub_(delta).mul_(probs)
    _scatter(into[0], batch, dscores @ keys)
    _scatter(into[1], batch, dscores.transpose(2, 3) @ q)
    _scatter(into[2], batch, probs.transpose(2, 3) @ grad)


def _own_scores(q: Tensor, keys: Tensor, window: int | None) -> Tensor:
    """Return (K, pieces, longest * group, longest), -inf where a key is not seen.

    It is not where it comes after the query, or lies beyond the query's window.
    """
    longest = keys.shape[2]
    unseen = q.new_full((longest, longest), -torch.inf).triu_(1)
    if window is not None and window < longest:
        unseen += q.new_full((longest, longest), -torch.inf).tril_(-window)
    unseen = unseen.repeat_interleave(q.shape[2] // longest, 0)
    return (q @ keys.transpose(2, 3)).add_(unseen)


def _rows(x: Tensor, kv_heads: int) -> Tensor:
    """Return (K, N * group, D), contiguous, from (1, H, N, D): tokens before heads of a group."""
    x_KGND = x[0].view(kv_heads, -1, *x.shape[2:]).to(torch.promote_types(x.dtype, torch.float32))
    return x_KGND.transpose(1, 2).flatten(1, 2).contiguous()


def _heads(x_KRD: Tensor, like: Tensor) -> Tensor:
    """Undo `_rows`; stored token-major, so that the caller's transpose back is free."""
    x_NKGD = _by_token(x_KRD, x_KRD.shape[1] // like.shape[2]).transpose(0, 1)
    return x_NKGD.to(like.dtype).flatten(1, 2).transpose(0, 1)[None]


def _by_token(x_KRD: Tensor, group: int) -> Tensor:
    """Return (K, N, group, D), which shares its memory."""
    return x_KRD.view(len(x_KRD), -1, group, x_KRD.shape[2])


def _gather(x_KRD: Tensor, index_SL: Tensor, group: int) -> Tensor:
    """Return (K, pieces, longest * group, D)."""
    return _by_token(x_KRD, group)[:, index_SL].flatten(2, 3)


def _scatter(x_KRD: Tensor, batch: OwnBatch, values: Tensor) -> None:
    """Write what `_gather` gave, less the padding."""
    group = values.shape[2] // batch.index.shape[1]
    tokens = _by_token(values.flatten(1, 2), group)
    _by_token(x_KRD, group).index_copy_(1, batch.indices, tokens[:, batch.flat])
