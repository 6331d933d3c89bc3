"""Conversations known again, whatever was edited around them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwise.conversation import Conversation, Message, ToolCall
from actwise.data.fingerprint import SIDES_FILE, Sides, turns_of
from actwise.errors import ConfigError, ModelError

ASKED = "How many rakes do you have in the shop?"


def talk(*messages: Message, id: str = "x") -> Conversation:
    return Conversation(id=id, messages=messages, source=f"log.jsonl:{id}")


def user(text: str) -> Message:
    return Message(role="user", content=text)


def says(text: str, thought: str | None = None) -> Message:
    return Message(role="assistant", content=text, reasoning_content=thought)


def calls(item: str, call_id: str = "c1") -> Message:
    call = ToolCall(name="stock_of", arguments={"item": item}, id=call_id)
    return Message(role="assistant", tool_calls=(call,))


def result(text: str, call_id: str = "c1") -> Message:
    return Message(role="tool", content=text, tool_call_id=call_id)


def prints(conversation: Conversation) -> list[int]:
    return [turn.after for turn in turns_of(conversation)]


PLAIN = talk(user(ASKED), calls("rake"), result('{"pieces": 7}'), says("We have 7."))


@pytest.mark.parametrize(
    "edited",
    [
        talk(Message(role="system", content="You help."), *PLAIN.messages),
        talk(user(ASKED), calls("rake", "z9"), result('{"pieces": 7}', "z9"), says("We have 7.")),
        talk(user(ASKED), calls("rake"), result('{"pieces":7}'), says("We have 7. ", "It is 7.")),
        talk(user(f"[10:31] {ASKED}"), *PLAIN.messages[1:]),
        talk(user(f"2026-01-05T10:31:07Z {ASKED}"), *PLAIN.messages[1:]),
        talk(
            user(f"{ASKED} (5.1.2026, 10:31)").model_copy(update={"content": ASKED}),
            *PLAIN.messages[1:],
        ),
        talk(*(m.model_copy(update={"labels": ("x",)}) for m in PLAIN.messages)),
    ],
)
def test_edits_around_what_was_said_do_not_count(edited: Conversation) -> None:
    assert prints(edited) == prints(PLAIN)


@pytest.mark.parametrize(
    "other",
    [
        talk(user(ASKED.replace("rakes", "hoes")), *PLAIN.messages[1:]),
        talk(user(ASKED), calls("hoe"), *PLAIN.messages[2:]),
        talk(user(ASKED), calls("rake"), result('{"pieces": 8}'), says("We have 7.")),
        talk(*PLAIN.messages[:3], says("We have 8.")),
        talk(user(ASKED), says("We have 7.")),
    ],
)
def test_whatever_was_said_or_done_otherwise_counts(other: Conversation) -> None:
    assert prints(other)[-1] != prints(PLAIN)[-1]


TURNS = st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=2, max_size=5)


@given(turns=TURNS, cut=st.integers(1, 4))
def test_the_beginning_of_a_conversation_has_its_prints(
    turns: list[tuple[str, str]], cut: int
) -> None:
    messages = [m for asked, said in turns for m in (user(asked), says(said))]
    whole = prints(talk(*messages))
    assert prints(talk(*messages[: 2 * cut])) == whole[:cut]


def test_a_date_that_is_talked_about_counts() -> None:
    days = [talk(user(f"A room on 2026-01-0{day}, please?"), says("Yes.")) for day in (5, 6)]
    assert prints(days[0]) != prints(days[1])


def test_the_sides_of_a_split_are_known_again(tmp_path: Path) -> None:
    other = talk(user("Where is my order number seven?"), says("On its way."))
    sides = Sides.of({"train": [PLAIN], "test": [other]})
    (tmp_path / SIDES_FILE).write_text(sides.to_json())
    known = Sides.load(tmp_path)
    assert known is not None
    beginning = talk(*PLAIN.messages[:2])
    longer = talk(*PLAIN.messages, user("Thank you!"), says("Welcome."))
    for conversation in (PLAIN, beginning, longer):
        assert known.side_of(conversation) == "train"
    assert known.side_of(other) == "test"
    fresh = talk(user("Do you open on Sundays, too?"), says("No."))
    assert known.side_of(fresh) is None
    assert known.count([PLAIN, longer, other, fresh]) == {"train": 2, "test": 1}
    assert known.only("test", [PLAIN, other]) == [other]
    with pytest.raises(ConfigError, match="on the side 'dev' of the split"):
        known.only("dev", [PLAIN, other])


def test_a_greeting_says_nothing_about_whose_conversation_it_is() -> None:
    first = talk(user("Hi"), says("Hello!"), user("How many rakes are there?"), says("Seven."))
    other = talk(user("Hi"), says("Hello!"), user("When do you open today?"), says("At nine."))
    assert Sides.of({"train": [first]}).side_of(other) is None


def test_a_conversation_of_few_words_is_known_by_all_that_was_said() -> None:
    of_city = [talk(user(f"Weather in {city}?"), says("Rain.")) for city in ("Oslo", "Rome")]
    sides = Sides.of({"train": of_city[:1], "test": of_city[1:]})
    assert [sides.side_of(c) for c in of_city] == ["train", "test"]
    more = talk(*of_city[0].messages, user("And tomorrow, please?"), says("Sun."))
    assert sides.side_of(more) is None


def test_folders_that_know_nothing_and_damaged_ones(tmp_path: Path) -> None:
    assert Sides.load(tmp_path) is None
    for damage in ("{", "[]", json.dumps({"train": ["no print"]})):
        (tmp_path / SIDES_FILE).write_text(damage)
        with pytest.raises(ModelError, match="is damaged"):
            Sides.load(tmp_path)
