"""FlexAttention over a layout, for GPUs.

It skips the blocks of the mask in which no token sees another. Its mask is tested by its forward
pass on a CPU (it has no other there); it has not yet run on a GPU.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from actwise.tree.layout import Layout


def block_mask(layout: Layout) -> BlockMask:
    """Return which blocks of queries see which blocks of keys."""
    enter, leave = layout.spans()
    depth, window = layout.position_ids, layout.window

    def sees(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        visible = (enter[key] <= enter[query]) & (enter[query] < leave[key])
        return visible if window is None else visible & (depth[query] - depth[key] < window)

    size = len(enter)
    return create_block_mask(sees, None, None, size, size, device=enter.device)


@cache
def fused_flex_attention() -> Callable[..., Any]:
    """Return `flex_attention`, compiled."""
    # Layouts differ in length; without `dynamic` each length would be compiled anew.
    return torch.compile(flex_attention, dynamic=True)
