"""Logs of frameworks and gateways, which carry the records of several interfaces."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from formats.reading import LOOKED_UP, codes, one, outline, refused, thoughts
from formats.samples import (
    ASKED,
    BLOCKS,
    CALLING,
    CHOICE,
    CONTENTS,
    ITEMS,
    SAMPLES,
    TOOLS,
)


def test_langchain(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["langchain"])
    assert outline(item) == [
        ("user", "Rain in Bonn?"),
        LOOKED_UP,
        ("tool", "rain"),
        ("assistant", "Rain."),
    ]
    assert thoughts(item) == ["Look.", None]
    record = copy.deepcopy(SAMPLES["langchain"])
    record["messages"][1] = {"type": "ai", "content": "", "invalid_tool_calls": [{"args": "{"}]}
    assert refused(tmp_path, record).reason == "arguments_not_json"


def test_calls_that_stand_in_the_parts_of_langchain_alone(tmp_path: Path) -> None:
    for part in (
        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Bonn"}},
        {"type": "tool_call", "id": "c1", "name": "weather", "args": {"city": "Bonn"}},
        {"type": "function_call", "id": "f", "call_id": "c1", "name": "weather"}
        | {"arguments": '{"city": "Bonn"}'},
    ):
        said = {"type": "ai", "content": [{"type": "text", "text": "So."}, part]}
        result = {"type": "tool", "content": "rain", "tool_call_id": "c1"}
        asked = {"type": "human", "content": "Rain?"}
        item = one(tmp_path, {"messages": [asked, said, result], "tools": TOOLS})
        assert outline(item)[1:] == [("assistant", "So.", LOOKED_UP[2]), ("tool", "rain")]
        called = {"name": "weather", "args": {"city": "Ulm"}, "id": "c1"}
        item = one(
            tmp_path, {"messages": [asked, said | {"tool_calls": [called]}, result], "tools": TOOLS}
        )
        assert outline(item)[1] == ("assistant", "So.", ("weather", {"city": "Ulm"}))


def test_thoughts_in_the_parts_of_langchain(tmp_path: Path) -> None:
    for part in (
        {"type": "reasoning_content", "reasoning_content": {"text": "Look.", "signature": "s"}},
        {"type": "thinking", "thinking": "Look.", "signature": "s"},
        {"type": "reasoning", "reasoning": "Look."},
    ):
        said = {"type": "ai", "content": [part, {"type": "text", "text": "Rain."}]}
        item = one(tmp_path, {"messages": [{"type": "human", "content": "Rain?"}, said]})
        assert outline(item) == [("user", "Rain?"), ("assistant", "Rain.")]
        assert thoughts(item) == ["Look."]


def test_pairs_of_langchain_and_of_swift(tmp_path: Path) -> None:
    expected = [("user", "Hi"), ("assistant", "Hello"), ("user", "Rain?"), ("assistant", "No.")]
    pairs = [["human", "Hi"], ["ai", "Hello"], ["human", "Rain?"], ["ai", "No."]]
    assert outline(one(tmp_path, {"messages": pairs})) == expected
    row = {"query": "Rain?", "response": "No.", "history": [["Hi", "Hello"]], "system": "You help."}
    assert outline(one(tmp_path, row)) == [("system", "You help."), *expected]


def test_swift(tmp_path: Path) -> None:
    assert outline(one(tmp_path, SAMPLES["swift"])) == [
        ("user", "Rain in Bonn?"),
        LOOKED_UP,
        ("tool", "rain"),
        ("assistant", "Rain."),
    ]


@pytest.mark.parametrize(
    "record",
    [
        {"request": {"messages": ASKED, "tools": TOOLS}, "response": CHOICE},
        {"request": {"body": {"messages": ASKED, "tools": TOOLS}}, "response": {"body": CHOICE}},
        {
            "request_body": json.dumps({"messages": ASKED, "tools": TOOLS}),
            "response_body": json.dumps(CHOICE),
        },
        {
            "custom_id": "q",
            "request": {"messages": ASKED, "tools": TOOLS},
            "response": {"status_code": 200, "body": CHOICE},
            "error": None,
        },
        {
            "custom_id": "q",
            "method": "POST",
            "url": "/v1",
            "body": {"messages": [*ASKED, CALLING], "tools": TOOLS},
        },
        {"object": "chat.completion", **CHOICE, "messages": ASKED, "tools": TOOLS},
        SAMPLES["litellm"],
        {
            "request_id": "r",
            "call_type": "acompletion",
            "messages": "{}",
            "response": CHOICE,
            "proxy_server_request": json.dumps({"messages": ASKED, "tools": TOOLS}),
        },
        SAMPLES["langfuse"],
        {
            "id": "o",
            "trace_id": "t",
            "type": "GENERATION",
            "input": ASKED,
            "output": CHOICE,
            "tool_definitions": TOOLS,
        },
        {
            "id": "o",
            "traceId": "t",
            "type": "GENERATION",
            "output": CALLING,
            "input": [*ASKED, {"role": "tool", "content": TOOLS[0]}],
        },
        {
            "id": "t",
            "observations": [
                {"id": "s", "type": "SPAN", "input": 1, "output": 2},
                SAMPLES["langfuse"],
            ],
        },
        {"run_type": "llm", "inputs": {"messages": ASKED, "tools": TOOLS}, "outputs": CHOICE},
        {
            "run_type": "chain",
            "inputs": {"messages": ASKED, "tools": TOOLS},
            "outputs": {"messages": [*ASKED, CALLING]},
        },
        SAMPLES["trl"],
        {"messages": ASKED, "tools": TOOLS, "completion": CALLING},
        {"input": {"messages": ASKED, "tools": TOOLS}, "output": CHOICE},
        {"full_request": {"messages": ASKED, "tools": TOOLS}, "full_response": CHOICE},
        {
            "span_id": "s",
            "root_span_id": "t",
            "input": ASKED,
            "output": CHOICE["choices"],
            "metadata": {"model": "m", "tools": TOOLS},
        },
        {
            "schemaType": "ModelInvocationLog",
            "schemaVersion": "1.0",
            "operation": "InvokeModel",
            "input": {"inputBodyJson": {"messages": ASKED, "tools": TOOLS}, "inputTokenCount": 9},
            "output": {"outputBodyJson": CHOICE, "outputTokenCount": 3},
        },
        {"prompt": ASKED, "completion": [CALLING], "tools": TOOLS},
        {"prompt": ASKED, "response": [CALLING], "tools": TOOLS},
        {
            "chosen": [*ASKED, CALLING],
            "rejected": [*ASKED, {"role": "assistant", "content": "?"}],
            "tools": TOOLS,
        },
        {
            "input": {"messages": ASKED, "tools": TOOLS},
            "preferred_output": [CALLING],
            "non_preferred_output": [{"role": "assistant", "content": "No idea."}],
        },
    ],
)
def test_a_request_and_its_response_however_they_are_logged(tmp_path: Path, record: Any) -> None:
    item = one(tmp_path, record)
    assert outline(item) == [("system", "You help."), ("user", "Rain in Bonn?"), LOOKED_UP]
    assert item.tools == tuple(TOOLS)
    assert "unread_key" not in codes(item)


@pytest.mark.parametrize(
    ("request_body", "response"),
    [
        (
            {k: BLOCKS[k] for k in ("system", "tools")} | {"messages": BLOCKS["messages"][:3]},
            {
                "id": "m",
                "type": "message",
                "role": "assistant",
                "stop_reason": "end_turn",
                "content": [{"type": "text", "text": "Rain."}],
                "usage": {},
            },
        ),
        (
            {k: ITEMS[k] for k in ("instructions", "tools", "input")},
            {"object": "response", "status": "completed", "output": ITEMS["output"]},
        ),
        (
            CONTENTS | {"contents": CONTENTS["contents"][:3]},
            {
                "candidates": [{"content": CONTENTS["contents"][3], "finishReason": "STOP"}],
                "usageMetadata": {},
            },
        ),
        (
            CONTENTS | {"contents": CONTENTS["contents"][:1]},
            {
                "candidates": [{"content": CONTENTS["contents"][3], "finishReason": "STOP"}],
                "automaticFunctionCallingHistory": CONTENTS["contents"][:3],
            },
        ),
    ],
)
def test_gateways_carry_requests_of_every_interface(
    tmp_path: Path, request_body: Any, response: Any
) -> None:
    item = one(tmp_path, {"request": request_body, "response": response})
    assert outline(item)[0] == ("system", "You help.")
    assert outline(item)[-1] == ("assistant", "Rain.")
    assert [d.kind for d in item.decisions()] == ["call", "answer"]
    assert "unread_key" not in codes(item)


@pytest.mark.parametrize("asked", [ITEMS["input"], ITEMS["input"][:1], "Rain in Bonn?"])
def test_responses_through_litellm(tmp_path: Path, asked: Any) -> None:
    record = {
        "id": "r",
        "call_type": "aresponses",
        "messages": asked,
        "model_parameters": {key: ITEMS[key] for key in ("instructions", "tools")},
        "response": {"object": "response", "status": "completed", "output": ITEMS["output"]},
        "status": "success",
    }
    item = one(tmp_path, record)
    assert outline(item)[:2] == [("system", "You help."), ("user", "Rain in Bonn?")]
    assert outline(item)[-1] == ("assistant", "Rain.")
    assert [tool["function"]["name"] for tool in item.tools] == ["weather"]


@pytest.mark.parametrize(
    "response",
    [
        'data: {"choices": [{"delta": {"content": "Ra"}}]}\n\ndata: [DONE]\n\n',
        'event: message_start\ndata: {"type": "message_start"}\n\n',
        [{"choices": [{"delta": {"content": "Ra"}}]}],
        [{"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Ra"}}],
        [{"contentBlockDelta": {"delta": {"text": "Ra"}}}],
    ],
)
def test_a_response_in_the_pieces_of_a_stream_is_no_answer(tmp_path: Path, response: Any) -> None:
    record = {"request": {"messages": ASKED, "tools": TOOLS}, "response": response}
    assert "log the response as it was put together" in refused(tmp_path, record).detail


@pytest.mark.parametrize(
    ("record", "reason", "words"),
    [
        (
            {"custom_id": "q", "response": {"status_code": 200, "body": CHOICE}},
            "no_request",
            "output of a batch",
        ),
        ({"object": "chat.completion", **CHOICE}, "no_request", "completion of OpenAI's"),
        (
            {"request": {"messages": ASKED}, "response": {"error": {"message": "overloaded"}}},
            "no_response",
            "overloaded",
        ),
        (
            {"request": {"messages": ASKED}, "response": {"status_code": 500, "body": {}}},
            "no_response",
            "status 500",
        ),
        (
            {"call_type": "x", "messages": {}, "response": {}},
            "no_messages",
            "store_prompts_in_spend_logs",
        ),
        (
            {"id": "o", "traceId": "t", "type": "SPAN", "input": "a", "output": "b"},
            "not_a_generation",
            "observation of Langfuse is of type SPAN",
        ),
        (
            {"id": "o", "traceId": "t", "type": "GENERATION", "input": None, "output": "b"},
            "no_messages",
            "observation of Langfuse has no `input`",
        ),
        (
            {"run_type": "tool", "inputs": {"x": 1}, "outputs": {"y": 2}},
            "not_a_generation",
            "run of LangSmith is of type tool",
        ),
        (
            {"spanId": "s", "name": "execute_tool x", "attributes": {"gen_ai.tool.name": "x"}},
            "no_messages",
            "OpenTelemetry holds no messages",
        ),
        ({"query": "Rain?", "answers": "[]", "tools": "[]"}, "no_gold", "no call is recorded"),
        ({"prompt": "Hi", "completion": "No.", "label": False}, "rejected_side", "labelled false"),
    ],
)
def test_what_cannot_be_read_names_its_product_and_what_is_missing(
    tmp_path: Path, record: Any, reason: str, words: str
) -> None:
    rejected = refused(tmp_path, record)
    assert rejected.reason == reason
    assert words in rejected.detail


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_that_was_cut_off_is_not_learned(tmp_path: Path, reason: str) -> None:
    history = [*ASKED, CALLING, {"role": "tool", "tool_call_id": "c1", "content": "rain"}]
    cut = {"message": {"role": "assistant", "content": "It rai"}, "finish_reason": reason}
    record = {"request": {"messages": history, "tools": TOOLS}, "response": {"choices": [cut]}}
    item = one(tmp_path, record)
    assert [d.index for d in item.decisions()] == [2]
    assert codes(item) == ["cut_off"]
    record["request"] = {"messages": ASKED, "tools": TOOLS}
    assert refused(tmp_path, record).reason == "no_assistant"
