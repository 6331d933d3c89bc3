"""Reading completions: every error class by a table, and no exception on any text."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actwise.template.parse import FormatError, parse_completion

GOOD = '<tool_call>\n{"name": "refund", "arguments": {"order": "W1", "amount": 20}}\n</tool_call>'


def call(body: str) -> str:
    return f"<tool_call>{body}</tool_call>"


@pytest.mark.parametrize(
    ("text", "thinking", "errors", "calls", "answer"),
    [
        ("<think>\nwhy\n</think>\n\n" + GOOD, True, [], 1, ""),
        ("<think>\nwhy\n</think>\n\nHello.", True, [], 0, "Hello."),
        ("why\n</think>\n\nHello.", True, [], 0, "Hello."),
        ("Hello.", False, [], 0, "Hello."),
        ("One moment.\n" + GOOD + "\n" + GOOD, False, [], 2, "One moment."),
        ("Hello.", True, ["missing_thought"], 0, "Hello."),
        ("Hello. <think>late</think>", True, ["missing_thought", "stray_tag"], 0, None),
        ("<think>\n</think>Hello.", True, ["empty_thought"], 0, "Hello."),
        ("<think>", True, ["unclosed_thought", "empty"], 0, ""),
        ("<think>on and on", True, ["unclosed_thought", "empty"], 0, ""),
        ("<think>on " + GOOD, True, ["unclosed_thought", "stray_tag", "empty"], 0, ""),
        ("<think>why</think>Hello.", False, ["unexpected_thought"], 0, "Hello."),
        ("<think>a<think>b</think>Hello.", True, ["stray_tag"], 0, "Hello."),
        (GOOD.removesuffix("</tool_call>"), False, ["unclosed_call"], 0, ""),
        (call("{'name': 'refund'}"), False, ["broken_json"], 0, ""),
        (call("[]"), False, ["broken_json"], 0, ""),
        (call(""), False, ["broken_json"], 0, ""),
        (call('{"name": "a", "name": "b"}'), False, ["broken_json"], 0, ""),
        (call('{"name": "a", "arguments": {"x": 1, "x": 2}}'), False, ["broken_json"], 0, ""),
        (call('{"name": "a", "arguments": {"x": NaN}}'), False, ["broken_json"], 0, ""),
        (call('{"name": "a", "arguments": {"x": 1e999}}'), False, ["broken_json"], 0, ""),
        (call('{"name": "\\ud800"}'), False, ["broken_json"], 0, ""),
        (call('{"name": "a", "arguments": {"\\udfff": 1}}'), False, ["broken_json"], 0, ""),
        (call('{"name": "a", "arguments": {"x": ["\\ud83d\\ude00"]}}'), False, [], 1, ""),
        (call('{"arguments": {}}'), False, ["missing_name"], 0, ""),
        (call('{"name": ""}'), False, ["missing_name"], 0, ""),
        (call('{"name": 3}'), False, ["missing_name"], 0, ""),
        (call('{"name": "a"}'), False, [], 1, ""),
        (call('{"name": "a", "arguments": null}'), False, ["arguments_not_object"], 0, ""),
        (call('{"name": "a", "arguments": "{}"}'), False, ["arguments_not_object"], 0, ""),
        ("Hello.</tool_call>", False, ["stray_tag"], 0, None),
        ("Hello.<|im_end|>", False, ["stray_tag"], 0, None),
        ("", False, ["empty"], 0, ""),
        (" \n", False, ["empty"], 0, ""),
        ("<think>why</think>", True, ["empty"], 0, ""),
        (GOOD + "\nDone.", False, ["text_after_call"], 1, "Done."),
        (GOOD + "\n" + call("{"), False, ["broken_json"], 1, ""),
    ],
)
def test_parts_and_errors(
    text: str, thinking: bool, errors: list[str], calls: int, answer: str | None
) -> None:
    parsed = parse_completion(text, thinking=thinking)
    assert sorted(parsed.errors) == sorted(errors)
    assert len(parsed.calls) == calls
    if answer is not None:
        assert parsed.answer == answer


def test_call_is_read_exactly() -> None:
    (read,) = parse_completion(GOOD, thinking=False).calls
    assert read.name == "refund"
    assert read.arguments == {"order": "W1", "amount": 20}


def test_broken_calls_are_counted_one_by_one() -> None:
    text = call("{") + GOOD + call("{") + call('{"name": 1}') + "<tool_call>"
    parsed = parse_completion(text, thinking=False)
    assert parsed.broken_calls == 4
    assert len(parsed.calls) == 1
    assert parsed.errors.count(FormatError.BROKEN_JSON) == 1


@pytest.mark.parametrize(("depth", "calls"), [(60, 1), (70, 0), (100_000, 0)])
def test_nesting_is_bounded(depth: int, calls: int) -> None:
    text = call('{"name": "a", "arguments": {"x": ' + "[" * depth + "]" * depth + "}}")
    parsed = parse_completion(text, thinking=False)
    assert len(parsed.calls) == calls
    json.dumps([c.arguments for c in parsed.calls])


PIECES = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        "<|im_end|>",
        "<tool_response>",
        "\n",
        '{"name": "a", "arguments": {"x": ',
        "}}",
        "[" * 50,
        "]" * 50,
        "NaN",
        "-Infinity",
        "1e999",
        "9" * 5000,
        '"\\ud800"',
        "\ud800",
        '"',
        ",",
        ":",
        "null",
        "true",
        "\x00",
        GOOD,
    ]
)
ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(st.lists(PIECES | ANY_TEXT, max_size=12).map("".join), st.booleans())
@example(call('{"name": "a", "arguments": {"x": ' + "9" * 5000 + "}}"), False)
def test_any_text_can_be_read(text: str, thinking: bool) -> None:
    parsed = parse_completion(text, thinking=thinking)
    for read in parsed.calls:
        json.dumps(read.arguments, ensure_ascii=False, allow_nan=False).encode()
    assert len(set(parsed.errors)) == len(parsed.errors)
    if not parsed.errors:
        assert parsed.calls or parsed.answer
        assert not parsed.broken_calls
        assert (parsed.thought is not None) == thinking


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(min_size=1), st.dictionaries(st.text(), VALUES, max_size=4), st.booleans())
def test_calls_survive_being_written_and_read(
    name: str, arguments: dict[str, object], ascii_only: bool
) -> None:
    body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=ascii_only)
    if "<tool_call>" in body or "</tool_call>" in body:
        return
    parsed = parse_completion(f"<think>\nso\n</think>\n\n{call(body)}", thinking=True)
    assert not parsed.errors
    assert [(c.name, c.arguments) for c in parsed.calls] == [(name, arguments)]
