"""Python's spelling of values: what it may not let pass that JSON refuses."""

from pathlib import Path
from typing import Any

import pytest

from actwise.formats.literal import read_literal
from formats.reading import one, outline
from formats.samples import ASKED


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': None, 'b': [True, 1.5, 'x']}", {"a": None, "b": [True, 1.5, "x"]}),
        ("[{'a': 1}, {'a': 2}]", [{"a": 1}, {"a": 2}]),
        (" {'a': {'a': 1}}\n", {"a": {"a": 1}}),
        (r'{"a": "\ud83d\ude00"}', {"a": "😀"}),
        ('{"a": 1, "a": 1}', {"a": 1}),
    ],
)
def test_what_json_can_express_is_read(text: str, value: Any) -> None:
    assert read_literal(text) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        "{'a': 1, 'a': 2}",
        "[{'b': {'a': None, 'a': 2}}]",
        r'{"a": "\ud800"}',
        r"{'a': '\ud800'}",
        r"{'\udfff': 1}",
        r"{'a': '\ud83d\ude00'}",  # two halves are one character in JSON alone
        "{'a': 1e400}",
        "{'a': (1, 2)}",
        "{1: 2}",
        "{'a': 1j}",
        "f(x=1)",
    ],
)
def test_what_json_refuses_is_refused_in_either_spelling(text: str) -> None:
    with pytest.raises(ValueError):
        read_literal(text)


@pytest.mark.parametrize("value", ["1e400", "-1e400", r"'\ud800'", "(1, 2)", "{1: 2}", "{1}"])
def test_a_written_call_holds_only_what_json_can_express(tmp_path: Path, value: str) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {}}}
    text = f"look(x={value})"
    said = {"role": "assistant", "content": text}
    item = one(tmp_path, {"messages": [*ASKED, said], "tools": [tool]})
    assert outline(item)[-1] == ("assistant", text)
