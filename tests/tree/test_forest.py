"""Forests and their layouts, against plain lists of ancestors."""

from dataclasses import dataclass

import torch
from hypothesis import given
from hypothesis import strategies as st

from actwise.tree.forest import Forest, Node
from actwise.tree.layout import Layout, lay_out

# Few different tokens, so that random sequences share prefixes.
SEQUENCES = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), min_size=1, max_size=8)


@dataclass
class Grown:
    """A forest and, for every segment, the indices (segment, offset) from the root to its end."""

    forest: Forest
    seen: dict[int, list[tuple[int, int]]]


@st.composite
def forests(draw: st.DrawFn) -> Grown:
    """Build trees segment by segment, keeping what each segment sees by hand."""
    forest, seen = Forest(), {}
    for number in range(draw(st.integers(1, 9))):
        tokens = draw(st.lists(st.integers(0, 9), min_size=1, max_size=5))
        before: list[tuple[int, int]] = []
        if number == 0 or draw(st.integers(0, 4)) == 0:
            node = forest.insert(tokens, tree=number)
        else:
            parent = draw(st.integers(0, number - 1))
            offset = draw(st.integers(1, len(forest.segments[parent].token_ids)))
            node = forest.attach(Node(parent, offset), tokens)
            own = [(parent, i) for i in range(offset)]
            before = [p for p in seen[parent] if p[0] != parent] + own
        assert node == Node(number, len(tokens))
        seen[number] = before + [(number, i) for i in range(len(tokens))]
    return Grown(forest, seen)


def flat(layout: Layout, index: tuple[int, int]) -> int:
    return layout.starts[index[0]] + index[1]


@given(forests())
def test_every_token_lies_once_in_the_layout(grown: Grown) -> None:
    layout = lay_out(grown.forest)
    indices = [
        index
        for index, segment in enumerate(grown.forest.segments)
        for index in layout.indices(Node(index, len(segment.token_ids)))
    ]
    assert sorted(indices) == list(range(grown.forest.num_tokens)) == list(range(len(indices)))
    for index, segment in enumerate(grown.forest.segments):
        end = Node(index, len(segment.token_ids))
        assert layout.input_ids[list(layout.indices(end))].tolist() == list(segment.token_ids)
        assert list(layout.indices(end, first=1)) == list(layout.indices(end))[1:]


@given(forests())
def test_positions_are_depths_and_predecessors_are_the_tokens_before(grown: Grown) -> None:
    layout = lay_out(grown.forest)
    for seen in grown.seen.values():
        indices = [flat(layout, index) for index in seen]
        assert layout.position_ids[indices].tolist() == list(range(len(indices)))
        assert layout.predecessor[indices].tolist() == [-1, *indices[:-1]]


@given(forests())
def test_a_token_sees_its_ancestors_and_itself_and_nothing_else(grown: Grown) -> None:
    layout = lay_out(grown.forest)
    expected = torch.zeros(grown.forest.num_tokens, grown.forest.num_tokens, dtype=torch.bool)
    for seen in grown.seen.values():
        indices = [flat(layout, index) for index in seen]
        for i, index in enumerate(indices):
            expected[index, indices[: i + 1]] = True
    assert torch.equal(layout.visible(), expected)


@given(forests())
def test_token_ids_and_places_are_those_on_the_way_from_the_root(grown: Grown) -> None:
    layout = lay_out(grown.forest)
    for index, seen in grown.seen.items():
        tokens = [grown.forest.segments[segment].token_ids[i] for segment, i in seen]
        end = Node(index, len(grown.forest.segments[index].token_ids))
        assert grown.forest.token_ids(end) == tokens
        assert sum(part.offset for part in grown.forest.path(end)) == len(tokens)
        assert layout.last_indices(end, len(tokens)) == [flat(layout, index) for index in seen]


@given(SEQUENCES, st.lists(st.integers(0, 1), min_size=8, max_size=8))
def test_inserted_sequences_come_back_and_share_every_prefix(
    sequences: list[list[int]], trees: list[int]
) -> None:
    forest = Forest()
    nodes = [forest.insert(s, tree=t) for s, t in zip(sequences, trees, strict=False)]
    assert [forest.token_ids(node) for node in nodes] == sequences
    layout = lay_out(forest)
    for node, sequence in zip(nodes, sequences, strict=True):
        for count in range(len(sequence) + 1):
            last = layout.last_indices(node, count)
            assert layout.input_ids[last].tolist() == sequence[len(sequence) - count :]
    prefixes = {
        (tree, tuple(sequence[: end + 1]))
        for sequence, tree in zip(sequences, trees, strict=False)
        for end in range(len(sequence))
    }
    assert forest.num_tokens == len(prefixes)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.sets(st.integers(1, 12)))
def test_the_longest_sequence_inserted_first_is_one_unbroken_trunk(
    trunk: list[int], ends: set[int]
) -> None:
    forest = Forest()
    assert forest.insert(trunk) == Node(0, len(trunk))
    for end in sorted(min(end, len(trunk)) for end in ends):
        assert forest.insert(trunk[:end]) == Node(0, end)
    assert len(forest.segments) == 1


def test_sequences_of_different_trees_share_nothing() -> None:
    forest = Forest()
    forest.insert([1, 2, 3], tree=0)
    forest.insert([1, 2, 3], tree=1)
    assert forest.num_tokens == 6


def test_a_small_forest_worked_out_by_hand() -> None:
    #   7 8 9          the trunk
    #     \ 5 6        attached after 8
    #     \ 4          attached after 8
    #         \ 3      attached after the 5 of the first branch, and laid down right behind it
    forest = Forest()
    forest.insert([7, 8, 9])
    branch = forest.attach(Node(0, 2), [5, 6])
    forest.attach(Node(0, 2), [4])
    forest.attach(Node(branch.segment, 1), [3])
    layout = lay_out(forest)
    assert layout.input_ids.tolist() == [7, 8, 9, 5, 6, 3, 4]
    assert layout.position_ids.tolist() == [0, 1, 2, 2, 3, 3, 2]
    assert layout.predecessor.tolist() == [-1, 0, 1, 1, 3, 3, 1]
    assert layout.visible().int().tolist() == [
        [1, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 0, 1, 0, 0, 0],
        [1, 1, 0, 1, 1, 0, 0],
        [1, 1, 0, 1, 0, 1, 0],
        [1, 1, 0, 0, 0, 0, 1],
    ]
    # Of all that is seen, what lies before the tokens' own segments: two slices of it.
    assert [(b.queries, b.seen) for b in layout.blocks] == [
        (slice(3, 7), slice(0, 2)),
        (slice(5, 6), slice(3, 4)),
    ]
