"""Findings about calls: nulls, results, errors, arguments out of reach, tools."""

import json
from typing import Any

import pytest

from actwise.conversation import Conversation, Message, Tool
from actwise.doctor import examine
from actwise.doctor.results import says_error
from actwise.formats import Rejected
from talks import TOOLS, calls, finding, result, says, talk, user


def tool(name: str, **parameters: Any) -> Tool:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def of_tools(*messages: Message, tools: tuple[Tool, ...], id: str = "x") -> Conversation:
    return Conversation(id=id, messages=messages, tools=tools, source=f"log.jsonl:{id}")


NULLABLE = {"anyOf": [{"type": "string"}, {"type": "null"}]}
INNER = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "arguments", "stray"),
    [
        ({"properties": {"a": {"type": "string"}}}, {"a": "b"}, None),
        ({"properties": {"a": {"type": "string"}}}, {"a": None}, "a"),
        ({"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"a": None}, None),
        ({"properties": {"a": NULLABLE}}, {"a": None}, None),
        ({"properties": {"a": {"type": ["string", "null"]}}}, {"a": None}, None),
        ({"properties": {"a": {"$ref": "#/$defs/x"}}}, {"a": None}, None),
        ({"properties": {"a": {}}}, {"a": None}, None),
        ({"properties": {"a": True}}, {"a": None}, None),
        ({"properties": {}}, {"a": None}, "a"),
        ({"properties": {}, "additionalProperties": True}, {"a": None}, None),
        ({"properties": {}, "allOf": [{}]}, {"a": None}, None),
        ({}, {"a": None}, None),  # any object is allowed
        ({"properties": {"o": INNER}}, {"o": {"a": None}}, "o.a"),
        ({"properties": {"l": {"items": INNER}}}, {"l": [{"a": "b"}, {"z": None}]}, "l[1].z"),
    ],
)
def test_stray_nulls(schema: dict[str, Any], arguments: dict[str, Any], stray: str | None) -> None:
    tools = (tool("f", type="object", **schema),)
    found = finding(
        examine([of_tools(user("hi"), calls(name="f", **arguments), tools=tools)]), "stray_null"
    )
    if stray is None:
        assert found is None
    else:
        assert found is not None
        assert found.examples == [f"log.jsonl:x: messages[1] calls f with {stray}"]
        assert "columnar" not in found.message


def test_padding_by_a_columnar_format() -> None:
    tools = (
        tool("f", type="object", properties={"a": {"type": "string"}}),
        tool("g", type="object", properties={"b": {"type": "string"}}),
    )
    padded = of_tools(
        user("xyz"),
        calls(name="f", a="xyz", b=None),
        result("{}"),
        calls(name="g", a=None, b="xyz"),
        tools=tools,
    )
    found = finding(examine([padded]), "stray_null")
    assert found is not None
    assert (found.count, found.severity) == (2, "warning")
    assert "Parquet" in found.message


def test_nulls_of_refused_records_are_found_too() -> None:
    tools = (tool("f", type="object", properties={"a": {"type": "string"}}),)
    refused = of_tools(user("hi"), calls(name="f", a=None), tools=tools)
    items = [Rejected("log.jsonl", 4, "bad_arguments", "None is no string", conversation=refused)]
    found = finding(examine(items), "stray_null")
    assert found is not None
    assert found.count == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Error: user not found", True),
        ("ValueError: bad id", True),
        ("Traceback (most recent call last):\n ...", True),
        ("error", True),
        ("Errors were found and corrected.", False),
        ("Error handling is described in chapter 3", False),
        ('{"error": "no such order"}', True),
        ('{"errors": []}', False),
        ('{"error": null, "rows": [1]}', False),
        ('{"status": "FAILED"}', True),
        ('{"status": "delivered"}', False),
        ('{"success": false}', True),
        ('{"success": true}', False),
        ('{"text": "error: none"}', False),
        ('{"error": broken', False),
        ('["error"]', False),
        ("", False),
    ],
)
def test_what_counts_as_an_error(text: str, expected: bool) -> None:
    assert says_error(text) is expected


def test_a_loop_is_the_same_call_failing_twice() -> None:
    fails = result("Error: no such order")
    again = calls(order="abc")
    loop = talk(user("abc"), again, fails, again, fails, again, fails, id="loop")
    helped = talk(user("abc"), again, fails, again, result("{}"), id="helped")
    other = talk(user("abc"), again, fails, calls(order="ab"), fails, id="other")
    asked = talk(user("abc"), again, fails, says("?"), user("abc!"), again, fails, id="asked")
    between = talk(
        user("abc"), again, fails, calls(order="ab"), result("{}"), again, fails, id="between"
    )
    diagnosis = examine([loop, helped, other, asked, between])
    assert (diagnosis.results, diagnosis.error_results) == (12, 10)
    found = finding(diagnosis, "error_loop")
    assert found is not None
    assert found.count == 2
    assert found.examples == [
        f'log.jsonl:loop: messages[{index}] calls lookup {{"order": "abc"}} again'
        for index in (3, 5)
    ]


@pytest.mark.parametrize(
    ("value", "reachable"),
    [
        ("2024-05-20", True),  # "May 20"
        ("2024-05-20T09:00:00", True),
        ("2024-05-21", False),
        ("16:30", True),  # "4 pm"
        ("16:30:00", True),
        ("17:30", False),
        ("152 + 103", True),
        ("152 + 104", False),
        ("oat milk OR soy milk", True),
        ("dollars,milk", True),
        ("false", True),
        ("oat milk OR rice milk", False),
        ("the customer wants to leave on a date that suits nobody else", True),  # prose
        ("客户要求退款因为收到的商品已经损坏并且包装破裂", True),
        ("北京市海淀区", False),
    ],
)
def test_values_put_together_from_the_context(value: str, reachable: bool) -> None:
    said = user("On May 20 at 4 pm, for 152 and 103 dollars; with oat milk, or soy milk.")
    diagnosis = examine([talk(said, calls(value=value))])
    assert diagnosis.unreachable_decisions == (0 if reachable else 1)


def test_unreachable_arguments_warn_when_they_are_many() -> None:
    good = [talk(user(f"A-{n}"), calls(order=f"A-{n}"), id=str(n)) for n in range(100, 109)]
    bad = [talk(user("?"), calls(order="lost"), id="bad")]
    few, many = (finding(examine(logs), "unreachable_argument") for logs in (good + bad, bad))
    assert few is not None and many is not None
    assert (few.severity, many.severity) == ("note", "warning")


def test_schema_drift_names_the_argument() -> None:
    def log(id: str, **properties: Any) -> Conversation:
        tools = (tool("f", type="object", properties=properties),)
        return of_tools(user("hi"), says("yes"), tools=tools, id=id)

    text = {"type": "string"}
    reworded = {"type": "string", "description": "Now with words."}
    diagnosis = examine(
        [log("1", a=text), log("2", a=reworded), log("3", a=text, b=text), log("4", description={})]
    )
    found = finding(diagnosis, "schema_drift")
    assert found is not None
    assert found.count == 1
    assert found.examples == ["log.jsonl:3: 'f' differs from log.jsonl:1 in 'b' (3 schemas in all)"]


def test_tools_that_stay_the_same_do_not_drift() -> None:
    same = json.loads(json.dumps(TOOLS))
    logs = [talk(user("a"), says("b")), of_tools(user("c"), says("d"), tools=tuple(same))]
    assert finding(examine(logs), "schema_drift") is None
