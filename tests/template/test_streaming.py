"""What is told of a completion while it is written adds up to what the whole is parsed to."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwise.template.parse import ParsedCompletion, parse_completion
from actwise.template.streaming import CompletionReader
from actwise.template.syntaxes import SYNTAXES, Syntax

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = '{"name": "f", "arguments": {"n": 1}}'
BODIES = [
    CALL,
    f"[{CALL}]",
    '{"name": "f", "parameters": {"n": 1}}',
    "<function=f>\n<parameter=n>\n1\n</parameter>\n</function>",
    'f"><param name="n">1</param>',
    "[f(n=1)]",
    "call:f{n:1}",
    'f[ARGS]{"n": 1}',
]
MARKS = [
    "<tool_call>",
    '<function name="',
    "<|tool_call_start|>",
    "<|tool_call>",
    "<start_function_call>",
    "<|tool_call|>",
    "[TOOL_CALLS]",
]
THOUGHTS = sorted({mark for syntax in SYNTAXES for mark in syntax.think})
WORDS = ["Hello ", "a<b", " ", "\n\n", "<", "{", "[", '{"na', "\ufffd", "é", "</tool", "<thi"]
CLOSES = sorted({syntax.close for syntax in SYNTAXES})
PIECES = st.sampled_from([*BODIES, *MARKS, *THOUGHTS, *WORDS, *CLOSES])


def told(syntax: Syntax, text: str, *, thinking: bool, opened: bool, cuts: list[int]) -> None:
    parse = partial(parse_completion, thinking=thinking, syntax=syntax, tools=(TOOL,))
    reader = CompletionReader(parse, thinking=thinking, syntax=syntax, opened=opened)
    deltas = [reader.read(text[:cut]) for cut in cuts]
    parsed, last = reader.finish(text)
    deltas.append(last)
    assert "".join(d.thought for d in deltas) == (parsed.thought or "")
    assert "".join(d.answer for d in deltas) == parsed.answer
    assert sum((d.calls for d in deltas), ()) == parsed.calls
    if not opened:
        assert parsed == parse(text)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@given(
    pieces=st.lists(PIECES, max_size=8),
    thinking=st.booleans(),
    opened=st.booleans(),
    data=st.data(),
)
def test_deltas_add_up_whatever_is_written(
    syntax: Syntax, pieces: list[str], thinking: bool, opened: bool, data: st.DataObject
) -> None:
    text = "".join(pieces)
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=30).map(sorted))
    told(syntax, text, thinking=thinking, opened=opened and thinking, cuts=cuts)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@given(body=st.sampled_from(BODIES), mark=st.sampled_from(["", *MARKS]))
def test_deltas_add_up_at_every_character(syntax: Syntax, body: str, mark: str) -> None:
    begin, end = syntax.think
    text = f"{begin}\nLook it up.\n{end}\n\nOne moment. {mark}{body}{syntax.close}\nDone"
    told(syntax, text, thinking=True, opened=False, cuts=list(range(len(text))))


def test_words_are_told_at_once_and_marks_are_not() -> None:
    parse = partial(parse_completion, thinking=True)
    reader = CompletionReader(parse, thinking=True, syntax=SYNTAXES[0], opened=False)
    written = ""
    seen = []
    for piece in ["<think>", "\nIt ", "is </th", "ink>", "\n\nHi", " <", " b <tool", "_call>\n"]:
        written += piece
        delta = reader.read(written)
        seen.append((delta.thought, delta.answer))
    assert seen == [
        ("", ""),
        ("It", ""),
        (" is", ""),
        ("", ""),
        ("", "Hi"),
        ("", ""),
        ("", " < b"),
        ("", ""),
    ]
    written += '{"name": "f", "arguments": {}}\n</tool_call'
    assert not reader.read(written)
    delta = reader.read(written + ">")
    assert [call.name for call in delta.calls] == ["f"]


def test_a_thought_that_the_prompt_opened_is_none_of_the_answer() -> None:
    parse = partial(parse_completion, thinking=True)
    reader = CompletionReader(parse, thinking=True, syntax=SYNTAXES[0], opened=True)
    assert reader.read("\nHm").thought == "Hm"
    parsed, delta = reader.finish("\nHm, cut")
    assert (parsed.thought, parsed.answer, delta.thought) == ("Hm, cut", "", ", cut")


def test_of_many_calls_only_the_last_are_parsed_again() -> None:
    call = f"<tool_call>\n{CALL}\n</tool_call>\n"
    text = f"<think>\nLook it up.\n</think>\n\nOne moment.\n{40 * call}"
    parsed: list[int] = []

    def parse(part: str) -> ParsedCompletion:
        parsed.append(len(part))
        return parse_completion(part, thinking=True)

    reader = CompletionReader(parse, thinking=True, syntax=SYNTAXES[0], opened=False)
    told = [reader.read(text[:length]) for length in range(len(text) + 1)]
    assert sum(len(delta.calls) for delta in told) == 40
    assert max(parsed) < text.index("<tool_call>") + 3 * len(call)
