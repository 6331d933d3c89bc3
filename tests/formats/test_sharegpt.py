"""ShareGPT's shape, with Hermes' tags, Qwen's, and LLaMA-Factory's roles."""

import json
from pathlib import Path
from typing import Any

import pytest

from actwise.conversation import Conversation
from actwise.formats import Rejected, read_files

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bonn"}}\n</tool_call>'
HERMES = f"""You are a function calling AI model. You are provided with function signatures within \
<tools> </tools> XML tags. You may call one or more functions. Here are the available tools: \
<tools> {json.dumps([TOOL])} </tools> Use the following pydantic model json schema for each tool \
call you will make: {{"title": "FunctionCall"}}
For each function call return a json object with function name and arguments within <tool_call> \
</tool_call> tags with the following schema:
<tool_call>
{{"name": <function-name>, "arguments": <args-dict>}}
</tool_call>
"""
QWEN = f"""Be brief.

# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{json.dumps(TOOL)}
{json.dumps({"type": "function", "function": {"name": "sun"}})}
</tools>

For each function call, return a json object with function name and arguments within \
<tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""


def said(*pairs: tuple[str, Any], **fields: Any) -> dict[str, Any]:
    return {"conversations": [{"from": who, "value": text} for who, text in pairs], **fields}


def read(folder: Path, record: dict[str, Any]) -> Conversation | Rejected:
    path = folder / "log.jsonl"
    path.write_text(json.dumps(record), encoding="utf-8")
    (item,) = read_files([path])
    return item


def messages(folder: Path, record: dict[str, Any]) -> list[tuple[Any, ...]]:
    item = read(folder, record)
    assert isinstance(item, Conversation), item
    return [
        (m.role, m.content, m.reasoning_content, *((c.name, c.arguments) for c in m.tool_calls))
        for m in item.messages
    ]


BONN = ("weather", {"city": "Bonn"})


def test_hermes(tmp_path: Path) -> None:
    record = said(
        ("system", HERMES),
        ("human", "Rain in Bonn, and in Ulm?"),
        ("gpt", f"<think>\nTwo calls.\n</think>\nI look.\n{CALL}\n{CALL.replace('Bonn', 'Ulm')}"),
        ("tool", "<tool_response>\nrain\n</tool_response>\n<tool_response>\nsun\n</tool_response>"),
        ("gpt", "Rain, and sun."),
        id="x",
    )
    assert messages(tmp_path, record) == [
        ("system", "You are a function calling AI model.", None),
        ("user", "Rain in Bonn, and in Ulm?", None),
        ("assistant", "I look.", "Two calls.", BONN, ("weather", {"city": "Ulm"})),
        ("tool", "rain", None),
        ("tool", "sun", None),
        ("assistant", "Rain, and sun.", None),
    ]
    item = read(tmp_path, record)
    assert isinstance(item, Conversation)
    assert (item.id, item.tools) == ("x", (TOOL,))


def test_tools_of_qwen_stand_one_on_a_line(tmp_path: Path) -> None:
    record = said(("system", QWEN), ("user", "Rain?"), ("assistant", CALL))
    assert messages(tmp_path, record)[0] == ("system", "Be brief.", None)
    item = read(tmp_path, record)
    assert isinstance(item, Conversation)
    assert [tool["function"]["name"] for tool in item.tools] == ["weather", "sun"]


def test_a_line_ends_where_json_says(tmp_path: Path) -> None:
    # To Python's splitlines these end a line, too; in a string of JSON they are characters.
    city = "Bonn\u2028Ulm\x85"
    lines = [{"name": "weather", "arguments": {"city": of}} for of in (city, "Bonn")]
    text = "\r\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    record = said(("human", "Rain?"), ("function_call", text), tools=[TOOL])
    assert messages(tmp_path, record)[1] == (
        "assistant",
        "",
        None,
        ("weather", {"city": city}),
        BONN,
    )


def test_roles_of_calls_and_observations(tmp_path: Path) -> None:
    call = {"name": "weather", "arguments": {"city": "Bonn"}}
    record = said(
        ("human", "Rain?"),
        ("function_call", json.dumps(call)),
        ("observation", "rain"),
        ("function_call", json.dumps([call, call | {"arguments": '{"city": "Bonn"}'}])),
        ("observation", "rain"),
        ("observation", "rain"),
        ("gpt", "Rain."),
        system="Help.",
        tools=json.dumps([TOOL]),
    )
    assert messages(tmp_path, record) == [
        ("system", "Help.", None),
        ("user", "Rain?", None),
        ("assistant", "", None, BONN),
        ("tool", "rain", None),
        ("assistant", "", None, BONN, BONN),
        ("tool", "rain", None),
        ("tool", "rain", None),
        ("assistant", "Rain.", None),
    ]


def test_a_plain_conversation_and_python_literals(tmp_path: Path) -> None:
    assert messages(tmp_path, said(("human", "hi"), ("gpt", " hello "))) == [
        ("user", "hi", None),
        ("assistant", " hello ", None),
    ]
    call = "<tool_call>\n{'name': 'weather', 'arguments': {'city': 'Bonn'}}\n</tool_call>"
    record = said(("human", "Rain?"), ("gpt", call), tools=[TOOL])
    assert messages(tmp_path, record)[1] == ("assistant", "", None, BONN)


@pytest.mark.parametrize(
    ("reason", "record"),
    [
        ("no_messages", {"conversations": None}),
        ("bad_message", {"conversations": ["hi"]}),
        ("unknown_role", said(("bing", "hi"))),
        ("non_text_content", said(("human", None))),
        ("broken_json", said(("human", "x"), ("gpt", "<tool_call>{weather}</tool_call>"))),
        ("broken_json", said(("human", "x"), ("function_call", "weather('Bonn')"))),
        ("bad_call", said(("human", "x"), ("function_call", '{"arguments": {}}'))),
        (
            "arguments_not_object",
            said(("human", "x"), ("function_call", '{"name": "f", "arguments": 1}')),
        ),
        # A tag that is not closed is no call; the template would take it for its own.
        ("control_tag", said(("human", "x"), ("gpt", "<tool_call>{}"))),
        ("unclosed_thought", said(("human", "x"), ("gpt", "<think>so"))),
        ("undeclared_tool", said(("human", "x"), ("gpt", CALL))),
        # A Python tuple would come back from JSON as an array.
        (
            "broken_json",
            said(("human", "x"), ("function_call", "{'name': 'f', 'arguments': (1,)}")),
        ),
    ],
)
def test_unusable_records(tmp_path: Path, reason: str, record: dict[str, Any]) -> None:
    item = read(tmp_path, record)
    assert isinstance(item, Rejected)
    assert item.reason == reason, item


TOOLACE = f"""You compose functions. If none can be used, point it out. \
You should only return the function call in tools call sections.
Here is a list of functions in JSON format that you can invoke:
{json.dumps([{"name": "Rain/Sun API", "parameters": {"type": "dict", "properties": {}}}])}.
Should you decide to return the function call(s).
Put it in the format of [func1(params_name=params_value...), func2(params)]

NO other text MUST be included.
Today is Friday."""


def test_the_functions_and_calls_of_toolace(tmp_path: Path) -> None:
    record = said(
        ("user", "Rain?"),
        ("assistant", "[Rain/Sun API(), Rain/Sun API(city='Bonn')]"),
        ("tool", '[{"name": "Rain/Sun API", "results": 1}]'),
        ("assistant", "Rain."),
        system=TOOLACE,
    )
    item = read(tmp_path, record)
    assert isinstance(item, Conversation), item
    assert [tool["function"]["name"] for tool in item.tools] == ["Rain/Sun API"]
    assert item.messages[0].content == (
        "You compose functions. If none can be used, point it out.\nToday is Friday."
    )
    assert [call.arguments for call in item.messages[2].tool_calls] == [{}, {"city": "Bonn"}]
    assert [decision.kind for decision in item.decisions()] == ["call", "answer"]


@pytest.mark.parametrize("listed", ["[{broken", "below", "[1, 2]"])
def test_what_is_no_list_of_functions_stays_in_the_prompt(tmp_path: Path, listed: str) -> None:
    prompt = f"Here is a list of functions in JSON format: {listed}"
    record = said(("user", "Rain?"), ("assistant", "Yes."), system=prompt)
    assert messages(tmp_path, record)[0] == ("system", prompt, None)
