"""FlexAttention over a layout, for GPUs.

It skips the blocks of the mask in which no token sees another. Its mask is tested by its forward
pass on a CPU (it has no other there); it has not yet run on a GPU (docs/experiments/gpu.md).

Letters in shapes: N tokens, Q and K blocks of queries and keys, S tokens of a block.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from torch.nn.functional import pad

from actwise.tree.layout import Layout

BLOCK = 128
"""Tokens of a block. Layouts of no more have a kernel of their own in torch, which cannot always be
compiled (seen in 2.11)."""


def block_mask(layout: Layout) -> BlockMask:
    """Return which blocks of queries see which blocks of keys.

    The same as `torch.nn.attention.flex_attention.create_block_mask`, which makes an (N, N) mask on
    the way; here nothing is larger than (Q, 2 N). Where tokens see a window only, blocks at its
    edge may be taken to be seen in part without being seen.
    """
    enter, leave = layout.spans()
    size = len(enter)
    blocks = -(-size // BLOCK)
    padding = (0, blocks * BLOCK - size)
    enter_QS = pad(enter, padding, value=-1).view(blocks, BLOCK).sort(1).values
    bounds = torch.cat([enter, leave]).repeat(blocks, 1)
    first_QN, end_QN = torch.searchsorted(enter_QS, bounds).chunk(2, 1)
    pairs_QK = pad(end_QN - first_QN, padding).view(blocks, blocks, BLOCK).sum(2)
    seen_QK, full_QK = pairs_QK > 0, pairs_QK == BLOCK**2
    if layout.window is not None:
        last = layout.position_ids[-1:].expand(padding[1])
        depth_QS = torch.cat([layout.position_ids, last]).view(blocks, BLOCK)
        least_Q1, most_Q1 = depth_QS.amin(1)[:, None], depth_QS.amax(1)[:, None]
        seen_QK &= least_Q1 - most_Q1.t() < layout.window
        full_QK &= most_Q1 - least_Q1.t() < layout.window
    mask = BlockMask.from_kv_blocks(
        *_ordered(seen_QK & ~full_QK),
        *_ordered(full_QK),
        BLOCK_SIZE=BLOCK,
        mask_mod=_visible(layout, enter, leave),
        seq_lengths=(size, size),
    )
    for tensor in (x for x in mask.as_tuple() if isinstance(x, Tensor)):
        for dim in range(2, tensor.ndim):
            # Or a number of blocks that happens to be the number of heads is taken for fixed.
            torch._dynamo.maybe_mark_dynamic(tensor, dim)
    return mask


def _visible(layout: Layout, enter: Tensor, leave: Tensor) -> Callable[..., Tensor]:
    """Return the function that tells whether a query sees a key."""

    def sees(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (enter[key] <= enter[query]) & (enter[query] < leave[key])

    if layout.window is None:
        return sees
    depth = layout.position_ids
    earliest = depth - layout.window  # as a tensor: for each new number there would be a new kernel

    def sees_within(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return sees(batch, head, query, key) & (earliest[query] < depth[key])

    return sees_within


def kernel_options(dtype: torch.dtype) -> dict[str, int]:
    """Return what makes the kernels fit the shared memory of GPUs that have 101 KB of it.

    In float32, with heads of 128, torch's own choice takes 149 KB for capability 8.6.
    """
    return {"fwd_num_stages": 1} if dtype == torch.float32 else {}


def _ordered(mask_QK: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many blocks each row has, (1, 1, Q), and which, (1, 1, Q, K), those first."""
    counts_Q = mask_QK.sum(1, dtype=torch.int32)
    index_QK = mask_QK.int().argsort(dim=1, descending=True, stable=True).int()
    return counts_Q[None, None], index_QK[None, None]


@cache
def fused_flex_attention() -> Callable[..., Any]:
    """Return `flex_attention`, compiled."""
    # Layouts differ in length; without `dynamic` each length would be compiled anew. With
    # `fullgraph` it is an error if that happens too often; without, torch would go on with a dense
    # matrix of scores.
    return torch.compile(flex_attention, dynamic=True, fullgraph=True)
