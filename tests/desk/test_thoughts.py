"""Checks of thoughts, against thoughts judged by hand and against the expert's own."""

import pytest

from actwise.conversation import Message, ToolCall, all_decisions
from actwise.desk import generate
from actwise.desk.thoughts import ThoughtCheck, act_numbers, check_thought, concluding_number
from actwise.template.parse import ParsedCompletion

POLICY = "Today is June 27. Refunds only within 14 days of delivery, less a fee of 4 dollars."
HISTORY = (
    Message(role="system", content=POLICY),
    Message(role="user", content="Please refund order 4711."),
    Message(role="assistant", tool_calls=(ToolCall(name="get", arguments={"order_id": 4711}),)),
    Message(role="tool", content='{"price": 43, "delivered": "June 12"}'),
)


def refund(amount: int, thought: str) -> ParsedCompletion:
    call = ToolCall(name="refund", arguments={"order_id": 4711, "amount": amount})
    return ParsedCompletion(thought, (call,), "", ())


def say(answer: str, thought: str | None) -> ParsedCompletion:
    return ParsedCompletion(thought, (), answer, ())


LATE = "Order 4711 cannot be refunded: 15 days have passed and the limit is 14."


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        (
            say(LATE, "Today 27, delivered 12: 27 - 12 = 15. 15 > 14: too late."),
            ThoughtCheck(True, True, True, True),
        ),
        # The sum is off by one, and what follows from it is consistent.
        (
            refund(39, "Today 27, delivered 12: 27 - 12 = 14. 14 = 14: refund 43 - 4 = 39."),
            ThoughtCheck(True, False, True, True),
        ),
        # The comparison is wrong.
        (
            refund(39, "Today 27, delivered 12: 27 - 12 = 15. 15 < 14: refund 43 - 4 = 39."),
            ThoughtCheck(True, True, False, True),
        ),
        # 13 stands nowhere; 53 is no result.
        (
            refund(39, "Today 27, delivered 13: 27 - 13 = 14. 14 = 14: refund 43 - 4 = 39."),
            ThoughtCheck(False, True, True, True),
        ),
        (refund(53, "Refund 53."), ThoughtCheck(False, None, None, True)),
        # A result counts as grounded after its sum, not before.
        (refund(39, "Refund 39: 43 - 4 = 39."), ThoughtCheck(False, True, None, True)),
        # It refuses in thought and pays, or the other way round; it pays another amount.
        (
            refund(39, "27 - 12 = 15. 15 > 14: too late."),
            ThoughtCheck(True, True, True, False),
        ),
        (
            say(LATE, "27 - 12 = 15. 15 > 14: refund 43 - 4 = 39."),
            ThoughtCheck(True, True, True, False),
        ),
        (refund(38, "Refund 43 - 4 = 39."), ThoughtCheck(True, True, None, False)),
        # Nothing to check.
        (say("It is done.", "It is done."), ThoughtCheck(None, None, None, True)),
        (say("It is done.", None), ThoughtCheck(None, None, None, None)),
    ],
)
def test_thoughts_judged_by_hand(completion: ParsedCompletion, expected: ThoughtCheck) -> None:
    assert check_thought(completion, HISTORY) == expected


def test_a_thought_is_sound_if_all_that_it_states_is_right() -> None:
    assert ThoughtCheck(True, None, True, False).sound is True
    assert ThoughtCheck(True, False, True, True).sound is False
    assert ThoughtCheck(None, None, None, True).sound is None


@pytest.mark.parametrize(
    ("thought", "number"),
    [
        ("27 - 12 = 15. 15 > 14: too late.", "15"),
        ("27 - 12 = 15. 15 < 20: refund 43 - 4 = 39.", "39"),
        ("20 - 12 = 8. 8 > 5: free, refund 53.", "53"),
        ("Wanted 5, stock 20: 5 < 20: enough.", None),
        ("Look up order 4711.", "4711"),
        ("lamp 40, pan 27: 40 > 27. 40 - 27 = 13.", "13"),
        ("There are no discounts.", None),
    ],
)
def test_what_a_thought_comes_to(thought: str, number: str | None) -> None:
    assert concluding_number(thought) == number


def test_an_act_states_the_numbers_of_its_arguments_or_its_words() -> None:
    assert act_numbers(refund(39, "")) == {"4711", "39"}
    assert act_numbers(say("On June 12 you paid 43.", "")) == {"12", "43"}


@pytest.mark.parametrize("split", ["test", "shifted"])
def test_all_thoughts_of_the_expert_are_sound_and_followed(split: str) -> None:
    for decision in all_decisions(generate(split, 150)):
        gold = decision.gold
        completion = ParsedCompletion(gold.reasoning_content, gold.tool_calls, gold.content, ())
        check = check_thought(completion, decision.history)
        assert check.sound in (True, None), (decision.key, gold.reasoning_content)
        assert check.concluded is True, (decision.key, gold.reasoning_content, gold.content)
