"""Behaviours put into thoughts, on a conversation whose dependencies can be seen."""

import json
from random import Random

import pytest

from actwise.conversation import Conversation, Message, ToolCall
from actwise.thoughts.injection import gathered, locked_step, with_behaviours

TOOLS = tuple(
    {"type": "function", "function": {"name": name, "description": text}}
    for name, text in (("look_up", "Look up an order."), ("cancel", "Cancel an order."))
)


def call(name: str, **arguments: object) -> tuple[ToolCall, ...]:
    return (ToolCall(name=name, arguments=arguments, id="c1"),)


def result(**fields: object) -> Message:
    return Message(role="tool", content=json.dumps(fields), tool_call_id="c1")


TALK = Conversation(
    id="talk",
    tools=TOOLS,
    messages=(
        Message(role="user", content="Cancel order 7, what do I get?"),
        Message(role="assistant", tool_calls=call("look_up", order=7)),
        result(order_status="open", price={"net": 31, "tax": 4}, due="May 12", error="none"),
        Message(role="assistant", tool_calls=call("cancel", order=7, refund=31)),
        result(done="2 days"),
        Message(role="assistant", content="You get 31 dollars in 2 days."),
        Message(role="user", content="Thanks"),
        Message(role="assistant", content="Bye."),
    ),
)
LOOK_UP, CANCEL, ANSWER, BYE = TALK.decisions()


def test_a_later_step_is_locked_by_the_results_that_it_quotes() -> None:
    # The refund of 31 comes from the look-up, "2 days" from the cancellation.
    draw = Random(0)
    assert locked_step(LOOK_UP, draw) == "Cancel an order already? The net is not known yet."
    assert locked_step(CANCEL, draw) == "Answer already? The done is not known yet."
    assert locked_step(ANSWER, draw) is None  # it calls nothing
    assert locked_step(BYE, draw) is None


def test_what_is_known_are_the_fields_of_earlier_results_that_the_decision_quotes() -> None:
    assert gathered(LOOK_UP, "Order 7.") is None
    assert gathered(CANCEL, "The order is open.") == "Known: order status open, net 31."
    # A date counts by its number; what fails is no fact.
    assert gathered(CANCEL, "12 > 8. none") == "Known: net 31, due May 12."
    assert gathered(ANSWER, "Say.") == "Known: net 31, done 2 days."
    assert gathered(BYE, "") is None


def test_one_and_none_left_are_facts_and_yes_and_no_are_not() -> None:
    counts = result(guests=1, left=0, open=True, paid=False, note=None)
    talk = TALK.model_copy(update={"messages": (*TALK.messages[:2], counts, TALK.messages[3])})
    said = "1 guest, 0 rooms. True or False?"
    assert gathered(talk.decisions()[1], said) == "Known: guests 1, left 0."


def test_facts_are_found_where_words_are_not_spaced() -> None:
    ride = result(city="北京", fare=31)
    said = "去北京要31元。"
    talk = TALK.model_copy(update={"messages": (*TALK.messages[:2], ride, TALK.messages[3])})
    assert gathered(talk.decisions()[1], said) == "Known: city 北京, fare 31."
    assert gathered(talk.decisions()[1], "要311元。") == "Known: fare 31."  # by the refund of 31


@pytest.mark.parametrize(
    ("exploration", "exploitation", "expected"),
    [
        (0, 0, "So."),
        (1, 0, "Answer already? The done is not known yet. So."),
        (0, 1, "Known: net 31. So."),
        (1, 1, "Answer already? The done is not known yet. Known: net 31. So."),
    ],
)
def test_behaviours_come_before_the_thought(
    exploration: float, exploitation: float, expected: str
) -> None:
    found = with_behaviours(
        CANCEL, "So.", Random(0), exploration=exploration, exploitation=exploitation
    )
    assert found == expected


def test_as_many_get_one_as_are_asked_for() -> None:
    found = [
        with_behaviours(CANCEL, "So.", Random(i), exploration=0.1, exploitation=0.5)
        for i in range(2000)
    ]
    # Within five standard deviations of the binomial distribution.
    assert sum("not known yet" in text for text in found) == pytest.approx(200, abs=5 * 13.4)
    assert sum("Known: " in text for text in found) == pytest.approx(1000, abs=5 * 22.4)


def test_results_that_are_no_json_lock_nothing() -> None:
    messages = [
        m.model_copy(update={"content": "open, 31"}) if m.role == "tool" else m
        for m in TALK.messages
    ]
    plain = TALK.model_copy(update={"messages": tuple(messages)}).decisions()
    assert [locked_step(d, Random(0)) for d in plain] == [None] * 4
    assert with_behaviours(plain[1], "So.", Random(0), exploration=1, exploitation=1) == "So."
