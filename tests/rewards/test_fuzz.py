"""Mutated completions, records and schemas through parser and judge: always a verdict."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from actwise.conversation import Message, ToolCall
from actwise.rewards.answers import is_checkable
from actwise.rewards.judge import judge
from actwise.rewards.settings import JudgeConfig
from actwise.template.parse import parse_completion

SEEDS = [
    "<think>\nso\n</think>\n\nIt costs 1.234,50 € (or $1,234.50) on 05.01.2026 at 7 o'clock.",
    "Call +1 (555) 010-0123 or 555.010.0123; your IBAN is DE89 3704 0044 0532 0130 00.",
    '<tool_call>\n{"name": "t", "arguments": {"a": "٥", "o": {"x": [1, 2]}}}\n</tool_call>',
    '{"intent": "refund", "items": [{"n": 1}, {"n": 2.0}]}',
    "No, we can't thank you enough — it isn't “open”: rake 20, hoe 30, two hundred and five more.",
    "Es ist nicht geöffnet. Le prix est de 1 234 €. 開いていません。",
]
ODD = st.sampled_from(
    [
        "",
        " ",
        "\n",
        "\x00",
        "\u200b",
        "\ud800",
        "’",
        "—",
        "9" * 400,
        "(" * 50,
        "{",
        "[",
        '"',
        "\\",
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        "not ",
        "1,",
        ".",
        "|",
        "?",
        "🌱",
        "²",
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A text with pieces cut out, doubled, swapped or put in."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        piece = draw(ODD | st.just(2 * text[start:end]) | st.just(text[start:end][::-1]))
        text = text[:start] + piece + text[end:]
    return text


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | mutated(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD, inner, max_size=3),
    max_leaves=6,
)
TYPES = ["string", "integer", "number", "boolean", "array", "object", "null", "text", 7]
SCHEMAS = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(TYPES) | st.lists(st.sampled_from(TYPES), max_size=3),
            "format": st.sampled_from(["date", "time", "date-time", "uuid", 1]),
            "enum": st.lists(VALUES, max_size=3) | st.just("x"),
            "pattern": st.sampled_from(["^(a+)+$", "[", 3]),
            "default": VALUES,
            "uniqueItems": st.booleans(),
            "$ref": st.sampled_from(["#/properties/a", "#", "http://x/y", 5]),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "items": inner,
            "properties": st.dictionaries(st.sampled_from("axo"), inner, max_size=3),
            "anyOf": st.lists(inner, max_size=3),
            "oneOf": st.lists(inner, max_size=3) | st.just({}),
            "allOf": st.lists(inner, max_size=2),
        },
    ),
    max_leaves=8,
)


def check(verdict: Any) -> None:
    assert 0 <= verdict.reward <= 1
    assert verdict.right in (True, False, None)
    assert (
        verdict.right is not True or verdict.notes == () or verdict.answer_correctness is not None
    )
    json.dumps(verdict.to_dict())


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(), mutated(), st.lists(mutated(), max_size=2), st.booleans())
def test_mutated_answers(predicted: str, recorded: str, context: list[str], thinking: bool) -> None:
    history = [Message(role=role, content=t) for role, t in zip(("tool", "user"), context)]  # noqa: B905
    record = Message(role="assistant", content=recorded)
    parsed = parse_completion(predicted, thinking=thinking)
    options = {"thinking": thinking, "settings": JudgeConfig(), "context": history}
    check(judge(parsed, record, [], **options))
    assert is_checkable(recorded) in (True, False)
    itself = parse_completion(recorded, thinking=False)
    if not itself.errors and itself.answer and not itself.calls:
        own = Message(role="assistant", content=itself.answer)
        found = judge(itself, own, [], thinking=False, settings=JudgeConfig(), context=history)
        assert (found.right, found.answer_correctness) == (True, 1.0)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(["a", "o", "code"]), VALUES, max_size=3),
    st.dictionaries(st.sampled_from(["a", "o", "code"]), VALUES, max_size=3),
    st.dictionaries(st.sampled_from(["a", "o", "code"]), SCHEMAS, max_size=3),
)
@example({"a": "1e999"}, {"a": 5}, {"a": {"type": "number"}})
def test_mutated_arguments(
    predicted: dict[str, Any], recorded: dict[str, Any], properties: dict[str, Any]
) -> None:
    parameters = {"type": "object", "properties": properties}
    tools = [{"type": "function", "function": {"name": "t", "parameters": parameters}}]
    gold = Message(role="assistant", tool_calls=(ToolCall(name="t", arguments=recorded),))
    for arguments, same in ((predicted, False), (recorded, True)):
        calls = (ToolCall(name="t", arguments=arguments),)
        completion = parse_completion("", thinking=False)
        completion = type(completion)(None, calls, "", ())
        found = judge(completion, gold, tools, thinking=False, settings=JudgeConfig())
        check(found)
        assert found.right or not same


def test_alternatives_without_end_are_cut_off() -> None:
    loop = {"anyOf": [{"$ref": "#/$defs/l"}] * 3, "allOf": [{"type": "object"}]}
    parameters = {"type": "object", "$defs": {"l": loop}, "properties": {"a": loop}}
    tools = [{"type": "function", "function": {"name": "t", "parameters": parameters}}]
    gold = Message(role="assistant", tool_calls=(ToolCall(name="t", arguments={"a": {"x": "1"}}),))
    completion = parse_completion(
        '<tool_call>\n{"name": "t", "arguments": {"a": {"x": "2"}}}\n</tool_call>', thinking=False
    )
    assert judge(completion, gold, tools, thinking=False, settings=JudgeConfig()).right is False


@pytest.mark.parametrize("size", [3000])
def test_long_arrays_in_another_order_end(size: int) -> None:
    parameters = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    tools = [{"type": "function", "function": {"name": "t", "parameters": parameters}}]
    numbers = list(range(size))
    gold = Message(role="assistant", tool_calls=(ToolCall(name="t", arguments={"a": numbers}),))
    for arguments, right in ((numbers[::-1], True), ([-n for n in numbers], False)):
        calls = json.dumps({"name": "t", "arguments": {"a": arguments}})
        parsed = parse_completion(f"<tool_call>\n{calls}\n</tool_call>", thinking=False)
        verdict = judge(parsed, gold, tools, thinking=False, settings=JudgeConfig())
        assert verdict.right is right
