"""A forest as one row of tensors: what a forward pass is given.

Letters in shapes: N tokens of the whole layout.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from actwise.tree.forest import Forest, Node

PIECE = 128
"""Most tokens of a piece. Within pieces half of the work is for tokens that are not seen, and the
smaller they are the less is; products of small pieces are slow."""
_LIKE = 0.8
"""How long the shortest piece of a batch is at least, relative to the longest."""


@dataclass(frozen=True)
class Block:
    """Adjacent tokens that all see the same adjacent tokens before them.

    They are all that descends from one node, which sees the node's segment up to there, or one
    piece of a segment, which sees the pieces before it.
    """

    queries: slice
    """The tokens' indices in the layout."""
    seen: slice
    partly: bool = False
    """Whether some of the queries see only the later ones, those within their window."""


@dataclass(frozen=True)
class OwnBatch:
    """Pieces of similar length, padded on the right: within them attention is plain causal."""

    index: Tensor
    """(pieces, longest): indices in the layout; padding repeats the piece's first token."""
    flat: Tensor
    """Places within the flattened batch of the tokens that are no padding."""
    indices: Tensor
    """The same tokens' indices in the layout."""


@dataclass(frozen=True)
class Layout:
    """A forest as one row of tokens."""

    input_ids: Tensor
    """(N,)"""
    position_ids: Tensor
    """(N,) depth of each token"""
    predecessor: Tensor
    """(N,) index of the token before; -1 at the beginning of a tree"""
    starts: tuple[int, ...]
    """First index of each segment, by the forest's segment index."""
    parents: tuple[Node | None, ...]
    """Where each segment is attached."""
    blocks: tuple[Block, ...]
    own: tuple[OwnBatch, ...]
    """All segments, cut into pieces of at most `PIECE` tokens."""
    window: int | None = None
    """How many tokens a token sees at most, itself among them; None where it sees all."""

    def within(self, window: int) -> "Layout":
        """Return the same in which a token sees the last of its ancestors only.

        Args:
            window: How many, the token itself among them.
        """
        depth = self.position_ids.tolist()
        if max(depth) < window:
            return self
        blocks = []
        for block in self.blocks:
            # The first query is the least deep, so it sees the earliest token.
            unseen = max(0, depth[block.queries.start] - window + 1 - depth[block.seen.start])
            seen = slice(block.seen.start + unseen, block.seen.stop)
            if seen.start < seen.stop:
                deepest = max(depth[block.queries])
                blocks.append(Block(block.queries, seen, deepest - depth[seen.start] >= window))
        return replace(self, blocks=tuple(blocks), window=window)

    def indices(self, node: Node, first: int = 0) -> range:
        """Return the indices of a segment's tokens from `first` up to the node."""
        start = self.starts[node.segment]
        return range(start + first, start + node.offset)

    def last_indices(self, node: Node, count: int) -> list[int]:
        """Return the indices of the last `count` tokens before a node, in the order of the text."""
        indices = list(self.indices(node, max(0, node.offset - count)))
        parent = self.parents[node.segment]
        if len(indices) == count or parent is None:
            return indices
        return self.last_indices(parent, count - len(indices)) + indices

    def spans(self) -> tuple[Tensor, Tensor]:
        """Return two (N,) tensors, `enter` and `leave`.

        Token q sees token k where `enter[k] <= enter[q] < leave[k]`: they number the tokens such
        that all which see a token follow it without a gap.
        """
        predecessor = self.predecessor.tolist()
        size = [1] * len(predecessor)
        for i in reversed(range(len(predecessor))):  # a token lies behind its predecessor
            if predecessor[i] >= 0:
                size[predecessor[i]] += size[i]
        enter: list[int] = []
        free: list[int] = []  # the next number within a token's span
        end = 0
        for i, before in enumerate(predecessor):
            if before >= 0:
                enter.append(free[before])
                free[before] += size[i]
            else:
                enter.append(end)
                end += size[i]
            free.append(enter[i] + 1)
        begin = torch.tensor(enter, device=self.input_ids.device)
        return begin, begin + torch.tensor(size, device=begin.device)

    def visible(self) -> Tensor:
        """Return the (N, N) mask that is True where the row's token sees the column's."""
        enter, leave = self.spans()
        visible = (enter[None] <= enter[:, None]) & (enter[:, None] < leave[None])
        if self.window is not None:
            visible &= self.position_ids[:, None] - self.position_ids[None] < self.window
        return visible


def lay_out(forest: Forest, device: torch.device | str = "cpu") -> Layout:
    """Lay a forest out as tensors on a device."""
    segments = forest.segments
    order = _depth_first(forest)
    starts, end = [0] * len(segments), 0
    for index in order:
        starts[index] = end
        end += len(segments[index].token_ids)
    depths = [0] * len(segments)
    token_ids: list[int] = []
    positions: list[int] = []
    predecessor: list[int] = []
    for index in order:  # parents come first, so their depth is known
        segment, start = segments[index], starts[index]
        before = -1
        if segment.parent is not None:
            depths[index] = depths[segment.parent.segment] + segment.parent.offset
            before = starts[segment.parent.segment] + segment.parent.offset - 1
        length = len(segment.token_ids)
        token_ids.extend(segment.token_ids)
        positions.extend(range(depths[index], depths[index] + length))
        predecessor.extend([before, *range(start, start + length - 1)])
    pieces = [_pieces(starts[i], len(segments[i].token_ids)) for i in order]
    return Layout(
        torch.tensor(token_ids, device=device),
        torch.tensor(positions, device=device),
        torch.tensor(predecessor, device=device),
        tuple(starts),
        tuple(segment.parent for segment in segments),
        (*_descent_blocks(forest, order, starts), *_piece_blocks(pieces)),
        tuple(_own_batches([piece for of_one in pieces for piece in of_one], device)),
    )


def _depth_first(forest: Forest) -> list[int]:
    """Order segments such that all that descends from a node lies side by side."""
    children: list[list[tuple[int, int]]] = [[] for _ in forest.segments]
    pending: list[int] = []
    for index, segment in enumerate(forest.segments):
        if segment.parent is None:
            pending.append(index)
        else:
            children[segment.parent.segment].append((segment.parent.offset, index))
    pending.reverse()
    order: list[int] = []
    while pending:
        order.append(pending.pop())
        pending += [index for _, index in sorted(children[order[-1]], reverse=True)]
    return order


def _descent_blocks(forest: Forest, order: Sequence[int], starts: Sequence[int]) -> list[Block]:
    ends = [start + len(s.token_ids) for start, s in zip(starts, forest.segments, strict=True)]
    descent: dict[Node, slice] = {}
    for index in reversed(order):  # what descends from a segment comes before the segment
        node = forest.segments[index].parent
        if node is not None:
            stop = descent[node].stop if node in descent else ends[index]
            descent[node] = slice(starts[index], stop)
            ends[node.segment] = max(ends[node.segment], stop)
    return [
        Block(queries, slice(starts[node.segment], starts[node.segment] + node.offset))
        for node, queries in descent.items()
    ]


def _pieces(start: int, length: int) -> list[slice]:
    """Cut a segment into pieces of about equal length."""
    count = -(-length // PIECE)
    cuts = [start + length * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(cuts)]


def _piece_blocks(pieces: Sequence[Sequence[slice]]) -> list[Block]:
    return [
        Block(piece, slice(of_one[0].start, piece.start))
        for of_one in pieces
        for piece in of_one[1:]
    ]


def _own_batches(pieces: Sequence[slice], device: torch.device | str) -> list[OwnBatch]:
    """Batch pieces of like length, the longest first."""
    batches: list[list[slice]] = []
    for piece in sorted(pieces, key=lambda p: p.start - p.stop):
        length = piece.stop - piece.start
        if not batches or length < _LIKE * (batches[-1][0].stop - batches[-1][0].start):
            batches.append([])
        batches[-1].append(piece)
    return [_own_batch(members, device) for members in batches]


def _own_batch(pieces: Sequence[slice], device: torch.device | str) -> OwnBatch:
    longest = pieces[0].stop - pieces[0].start
    first_S1 = torch.tensor([[p.start] for p in pieces])
    steps_1L = torch.arange(longest)[None]
    real_SL = steps_1L < torch.tensor([[p.stop - p.start] for p in pieces])
    index_SL = torch.where(real_SL, first_S1 + steps_1L, first_S1)
    flat = real_SL.flatten().nonzero().squeeze(1)
    return OwnBatch(index_SL.to(device), flat.to(device), index_SL.flatten()[flat].to(device))
