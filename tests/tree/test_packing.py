"""Packing: nothing is lost or doubled, passes keep to their size, beginnings are shared."""

from hypothesis import given, settings
from hypothesis import strategies as st

from actwise.tree.forest import SHARED_PREFIX
from actwise.tree.packing import Tree, grow, largest_pass, pack

HEADS = [[7] * SHARED_PREFIX, [8] * SHARED_PREFIX]
tokens = st.lists(st.integers(1, 3), min_size=1, max_size=12)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """A trunk that may begin as others do, and prompts that lie on it but for their ends."""
    trunk = draw(st.sampled_from([[], *HEADS])) + draw(tokens)
    cuts = draw(st.lists(st.integers(1, len(trunk)), min_size=1, max_size=4))
    ends = st.one_of(st.sampled_from([[], [9]]), st.lists(st.integers(1, 9), max_size=60))
    prompts = tuple(trunk[:cut] + draw(ends) for cut in sorted(cuts))
    return Tree(
        prompts,
        tuple(tuple(draw(st.lists(tokens, min_size=1, max_size=3))) for _ in prompts),
    )


def needed(tree: Tree) -> int:
    """Tokens of all prefixes of the prompts and of the completions after them, each once."""
    lines = [
        [*prompt, *completion]
        for prompt, group in zip(tree.prompts, tree.completions, strict=True)
        for completion in group
    ]
    return len({tuple(line[:end]) for line in lines for end in range(1, len(line) + 1)})


@settings(max_examples=200, deadline=None)
@given(st.lists(trees(), min_size=1, max_size=5), st.integers(1, 300))
def test_every_completion_is_computed_after_its_prompt(found: list[Tree], limit: int) -> None:
    seen = []
    for parts in pack(found, limit):
        forest, ends = grow(parts)
        at = iter(ends)
        for part in parts:
            for i in part.decisions:
                seen.append((part.conversation, i))
                for completion in found[part.conversation].completions[i]:
                    prompt = found[part.conversation].prompts[i]
                    node, length = next(at)
                    assert forest.token_ids(node) == [*prompt, *completion]
                    assert length == len(completion)
        assert next(at, None) is None
        if len(parts) == 1:
            assert forest.num_tokens == needed(parts[0].tree)
    assert sorted(seen) == [
        (c, i) for c, tree in enumerate(found) for i in range(len(tree.prompts))
    ]


@settings(max_examples=200, deadline=None)
@given(st.lists(trees(), min_size=1, max_size=5), st.integers(1, 300))
def test_a_pass_is_larger_than_allowed_only_where_it_has_to_be(
    found: list[Tree], limit: int
) -> None:
    for parts in pack(found, limit):
        forest, _ = grow(parts)
        if forest.num_tokens > limit:
            (part,) = parts
            tree = found[part.conversation]
            trunk = max(map(len, tree.prompts))
            longest = trunk + max(sum(map(len, group)) for group in tree.completions)
            # A prompt off the trunk is computed again in each part that goes on from it.
            again = 0 if len(part.decisions) == len(tree.prompts) else trunk
            assert forest.num_tokens <= trunk + max(limit - trunk, 3 * trunk) + longest + again


@given(trees(), st.integers(1, 300))
def test_a_conversation_is_divided_no_further_than_it_has_to_be(tree: Tree, limit: int) -> None:
    room = max(limit - len(tree.trunk), 3 * len(tree.trunk))
    fewest = 1 if tree.num_tokens <= limit else -(-(tree.num_tokens - len(tree.trunk)) // room)
    assert len(pack([tree], limit)) <= fewest


def test_equal_completions_do_not_divide_a_conversation() -> None:
    prompts = tuple(list(range(100, 100 + n)) for n in (10, 14, 18, 20))
    tree = Tree(prompts, tuple(tuple([[5] * 5] * 4) for _ in prompts))
    assert tree.num_tokens == needed(tree) == 20 + 4 * 5
    assert [[p.decisions for p in ps] for ps in pack([tree], 40)] == [[range(4)]]


def test_conversations_that_begin_alike_are_one_trunk() -> None:
    one = Tree(([*HEADS[0], 1, 2, 3], [*HEADS[0], 1, 2, 3, 4]), (((5,), (6,)), ((5,),)))
    other = Tree(([*HEADS[1], 1],), (((5, 5),),))
    alike = Tree(([*HEADS[0], 1, 2, 9], [*HEADS[0], 1, 2, 9, 9]), (((5,),), ((6,),)))
    (parts,) = pack([one, other, alike], 10_000)
    assert [part.conversation for part in parts] == [0, 2, 1]
    forest, _ = grow(parts)
    # The head, 1, 2 once; then 3, 4 and 9, 9; the other one; the completions.
    assert forest.num_tokens == (SHARED_PREFIX + 2) + 2 + 2 + (SHARED_PREFIX + 1) + (3 + 2 + 2)
    # What is shared leaves room for more in a pass.
    both = SHARED_PREFIX + 2 + 2 + 3 + 2 + 2
    assert [[p.conversation for p in ps] for ps in pack([one, alike], both)] == [[0, 1]]
    assert len(pack([one, alike], both - 1)) == 2


def test_a_large_conversation_is_divided_by_decisions() -> None:
    prompts = tuple(list(range(100, 100 + n)) for n in (10, 14, 18, 20))
    tree = Tree(prompts, tuple(tuple([n] * 5 for n in range(4)) for _ in prompts))
    assert needed(tree) == tree.num_tokens == 100
    assert [[p.decisions for p in ps] for ps in pack([tree], 100)] == [[range(4)]]
    halves = pack([tree], 60)  # 80 branch tokens, at most 40 beside the trunk
    assert [[p.decisions for p in ps] for ps in halves] == [[range(2)], [range(2, 4)]]
    # The first half has no need of the whole trunk.
    assert [grow(ps)[0].num_tokens for ps in halves] == [14 + 40, 20 + 40]
    # However small the limit, parts have branches of three times the trunk's length, if there are.
    assert pack([tree], 1) == halves


@given(
    st.integers(1, 30), st.integers(1, 6), st.integers(1, 40), st.integers(1, 4), st.integers(8, 90)
)
def test_no_pass_is_larger_than_is_planned_for(
    trunk: int, generations: int, length: int, decisions: int, limit: int
) -> None:
    """Completions that have nothing in common, of decisions that share all of their prompt."""
    numbers = iter(range(10**6))
    prompt = [next(numbers) for _ in range(trunk)]
    completions = tuple(
        tuple([next(numbers) for _ in range(length)] for _ in range(generations))
        for _ in range(decisions)
    )
    passes = pack([Tree((prompt,) * decisions, completions)], limit)
    largest = max(sum(part.tree.num_tokens for part in of_pass) for of_pass in passes)
    assert largest <= largest_pass(trunk, generations * length, limit)
