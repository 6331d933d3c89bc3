"""Schemas of tools in every dialect, against jsonschema itself."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from actwise.conversation import Conversation
from actwise.formats import Rejected
from actwise.formats.schema import arguments_schema, json_schema
from formats.reading import read_sample
from formats.samples import ASKED

A = {"type": "string"}
PLAIN = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.mark.parametrize(
    "foreign",
    [
        {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
        {"type": "dict", "properties": {"city": {"type": "str"}}, "required": ["city"]},
        {"type": "object", "properties": {"city": {"type": "string", "required": True}}},
        {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": None}, "zip": None},
            "required": ["city"],
            "additionalProperties": None,
        },
        {"type": "object", "properties": {"city": "string"}, "required": "city"},
        {"city": {"type": "str"}},
        {"type": "object", "properties": {"city": {"type": ["STRING"]}}, "required": ["city", 3]},
    ],
)
def test_one_schema_in_many_dialects(foreign: Any) -> None:
    schema = arguments_schema(foreign)
    Draft202012Validator.check_schema(schema)
    for value in ({}, {"city": "Bonn"}, {"city": 3}, {"city": "Bonn", "more": 1}):
        assert Draft202012Validator(schema).is_valid(value) == (
            Draft202012Validator(PLAIN).is_valid(value)
        ), value


@pytest.mark.parametrize(
    ("foreign", "allowed", "refused"),
    [
        ({"type": "integer", "minimum": 0, "exclusiveMinimum": True}, 1, 0),
        ({"type": "string", "nullable": True, "enum": ["a"]}, None, "b"),
        ({"nullable": True, "enum": ["a"]}, None, "b"),
        ({"nullable": True, "anyOf": [{"type": "string"}, {"type": "integer"}]}, None, 1.5),
        ({"nullable": True, "allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": A}}, None, 1),
        ({"nullable": True, "$ref": "#/$defs/A", "$defs": {"A": A}}, "a", 1),
        ({"type": "object", "nullable": True, "allOf": [{"required": ["a"]}]}, None, {}),
        ({"nullable": False, "$ref": "#/$defs/A", "$defs": {"A": A}}, "a", None),
        ({"type": "List[str]"}, ["a"], [1]),
        ({"type": "Optional[int]"}, None, "1"),
        ({"type": "string[]"}, ["a"], [1]),
        ({"type": "list of integers"}, [1], ["a"]),
        ({"type": "string", "enum": {"0": "a", "2": "b"}}, "b", "c"),
        ({"type": "str | None"}, None, 1),
        ({"type": "Union[int, str]"}, "1", 1.5),
        ({"type": "int, optional"}, None, "1"),
        ({"type": "Dict[str, Any]"}, {"a": 1}, []),
        (
            {"type": "array", "items": [{"type": "string"}], "additionalItems": False},
            ["a"],
            ["a", "b"],
        ),
        ({"type": "object", "properties": [], "required": []}, {"a": 1}, []),
        ({"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}, "a", 1.5),
        (
            {"type": "object", "properties": {"a": {"type": "array", "items": []}}},
            {"a": [1]},
            {"a": 1},
        ),
    ],
)
def test_what_a_dialect_means(foreign: Any, allowed: Any, refused: Any) -> None:
    schema = json_schema(foreign)
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid(allowed)
    assert not Draft202012Validator(schema).is_valid(refused)


TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null"])
SCHEMAS = st.recursive(
    st.fixed_dictionaries({"type": TYPES}) | st.fixed_dictionaries({"const": st.integers()}),
    lambda inner: (
        st.fixed_dictionaries({"type": st.just("array"), "items": inner})
        | st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(st.text(), inner)}
        )
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1)})
    ),
    max_leaves=6,
)


@given(schema=SCHEMAS)
def test_a_schema_of_the_current_draft_stays_as_it_is(schema: dict[str, Any]) -> None:
    assert json_schema(schema) == schema


def record(parameters: Any, *, called: str) -> dict[str, Any]:
    function = {"name": called, "arguments": '{"city": "Bonn"}'}
    return {
        "messages": [*ASKED, {"role": "assistant", "tool_calls": [{"function": function}]}],
        "tools": [
            {"name": "weather", "parameters": PLAIN},
            {"name": "odd", "parameters": parameters},
        ],
    }


@pytest.mark.parametrize(
    "parameters", [{"properties": {"city": {"minimum": "x"}}}, "a city", 7, ["city"]]
)
def test_an_unusable_schema_costs_only_who_calls_it(tmp_path: Path, parameters: Any) -> None:
    (item,) = read_sample(tmp_path, record(parameters, called="weather"))
    assert isinstance(item, Conversation)
    assert [r.code for r in item.remarks] == ["unusable_schema"]
    assert item.remarks[0].detail.startswith("odd: ")
    (item,) = read_sample(tmp_path, record(parameters, called="odd"))
    assert isinstance(item, Rejected)
    assert (item.reason, item.about) == ("bad_tools", "odd")


def test_a_tool_that_is_no_function_is_left_out_and_said(tmp_path: Path) -> None:
    given = record(PLAIN, called="weather")
    given["tools"] += [{"type": "web_search_preview"}, {"googleSearch": {}}]
    (item,) = read_sample(tmp_path, given)
    assert isinstance(item, Conversation)
    assert len(item.tools) == 2
    assert item.remarks == (("unread_tool", "web_search_preview"), ("unread_tool", "googleSearch"))


HOSTILE = {
    "a pattern that takes exponential time": {"x": {"type": "string", "pattern": "^(a|a)*$"}},
    "a reference to no schema": {"x": {"$ref": "#/properties/x/description", "description": "s"}},
    "an address that is none": {"x": {"$id": "http://[", "$ref": "#"}},
    "a number that is too large": {"x": {"multipleOf": 0.5}},
    "a reference in circles": {"x": {"$ref": "#/properties/x"}},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_one_bad_record_costs_no_other(tmp_path: Path, name: str) -> None:
    value: Any = 10**400 if "number" in name else "a" * 40 + "!"
    function = {"name": "f", "arguments": {"x": value}}
    bad = {
        "messages": [*ASKED, {"role": "assistant", "tool_calls": [{"function": function}]}],
        "tools": [{"name": "f", "parameters": {"type": "object", "properties": HOSTILE[name]}}],
    }
    good = {"messages": [*ASKED, {"role": "assistant", "content": "Rain."}]}
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in (good, bad, good)))
    from actwise.formats import read_files

    first, rejected, last = read_files([path])
    assert isinstance(first, Conversation)
    assert isinstance(last, Conversation)
    assert isinstance(rejected, Rejected)
    assert rejected.line == 2
    assert rejected.reason in ("unreadable", "bad_tools", "bad_arguments")
