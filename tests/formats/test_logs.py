"""Logs of products and interfaces: what their records mean, and what is refused."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from actwise.conversation import Conversation, tool_name
from actwise.formats import FORMATS, Rejected, read_files, write_conversations
from formats.samples import (
    ASKED,
    BLOCKS,
    CALL,
    CALLING,
    CHOICE,
    CONTENTS,
    ITEMS,
    SAMPLES,
    SPAN,
    TOOL,
    TOOLS,
    one,
    outline,
    read_sample,
    refused,
)

LOOKED_UP = ("assistant", "", ("weather", {"city": "Bonn"}))
LOGS = [
    "anthropic",
    "bedrock",
    "responses",
    "gemini",
    "vercel",
    "langchain",
    "swift",
    "gateway",
    "litellm",
    "langfuse",
    "langsmith",
    "otel",
    "trl",
    "xlam",
]


def thoughts(item: Conversation) -> list[str | None]:
    return [m.reasoning_content for m in item.messages if m.role == "assistant"]


def codes(item: Conversation) -> list[str]:
    return [remark.code for remark in item.remarks]


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
        ({"output": {"type": "error-text", "value": "down"}}, "down"),
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


def attributes(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def flat(prefix: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
    out = {}
    for index, message in enumerate(messages):
        for key, value in message.items():
            out[f"{prefix}.{index}.{key}"] = value
    return out


def test_spans_of_every_convention(tmp_path: Path) -> None:
    expected = [("system", "You help."), ("user", "Rain in Bonn?"), LOOKED_UP]
    short = {key: SPAN["attributes"][key] for key in SPAN["attributes"]}
    short["gen_ai.input.messages"] = json.dumps(
        [{"role": "user", "parts": [{"type": "text", "content": "Rain in Bonn?"}]}]
    )
    short["gen_ai.output.messages"] = json.dumps(
        [
            {
                "role": "assistant",
                "finish_reason": "tool_call",
                "parts": [
                    {
                        "type": "tool_call",
                        "id": "c1",
                        "name": "weather",
                        "arguments": {"city": "Bonn"},
                    }
                ],
            }
        ]
    )
    said = [
        {"role": "system", "content": "You help."},
        {"role": "user", "content": "Rain in Bonn?"},
    ]
    function = json.dumps({"type": "function", "function": TOOL})
    called = "llm.output_messages.0.message.tool_calls.0.tool_call.function"
    spans = [
        {"traceId": "t", "spanId": "s", "attributes": short},
        {
            "resourceSpans": [
                {
                    "scopeSpans": [
                        {
                            "spans": [
                                {
                                    "spanId": "http",
                                    "attributes": attributes({"http.method": "GET"}),
                                },
                                {"spanId": "s", "attributes": attributes(short)},
                            ]
                        }
                    ]
                }
            ]
        },
        {
            "spanId": "s",
            "attributes": {},
            "events": [{"name": "gen_ai.client.inference.operation.details", "attributes": short}],
        },
        {
            "spanId": "s",
            "attributes": {"gen_ai.system": "m"},
            "events": [
                {"name": "gen_ai.system.message", "attributes": {"content": "You help."}},
                {"name": "gen_ai.user.message", "attributes": {"content": "Rain in Bonn?"}},
                {"name": "gen_ai.choice", "attributes": {"message": json.dumps(CALLING)}},
            ],
        },
        {
            "spanId": "s",
            "attributes": flat("gen_ai.prompt", said)
            | {
                "gen_ai.completion.0.role": "assistant",
                "gen_ai.completion.0.tool_calls.0.id": "c1",
                "gen_ai.completion.0.tool_calls.0.name": "weather",
                "gen_ai.completion.0.tool_calls.0.arguments": '{"city": "Bonn"}',
                "llm.request.functions.0.name": "weather",
                "llm.request.functions.0.parameters": json.dumps(TOOL["parameters"]),
            },
        },
        {
            "spanId": "s",
            "attributes": {
                **{
                    k.replace(".role", ".message.role").replace(".content", ".message.content"): v
                    for k, v in flat("llm.input_messages", said).items()
                },
                "llm.output_messages.0.message.role": "assistant",
                "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
                f"{called}.name": "weather",
                f"{called}.arguments": '{"city": "Bonn"}',
                "llm.tools.0.tool.json_schema": function,
            },
        },
        {
            "spanId": "s",
            "attributes": {
                "ai.prompt.messages": json.dumps(said),
                "ai.response.toolCalls": json.dumps(
                    [
                        {
                            "toolCallType": "function",
                            "toolCallId": "c1",
                            "toolName": "weather",
                            "args": '{"city": "Bonn"}',
                        }
                    ]
                ),
                "ai.prompt.tools": [
                    json.dumps(
                        {"type": "function", "name": "weather", "inputSchema": TOOL["parameters"]}
                    )
                ],
            },
        },
    ]
    for span in spans[:3] + spans[4:]:
        item = one(tmp_path, span)
        assert outline(item) == expected, span
        assert [tool_name(tool) for tool in item.tools] == ["weather"]
    # The events of the first versions carry no tools.
    (tmp_path / "tools.json").write_text(json.dumps(TOOLS))
    (tmp_path / "log.json").write_text(json.dumps([spans[3]]))
    (item,) = read_files([tmp_path / "log.json"], tools=tmp_path / "tools.json")
    assert isinstance(item, Conversation)
    assert outline(item) == expected


@pytest.mark.parametrize(
    ("record", "group"),
    [
        ({"session_id": "s", "trace_id": "t"}, "s"),
        ({"metadata": {"conversation_id": 7}}, "7"),
        ({"request": {"metadata": {"thread_id": "th"}}}, "th"),
        ({"metadata": {"session_id": ""}, "traceId": "t"}, "t"),
        ({"group": "own", "session_id": "s"}, "own"),
        ({}, None),
    ],
)
def test_records_of_one_session_form_a_group(
    tmp_path: Path, record: dict[str, Any], group: str | None
) -> None:
    body = {"messages": [*ASKED, CALLING], "tools": TOOLS}
    if "request" in record:
        logged = {"request": {"messages": ASKED, "tools": TOOLS} | record["request"]}
        item = one(tmp_path, logged | {"response": CHOICE})
    else:
        item = one(tmp_path, body | record)
    assert item.group == group


def test_the_project_of_langsmith_is_no_session(tmp_path: Path) -> None:
    assert one(tmp_path, SAMPLES["langsmith"]).group == "th1"
    record = SAMPLES["langsmith"] | {"extra": {"invocation_params": {"tools": TOOLS}}}
    assert one(tmp_path, record).group == "t1"


def test_formats_may_change_from_record_to_record(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    records = [{"messages": [*ASKED, CALLING], "tools": TOOLS}, BLOCKS, SAMPLES["gateway"]]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    items = [item for item in read_files([path]) if isinstance(item, Conversation)]
    assert [len(item.messages) for item in items] == [3, 6, 3]


@pytest.mark.parametrize("name", LOGS)
def test_what_is_read_is_written_and_read_again(tmp_path: Path, name: str) -> None:
    item = one(tmp_path, SAMPLES[name])
    out = tmp_path / "out.jsonl"
    write_conversations([item], out)
    (again,) = read_files([out])
    assert isinstance(again, Conversation)
    forgotten = {"source": "", "remarks": ()}
    assert again.model_copy(update=forgotten) == item.model_copy(update=forgotten)
    assert again.remarks == ()


def test_no_sample_has_a_key_that_its_reader_does_not_know(tmp_path: Path) -> None:
    for name in LOGS:
        assert "unread_key" not in codes(one(tmp_path, SAMPLES[name])), name


# --- Keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_no_key_is_dropped_in_silence(tmp_path: Path, name: str) -> None:
    """Every known key of a record is read or refused; one that is not known is remarked."""
    from actwise.formats.read import _usable

    sample, reader = SAMPLES[name], FORMATS[name]

    def read(record: dict[str, Any]) -> Conversation | str:
        from actwise.formats.record import Unusable

        try:
            part = (reader.parts(record) if reader.parts else [record])[0]
            item = _usable(
                tmp_path,
                1,
                part | {k: v for k, v in record.items() if k == "surprise"},
                "x",
                reader,
                (),
            )
        except Unusable as error:
            return error.detail
        return item if isinstance(item, Conversation) else item.detail

    assert isinstance(reader.keys, dict)
    for key in reader.keys.keys() - sample.keys():
        found = read(sample | {key: "known"})
        if isinstance(found, Conversation):
            assert [r for r in found.remarks if r == ("unread_key", key)] == []
    found = read(sample | {"surprise": {"meaning": 1}})
    if isinstance(found, Conversation):
        assert ("unread_key", "surprise") in found.remarks
    else:
        # These samples cannot be used without further files.
        assert name in ("sgd", "star", "tau_bench", "bfcl")


@pytest.mark.parametrize(
    ("record", "path"),
    [
        ({"messages": [*ASKED, {**CALLING, "verdict": "good"}]}, "messages[].verdict"),
        (
            {"messages": [*ASKED, {**CALLING, "tool_calls": [CALL | {"note": "x"}]}]},
            "messages[].tool_calls[].note",
        ),
        (
            {
                "messages": [
                    ASKED[0],
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "Rain?", "tone": "angry"}],
                    },
                    CALLING,
                ]
            },
            "messages[1].content.tone",
        ),
        ({"request": {"messages": ASKED, "policy": "x"}, "response": CHOICE}, "policy"),
        (
            {"request": {"messages": ASKED}, "response": {**CHOICE, "verdict": "x"}},
            "response.verdict",
        ),
    ],
)
def test_an_unknown_key_is_named_wherever_it_stands(
    tmp_path: Path, record: dict[str, Any], path: str
) -> None:
    inner = record.get("request", record)
    inner["tools"] = TOOLS
    item = one(tmp_path, record)
    assert ("unread_key", path) in item.remarks


@pytest.mark.parametrize("key", ["weight", "loss", "train"])
def test_a_message_that_is_not_to_be_learned_is_context(tmp_path: Path, key: str) -> None:
    first = {"role": "assistant", "content": "One moment, please.", key: 0}
    asked_again = {"role": "user", "content": "Well?"}
    item = one(tmp_path, {"messages": [*ASKED, first, asked_again, CALLING], "tools": TOOLS})
    assert [d.index for d in item.decisions()] == [4]
    (tmp_path / "log.json").write_text(f"[{item.to_json()}]")
    (again,) = read_files([tmp_path / "log.json"])
    assert isinstance(again, Conversation)
    assert [d.index for d in again.decisions()] == [4]


def test_layouts_of_files(tmp_path: Path) -> None:
    record = {"messages": [*ASKED, {"role": "assistant", "content": "Rain."}]}
    messages, lines = record["messages"], json.dumps(record)
    pretty = json.dumps(record, indent=2)
    files: dict[str, tuple[str, list[int]]] = {
        "pretty.json": (pretty, [1]),
        "pretty.jsonl": (f"{pretty}\n{pretty}\n", [1, 1 + len(pretty.splitlines())]),
        "wrapped.json": (json.dumps({"data": [record, record], "total": 2}), [1, 1]),
        "indented.json": (json.dumps({"items": [record]}, indent=1), [3]),
        "messages.json": (json.dumps(messages), [1]),
        "arrays.json": (json.dumps([messages, messages]), [1, 1]),
        "arrays.jsonl": (f"{json.dumps(messages)}\n{json.dumps(messages)}", [1, 2]),
        "records.jsonl": (json.dumps([record, record]), [1, 1]),
        "commas.jsonl": (f"{lines},\n{lines},\n", [1, 2]),
        "bracket.jsonl": (f"[\n{lines},\n{lines}\n]", [2, 3]),
        "comma.json": (f"[{lines},\n{lines},\n]", [1, 2]),
    }
    for name, (text, places) in files.items():
        path = tmp_path / name
        for encoding in ("utf-8", "utf-8-sig", "utf-16"):
            path.write_text(text, encoding=encoding)
            items = list(read_files([path]))
            found = [i.source for i in items if isinstance(i, Conversation)]
            assert found == [f"{path}:{line}" for line in places], (name, encoding)


def test_a_table_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("id,messages\n1,[]\n")
    with pytest.raises(Exception, match="table of values, not of JSON"):
        list(read_files([tmp_path / "log.csv"]))


def test_a_rejected_call_names_its_tool(tmp_path: Path) -> None:
    bad = {**CALLING, "tool_calls": [{"function": {"name": "weather", "arguments": "{}"}}]}
    rejected = refused(tmp_path, {"messages": [*ASKED, bad], "tools": TOOLS})
    assert (rejected.reason, rejected.about) == ("bad_arguments", "weather")


def test_every_log_that_is_damaged_in_its_bodies_is_read_or_refused(tmp_path: Path) -> None:
    """Bodies inside JSON texts, which the damage of whole records does not reach."""
    for cut in range(0, len(SAMPLES["langfuse"]["input"]) - 1, 7):
        record = dict(SAMPLES["langfuse"])
        record["input"] = record["input"][:cut]
        (item,) = read_sample(tmp_path, record)
        assert isinstance(item, Rejected), cut
        assert item.reason != "unreadable", item.detail
