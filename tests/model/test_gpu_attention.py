"""What a GPU attends with, as far as it can be run without one."""

import random
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._dynamo.utils import counters
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from actwise.model.attention.gpu import BLOCK, block_mask
from actwise.tree.forest import Forest, Node
from actwise.tree.layout import Layout, lay_out


def random_layout(seed: int, longest: int) -> Layout:
    """Lay out a few trees, of which some segments are longer than a block and some end in one."""
    draw = random.Random(seed)
    forest = Forest()
    for tree in range(draw.randint(1, 3)):
        nodes = [forest.insert([tree, *range(draw.randint(1, longest))], tree=tree)]
        for _ in range(draw.randint(0, 9)):
            parent = draw.choice(nodes)
            node = Node(parent.segment, draw.randint(1, parent.offset))
            nodes.append(forest.attach(node, range(1 + draw.randint(0, longest // 3))))
    return lay_out(forest)


def torchs_mask(layout: Layout) -> BlockMask:
    """Return what torch makes of the dense mask."""
    visible = layout.visible()

    def sees(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return visible[query, key]

    return create_block_mask(sees, None, None, *visible.shape, device="cpu")


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), longest=st.sampled_from([5, 130, 700]))
def test_blocks_are_those_of_the_dense_mask(seed: int, longest: int) -> None:
    layout = random_layout(seed, longest)
    found, expected = block_mask(layout), torchs_mask(layout)
    assert found.seq_lengths == expected.seq_lengths
    assert found.BLOCK_SIZE == expected.BLOCK_SIZE
    for kind in ("kv", "full_kv", "q", "full_q"):
        counts = getattr(expected, f"{kind}_num_blocks")
        assert torch.equal(getattr(found, f"{kind}_num_blocks"), counts)
        blocks, others = (getattr(mask, f"{kind}_indices") for mask in (found, expected))
        counted = torch.arange(blocks.shape[-1]) < counts[..., None]
        assert torch.equal(blocks[counted], others[counted])


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), window=st.sampled_from([1, 100, 128, 300]))
def test_a_window_leaves_no_seen_block_out(seed: int, window: int) -> None:
    layout = random_layout(seed, 700).within(window)
    found, expected = block_mask(layout), torchs_mask(layout)
    size = len(layout.input_ids)
    assert torch.equal(found.full_kv_num_blocks, expected.full_kv_num_blocks)
    assert not (expected.to_dense() > found.to_dense()).any()
    indices = torch.arange(size)
    sees = found.mask_mod(None, None, indices[:, None], indices[None])
    assert torch.equal(sees, layout.visible())


def test_a_prompt_before_a_block_of_completions_is_full() -> None:
    forest = Forest()
    trunk = forest.insert(range(2 * BLOCK))
    forest.attach(trunk, range(BLOCK))
    mask = block_mask(lay_out(forest))
    # Each block sees itself in part and those before it whole: 0, 1 and 2 of them.
    assert mask.kv_num_blocks.tolist() == [[[1, 1, 1]]]
    assert mask.full_kv_num_blocks.tolist() == [[[0, 1, 2]]]


@pytest.mark.slow
def test_layouts_of_other_lengths_are_not_compiled_anew() -> None:
    torch._dynamo.reset()
    compiled: Callable[..., Tensor] = torch.compile(
        flex_attention, dynamic=True, fullgraph=True, backend="eager"
    )
    before = counters["stats"]["unique_graphs"]
    # The first has as many blocks as there are heads: torch takes equal sizes for the same.
    for length in (4 * BLOCK, 4 * BLOCK + 1, 900, 2 * BLOCK, BLOCK + 1):
        forest = Forest()
        forest.insert(range(length))
        q, k, v = (torch.randn(1, heads, length, 16) for heads in (4, 2, 2))
        with torch.no_grad():
            compiled(q, k, v, block_mask=block_mask(lay_out(forest)), enable_gqa=True)
    assert counters["stats"]["unique_graphs"] - before == 1
