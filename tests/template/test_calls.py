"""Other ways of writing calls than JSON in tags: what is read, what is wrong, and no exception."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from actwise.template.calls import argument, typed
from actwise.template.parse import parse_completion
from actwise.template.syntaxes import SYNTAXES

ROWS = {syntax.name: syntax for syntax in SYNTAXES}
SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "s": {"type": "string"},
        "b": {"type": "boolean"},
        "l": {"type": "array"},
    },
}
TOOLS = ({"type": "function", "function": {"name": "f", "parameters": SCHEMA}},)
F = {"n": 1, "s": "a"}
XML = "<function=f>\n<parameter=n>\n1\n</parameter>\n<parameter=s>\na\n</parameter>\n</function>"
PARAM = '<param name="n">1</param><param name="s">a</param>'


@pytest.mark.parametrize(
    ("row", "text", "calls", "errors", "answer"),
    [
        ("qwen-xml", f"<tool_call>\n{XML}\n</tool_call>", [F], [], ""),
        ("qwen-xml", f"Hm.\n\n<tool_call>\n{XML}\n</tool_call>", [F], [], "Hm."),
        ("qwen-xml", f"<tool_call>\n{XML}", [], ["unclosed_call"], ""),
        ("qwen-xml", "<tool_call>\n{}\n</tool_call>", [], ["missing_name"], ""),
        ("qwen-xml", "<tool_call>\n<function=f>\n</tool_call>", [], ["broken_json"], ""),
        ("qwen-xml", "<tool_call><function=f>\n</function></tool_call>", [{}], [], ""),
        (
            "qwen-xml",
            "<tool_call><function=f>words</function></tool_call>",
            [],
            ["broken_json"],
            "",
        ),
        (
            "qwen-xml",
            "<tool_call><function=f><parameter=n>1</parameter><parameter=n>2</parameter>"
            "</function></tool_call>",
            [],
            ["broken_json"],
            "",
        ),
        ("minicpm", f'<function name="f">{PARAM}</function>', [F], [], ""),
        ("minicpm", f'<function name="f">{PARAM}</function>\n' * 2, [F, F], [], ""),
        ("minicpm", f'<function name="f">{PARAM}', [], ["unclosed_call"], ""),
        (
            "minicpm",
            '<function name="f"><param name="s"><![CDATA[<b>\n&]]></param></function>',
            [{"s": "<b>\n&"}],
            [],
            "",
        ),
        ("lfm", "<|tool_call_start|>[f(n=1, s='a')]<|tool_call_end|>", [F], [], ""),
        ("lfm", "<|tool_call_start|>[f(n=1, s='a'), f()]<|tool_call_end|>", [F, {}], [], ""),
        ("lfm", "<|tool_call_start|>[f(s='it's')]<|tool_call_end|>Hm", [{"s": "it's"}], None, "Hm"),
        (
            "lfm",
            "<|tool_call_start|>[f(b=True, l=['a', {'x': None}])]<|tool_call_end|>",
            None,
            [],
            "",
        ),
        ("lfm", "<|tool_call_start|>f(n=1)<|tool_call_end|>", [], ["broken_json"], ""),
        ("lfm", "<|tool_call_start|>[f(1)]<|tool_call_end|>", [], ["broken_json"], ""),
        ("lfm", "<|tool_call_start|>[f(n=1, n=2)]<|tool_call_end|>", [], ["broken_json"], ""),
        ("lfm", "<|tool_call_start|>[f(n=g())]<|tool_call_end|>", [], ["broken_json"], ""),
        ("lfm", "<|tool_call_start|>[f(), f(n=]<|tool_call_end|>", [{}], ["broken_json"], ""),
        ("lfm-escaped", r"<|tool_call_start|>[f(s='a\'b\n')]<|tool_call_end|>", None, [], ""),
        ("gemma", '<|tool_call>call:f{n:1,s:<|"|>a<|"|>}<tool_call|>', [F], [], ""),
        ("gemma", '<|tool_call>call:f{l:[1,{x:<|"|>,}<|"|>}],b:true}<tool_call|>', None, [], ""),
        ("gemma", "<|tool_call>call:f{}<tool_call|>", [{}], [], ""),
        ("gemma", "<|tool_call>call:f{n:}<tool_call|>", [], ["broken_json"], ""),
        ("gemma", "<|tool_call>call:f{n:1<tool_call|>", [], ["broken_json"], ""),
        ("gemma", '<|tool_call>call:f{s:<|"|>a}<tool_call|>', [], ["broken_json"], ""),
        ("gemma", "<|tool_call>call:f{n:1,n:2}<tool_call|>", [], ["broken_json"], ""),
        ("gemma", "<|tool_call>f{n:1}<tool_call|>", [], ["missing_name"], ""),
        ("gemma", "Hm. <|channel>", [], ["stray_tag"], "Hm. <|channel>"),
        ("mistral", '[TOOL_CALLS]f[ARGS]{"n": 1, "s": "a"}', [F], [], ""),
        ("mistral", '[TOOL_CALLS]f[ARGS]{"n": 1}[TOOL_CALLS]f[ARGS]{}', [{"n": 1}, {}], [], ""),
        ("mistral", "[TOOL_CALLS]f[ARGS]{", [], ["broken_json"], ""),
        ("mistral", '[TOOL_CALLS]f{"n": 1}', [], ["broken_json"], ""),
        ("mistral", "[TOOL_CALLS]f[ARGS][]", [], ["arguments_not_object"], ""),
        ("mistral-list", '[TOOL_CALLS] [{"name": "f", "arguments": {"n": 1}}]', [{"n": 1}], [], ""),
        ("phi", '<|tool_call|>{"name": "f", "arguments": {}}<|/tool_call|>', [{}], [], ""),
        ("phi-list", '<|tool_call|>[{"name": "f"}, 3]<|/tool_call|>', [{}], ["broken_json"], ""),
        ("llama", '{"name": "f", "parameters": {"n": 1, "s": "a"}}', [F], [], ""),
        ("llama", '{"name": "f", "parameters": {"n": 1', [], ["broken_json"], ""),
        ("llama", '{"name": "f", "parameters": {}} Done.', [], ["broken_json"], ""),
        ("llama", 'The order is {"name": "f"}.', [], [], 'The order is {"name": "f"}.'),
        ("list", '[{"name": "f", "arguments": {}}, {"name": "f"}]', [{}, {}], [], ""),
        ("list", "[1, 2]", [], [], "[1, 2]"),
        ("list", "[]", [], [], "[]"),
    ],
)
def test_what_is_read_and_what_is_wrong(
    row: str, text: str, calls: Any, errors: Any, answer: str
) -> None:
    parsed = parse_completion(text, thinking=False, syntax=ROWS[row], tools=TOOLS)
    if calls is not None:
        assert [call.arguments for call in parsed.calls] == calls
    assert all(call.name == "f" for call in parsed.calls)
    if errors is not None:
        assert [str(error) for error in parsed.errors] == errors
    assert parsed.answer == answer
    assert bool(parsed.broken_calls) == any(
        "call" in e or "json" in e or "name" in e or "arg" in e for e in errors or []
    )


def test_deep_values_are_read_as_they_are() -> None:
    for row, text, expected in (
        (
            "lfm",
            "<|tool_call_start|>[f(b=True, l=['a', {'x': None}])]<|tool_call_end|>",
            {"b": True, "l": ["a", {"x": None}]},
        ),
        ("lfm", '<|tool_call_start|>[f(o={"x": true})]<|tool_call_end|>', {"o": {"x": True}}),
        ("lfm-escaped", r"<|tool_call_start|>[f(s='a\'b\n')]<|tool_call_end|>", {"s": "a'b\n"}),
        (
            "gemma",
            '<|tool_call>call:f{l:[1,{x:<|"|>,}<|"|>}],b:true}<tool_call|>',
            {"l": [1, {"x": ",}"}], "b": True},
        ),
    ):
        (call,) = parse_completion(text, thinking=False, syntax=ROWS[row]).calls
        assert call.arguments == expected


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("1", {"type": "integer"}, 1),
        ("1", {"type": "string"}, "1"),
        ("1", {"type": ["string", "integer"]}, "1"),
        ("1.5", {"type": "number"}, 1.5),
        ("1", {"type": "number"}, 1),
        ("True", {"type": "boolean"}, True),
        ("true", {"type": "boolean"}, True),
        ("None", {"type": "null"}, None),
        ("null", {"type": ["string", "null"]}, None),
        ("None", {"type": "string"}, "None"),
        ('["a"]', {"type": "array"}, ["a"]),
        ("['a']", {"type": "array"}, ["a"]),
        ('{"a": null}', {"type": "object"}, {"a": None}),
        ("often", {"type": "integer"}, "often"),  # wrong, and so it is judged
        ("1", None, 1),
        ("0042", None, "0042"),
        ("red", {"enum": ["red", 3]}, "red"),
        ("3", {"enum": [1, 3]}, 3),
        ("3", {"anyOf": [{"type": "null"}, {"type": "integer"}]}, 3),
        ("x", True, "x"),
    ],
)
def test_text_gets_the_type_of_its_schema(text: str, schema: Any, value: Any) -> None:
    found = typed(text, schema, {})
    assert found == value and type(found) is type(value)


def referring(schema: dict[str, Any], way: str) -> dict[str, Any]:
    """Return the schema of arguments whose `x` has a schema, said in another way."""
    x = {"$ref": "#/$defs/X"}
    plain = {"type": "object", "properties": {"x": x}}
    base = {"type": "object", "properties": {"y": {"type": "string"}}}
    defs = {"X": schema, "Same": x, "Args": plain, "Base": base}
    ways: dict[str, dict[str, Any]] = {
        "plain": {"properties": {"x": schema}},
        "ref": plain,
        "two refs": {"properties": {"x": {"$ref": "#/$defs/Same"}}},
        "allOf": {"properties": {"x": {"allOf": [x], "description": "An x."}}},
        "allOf of two": {
            "properties": {"x": {"allOf": [{"title": "X"}, {"$ref": "#/$defs/Same"}]}}
        },
        "optional": {"properties": {"x": {"anyOf": [x, {"type": "null"}], "default": None}}},
        "oneOf": {"properties": {"x": {"oneOf": [x]}}},
        "all arguments": {"$ref": "#/$defs/Args"},
        "inherited": {"allOf": [{"$ref": "#/$defs/Base"}, plain]},
        "inherited twice": {"allOf": [{"$ref": "#/$defs/Base"}, {"$ref": "#/$defs/Args"}]},
        "any name": {"type": "object", "additionalProperties": x},
    }
    return {**ways[way], "$defs": defs}


WAYS = [
    *("plain", "ref", "two refs", "allOf", "allOf of two", "optional", "oneOf"),
    *("all arguments", "inherited", "inherited twice", "any name"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("row", ["qwen-xml", "minicpm"])
@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("12345", {"type": "string"}, "12345"),
        ("None", {"type": "string", "enum": ["None", "Basic"]}, "None"),
        ("true", {"const": "true"}, "true"),
        ("[1]", {"type": "string"}, "[1]"),
        ("12345", {"type": "integer"}, 12345),
        ("1", {"enum": ["auto", 1]}, 1),
        ("auto", {"enum": ["auto", 1]}, "auto"),
        ('{"a": "1"}', {"type": "object"}, {"a": "1"}),
    ],
)
def test_a_type_is_found_wherever_the_schema_says_it(
    text: str, schema: dict[str, Any], value: Any, row: str, way: str
) -> None:
    parameters = referring(schema, way)
    assert Draft202012Validator(parameters).is_valid({"x": value})
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    written = {
        "qwen-xml": f"<tool_call>\n<function=f>\n<parameter=x>\n{text}\n</parameter>\n"
        "</function>\n</tool_call>",
        "minicpm": f'<function name="f"><param name="x">{text}</param></function>',
    }
    parsed = parse_completion(written[row], thinking=False, syntax=ROWS[row], tools=(tool,))
    (call,) = parsed.calls
    assert call.arguments == {"x": value} and type(call.arguments["x"]) is type(value)


@pytest.mark.parametrize("value", ["a</param>b", "]]>", "a]]>", "<![CDATA[x]]>", "", "]]"])
def test_marks_of_xml_in_a_text_are_text(value: str) -> None:
    written = f"<![CDATA[{value}]]>" if "<" in value else value  # as MiniCPM's template has it
    text = (
        f'<function name="f"><param name="s">{written}</param><param name="n">1</param></function>'
    )
    (call,) = parse_completion(text, thinking=False, syntax=ROWS["minicpm"], tools=TOOLS).calls
    assert call.arguments == {"s": value, "n": 1}


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("llama", '{"name": "f", "arguments": {"n": 1}}'),
        ("qwen", '<tool_call>{"name": "f", "parameters": {"n": 1}}</tool_call>'),
        ("list", '[{"name": "f", "parameters": {}}]'),
    ],
)
def test_arguments_under_another_family_s_name_are_no_empty_ones(row: str, text: str) -> None:
    parsed = parse_completion(text, thinking=False, syntax=ROWS[row], tools=TOOLS)
    assert parsed.calls == () and parsed.errors == ("arguments_not_object",)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "{'a': 1, 'a': 2}", "[{'a': 1, 'a': 1}]"])
def test_of_a_key_that_occurs_twice_neither_value_is_taken(text: str) -> None:
    assert typed(text, {"type": ["object", "array"]}, {}) == text
    call = f"<|tool_call_start|>[f(x={text})]<|tool_call_end|>"
    parsed = parse_completion(call, thinking=False, syntax=ROWS["lfm"])
    assert parsed.errors == ("broken_json",)


@pytest.mark.parametrize("text", ["(1, 2)", "{1, 2}", "1+2j", "b'a'", "...", '"quoted"'])
def test_what_is_no_json_stays_text(text: str) -> None:
    assert typed(text, {}, {}) == text


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"properties": {"x": {"$ref": "#/properties/x"}}},
        {"properties": {"x": {"$ref": "#/nowhere"}}},
    ],
)
def test_references_in_circles_say_nothing_of_a_type(schema: dict[str, Any]) -> None:
    assert argument("12", "x", schema) == 12


MARKS = st.sampled_from(
    [syntax.close for syntax in SYNTAXES if syntax.close]
    + ["<tool_call>", '<function name="f">', "<|tool_call_start|>", "<|tool_call>", "[TOOL_CALLS]"]
    + ["<start_function_call>", "<|tool_call|>", "call:f{", "f(", "n='", "n=", ")", "]", "[ARGS]"]
    + ['{"name": "f", "parameters": ', '[{"name": "f", "arguments": ', "}", '<|"|>', "<escape>"]
    + ["<function=f>", "<parameter=n>", "</parameter>", "</function>", '<param name="n">']
    + ["<think>", "</think>", "\n", "[" * 300, "(" * 300, "{a:" * 100, "1e999", "\ud800", "\\", "'"]
)


@given(
    st.sampled_from(SYNTAXES),
    st.lists(MARKS | st.text(max_size=6), max_size=12).map("".join),
    st.booleans(),
)
def test_any_text_can_be_read_in_every_way(syntax: Any, text: str, thinking: bool) -> None:
    parsed = parse_completion(text, thinking=thinking, syntax=syntax, tools=TOOLS)
    for call in parsed.calls:
        json.dumps(call.arguments, ensure_ascii=False, allow_nan=False).encode()
    if not parsed.errors:
        assert parsed.calls or parsed.answer
        assert not parsed.broken_calls
