"""Answers: which facts are found, and how answers compare, worked out by hand."""

import pytest

from actwise.conversation import Message, ToolCall
from actwise.rewards.answers import match_answer
from actwise.rewards.facts import read
from actwise.rewards.judge import judge
from actwise.rewards.settings import JudgeSettings
from actwise.template.parse import parse_completion

SETTINGS = JudgeSettings()


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("$20.00, 20 dollars, USD 20", {("number", "20", "USD")}),
        ("20", {("number", "20", None)}),
        ("1,020.50 and -5 and -$7", {("number", "1020.5", None), ("number", "-5", None),
                                     ("number", "-7", "USD")}),
        ("3-5 days", {("number", "3", None), ("number", "5", None)}),
        ("a 24-hour wait, 5kg, the 2nd", {("number", "24", None), ("number", "5", None),
                                          ("number", "2", None)}),
        ("20%", {("percentage", "20", None)}),
        ("20.0 percent", {("percentage", "20", None)}),
        ("on 2024-06-12", {("date", "06-12", "2024")}),
        ("June 12th, 2024", {("date", "06-12", "2024")}),
        ("12 June", {("date", "06-12", None)}),
        ("the 12th of Jun", {("date", "06-12", None)}),
        ("12/06", {("date", "12/06", None)}),
        ("order 12 may be late", {("number", "12", None)}),
        ("5 pm, 17:00, 5:00 p.m.", {("time", "17:00", None)}),
        ("12 am", {("time", "00:00", None)}),
        ("2024-06-12T10:30:00Z", {("date", "06-12", "2024"), ("time", "10:30", None)}),
        ("I am 5", {("number", "5", None)}),
        ("#W123 and w123", {("identifier", "w123", None)}),
        ("#123", {("number", "123", None)}),
        ("ORD-12-a", {("identifier", "ord-12-a", None)}),
        ("00123", {("identifier", "00123", None)}),
        ("A.B@x.org.", {("identifier", "a.b@x.org", None)}),
        ("see https://x.org/a?b=1.", {("identifier", "https://x.org/a?b=1", None)}),
        ("1. tea\n2. milk", set()),
        ("Hello, Mary!", set()),
        ("２０", {("number", "20", None)}),
    ],
)  # fmt: skip
def test_facts_in_their_normal_form(text: str, facts: set[tuple[str, str, str | None]]) -> None:
    assert {(f.kind, f.value, f.qualifier) for f in read(text).facts} == facts


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("I can't do that.", True),
        ("I can’t do that.", True),
        ("Unfortunately it is sold.", True),
        ("It isn't refundable.", True),
        ("I'm sorry, there are no seats.", True),
        ("I'm sorry for the delay. It ships today.", False),
        ("Sorry, no problem!", False),
        ("If you cannot find it, write to us.", False),
        ("It is done, you won't be charged.", False),
    ],
)
def test_refusals(text: str, refuses: bool) -> None:
    assert read(text).refuses is refuses


@pytest.mark.parametrize(
    ("predicted", "gold", "right"),
    [
        ("You get 20 dollars back.", "Your refund is $20.00.", True),
        ("You get €20 back.", "Your refund is $20.00.", False),
        ("You get 25 dollars back.", "Your refund is $20.00.", False),
        ("You get money back.", "Your refund is $20.00.", False),
        ("It is 20, 25 or 30.", "Your refund is $20.00.", False),
        ("It comes on 2024-06-12 at 17:00.", "It comes on June 12 at 5 pm.", True),
        ("It comes on 12 June 2023.", "It comes on June 12, 2024.", False),
        ("I cannot refund it.", "Sorry, it is not refundable.", True),
        ("I refunded it.", "Sorry, it is not refundable.", False),
        ("I cannot refund it.", "I refunded it.", False),
        ("No, it is open.", "Yes, it is.", False),
        ("It is open.", "Yes, it is.", True),
        ("Which order do you mean?", "What is the order number?", True),
        ("Tell me the order.", "What is the order number?", False),
        ("See W99 for more.", "Glad to help.", False),
        ("", "Glad to help.", False),
    ],
)
def test_right_answers(predicted: str, gold: str, right: bool) -> None:
    assert match_answer(predicted, gold, [], SETTINGS).right is right


def test_correctness_by_hand() -> None:
    # Facts 1 of 2; words {refund, of, on, friday} vs. {refund, of, is, on}: F1 = 2*3/(4+4) = 3/4
    gold, predicted = "Refund of $20 is 5 on", "refund of $20 on Friday"
    assert match_answer(predicted, gold, [], SETTINGS).correctness == pytest.approx(
        0.8 * 1 / 2 + 0.2 * 3 / 4
    )
    # A number of the customer's own voids the numbers and is a contradiction: 0.2 * 3/4 / 2
    assert match_answer(predicted + " 7", gold, ["7"], SETTINGS).correctness == pytest.approx(0.075)
    # Nothing but words: F1 alone.
    assert match_answer("glad to", "Glad to help!", [], SETTINGS).correctness == pytest.approx(0.8)
    # Nothing but facts: the wording has no part.
    assert match_answer("It is 20.", "20", [], SETTINGS).correctness == 1.0
    # The other way round entirely.
    assert match_answer("I cannot.", "I can.", [], SETTINGS).correctness == 0.0


def test_the_conversation_may_be_quoted_but_nothing_invented() -> None:
    history = (
        Message(role="user", content="Cancel W123 please."),
        Message(role="assistant", tool_calls=(ToolCall(name="x", arguments={"id": "Z9"}),)),
    )
    gold = Message(role="assistant", content="It is cancelled; you get $20.")

    def right(text: str) -> bool:
        parsed = parse_completion(text, thinking=False)
        return judge(parsed, gold, [], thinking=False, settings=SETTINGS, context=history).right

    assert right("W123 is cancelled, $20 comes back.")
    assert right("W123 (Z9) is cancelled, $20 comes back.")
    assert not right("W124 is cancelled, $20 comes back.")


def test_notes_name_the_facts() -> None:
    match = match_answer("I can't pay $25.", "You get $20.", [], SETTINGS)
    assert match.notes == (
        "refuses where the record does not",
        "not in the record: $25",
        "missing: number $20",
    )


@pytest.mark.parametrize(
    "text",
    ["a" * 200_000, "1" * 200_000, "a-" * 100_000, "1-a" * 60_000, "a@" * 100_000, "1," * 100_000,
     "not " * 50_000, "1:" * 100_000, " " * 200_000, "(" * 200_000, "www." * 50_000,
     "June " * 40_000, "12/" * 60_000, "# " * 100_000, "-" * 200_000, "x@y." * 50_000,
     "1a" * 100_000, "\n" * 200_000, "\ud800" * 1000],
)  # fmt: skip
def test_hostile_texts_end(text: str) -> None:
    # Quadratic search on 200,000 characters would take minutes.
    assert match_answer(text, text[:50], [], SETTINGS).correctness <= 1.0
