"""Logs of requests: each conversation once, with all its turns."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from actwise.conversation import Conversation, Message
from actwise.data.grown import longest_records
from actwise.data.split import openings, split
from data.test_fingerprint import ASKED, calls, result, says, talk, user

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]


def requests(whole: Conversation) -> list[Conversation]:
    """A conversation as a log of requests holds it: a record for each turn of the assistant."""
    ends = [i for i, m in enumerate(whole.messages) if m.role == "assistant"]
    return [
        whole.model_copy(
            update={
                "messages": whole.messages[: end + 1],
                "id": f"{whole.id}.{end}",
                "source": f"log.jsonl:{whole.id}.{end}",
            }
        )
        for end in ends
    ]


def said(conversation: Conversation) -> str:
    return conversation.model_copy(update={"id": ""}).to_json()


def long_talk(name: str, turns: int) -> Conversation:
    messages: list[Message] = []
    for turn in range(turns):
        messages += [
            user(f"{name} asks for the number {turn} of them, please"),
            calls(f"{name} {turn}", f"c{turn}"),
            result(f"{turn}", f"c{turn}"),
            says(f"There are {turn} for {name}."),
        ]
    return talk(*messages, id=name)


@given(turns=st.lists(st.integers(1, 3), min_size=1, max_size=6), seed=st.integers(0, 100))
@settings(deadline=None)
def test_a_log_of_requests_is_its_conversations(turns: list[int], seed: int) -> None:
    whole = [long_talk(name, count) for name, count in zip(WORDS, turns, strict=False)]
    records = [record for one in whole for record in requests(one)]
    random.Random(seed).shuffle(records)  # as several files would be read
    found, beginnings = longest_records(records)
    assert sorted(map(said, found)) == sorted(map(said, whole))
    assert len(found) + len(beginnings) == len(records)
    decisions = [d for c in found for d in c.decisions()]
    assert len(decisions) == sum(len(c.decisions()) for c in whole)


def test_edited_records_are_one_conversation() -> None:
    whole = talk(
        user(ASKED),
        calls("rake", "a1"),
        result("7", "a1"),
        says("Seven."),
        user("And hoes?"),
        says("Nine, I think.", "Hoes are like rakes."),
    )
    system = Message(role="system", content="Today is 2026-01-05.")
    first = talk(
        system,
        user(f"[09:12] {ASKED}"),
        calls("rake", "b7").model_copy(update={"reasoning_content": "Look it up."}),
        id="1",
    )
    found, beginnings = longest_records([first, whole])
    assert [c.id for c in beginnings] == ["1"]
    (kept,) = found
    # The thought of the first request is kept, which the second record no longer has.
    thoughts = [m.reasoning_content for m in kept.messages if m.role == "assistant"]
    assert thoughts == ["Look it up.", None, "Hoes are like rakes."]
    assert [m.content for m in kept.messages] == [m.content for m in whole.messages]


def test_a_turn_that_is_context_in_its_own_record_stays_context() -> None:
    whole = talk(user(ASKED), says("Seven of th"), user("And hoes?"), says("Nine."))
    cut = talk(whole.messages[0], whole.messages[1].model_copy(update={"weight": 0}), id="1")
    ((kept,), _) = longest_records([cut, whole])
    assert [d.index for d in kept.decisions()] == [3]


def test_only_the_last_message_of_a_record_may_count() -> None:
    """Exports that train each record's last message alone still train every turn."""
    whole = long_talk("alpha", 2)
    records = [
        record.model_copy(
            update={
                "messages": (
                    *(
                        m.model_copy(update={"weight": 0}) if m.role == "assistant" else m
                        for m in record.messages[:-1]
                    ),
                    record.messages[-1],
                )
            }
        )
        for record in requests(whole)
    ]
    ((kept,), _) = longest_records(records)
    assert [d.index for d in kept.decisions()] == [d.index for d in whole.decisions()]


def test_branches_are_both_kept_and_share_their_beginning_once() -> None:
    start = [user(ASKED), calls("rake"), result("7"), says("Seven.")]
    one = talk(*start, user("And hoes?"), says("Nine."), id="one")
    other = talk(*start, user("And spades?"), says("None."), id="other")
    found, beginnings = longest_records([*requests(one), *requests(other)])
    assert len(found) == 2
    assert len(beginnings) == 4
    assert [d.index for c in found for d in c.decisions()] == [1, 3, 5, 5]


def test_conversations_that_only_greet_alike_lose_nothing() -> None:
    greeting = [user("Hi"), says("Hello!")]
    logs = [talk(*greeting, user(f"I ask about {w}"), says(w), id=w) for w in WORDS[:3]]
    found, beginnings = longest_records([talk(*greeting, id="g"), *logs])
    assert [c.id for c in found] == WORDS[:3]
    assert [len(c.decisions()) for c in found] == [2, 2, 2]
    assert [c.id for c in beginnings] == ["g"]
    # Under another system prompt it is another conversation.
    other = talk(Message(role="system", content="Be brief."), *greeting, id="g")
    assert longest_records([other, *logs]) == ([other, *logs], [])


def prompted(prompt: str, *messages: Message, id: str) -> Conversation:
    return talk(Message(role="system", content=prompt), *messages, id=id)


def test_one_question_about_many_documents_is_as_many_conversations() -> None:
    """Each document is in a system prompt; some records go on, others do not."""
    shared = [user("What is the sentiment of this document?"), says("positive")]
    more = [user("Why do you think so?"), says("It is written so.")]
    logs = [
        prompted(f"Document: {word} {word}", *shared, *(more if n % 2 else []), id=word)
        for n, word in enumerate(WORDS)
    ]
    assert longest_records(logs) == (logs, [])
    # A record for each request of those that go on is still a beginning, whatever the time was.
    grown = [r for c in logs for r in requests(c)]
    at_noon = [
        r.model_copy(
            update={
                "messages": (
                    Message(role="system", content=f"{r.messages[0].content}\nIt is 12:0{n % 10}."),
                    *r.messages[1:],
                )
            }
        )
        for n, r in enumerate(grown)
    ]
    found, beginnings = longest_records(at_noon)
    assert len(found) == len(logs)
    assert len(beginnings) == len(logs) // 2
    assert sum(len(c.decisions()) for c in found) == sum(len(c.decisions()) for c in logs)


def test_what_many_say_first_is_joined_once_a_record() -> None:
    """Half leave after a menu's first answer: the work grows with the records, not their square."""
    read = 0

    class Counted(list[Conversation]):
        def __getitem__(self, index: int) -> Conversation:  # type: ignore[override]
            nonlocal read
            read += 1
            return super().__getitem__(index)

    opening = [user("I need help with my order"), says("Sure, what is its number?")]
    logs = Counted(
        talk(*opening, *([user(f"It is {n}"), says(f"{n} is here.")] if n % 2 else []), id=str(n))
        for n in range(400)
    )
    found, beginnings = longest_records(logs)
    assert (len(found), len(beginnings)) == (200, 200)
    assert sum(len(c.decisions()) for c in found) == 201
    assert read <= 4 * len(logs)


def test_logs_without_growth_stay_as_they_are() -> None:
    logs = [long_talk(name, 2) for name in WORDS]
    assert longest_records(logs) == (logs, [])
    twice = [logs[0], logs[0].model_copy(update={"id": "again"})]
    assert longest_records(twice) == (twice, [])


# --- Families -----------------------------------------------------------------------------------


def sides(conversations: list[Conversation], seed: int) -> dict[str, str]:
    found = split(conversations, dev=0.2, test=0.2, seed=seed)
    by_side = {"train": found.train, "dev": found.dev, **found.tests}
    return {c.id: side for side, members in by_side.items() for c in members}


def test_tries_at_one_request_lie_on_one_side() -> None:
    tries = [
        talk(user(ASKED), calls("rake"), result("7"), says("Seven."), id="a"),
        talk(user(ASKED), calls("rake", "z"), result("7", "z"), says("I see 7 rakes."), id="b"),
        talk(Message(role="system", content="New."), user(ASKED), says("I do not know."), id="c"),
    ]
    others = [long_talk(name, 1) for name in WORDS]
    for seed in range(8):
        found = sides([*tries, *others], seed)
        assert len({found[name] for name in "abc"}) == 1


def test_an_agent_that_is_always_told_the_same_is_told_apart_by_what_follows() -> None:
    told = "Process the next ticket in the queue"
    logs = [
        talk(
            user(told),
            calls("next"),
            result(f"ticket of {name}"),
            says(f"Done for {name}."),
            id=name,
        )
        for name in WORDS
    ]
    assert len(set(openings(logs))) == len(WORDS)
    assert set(sides(logs, 0).values()) == {"train", "dev", "test"}


def test_a_family_that_is_far_larger_than_a_side_is_trained_on() -> None:
    tries = [talk(user(ASKED), says(f"Answer {w}."), id=f"t{w}") for w in WORDS]
    others = [long_talk(name, 1) for name in WORDS]
    for seed in range(6):
        found = split([*tries, *others], dev=0.1, test=0.1, seed=seed)
        assert {c.id for c in tries} <= {c.id for c in found.train}
