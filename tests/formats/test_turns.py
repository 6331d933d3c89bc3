"""Turns as logs have them: what is put in order, and that it is said."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwise.conversation import Conversation, Message, ToolCall
from actwise.formats.remarks import collected
from actwise.formats.settle import settled
from formats.reading import one, outline, refused
from formats.samples import ASKED, CALLING, TOOLS

CALLED = ("weather", {"city": "Bonn"})


def chat(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"messages": [*ASKED, *messages], "tools": TOOLS, **fields}


def says(text: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **fields}


def call(city: str, call_id: str | None = None) -> dict[str, Any]:
    function = {"name": "weather", "arguments": json.dumps({"city": city})}
    return {"function": function} | ({"id": call_id} if call_id else {})


def codes(item: Conversation) -> list[str]:
    return [remark.code for remark in item.remarks]


LISTED = '[{"name": "weather", "results": "rain"}, {"name": "weather", "results": {"sky": "sun"}}]'


@pytest.mark.parametrize("listed", [LISTED, str(json.loads(LISTED))])
def test_results_of_several_calls_in_one_message_are_one_each(tmp_path: Path, listed: str) -> None:
    calls = says("", tool_calls=[call("Bonn"), call("Ulm")])
    item = one(tmp_path, chat(calls, {"role": "tool", "content": listed}, says("Rain and sun.")))
    assert outline(item)[3:] == [
        ("tool", "rain"),
        ("tool", '{"sky": "sun"}'),
        ("assistant", "Rain and sun."),
    ]
    assert codes(item) == ["divided_results"]


@pytest.mark.parametrize(
    "told",
    [
        {"content": "[1, 2]"},
        {"content": LISTED.replace("weather", "sun", 1)},
        {"content": LISTED[:-1] + ', {"name": "weather", "results": 1}]'},
        {"content": LISTED.replace("}, ", ', "more": 1}, ', 1)},
        {"content": LISTED, "tool_call_id": "c1"},
        {"content": "[rain"},
    ],
)
def test_what_is_not_one_result_for_each_call_stays_as_it_is(
    tmp_path: Path, told: dict[str, Any]
) -> None:
    calls = says("", tool_calls=[call("Bonn", "c1"), call("Ulm", "c2")])
    item = one(tmp_path, chat(calls, {"role": "tool", **told}, says("Rain and sun.")))
    assert outline(item)[3:] == [("tool", told["content"]), ("assistant", "Rain and sun.")]


def test_words_and_a_call_in_two_messages_are_one_turn(tmp_path: Path) -> None:
    item = one(tmp_path, chat(says("One moment.", reasoning="Look."), CALLING))
    assert outline(item)[2:] == [("assistant", "One moment.", CALLED)]
    assert item.messages[-1].reasoning_content == "Look."
    assert codes(item) == ["merged_turns"]


def test_parallel_calls_in_two_messages_are_one_turn_but_not_across_results(
    tmp_path: Path,
) -> None:
    first, second = (says(None, tool_calls=[call(c, c)]) for c in ("Bonn", "Ulm"))
    results = [{"role": "tool", "tool_call_id": c, "content": c} for c in ("Bonn", "Ulm")]
    item = one(tmp_path, chat(first, second, *results))
    assert [len(m.tool_calls) for m in item.messages] == [0, 0, 2, 0, 0]
    apart = one(tmp_path, chat(first, results[0], second, results[1]))
    assert [len(m.tool_calls) for m in apart.messages] == [0, 0, 1, 0, 1, 0]


def test_a_call_and_then_words_stay_two_messages(tmp_path: Path) -> None:
    item = one(tmp_path, chat(CALLING, says("Rain.")))
    assert len(item.decisions()) == 2


@pytest.mark.parametrize("system", [[], ASKED[:1]])
def test_a_greeting_is_context(tmp_path: Path, system: list[Any]) -> None:
    record = {"messages": [*system, says("Welcome!"), ASKED[1], says("Rain.")], "tools": TOOLS}
    item = one(tmp_path, record)
    assert [d.gold.content for d in item.decisions()] == ["Rain."]
    assert codes(item) == ["greeting"]
    # Where nobody asks anything, there is no greeting, but an agent that begins by itself.
    alone = one(tmp_path, {"messages": [ASKED[0], says("I begin.")]})
    assert len(alone.decisions()) == 1
    assert refused(tmp_path, {"messages": [says("I begin.")]}).reason == "bad_start"


@given(order=st.permutations(range(4)), calls=st.integers(2, 4))
def test_results_stand_in_the_order_of_their_calls(order: list[int], calls: int) -> None:
    made = tuple(ToolCall(name="f", id=f"c{n}") for n in range(calls))
    results = [
        Message(role="tool", content=str(n), tool_call_id=f"c{n}") for n in order if n < calls
    ]
    asked = Message(role="user", content="x")
    acted = Message(role="assistant", tool_calls=made)
    done = settled(Conversation(id="x", messages=(asked, acted, *results)))
    assert [m.content for m in done.messages[2:]] == [str(n) for n in range(calls)]


def test_results_without_ids_are_known_by_the_names_of_their_tools() -> None:
    asked = Message(role="user", content="x")
    for names, come, expected in (
        ("abc", "cab", "abc"),
        ("ab", "ab", "ab"),
        ("aa", "aa", "aa"),
        ("ab", "bb", "bb"),
        ("ab", "bc", "bc"),
    ):
        acted = Message(role="assistant", tool_calls=tuple(ToolCall(name=n) for n in names))
        results = [Message(role="tool", content=n, name=n) for n in come]
        done = settled(Conversation(id="x", messages=(asked, acted, *results)))
        assert "".join(m.content for m in done.messages[2:]) == expected


def test_results_that_are_no_complete_group_stay_where_they_are() -> None:
    made = tuple(ToolCall(name="f", id=i) for i in ("a", "b"))
    for ids in (["b"], ["b", "c"], ["b", None], ["a", "a"]):
        results = [Message(role="tool", content=str(i), tool_call_id=i) for i in ids]
        messages = (
            Message(role="user", content="x"),
            Message(role="assistant", tool_calls=made),
            *results,
        )
        with collected() as remarks:
            done = settled(Conversation(id="x", messages=messages))
        assert done.messages == messages
        assert remarks == []


PLAN = {"type": "string", "enum": ["None", "Basic"]}
WRITTEN = [
    'weather(city="Bonn")',
    "[weather(city='Bonn')]",
    '<tool_call>\n{"name": "weather", "arguments": {"city": "Bonn"}}\n</tool_call>',
    '{"name": "weather", "arguments": {"city": "Bonn"}}',
    '[{"name": "weather", "parameters": {"city": "Bonn"}}]',
    '```json\n{"name": "weather", "arguments": {"city": "Bonn"}}\n```',
    "<function=weather>\n<parameter=city>\nBonn\n</parameter>\n</function>",
    "<tool_call>\n<function=weather>\n<parameter=city>\nBonn\n</parameter>\n</function>\n</tool_call>",
    '[TOOL_CALLS][{"name": "weather", "arguments": {"city": "Bonn"}}]',
    "<|python_tag|>{'name': 'weather', 'parameters': {'city': 'Bonn'}}",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_calls_written_as_text_are_calls(tmp_path: Path, text: str) -> None:
    item = one(tmp_path, chat(says(text), {"role": "tool", "content": "rain"}, says("Rain.")))
    assert outline(item)[2:] == [
        ("assistant", "", CALLED),
        ("tool", "rain"),
        ("assistant", "Rain."),
    ]
    assert codes(item) == ["call_from_text"]


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("[Rain/Sun API(a=1)]", [("Rain/Sun API", {"a": 1})]),
        ("[Rain (2)(), Rain()]", [("Rain (2)", {}), ("Rain", {})]),
        (
            """[ Rain(from='x, y)', is-so=true , no=None,\n z=["a)", {'b': (1)}] ), Rain() ]""",
            [
                ("Rain", {"from": "x, y)", "is-so": True, "no": None, "z": ["a)", {"b": 1}]}),
                ("Rain", {}),
            ],
        ),
        ("Rain(a='it\\'s', b=-2.5)", [("Rain", {"a": "it's", "b": -2.5})]),
    ],
)
def test_calls_written_as_python_s_with_any_names_and_values(
    tmp_path: Path, text: str, calls: list[Any]
) -> None:
    tools = [{"name": name} for name in ("Rain", "Rain/Sun API", "Rain (2)")]
    item = one(tmp_path, {"messages": [*ASKED, says(text)], "tools": tools})
    assert outline(item)[2:] == [("assistant", "", *calls)]


@pytest.mark.parametrize(
    "text",
    [
        "[weather(city='Bonn') weather()]",
        "[weather(city='Bonn'), see()]",
        "[weather(city='Bonn', city='Ulm')]",
        "[weather(city='Bonn'), ...]",
        "[weather('Bonn')]",
        "[weather(city=where)]",
        "[weather(city='Bonn)]",
        "[weather(city='Bonn']",
        "weather(city='Bonn'), or not (yet)",
        "weather(city=['Bonn')",
    ],
)
def test_of_calls_written_as_python_s_that_cannot_be_read_whole_nothing_is_read(
    tmp_path: Path, text: str
) -> None:
    assert outline(one(tmp_path, chat(says(text))))[2:] == [("assistant", text)]


@pytest.mark.parametrize(
    ("written", "schema", "value"),
    [
        ("12345", {"type": "string"}, "12345"),
        ("None", {"$ref": "#/$defs/Plan"}, "None"),
        ("True", {"type": "boolean"}, True),
        ("12345", {"type": "integer"}, 12345),
        ("[1]", {}, [1]),
    ],
)
def test_arguments_written_without_a_type_get_that_of_the_schema(
    tmp_path: Path, written: str, schema: Any, value: Any
) -> None:
    parameters = {"type": "object", "properties": {"x": schema}, "$defs": {"Plan": PLAN}}
    tool = {"type": "function", "function": {"name": "look", "parameters": parameters}}
    text = f"<function=look>\n<parameter=x>\n{written}\n</parameter>\n</function>"
    asked = {"role": "user", "content": "Well?"}
    item = one(tmp_path, {"messages": [asked, says(text)], "tools": [tool]})
    assert outline(item)[1:] == [("assistant", "", ("look", {"x": value}))]


@pytest.mark.parametrize(
    "inside",
    [
        "so\n<parameter=city>\nBonn\n</parameter>",
        "<parameter=city>\nBonn\n</parameter>\n<parameter=day>\n2",
        "<parameter=city>\nBonn\n<parameter=day>\n2\n</parameter>",
        "<parameter=city>\nBonn\n</parameter>\n<parameter=city>\nUlm\n</parameter>",
        "<parameter=city>\nBo</parameter>nn\n</parameter>",
    ],
)
def test_of_a_call_that_cannot_be_read_whole_nothing_is_read(tmp_path: Path, inside: str) -> None:
    text = f"<function=weather>\n{inside}\n</function>"
    assert outline(one(tmp_path, chat(says(text))))[2:] == [("assistant", text)]
    tagged = chat(says(f"<tool_call>\n{text}\n</tool_call>"))
    assert refused(tmp_path, tagged).reason == "control_tag"


def test_words_after_a_call_are_not_put_before_it(tmp_path: Path) -> None:
    assert refused(tmp_path, chat(says(f"{WRITTEN[2]}\nIt rains."))).reason == "control_tag"


def test_words_before_a_tagged_call_stay(tmp_path: Path) -> None:
    item = one(tmp_path, chat(says(f"One moment.\n{WRITTEN[2]}")))
    assert outline(item)[2:] == [("assistant", "One moment.", CALLED)]


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Kim", "arguments": {"city": "Bonn"}}',
        '{"name": "weather", "arguments": {"city": "Bonn"}, "comment": "so"}',
        'Write {"name": "weather", "arguments": {"city": "Bonn"}} to call it.',
        '{"city": "Bonn"}',
        "Call weather(city='Bonn')",
        "weather(where)",
        "see(city='Bonn')",
    ],
)
def test_json_that_is_no_call_stays_an_answer(tmp_path: Path, text: str) -> None:
    item = one(tmp_path, chat(says(text)))
    assert outline(item)[2:] == [("assistant", text)]
    assert item.remarks == ()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (json.dumps(json.dumps({"city": "Bonn"})), "double_encoded_arguments"),
        ("{'city': 'Bonn'}", "repaired_arguments"),
        ('{"city": "Bonn",}', "repaired_arguments"),
        ('```json\n{"city": "Bonn"}\n```', "repaired_arguments"),
    ],
)
def test_arguments_that_are_nearly_json(tmp_path: Path, arguments: str, code: str) -> None:
    called = says(None, tool_calls=[{"function": {"name": "weather", "arguments": arguments}}])
    item = one(tmp_path, chat(called))
    assert outline(item)[2:] == [("assistant", "", CALLED)]
    assert codes(item) == [code]


@pytest.mark.parametrize("arguments", ["", "  ", None, "null", [], "[]", "absent"])
def test_empty_arguments_are_none(tmp_path: Path, arguments: Any) -> None:
    function = {"name": "list_all"} | ({} if arguments == "absent" else {"arguments": arguments})
    tools = [{"name": "list_all", "parameters": {"type": "object", "properties": {}}}]
    item = one(
        tmp_path,
        {"messages": [*ASKED, says(None, tool_calls=[{"function": function}])], "tools": tools},
    )
    assert outline(item)[2:] == [("assistant", "", ("list_all", {}))]
    assert codes(item) == ["empty_arguments"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"sky": "rain"}, '{"sky": "rain"}'),
        ([{"sky": "rain"}], '[{"sky": "rain"}]'),
        (9, "9"),
        (True, "true"),
        ([{"type": "text", "text": "9"}], "9"),
        (None, ""),
    ],
)
def test_results_of_any_kind_are_text(tmp_path: Path, content: Any, said: str) -> None:
    item = one(tmp_path, chat(CALLING, {"role": "tool", "tool_call_id": "c1", "content": content}))
    assert outline(item)[3] == ("tool", said)
    assert "unread_key" not in codes(item)


@pytest.mark.parametrize(
    "message",
    [
        says("It says 7.\n</think>\n\nSeven."),
        says("<think>It says 7.</think>Seven."),
        says("<thinking>It says 7.</thinking>Seven."),
        says("Seven.", reasoning="It says 7."),
        says("Seven.", reasoning={"content": "It says 7."}),
        says("Seven.", reasoning=[{"type": "summary_text", "text": "It says 7."}]),
        says("Seven.", thinking="It says 7."),
        says(
            "Seven.",
            reasoning_details=[
                {"type": "reasoning.text", "text": "It says 7."},
                {"type": "reasoning.encrypted", "data": "x"},
            ],
        ),
        says([{"type": "thinking", "thinking": "It says 7."}, {"type": "text", "text": "Seven."}]),
        says("<think>It says 7.</think>Seven.", reasoning_content="It says 7."),
        says(
            "Seven.",
            thinking_blocks=[{"type": "thinking", "thinking": "It says 7."}],
            reasoning_content="It says 7.",
        ),
    ],
)
def test_thoughts_wherever_they_stand(tmp_path: Path, message: dict[str, Any]) -> None:
    item = one(tmp_path, chat(message))
    assert (item.messages[-1].reasoning_content, item.messages[-1].content) == (
        "It says 7.",
        "Seven.",
    )


@pytest.mark.parametrize(
    "message",
    [says(None, refusal="No."), says([{"type": "refusal", "refusal": "No."}]), says("No.")],
)
def test_a_refusal_is_an_answer(tmp_path: Path, message: dict[str, Any]) -> None:
    assert outline(one(tmp_path, chat(message)))[2:] == [("assistant", "No.")]
