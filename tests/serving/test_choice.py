"""One completion on its way: what is told piece by piece is the answer that is told at once."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwise.conversation import Conversation, Decision, Message
from actwise.desk import MODEL
from actwise.engine import SamplingParams
from actwise.engine.batch import Request, Token
from actwise.engine.prompt import Prompt
from actwise.serving.choice import Choice
from actwise.template.render import Template
from actwise.template.streaming import Delta

TEMPLATE = Template.load(str(MODEL))
END = TEMPLATE.stop_token_ids[0]
HI = Conversation(id="hi", messages=(Message(role="user", content="Hi"),), tools=())
PIECES = ["Hello", ", ", "this", " is", "\n", "\n\n", " ", "User", ":", "U", "🙂", "é", "<to", "a"]
MARKS = ["<think>", "</think>", "<tool_call>", "</tool_call>", '{"name": "f", "arguments": {}}']


def make_prompt(*, thinking: bool, opened: bool = False) -> Prompt:
    ids = tuple(TEMPLATE.prompt(Decision(HI, 1), thinking=thinking))
    return Prompt(TEMPLATE, Decision(HI, 1), thinking, ids, opened, 1000)


def make_request(prompt: Prompt) -> Request:
    return Request(prompt.token_ids, SamplingParams(999, TEMPLATE.stop_token_ids, 0.0), 0)


def make(stops: Sequence[str], *, thinking: bool, opened: bool = False) -> Choice:
    prompt = make_prompt(thinking=thinking, opened=opened)
    return Choice(prompt, make_request(prompt), stops)


def write(choice: Choice, pieces: Sequence[str], reads: Sequence[bool] = ()) -> list[Delta]:
    """Write texts, each divided into tokens of its own, and read after those that are told."""
    ids = [i for piece in pieces for i in TEMPLATE.encode(piece)]
    told = []
    for number, i in enumerate([*ids, END]):
        choice.add(Token(choice.request, i, 0.0, "stop" if number == len(ids) else None))
        if choice.complete or (number < len(reads) and reads[number]):
            told.append(choice.read())
        if choice.complete:
            break
    return told


@given(
    pieces=st.lists(st.sampled_from([*PIECES, *MARKS]), max_size=12),
    stops=st.lists(st.text("User:\n aé🙂<", min_size=1, max_size=7), max_size=3),
    thinking=st.booleans(),
    opened=st.booleans(),
    reads=st.lists(st.booleans(), max_size=60),
)
def test_a_stream_adds_up_to_the_answer_whatever_the_stops(
    pieces: list[str], stops: list[str], thinking: bool, opened: bool, reads: list[bool]
) -> None:
    opened = opened and thinking
    whole = make(stops, thinking=thinking, opened=opened)
    write(whole, pieces)
    choice = make(stops, thinking=thinking, opened=opened)
    told = write(choice, pieces, reads)
    assert choice.parsed == whole.parsed and choice.parsed is not None
    assert "".join(delta.answer for delta in told) == choice.parsed.answer
    assert "".join(delta.thought for delta in told) == (choice.parsed.thought or "")
    assert sum((delta.calls for delta in told), ()) == choice.parsed.calls
    assert not any(stop in choice.parsed.answer for stop in stops if not choice.parsed.calls)


def first_stop(prompt: Prompt, ids: list[int], stops: Sequence[str]) -> str | None:
    """The text before a stop, by looking through all of it after each token."""
    for end in range(1, len(ids) + 1):
        text = TEMPLATE.decode(ids[:end])
        if prompt.opened or text.lstrip().startswith("<think>"):
            before, closed, _ = text.partition("</think>")
            begin = len(before + closed) if closed else len(text)
        else:
            begin = len(text) if "<think>".startswith(text.lstrip()) else 0
        while text[begin : begin + 1].isspace():
            begin += 1
        found = [at for at in range(begin, len(text)) if text[at:].startswith(tuple(stops))]
        if found:
            return text[: found[0]]
    return None


@given(
    pieces=st.lists(st.sampled_from([*PIECES, *MARKS]), min_size=20, max_size=60),
    stops=st.lists(st.text("Users:\n aé🙂<", min_size=3, max_size=6), min_size=1, max_size=3),
    opened=st.booleans(),
)
def test_a_stop_is_found_where_all_of_the_text_is_looked_through_again(
    pieces: list[str], stops: list[str], opened: bool
) -> None:
    choice = make(stops, thinking=True, opened=opened)
    prompt = make_prompt(thinking=True, opened=opened)
    write(choice, pieces)
    choice.read()
    ids = [i for piece in pieces for i in TEMPLATE.encode(piece)]
    expected = first_stop(prompt, ids, stops)
    written = TEMPLATE.decode(ids) if expected is None else expected
    assert (len(choice.tokens) < len(ids) + 1) == (expected is not None)
    whole, _ = prompt.reader().finish(written)
    assert choice.parsed == whole


@pytest.mark.parametrize("stop", ["User:", "\nUser:", "<|im_end|>", "###END###"])
def test_a_stop_that_never_comes_changes_nothing(stop: str) -> None:
    choice = make([stop], thinking=False)
    told = write(choice, ["Hello, this is the school."], [True] * 30)
    assert "".join(delta.answer for delta in told) == "Hello, this is the school."


@pytest.mark.parametrize(
    ("written", "stop", "answer"),
    [
        ("<think>\nHm\n\nso\n</think>\n\nOne\nTwo", "\n", "One"),
        ("<think>\nHm\n\nso\n</think>\n\nOne\nTwo\n\nThree", "\n\n", "One\nTwo"),
        ("<think>\nHm\n</think>\n\nOne Two", " ", "One"),
        ("<think>\nOne\n</think>\n\nTwo One", "One", "Two"),
        ("\n\nOne\nTwo", "\n", "One"),
        ("One\nTwo", "One", ""),
    ],
)
def test_an_answer_ends_before_a_stop_and_no_thought_does(
    written: str, stop: str, answer: str
) -> None:
    for reads in ([], [True] * 60):
        choice = make([stop], thinking=written.startswith("<think>"))
        told = write(choice, [written], reads)
        assert choice.parsed is not None and choice.parsed.answer == answer
        assert "".join(delta.answer for delta in told) == answer
