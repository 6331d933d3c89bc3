"""Thoughts derived from the record: what they say, worked out by hand."""

import re
from random import Random

import pytest

from actwise.conversation import Conversation, Decision, Message, ToolCall
from actwise.desk import generate
from actwise.thoughts.derive import derived_thought

TOOLS = (
    {"type": "function", "function": {"name": "pay", "description": "Refund an order."}},
    {"type": "function", "function": {"name": "look", "description": "Look up an order"}},
    {"type": "function", "function": {"name": "ping"}},
)


def decision(text: str, action: Message) -> Decision:
    messages = (Message(role="user", content=text), action)
    return Conversation(id="c", messages=messages, tools=TOOLS).decisions()[0]


def said(text: str) -> Message:
    return Message(role="assistant", content=text)


def called(*calls: tuple[str, dict[str, object]]) -> Message:
    made = tuple(ToolCall(name=name, arguments=arguments) for name, arguments in calls)
    return Message(role="assistant", tool_calls=made)


@pytest.mark.parametrize(
    ("text", "action", "thought"),
    [
        ("It cost 30, less 8.", said("That is 22 dollars."), "30 - 8 = 22."),
        ("The tea is 30, the cup 8.", said("Both are 38."), "30 + 8 = 38."),
        ("Two at 15 each.", said("That is 30."), "15 + 15 = 30."),
        ("Order 12 cost 30.", said("Order 12 cost 30 dollars."), "It says 12, 30."),
        ("Order 12 cost 30.", said("It is 77."), "It is done."),  # nothing gives 77
        ("Hello.", said("Which order?"), "Something is missing."),
        ("Hello.", said("Hello."), "It is done."),
        ("Hello.", said("Which order? "), "Something is missing."),
        ("你好", said("请问订单号是多少？"), "Something is missing."),
        ("مرحبا", said("ما هو رقم الطلب؟"), "Something is missing."),
        ("订单有30件和8件。", said("一共38件。"), "30 + 8 = 38."),
        ("상품 30개와 8개", said("모두 38개입니다."), "30 + 8 = 38."),
        ("ราคา30บาทและ8บาท", said("รวม38บาท"), "30 + 8 = 38."),
        ("It costs 1,250, less 250.", said("That is 1,000."), "1250 - 250 = 1000."),
        ("An atom beats 9,192,631,770 times.", said("9,192,631,770."), "It says 9192631770."),
        ('{"sizes":[120,130,140]}', said("In 120 or 140."), "It says 120, 140."),
        ("Größe30 und B8", said("38."), "It is done."),  # parts of words
        (
            "Today 20, arrived 11, limit 5.",
            said("It cannot be returned: 9 days have passed and the limit is 5."),
            "20 - 11 = 9. 9 > 5.",
        ),
        (
            "Pay 1,250 points.",
            said("I can't: that is 1,250 points and you have 900."),
            "1250 > 900.",
        ),
        ("Cancel it.", said("I'm sorry, but I can't: it has shipped."), "It cannot be done."),
        (
            "Cancel order 1234.",
            said("I can't cancel order 1234, for it was bought on 2026-01-05 at 10:30."),
            "It cannot be done.",
        ),
        (
            "Give me 20 off.",
            said("We cannot take off $1200 in 2026, Ann: 15% is the most."),
            "1200 > 15.",
        ),
        (
            "Refund order 12: paid 30, fee 8.",
            called(("pay", {"order": 12, "amount": 22})),
            "30 - 8 = 22. 12: Refund an order.",
        ),
        (
            "Orders 12 and A7.",
            called(("look", {"order": 12}), ("look", {"order": "A7"})),
            "12 and A7: Look up an order.",
        ),
        ("Ping.", called(("ping", {})), "ping."),
        ("Call.", called(("unknown", {"x": True})), "True: unknown."),
    ],
)
def test_what_a_thought_says(text: str, action: Message, thought: str) -> None:
    assert derived_thought(decision(text, action), Random(0)) == thought


def test_of_several_sums_each_is_drawn_at_times() -> None:
    one = decision("Here are 30, 8, 25 and 3.", said("It is 22."))
    drawn = {derived_thought(one, Random(i)) for i in range(40)}
    assert drawn == {"30 - 8 = 22.", "25 - 3 = 22."}


def test_many_and_long_numbers_take_no_time_and_are_no_sums() -> None:
    long = "9" * 5000
    many = " ".join(map(str, range(0, 40_000, 2)))
    assert derived_thought(decision(f"{long} {many}", said("It is 39999.")), Random(0)) == (
        "It is done."
    )
    quoted = derived_thought(decision("Pay.", called(("pay", {"order": long}))), Random(0))
    assert quoted == f"{long}: Refund an order."


def test_on_the_desk_every_sum_is_right_and_made_of_what_was_read() -> None:
    sums = 0
    for conversation in generate("train", 60):
        for one in conversation.decisions():
            before = " ".join(str(m.to_dict()) for m in one.history)
            thought = derived_thought(one, Random(0))
            assert thought
            for a, sign, b, c in re.findall(r"(\d+) ([-+]) (\d+) = (\d+)", thought):
                sums += 1
                assert int(a) + int(b) * (1 if sign == "+" else -1) == int(c)
                assert re.search(rf"\b{a}\b", before)
                assert re.search(rf"\b{b}\b", before)
    assert sums > 40
