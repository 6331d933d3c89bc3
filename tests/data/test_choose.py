"""Which conversations are worth annotating: kinds read off the record, and how they are covered."""

from collections import Counter
from random import Random

from actwise.conversation import Conversation, Message, ToolCall
from actwise.data.choose import covering, kind_of


def conversation(name: str, *actions: Message) -> Conversation:
    user = Message(role="user", content="Order 12 cost 30 dollars, 8 of it shipping.")
    messages = [message for action in actions for message in (user, action)]
    tool = {"type": "function", "function": {"name": "refund", "description": "Pay it back."}}
    return Conversation(id=name, messages=tuple(messages), tools=(tool,))


def said(text: str) -> Message:
    return Message(role="assistant", content=text)


def called(*names: str) -> Message:
    calls = tuple(ToolCall(name=name, arguments={}) for name in names)
    return Message(role="assistant", tool_calls=calls)


def kind(action: Message) -> str:
    return kind_of(conversation("c", action).decisions()[0])


def test_kinds_are_read_off_the_record() -> None:
    assert kind(called("look_up")) == "calls: look_up"
    assert kind(called("refund", "look_up")) == "calls: Pay it back.; look_up"
    assert kind(said("It cost 30 dollars.")) == "answers"
    assert kind(said("Without shipping it cost 22 dollars.")) == "answers, computes"
    assert kind(said("Which order is it?")) == "asks"
    assert kind(said("Order 12 cannot be refunded.")) == "refuses"
    assert kind(said("Order 12 cannot be refunded: 9 days have passed.")) == "refuses, computes"


def test_a_description_that_is_no_text_is_a_kind_all_the_same() -> None:
    acted = conversation("c", called("refund", "look_up"))
    tool = {"type": "function", "function": {"name": "refund", "description": ["Pay", "back."]}}
    (one,) = acted.model_copy(update={"tools": (tool,)}).decisions()
    assert kind_of(one) == "calls: ['Pay', 'back.']; look_up"


def test_each_next_one_adds_most_of_all_that_are_left() -> None:
    draw = Random(0)
    left = [
        conversation(str(n), *(called(draw.choice("abcdefgh")) for _ in range(draw.randint(1, 4))))
        for n in range(60)
    ]
    chosen = covering(left, 60)
    covered: Counter[str] = Counter()

    def adds(one: Conversation) -> float:
        more = Counter(kind_of(d) for d in one.decisions())
        return sum((covered[k] + n) ** 0.5 - covered[k] ** 0.5 for k, n in more.items())

    for one in chosen:
        assert adds(one) >= max(map(adds, left)) - 1e-12
        covered.update(kind_of(d) for d in one.decisions())
        left.remove(one)
    assert left == []


def test_rare_kinds_come_before_many_of_a_frequent_one() -> None:
    many = conversation("many", *[said("It cost 30 dollars.")] * 4)  # adds 4 ** 0.5 = 2
    two = conversation("two", called("look_up"), said("It cost 30 dollars."))  # adds 1 + 1 = 2
    rare = conversation("rare", called("refund"), called("look_up"), said("Hello."))  # adds 3
    # After rare: many adds 5 ** 0.5 - 1 = 1.24, two adds 2 * (2 ** 0.5 - 1) = 0.83.
    assert [c.id for c in covering([many, two, rare], 2)] == ["rare", "many"]
    assert [c.id for c in covering([two, many], 1)] == ["two"]  # the first of equals
    assert [c.id for c in covering([two, many], 9)] == ["two", "many"]
    assert covering([], 3) == []
