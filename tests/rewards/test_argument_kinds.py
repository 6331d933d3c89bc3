"""Kinds of arguments: what counts as equal by the argument's name, schema and form."""

from typing import Any

import pytest

from actwise.conversation import Message, ToolCall
from actwise.rewards.exact import has_exact_form, named_exact
from actwise.rewards.judge import judge
from actwise.rewards.settings import JudgeConfig
from actwise.template.parse import ParsedCompletion

TEXT = {"type": "string"}
Case = tuple[str, Any, Any, dict[str, Any], bool]
"""Name of the argument, the prediction, the record, the schema, and whether the two are equal."""

KINDS: dict[str, list[Case]] = {
    "exact": [
        ("command", "ls -L", "ls -l", TEXT, False),
        ("q", "SELECT name FROM Users", "select name from users", TEXT, False),
        ("q", "^[a-z]+$", "^[A-Z]+$", TEXT, False),
        ("q", "/home/Ann", "/home/ann", TEXT, False),
        ("document", "README.md", "readme.md", TEXT, False),
        ("password", "hunter two", "Hunter two", TEXT, False),
        ("text", "def f(x):\n  return x", "def f(x):\n return x", TEXT, False),
        ("glob", "*.Txt", "*.txt", TEXT, False),
        ("formula", "n + M", "N + m", TEXT, False),
        ("source_code", "print(A)", "print(a)", TEXT, False),
        ("q", "ssh -P 22 host", "ssh -p 22 host", TEXT, False),
        ("name", ".env", "env", TEXT, False),
    ],
    "free": [
        ("query", "Garden Hose", "garden hose", TEXT, True),
        ("query", "best pizza in town!", "Best pizza in town", TEXT, True),
        ("note", "Don’t call", "Don't call", TEXT, True),
        ("note", "co‑op", "co-op", TEXT, True),
        ("note", "a\xadgreement", "agreement", TEXT, True),
        ("hours", "9–5", "9-5", TEXT, True),
        ("note", "Straße", "Strasse", TEXT, False),
        ("message", "Hello\nthere", "Hello there", TEXT, False),
        ("model", "Galaxy24", "galaxy24", TEXT, True),
        ("choice", "either/or", "Either/Or", TEXT, True),
    ],
    "id": [
        ("model", "gx-24", "GX-24", TEXT, False),
        ("booking", "ABC123", "abc123", TEXT, False),
    ],
    "moment": [
        ("day", "2027-3-7", "2027-03-07", TEXT, True),
        ("when", "2027-03-07T09:00", "2027-03-07T09:00:00", TEXT, True),
        ("when", "2027-03-07T09:00Z", "2027-03-07T10:00+01:00", TEXT, True),
        ("when", "2027-03-07T09:00", "2027-03-07T09:00Z", TEXT, False),
        ("time", "9 am", "09:00", TEXT, True),
        ("time", "9 am", "21:00", TEXT, False),
        ("time", "9:30", "9:30 pm", TEXT, False),
        ("day", "07/03/2027", "2027-03-07", TEXT, False),
    ],
    "phone": [
        ("phone", "+49 30 1234-567", "+49301234567", TEXT, True),
        ("phone", "(030) 1234567", "0301234567", TEXT, True),
        ("phone", "+49 30 1234-568", "+49301234567", TEXT, False),
    ],
    "email": [
        ("to", "ANN@X.ORG", "ann@x.org", TEXT, True),
    ],
    "number": [
        ("n", "2,500", 2500, {"type": "integer"}, True),
        ("n", "2,50", 2.5, {"type": "number"}, False),
        ("n", "25,00", 2500, {"type": "integer"}, False),
        ("n", "+7", 7, {"type": "integer"}, True),
        ("n", "٧", 7, {"type": "integer"}, True),
        ("n", "3", 3, {"enum": [1, 3]}, True),
        ("n", "3", 3, {"enum": [1, "3"]}, False),
    ],
    "json": [
        ("n", '["a","b"]', ["a", "b"], {"type": "array", "items": {"type": "string"}}, True),
        ("n", '["a","c"]', ["a", "b"], {"type": "array", "items": {"type": "string"}}, False),
        ("n", '{"x": 1}', {"x": 1}, {"type": ["object", "string"]}, False),
    ],
    "union": [
        (
            "n",
            {"kind": 2},
            {"kind": "2"},
            {
                "anyOf": [
                    {"type": "object", "properties": {"kind": {"type": "integer"}}},
                    {"type": "object", "properties": {"kind": {"type": "string"}}},
                ]
            },
            False,
        ),
    ],
}


def right(predicted: dict[str, Any], recorded: dict[str, Any], properties: dict[str, Any]) -> bool:
    tool = {
        "type": "function",
        "function": {"name": "t", "parameters": {"type": "object", "properties": properties}},
    }
    found = judge(
        ParsedCompletion(None, (ToolCall(name="t", arguments=predicted),), "", ()),
        Message(role="assistant", tool_calls=(ToolCall(name="t", arguments=recorded),)),
        [tool],
        thinking=False,
        settings=JudgeConfig(),
    )
    assert found.right is not None
    return found.right


@pytest.mark.parametrize(
    ("name", "predicted", "recorded", "schema", "same"),
    [
        pytest.param(*case, id=f"{kind}: {case[1]!r} / {case[2]!r}")
        for kind, cases in KINDS.items()
        for case in cases
    ],
)
def test_kinds_of_arguments(
    name: str, predicted: Any, recorded: Any, schema: dict[str, Any], same: bool
) -> None:
    assert right({name: predicted}, {name: recorded}, {name: schema}) is same
    assert right({name: recorded}, {name: recorded}, {name: schema})


@pytest.mark.parametrize(
    ("predicted", "recorded", "schema", "same"),
    [
        ({}, {"a": []}, {"type": "array"}, True),
        ({}, {"a": ""}, TEXT, True),
        ({"a": {}}, {}, {"type": "object"}, True),
        ({}, {"a": "x"}, TEXT, False),
        ({}, {"a": ""}, {**TEXT, "default": "y"}, False),
        ({}, {"a": 0}, {"type": "integer"}, False),
        # A flag that is left out may be on: nothing says that it is off.
        ({}, {"a": False}, {"type": "boolean"}, False),
        ({}, {"a": False}, {"type": "boolean", "default": False}, True),
    ],
)
def test_an_optional_argument_that_is_empty_may_be_left_out(
    predicted: dict[str, Any], recorded: dict[str, Any], schema: dict[str, Any], same: bool
) -> None:
    assert right(predicted, recorded, {"a": schema}) is same
    assert right(recorded, predicted, {"a": schema}) is same


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("code", True),
        ("sourceCode", True),
        ("bash_command", True),
        ("filePath", True),
        ("API_KEY", True),
        ("sql_query", True),
        ("query", False),
        ("country_code", False),
        ("key", False),
        ("profile", False),
        ("note", False),
        ("", False),
    ],
)
def test_names_of_exact_arguments(name: str, exact: bool) -> None:
    assert named_exact(name) is exact


@pytest.mark.parametrize(
    "text",
    [
        "A table for two, please!",
        "Don't ring (use the side door)",
        "Mac and cheese",
        "and/or",
        "It costs $20",
        "50% off; today only",
        "Is it open?",
        "Kim - the manager",
        "well-known",
    ],
)
def test_plain_words_have_no_exact_form(text: str) -> None:
    assert not has_exact_form(text)


def test_values_nested_beyond_reading_are_compared() -> None:
    def nested(depth: int, inside: Any) -> Any:
        for _ in range(depth):
            inside = [inside]
        return inside

    schema = {"type": "array", "items": {"$ref": "#/properties/a"}}
    assert right({"a": nested(600, 1)}, {"a": nested(600, 1)}, {"a": schema})
    assert not right({"a": nested(600, 1)}, {"a": nested(600, True)}, {"a": schema})
    assert not right({"a": nested(600, 1)}, {"a": nested(599, 1)}, {"a": schema})
