"""Settings of single tools and arguments, the order of calls, and what decided a comparison."""

from typing import Any

import pytest

from actwise.conversation import Conversation, Message, ToolCall
from actwise.errors import ConfigError
from actwise.rewards.arguments import Compared, SchemaComparer
from actwise.rewards.judge import Verdict, judge
from actwise.rewards.overrides import check_overrides
from actwise.rewards.settings import JudgeConfig
from actwise.template.parse import ParsedCompletion

TEXT = {"type": "string"}
BOOK = {
    "type": "object",
    "properties": {
        "note": TEXT,
        "code": TEXT,
        "seat": {**TEXT, "enum": ["Aisle", "Window"]},
        "day": {**TEXT, "format": "date"},
        "price": {"type": "number"},
        "paid": {"type": "boolean", "default": False},
        "tags": {"type": "array", "items": TEXT, "uniqueItems": True},
        "path": {"type": "array", "items": {"type": "number"}},
        "guests": {"type": "array", "items": {"type": "object", "properties": {"name": TEXT}}},
        "address": {"type": "object", "properties": {"street": TEXT, "box": {"type": "number"}}},
    },
}
TOOLS = (
    {"type": "function", "function": {"name": "book", "parameters": BOOK}},
    {"type": "function", "function": {"name": "ping"}},
)


def compared(predicted: Any, gold: Any, argument: str, **settings: Any) -> Compared:
    comparer = SchemaComparer(BOOK, JudgeConfig.model_validate(settings), "book")
    (found,) = comparer.compare({argument: predicted}, {argument: gold})
    return found


def own(argument: str, **settings: Any) -> dict[str, Any]:
    return {"book": {"arguments": {argument: settings}}}


@pytest.mark.parametrize(
    ("predicted", "gold", "same"),
    [
        # characters in common, in order, twice, of both lengths together: 2 * 23 / (23 + 27)
        ("a table near the window", "A table near the big window!", True),
        ("a tabel near the window", "a table near the window", True),
        ("near the window", "a table near the window", False),  # 2 * 15 / (15 + 23) = 0.79
        ("table 12 near the window", "table 13 near the window", False),
        ("two at the window, 2024-06-12", "two at the windows, 2024-06-12", True),
        ("a table near the window, or near the door, or outside", "a table near the window", False),
        ("!", "?", False),
        ("", "a", False),
    ],
)
def test_similar_texts(predicted: str, gold: str, same: bool) -> None:
    assert compared(predicted, gold, "note", text_match="similar").equal is same
    assert compared(gold, predicted, "note", text_match="similar").equal is same


def test_how_similar_is_a_setting() -> None:
    near = ("near the window", "a table near the window", "note")
    assert compared(*near, text_match="similar", text_similarity=0.75).equal
    assert compared(*near, tools=own("note", match="similar", similarity=0.75)).equal
    assert not compared(*near, tools=own("note", similarity=0.75)).equal  # not similar: normalised


@pytest.mark.parametrize(
    ("argument", "predicted", "gold", "tools"),
    [
        ("note", "a tabel near it", "a table near it", own("note", match="similar")),
        ("note", "a tabel near it", "a table near it", {"book": {"match": "similar"}}),
        ("code", "ab-1", "AB-1", own("code", match="normalised")),
        ("price", 101, 100.5, own("price", tolerance=0.01)),
        ("price", 101, 100.5, {"book": {"tolerance": 0.01}}),
        ("path", [2, 1], [1, 2], own("path", unordered=True)),
        ("note", "anything", "a table", own("note", ignore=True)),
        (
            "guests",
            [{"name": "ann_b"}],
            [{"name": "Ann_B"}],
            own("guests[].name", match="normalised"),
        ),
        ("guests", [{"name": "x"}], [{"name": "y"}], own("guests[].name", ignore=True)),
        ("address", {"street": "a-1"}, {"street": "A-1"}, own("address", match="normalised")),
        ("address", {"box": 1}, {"box": 2}, own("address.box", ignore=True)),
    ],
)
def test_overrides_let_values_be_equal(
    argument: str, predicted: Any, gold: Any, tools: dict[str, Any]
) -> None:
    assert not compared(predicted, gold, argument).equal
    assert compared(predicted, gold, argument, tools=tools).equal
    other = {"ping": tools["book"]}
    assert compared(predicted, gold, argument, tools=other) == compared(predicted, gold, argument)


@pytest.mark.parametrize(
    ("argument", "predicted", "gold", "tools"),
    [
        ("note", "a table", "A table", own("note", match="exact")),
        ("tags", ["b", "a"], ["a", "b"], own("tags", unordered=False)),
        ("path", [[2, 1], [3]], [[3], [1, 2]], own("path", unordered=True)),  # the inner one is not
        ("code", "ab-1", "AB-1", {"book": {"match": "normalised"}}),  # declared for the tool alone
        ("code", "ab-1", "AB-2", own("code", match="similar")),
        ("seat", "aisel", "Aisle", own("seat", match="similar")),
    ],
)
def test_overrides_tell_values_apart(
    argument: str, predicted: Any, gold: Any, tools: dict[str, Any]
) -> None:
    assert not compared(predicted, gold, argument, tools=tools).equal


def test_the_best_partners_are_found_in_arrays_where_likeness_is_not_transitive() -> None:
    # a is like b and b like c, but a is not like c: taking the first like item leaves c without.
    a, b, c = "one two three four", "one two three four five", "one two three four five seven"
    settings = {"text_match": "similar", "text_similarity": 0.85}
    assert compared(a, b, "note", **settings).equal
    assert compared(b, c, "note", **settings).equal
    assert not compared(a, c, "note", **settings).equal
    assert compared([b, c, a], [a, b, c], "tags", **settings).equal


@pytest.mark.parametrize(
    ("argument", "predicted", "gold", "equal", "decided_by"),
    [
        ("note", "a b", "a b", True, "identical"),
        ("note", "A b", "a b", True, "normalised"),
        ("note", "a", "b", False, "normalised"),
        ("code", "A1", "a1", False, "exact"),
        ("note", 1, "1", False, "type"),
        ("price", "1.5", 1.5, True, "number"),
        ("price", 1, 1.0, True, "number"),
        ("price", 1, 2, False, "number"),
        ("paid", "true", True, True, "boolean"),
        ("paid", True, False, False, "boolean"),
        ("seat", "aisle", "Aisle", True, "enum"),
        ("seat", "Window", "Aisle", False, "enum"),
        ("day", "20240612", "2024-06-12", True, "moment"),
        ("path", [1], [1, 2], False, "length"),
        ("tags", ["b", "a"], ["a", "b"], True, "unordered"),
        ("tags", ["a", "B"], ["a", "b"], True, "normalised"),
        ("address", {"street": "A b", "box": 1}, {"street": "a b", "box": 2}, False, "number"),
        ("address", {"street": "A b"}, {"street": "a b", "box": None}, True, "normalised"),
    ],
)
def test_which_comparison_decided(
    argument: str, predicted: Any, gold: Any, equal: bool, decided_by: str
) -> None:
    found = compared(predicted, gold, argument)
    assert (found.equal, found.decided_by) == (equal, decided_by)


def test_types_may_have_to_be_as_the_schema_writes_them() -> None:
    assert not compared("1.5", 1.5, "price", coerce_types=False).equal
    assert compared("1.5", 1.5, "price", coerce_types=False).decided_by == "type"
    assert compared(2, 2.0, "price", coerce_types=False).equal


def verdict(predicted: list[ToolCall], gold: list[ToolCall], **settings: Any) -> Verdict:
    record = Message(role="assistant", tool_calls=tuple(gold))
    graded = JudgeConfig.model_validate({"tool_accuracy": "graded", **settings})
    parsed = ParsedCompletion(None, tuple(predicted), "", ())
    return judge(parsed, record, TOOLS, thinking=False, settings=graded)


def call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(name=name, arguments=arguments)


def test_the_verdict_keeps_what_decided() -> None:
    found = verdict(
        [call("book", note="A b", price="2", x=1), call("ping")],
        [call("book", note="a b", price=2, paid=False), call("ping")],
    )
    assert found.to_dict()["comparisons"] == [
        {"tool": "book", "argument": "note", "equal": True, "decided_by": "normalised"},
        {"tool": "book", "argument": "price", "equal": True, "decided_by": "number"},
        {"tool": "book", "argument": "paid", "equal": True, "decided_by": "default"},
        {"tool": "book", "argument": "x", "equal": False, "decided_by": "absent"},
    ]


def test_the_order_of_calls_counts_where_declared() -> None:
    one, two, three = (call("book", price=n) for n in (1, 2, 3))
    assert verdict([two, one], [one, two]).right
    ordered = {"call_order": "recorded"}
    assert verdict([one, two], [one, two], **ordered).right
    # One pair is exact, the other call has no partner that does not cross it: 1 / 2.
    found = verdict([call("ping"), one], [one, call("ping")], **ordered)
    assert (found.right, found.tool_accuracy) == (False, 0.5)
    # Of three calls moved round by one, two stay in order: 2 / 3.
    assert verdict([two, three, one], [one, two, three], **ordered).tool_accuracy == 2 / 3
    # Crossing is forbidden, not a partner with another price: twice (1 + 0) / (1 + 1), over 2.
    assert verdict([two, one], [one, two], **ordered).tool_accuracy == 0.5


def test_a_repeated_call_does_not_earn_what_it_has_in_common_with_another() -> None:
    one, two = call("book", price=1, note="a"), call("book", price=2, note="a")
    assert verdict([one], [one, two]).tool_accuracy == 0.5
    assert verdict([one, one], [one, two]).tool_accuracy == 0.5
    assert verdict([one, one], [one, one]).right
    # Another call may: (1 + 1) / (1 + 2) for the note in common.
    other = call("book", price=3, note="a")
    assert verdict([one, other], [one, two]).tool_accuracy == pytest.approx((1 + 2 / 3) / 2)


def test_an_ignored_argument_is_neither_asked_for_nor_paid() -> None:
    tools = own("note", ignore=True)
    gold = [call("book", note="a", price=1)]
    for note in ({}, {"note": "b"}):
        assert verdict([call("book", price=1, **note)], gold, tools=tools).right
        wrong = verdict([call("book", price=2, **note)], gold, tools=tools)
        # (1 + 0) / (1 + 1): the price is the only argument there is.
        assert (wrong.tool_accuracy, wrong.arguments) == (0.5, 0.0)
    assert verdict([call("book", note="b")], [call("book")], tools=tools).right


@pytest.mark.parametrize(
    ("tools", "complaint"),
    [
        ({"boook": {}}, "reward.tools.boook: no such tool in these logs; did you mean book?"),
        (
            own("notes"),
            "reward.tools.book.arguments.notes: no such argument of this tool; did you mean note?",
        ),
        (
            own("gusts[].name"),
            "reward.tools.book.arguments.gusts[].name: no such argument of this "
            "tool; did you mean guests?",
        ),
    ],
)
def test_overrides_of_what_the_logs_do_not_hold_are_refused(
    tools: dict[str, Any], complaint: str
) -> None:
    logs = [Conversation(id="a", messages=(), tools=TOOLS)]
    with pytest.raises(ConfigError) as caught:
        check_overrides(JudgeConfig.model_validate({"tools": tools}), logs)
    assert str(caught.value) == complaint


def test_overrides_of_what_the_logs_hold_pass() -> None:
    logs = [Conversation(id="a", messages=(), tools=TOOLS)]
    for tools in ({}, own("guests[].name"), own("address.street"), {"ping": own("x")["book"]}):
        check_overrides(JudgeConfig.model_validate({"tools": tools}), logs)
