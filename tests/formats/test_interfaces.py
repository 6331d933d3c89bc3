"""Logs of the interfaces of models: what their records mean, and what is refused."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from actwise.conversation import tool_name
from formats.reading import LOOKED_UP, codes, one, outline, refused, thoughts
from formats.samples import (
    ASKED,
    BLOCKS,
    CONTENTS,
    ENTRIES,
    ITEMS,
    SAMPLES,
    TOOLS,
)


def test_anthropic(tmp_path: Path) -> None:
    item = one(tmp_path, BLOCKS)
    assert outline(item) == [
        ("system", "You help."),
        ("user", "Rain in Bonn?"),
        ("assistant", "One moment.", ("weather", {"city": "Bonn"})),
        ("tool", "rain"),
        ("user", "Hurry."),
        ("assistant", "Rain."),
    ]
    assert thoughts(item) == ["Look.", None]
    assert [m.tool_call_id for m in item.messages if m.role == "tool"] == ["t1"]
    assert item.tools == tuple(TOOLS)


def test_bedrock(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["bedrock"])
    assert outline(item) == [
        ("system", "You help."),
        ("user", "Rain in Bonn?"),
        LOOKED_UP,
        ("tool", '{"sky": "rain"}'),
        ("assistant", "Rain."),
    ]
    assert thoughts(item) == ["Look.", None]
    assert item.tools == tuple(TOOLS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("rain", "rain"),
        (None, ""),
        ([{"type": "text", "text": "ra"}, {"type": "text", "text": "in"}], "rain"),
    ],
)
def test_results_of_anthropic(tmp_path: Path, content: Any, said: str) -> None:
    record = copy.deepcopy(BLOCKS)
    record["messages"][2]["content"][0]["content"] = content
    assert outline(one(tmp_path, record))[3] == ("tool", said)
    record["messages"][2]["content"][0]["is_error"] = True
    assert outline(one(tmp_path, record))[3] == ("tool", f"Error: {said}")


def test_the_system_prompt_and_the_tools_of_anthropic_are_never_lost(tmp_path: Path) -> None:
    record = BLOCKS | {
        "system": "No prices.",
        "messages": [
            {"role": "user", "content": "Hi there."},
            {"role": "assistant", "content": "Hello."},
        ],
    }
    item = one(tmp_path, record)
    assert outline(item)[0] == ("system", "No prices.")
    assert [tool_name(tool) for tool in item.tools] == ["weather"]


@pytest.mark.parametrize(
    ("block", "reason", "words"),
    [
        ({"type": "image", "source": {"type": "url"}}, "non_text_content", "'image'"),
        (
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            "server_tool",
            "'web_search', which Anthropic's server runs",
        ),
    ],
)
def test_blocks_of_anthropic_that_cannot_be_learned(
    tmp_path: Path, block: dict[str, Any], reason: str, words: str
) -> None:
    record = copy.deepcopy(BLOCKS)
    record["messages"][1]["content"].append(block)
    rejected = refused(tmp_path, record)
    assert rejected.reason == reason
    assert words in rejected.detail


def test_responses(tmp_path: Path) -> None:
    item = one(tmp_path, ITEMS)
    assert outline(item) == [
        ("system", "You help."),
        ("user", "Rain in Bonn?"),
        LOOKED_UP,
        ("tool", "rain"),
        ("assistant", "Rain."),
    ]
    assert thoughts(item) == ["Look.", None]


@pytest.mark.parametrize("key", ["items", "messages"])
def test_items_of_responses_in_one_list(tmp_path: Path, key: str) -> None:
    record = {key: [*ITEMS["input"], *ITEMS["output"]], "tools": ITEMS["tools"]}
    assert outline(one(tmp_path, record)) == outline(one(tmp_path, ITEMS))[1:]


def test_parallel_calls_and_their_words_are_one_turn_of_responses(tmp_path: Path) -> None:
    again = {
        "type": "function_call",
        "call_id": "c2",
        "name": "weather",
        "arguments": '{"city": "Ulm"}',
    }
    words = {"role": "assistant", "content": "One moment."}
    asked, thought, called, result = ITEMS["input"]
    done = result | {"call_id": "c2", "output": [{"type": "output_text", "text": "sun"}]}
    record = ITEMS | {"input": [asked, thought, words, called, again, result, done]}
    assert outline(one(tmp_path, record))[2:5] == [
        ("assistant", "One moment.", ("weather", {"city": "Bonn"}), ("weather", {"city": "Ulm"})),
        ("tool", "rain"),
        ("tool", "sun"),
    ]


def test_words_of_two_items_of_responses_do_not_run_together(tmp_path: Path) -> None:
    said = [
        {
            "type": "message",
            "role": "assistant",
            "phase": phase,
            "content": [
                {"type": "output_text", "text": text},
                {"type": "output_text", "text": "!"},
            ],
        }
        for phase, text in (("commentary", "Let me look"), ("final_answer", "Rain"))
    ]
    item = one(tmp_path, ITEMS | {"output": said})
    assert outline(item)[-1] == ("assistant", "Let me look!\nRain!")


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"previous_response_id": "r0"}, "no_history", "`previous_response_id`"),
        (
            {"input": [*ITEMS["input"], {"type": "web_search_call", "id": "w"}]},
            "server_tool",
            "'web_search_call' of OpenAI's Responses",
        ),
    ],
)
def test_responses_that_cannot_be_learned(
    tmp_path: Path, change: dict[str, Any], reason: str, words: str
) -> None:
    rejected = refused(tmp_path, ITEMS | change)
    assert rejected.reason == reason
    assert words in rejected.detail


def test_mistral(tmp_path: Path) -> None:
    expected = [
        ("system", "You help."),
        ("user", "Rain in Bonn?"),
        LOOKED_UP,
        ("tool", "rain"),
        ("assistant", "Rain."),
    ]
    item = one(tmp_path, ENTRIES)
    assert outline(item) == expected
    assert thoughts(item) == [None, "Wet."]
    assert item.tools == tuple(TOOLS)
    assert item.group == "conv1"
    history = {
        "object": "conversation.history",
        "conversation_id": "conv1",
        "entries": [*ENTRIES["inputs"], *ENTRIES["outputs"]],
    }
    item = one(tmp_path, history, tools=TOOLS)
    assert outline(item) == expected[1:]
    assert item.group == "conv1"


def test_a_request_of_mistral_beside_its_response(tmp_path: Path) -> None:
    request = {key: ENTRIES[key] for key in ("model", "instructions", "tools", "completion_args")}
    response = {key: ENTRIES[key] for key in ("object", "conversation_id", "outputs", "usage")}
    calling = {**response, "outputs": [ENTRIES["inputs"][1]]}
    asked = {"request": {**request, "inputs": "Rain in Bonn?"}, "response": calling}
    item = one(tmp_path, asked)
    assert outline(item)[1:] == [("user", "Rain in Bonn?"), LOOKED_UP]
    assert item.group == "conv1"
    item = one(
        tmp_path, {"request": {**request, "inputs": ENTRIES["inputs"]}, "response": response}
    )
    assert outline(item) == outline(one(tmp_path, ENTRIES))


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        (
            {"outputs": [{"type": "tool.execution", "name": "web_search", "arguments": "{}"}]},
            "server_tool",
            "outputs[0] is an entry of type 'tool.execution' of Mistral's",
        ),
        ({"outputs": "rain"}, "no_messages", "`outputs` is a string"),
        ({"inputs": ["Rain?"]}, "bad_message", "inputs[0] is a string"),
    ],
)
def test_entries_of_mistral_that_cannot_be_learned(
    tmp_path: Path, change: dict[str, Any], reason: str, words: str
) -> None:
    rejected = refused(tmp_path, ENTRIES | change)
    assert rejected.reason == reason
    assert words in rejected.detail


def test_messages_of_mistral_without_the_calls_between_them(tmp_path: Path) -> None:
    said = [ENTRIES["inputs"][0], *ENTRIES["outputs"]]
    record = {"object": "conversation.messages", "conversation_id": "conv1", "messages": said}
    rejected = refused(tmp_path, record)
    assert rejected.reason == "no_calls"
    assert "export the history" in rejected.detail


def test_gemini_in_both_spellings(tmp_path: Path) -> None:
    expected = [
        ("system", "You help."),
        ("user", "Rain in Bonn?"),
        LOOKED_UP,
        ("tool", '{"sky": "rain"}'),
        ("assistant", "Rain."),
    ]
    item = one(tmp_path, CONTENTS)
    assert outline(item) == expected
    assert thoughts(item) == ["Look.", None]
    assert item.tools[0]["function"]["parameters"] == {
        "type": "object",
        "properties": {"city": {"type": "string"}},
    }
    text = json.dumps(CONTENTS)
    for camel, snake in (
        ("systemInstruction", "system_instruction"),
        ("functionCall", "function_call"),
        ("functionResponse", "function_response"),
        ("functionDeclarations", "function_declarations"),
    ):
        text = text.replace(camel, snake)
    assert outline(one(tmp_path, json.loads(text))) == expected


def test_a_page_of_vercel_holds_several_steps_in_one_message(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["vercel"])
    assert outline(item) == [
        ("system", "You help."),
        ("user", "Rain in Bonn?"),
        LOOKED_UP,
        ("tool", '{"sky": "rain"}'),
        ("assistant", "Rain."),
    ]
    assert thoughts(item) == ["Look.", None]
    assert [tool_name(tool) for tool in item.tools] == ["weather"]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"output": {"type": "text", "value": "rain"}}, "rain"),
        ({"output": {"type": "json", "value": {"sky": 1}}}, '{"sky": 1}'),
        ({"output": {"type": "error-text", "value": "down"}}, "Error: down"),
        ({"output": {"type": "content", "value": [{"type": "text", "text": "rain"}]}}, "rain"),
        ({"result": {"sky": 1}}, '{"sky": 1}'),
    ],
)
def test_messages_that_vercel_sends_to_models(
    tmp_path: Path, output: dict[str, Any], said: str
) -> None:
    key = "args" if "result" in output else "input"
    record = {
        "tools": TOOLS,
        "messages": [
            *ASKED,
            {
                "role": "assistant",
                "content": [
                    {"type": "reasoning", "text": "Look."},
                    {
                        "type": "tool-call",
                        "toolCallId": "c1",
                        "toolName": "weather",
                        key: {"city": "Bonn"},
                    },
                ],
            },
            {
                "role": "tool",
                "content": [
                    {"type": "tool-result", "toolCallId": "c1", "toolName": "weather", **output}
                ],
            },
            {"role": "assistant", "content": [{"type": "text", "text": "Rain."}]},
        ],
    }
    item = one(tmp_path, record)
    assert outline(item)[2:] == [LOOKED_UP, ("tool", said), ("assistant", "Rain.")]
    assert thoughts(item)[0] == "Look."


def test_calls_in_messages_of_the_fourth_version_of_vercel(tmp_path: Path) -> None:
    called = {
        "state": "result",
        "toolCallId": "c1",
        "toolName": "weather",
        "args": {"city": "Bonn"},
        "result": "rain",
    }
    asked = {"id": "1", "role": "user", "content": "Rain in Bonn?"}
    for message in (
        {"role": "assistant", "content": "Rain.", "toolInvocations": [called]},
        {
            "role": "assistant",
            "content": "Rain.",
            "parts": [
                {"type": "tool-invocation", "toolInvocation": called},
                {"type": "text", "text": "Rain."},
            ],
        },
    ):
        item = one(tmp_path, {"messages": [asked, message], "tools": TOOLS})
        assert outline(item)[1:] == [LOOKED_UP, ("tool", "rain"), ("assistant", "Rain.")]


@pytest.mark.parametrize("step", [[], [{"type": "step-start"}]])
def test_a_call_on_a_page_that_its_user_denied_has_that_as_its_result(
    tmp_path: Path, step: list[Any]
) -> None:
    called = {"toolCallId": "c1", "type": "tool-weather", "input": {"city": "Bonn"}}
    words = {"type": "text", "text": "As you like."}
    for reason, said in (({"reason": "Not now."}, "Not now."), ({}, "The call was denied.")):
        denied = {"state": "output-denied", "approval": {"id": "p", "approved": False, **reason}}
        page = {"role": "assistant", "parts": [called | denied, *step, words]}
        item = one(tmp_path, {"messages": [*ASKED, page], "tools": TOOLS})
        assert outline(item)[2:] == [LOOKED_UP, ("tool", said), ("assistant", "As you like.")]


def test_a_call_on_a_page_that_broke_off_is_none(tmp_path: Path) -> None:
    """Its arguments are as much of them as had come."""
    begun = {"toolCallId": "c2", "input": {"city": "Bo"}, "state": "input-streaming"}
    fourth = {"toolCallId": "c2", "toolName": "weather", "args": {"city": "B"}}
    fourth |= {"state": "partial-call"}
    whole = {"toolCallId": "c1", "input": {"city": "Bonn"}, "state": "output-available"}
    whole |= {"type": "tool-weather", "output": "rain"}
    step, words = {"type": "step-start"}, {"type": "text", "text": "And Ulm?"}
    for part in (
        {"type": "tool-weather", **begun},
        {"type": "tool-invocation", "toolInvocation": fourth},
    ):
        for parts, expected in (
            ([whole, step, part], [LOOKED_UP, ("tool", "rain")]),
            ([whole, step, words, part], [LOOKED_UP, ("tool", "rain"), ("assistant", "And Ulm?")]),
        ):
            page = {"role": "assistant", "parts": parts}
            item = one(tmp_path, {"messages": [*ASKED, page], "tools": TOOLS})
            assert outline(item)[2:] == expected
            assert [decision.kind for decision in item.decisions()] == ["call"]
            assert codes(item) == ["cut_off"]
    message = {"role": "assistant", "content": "", "toolInvocations": [fourth]}
    said = {"role": "assistant", "content": "No."}
    item = one(tmp_path, {"messages": [*ASKED, message, ASKED[-1], said], "tools": TOOLS})
    assert outline(item)[2:] == [("user", "Rain in Bonn?"), ("assistant", "No.")]


def test_a_call_that_failed_says_so_in_every_shape(tmp_path: Path) -> None:
    """What the model sees of a result is its text alone."""
    asked = {"role": "user", "content": "Rain in Bonn?"}
    called = {"toolCallId": "c1", "toolName": "weather", "input": {"city": "Bonn"}}
    part = {"type": "tool-call", **called}
    result = {"type": "tool-result", "toolCallId": "c1", "toolName": "weather"}
    page = {"type": "tool-weather", **called, "state": "output-error", "errorText": "boom"}
    chain = {"name": "weather", "args": {"city": "Bonn"}, "id": "c1"}
    shapes = [
        [asked, {"role": "assistant", "content": [part]}, {"role": "tool", "content": [failed]}]
        for failed in (
            {**result, "output": {"type": "error-text", "value": "boom"}},
            {**result, "result": "boom", "isError": True},
        )
    ]
    shapes += [
        [asked, {"role": "assistant", "parts": [page]}],
        [
            {"type": "human", "content": "Rain in Bonn?"},
            {"type": "ai", "content": "", "tool_calls": [chain]},
            {"type": "tool", "content": "boom", "tool_call_id": "c1", "status": "error"},
        ],
    ]
    for messages in shapes:
        item = one(tmp_path, {"messages": messages, "tools": TOOLS})
        assert outline(item)[2] == ("tool", "Error: boom"), messages
