"""Splits: what belongs together stays together, and the sides have their sizes."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actwise.conversation import Conversation, Message, ToolCall
from actwise.data.split import Splits, split
from actwise.errors import InputError

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]


def conversation(
    name: str, question: str, answer: str = "Yes.", group: str | None = None
) -> Conversation:
    return Conversation(
        id=name,
        messages=(
            Message(role="system", content=f"Today is day {name}."),
            Message(role="user", content=question),
            Message(role="assistant", content=answer),
        ),
        group=group,
        source=f"log.jsonl:{name}",
    )


def sides(splits: Splits) -> dict[str, str]:
    """Return the side of each conversation by its id."""
    by_side = {"train": splits.train, "dev": splits.dev, **splits.tests}
    return {c.id: side for side, conversations in by_side.items() for c in conversations}


def different_words(count: int) -> Iterator[tuple[str, ...]]:
    return itertools.product(WORDS, repeat=count)


def different(count: int) -> list[Conversation]:
    questions = itertools.islice(different_words(3), count)
    return [conversation(str(i), " ".join(question)) for i, question in enumerate(questions)]


def test_sizes_are_the_shares_when_all_are_independent() -> None:
    splits = split(different(200), dev=0.1, test=0.25, seed=0)
    assert (len(splits.train), len(splits.dev)) == (130, 20)
    assert {name: len(of) for name, of in splits.tests.items()} == {"test": 50}


def test_every_conversation_is_used_once_and_unchanged() -> None:
    conversations = different(50)
    splits = split(conversations, dev=0.1, test=0.2, seed=3)
    used = [*splits.train, *splits.dev, *splits.tests["test"]]
    assert sorted(used, key=lambda c: int(c.id)) == conversations


def test_the_same_seed_gives_the_same_split_and_another_one_another() -> None:
    conversations = different(50)
    first = split(conversations, dev=0.1, test=0.2, seed=1)
    assert first == split(conversations, dev=0.1, test=0.2, seed=1)
    assert sides(first) != sides(split(conversations, dev=0.1, test=0.2, seed=2))


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([None, "a", "b", "c"])), max_size=25),
    st.integers(0, 5),
)
@settings(deadline=None)
def test_groups_and_variants_in_digits_case_and_punctuation_stay_together(
    drawn: list[tuple[int, str | None]], seed: int
) -> None:
    rng = random.Random(seed)
    conversations = different(40)  # enough for every side, whatever is drawn
    for number, (text, group) in enumerate(drawn):
        words = f"order {WORDS[text]} {rng.randrange(1000)} please{rng.choice('.!?')}"
        question = rng.choice((words, words.upper()))
        conversations.append(conversation(f"v{number}", question, group=group))
    rng.shuffle(conversations)
    found = sides(split(conversations, dev=0.2, test=0.2, seed=seed))
    assert found.keys() == {c.id for c in conversations}
    of_text = Counter(text for text, _ in drawn)
    kin = [(f"v{i}", text, group) for i, (text, group) in enumerate(drawn)]
    for (one, text, group), (other, text2, group2) in itertools.combinations(kin, 2):
        # A ninth variant is no coincidence: the log is made of them.
        alike = text == text2 and of_text[text] <= 8
        if alike or (group is not None and group == group2):
            assert found[one] == found[other]


def test_kinship_passes_on_from_one_to_the_next() -> None:
    # a and b share their text, b and c a group, c and d their text: one family of four. Joined
    # last, so that two families have to be made one.
    family = [
        conversation("a", "Where is order 1?"),
        conversation("d", "Cancel 99!", group=None),
        conversation("c", "cancel 7", group="Ann"),
        conversation("b", "where is Order 22", group="Ann"),
    ]
    for order in itertools.permutations(family):
        for seed in range(3):
            found = sides(split([*order, *different(8)], dev=0.2, test=0.2, seed=seed))
            assert len({found[c.id] for c in family}) == 1


def test_other_words_are_other_families() -> None:
    twins = [conversation("x", "Where is it?"), conversation("y", "Where is he?")]
    seen = set()
    for seed in range(20):
        found = sides(split([*twins, *different(6)], dev=0.2, test=0.2, seed=seed))
        seen.add(found["x"] == found["y"])
    assert seen == {True, False}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_conversations_are_refused(count: int) -> None:
    with pytest.raises(InputError, match="too few to train, choose and measure on"):
        split(different(count), dev=0.1, test=0.1, seed=0)


def test_one_family_cannot_be_split_however_large() -> None:
    copies: Sequence[Conversation] = [
        conversation(str(i), f"Order {i}?", group="Ann") for i in range(100)
    ]
    with pytest.raises(InputError, match=r"log\.jsonl: 100 conversations in one family") as raised:
        split([*copies], dev=0.1, test=0.1, seed=0)
    assert "; 100 of them are said to be of one session" in str(raised.value)
    assert "(Ann)" in str(raised.value)
    with pytest.raises(InputError) as raised:
        split(different(2), dev=0.1, test=0.1, seed=0)
    assert "session" not in str(raised.value)


@pytest.mark.parametrize(
    ("question", "answer"), [("Order {}?", "Yes."), ("{} * 2", "{}"), ("status {}", "{} is sent")]
)
def test_a_log_of_one_template_is_split_and_its_copies_stay_together(
    question: str, answer: str
) -> None:
    logs = [
        conversation(f"{i} {copy}", question.format(i), answer.format(2 * i))
        for i in range(150)
        for copy in range(2)
    ]
    splits = split(logs, dev=0.1, test=0.1, seed=0)
    assert [len(splits.train), len(splits.dev), len(splits.tests["test"])] == [240, 30, 30]
    found = sides(splits)
    assert all(found[f"{i} 0"] == found[f"{i} 1"] for i in range(150))


def asked_of_documents(questions: int) -> list[Conversation]:
    """One of few questions about a document of its own in the system prompt."""
    return [
        Conversation(
            id=str(number),
            messages=(
                Message(role="system", content="Document: " + " ".join(document)),
                Message(role="user", content=f"What is the {WORDS[number % questions]} of this?"),
                Message(role="assistant", content=document[number % 2]),
            ),
            source="log.jsonl:1",
        )
        for number, document in enumerate(itertools.islice(different_words(4), 300))
    ]


def standing_orders(orders: int, tries: bool) -> list[Conversation]:
    """Agents that are told one of few things; what they find differs, but for tries at a task."""
    tickets = itertools.cycle([WORDS[0]]) if tries else itertools.cycle(map(str, range(300)))
    call = Message(role="assistant", tool_calls=(ToolCall(name="next", arguments={}, id="a"),))
    return [
        Conversation(
            id=str(number),
            messages=(
                Message(role="user", content=f"Process the {WORDS[number % orders]} in the queue"),
                call,
                Message(role="tool", content=f"ticket {ticket}", tool_call_id="a"),
                Message(role="assistant", content=f"Done with {' '.join(done)}."),
            ),
            source="log.jsonl:1",
        )
        for number, ticket, done in zip(range(300), tickets, different_words(3), strict=False)
    ]


@pytest.mark.parametrize(
    "logs",
    [
        *(pytest.param(asked_of_documents(n), id=f"{n} questions") for n in (1, 2, 6)),
        *(pytest.param(standing_orders(n, tries=False), id=f"{n} orders") for n in (1, 2, 6)),
    ],
)
def test_few_ways_to_open_are_on_all_sides(logs: list[Conversation]) -> None:
    splits = split(logs, dev=0.1, test=0.1, seed=0)
    assert [len(splits.train), len(splits.dev), len(splits.tests["test"])] == [240, 30, 30]
    of_side = [
        {next(m.content for m in c.messages if m.role == "user") for c in side}
        for side in (splits.train, splits.dev, splits.tests["test"])
    ]
    assert of_side[0] == of_side[1] | of_side[2]


def test_many_tries_at_a_task_stay_together() -> None:
    """Equal calls found equal things: so these are tries, however many."""
    logs = standing_orders(6, tries=True)
    found = sides(split(logs, dev=0.1, test=0.1, seed=0))
    assert all(found[c.id] == found[str(int(c.id) % 6)] for c in logs)


def test_three_conversations_are_enough() -> None:
    assert sorted(sides(split(different(3), dev=0.05, test=0.15, seed=0)).values()) == [
        "dev",
        "test",
        "train",
    ]
