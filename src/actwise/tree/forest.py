"""A conversation as a tree of token segments.

A segment continues its parent after the parent's first `offset` tokens: a trunk is one segment, and
its branches are attached to it at different offsets. Segments may be attached to segments at any
depth. A token sees its own segment up to itself and, of every ancestor, the part before the point
of attachment; its position is its depth.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Node:
    """A position in a forest: after the first `offset` tokens of a segment."""

    segment: int
    offset: int


@dataclass(frozen=True)
class Segment:
    """Tokens in a row, and where they are attached; None at the beginning of a tree."""

    token_ids: tuple[int, ...]
    parent: Node | None


@dataclass
class Forest:
    """Prefix trees of token sequences; sequences of one tree share what they have in common."""

    segments: list[Segment] = field(default_factory=list)
    _roots: dict[tuple[int, int], int] = field(default_factory=dict)
    _children: dict[tuple[Node, int], int] = field(default_factory=dict)

    def insert(self, token_ids: Sequence[int], *, tree: int = 0) -> Node:
        """Add a sequence and return where it ends.

        Insert the longest sequence of a tree first: it becomes the trunk, one unbroken segment,
        and the shorter ones only mark positions in it.

        Args:
            token_ids: At least one token.
            tree: Sequences share prefixes only within one tree.
        """
        root = self._roots.get((tree, token_ids[0]))
        if root is None:
            self._roots[tree, token_ids[0]] = len(self.segments)
            self.segments.append(Segment(tuple(token_ids), None))
            return Node(len(self.segments) - 1, len(token_ids))
        segment = root
        while True:
            length = common_prefix(self.segments[segment].token_ids, token_ids)
            node, token_ids = Node(segment, length), token_ids[length:]
            if not token_ids:
                return node
            child = self._children.get((node, token_ids[0]))
            if child is None:
                return self.attach(node, token_ids)
            segment = child

    def insert_all(self, sequences: Sequence[Sequence[int]], *, tree: int = 0) -> list[Node]:
        """Add sequences, the longest first as the trunk; return their ends in the given order."""
        ends: dict[int, Node] = {}
        for i in sorted(range(len(sequences)), key=lambda i: -len(sequences[i])):
            ends[i] = self.insert(sequences[i], tree=tree)
        return [ends[i] for i in range(len(sequences))]

    def attach(self, node: Node, token_ids: Sequence[int]) -> Node:
        """Add a branch at a node, whatever is there already, and return its end.

        Args:
            node: Where the branch begins; not before the first token of its segment.
            token_ids: At least one token.
        """
        self._children[node, token_ids[0]] = len(self.segments)
        self.segments.append(Segment(tuple(token_ids), node))
        return Node(len(self.segments) - 1, len(token_ids))

    @property
    def num_tokens(self) -> int:
        """Tokens of all segments: what one forward pass computes."""
        return sum(len(segment.token_ids) for segment in self.segments)

    def path(self, node: Node) -> list[Node]:
        """Return the visible part of each segment from the root to the node."""
        nodes = [node]
        while (parent := self.segments[nodes[-1].segment].parent) is not None:
            nodes.append(parent)
        return [part for part in reversed(nodes) if part.offset]

    def token_ids(self, node: Node) -> list[int]:
        """Return the whole sequence that ends at a node."""
        return [
            token
            for part in self.path(node)
            for token in self.segments[part.segment].token_ids[: part.offset]
        ]


SHARED_PREFIX = 64
"""Conversations whose first tokens, as many as this, are equal share what they have in common."""


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two sequences have in common at their beginning."""
    one, other = tuple(one), tuple(other)
    # Slices are compared fast, so the end is found by halving: equal before `low`, not before
    # `high`.
    low, high = 0, min(len(one), len(other)) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low


def shared_prefix_of(trunk: Sequence[int]) -> tuple[int, ...]:
    """Return a trunk's first tokens; where they are equal, conversations share what follows."""
    return tuple(trunk[:SHARED_PREFIX])
