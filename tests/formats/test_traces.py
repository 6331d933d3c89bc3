"""Traces: spans of every convention, and the sessions that they form."""

import json
from pathlib import Path
from typing import Any

import pytest

from actwise.conversation import Conversation, tool_name
from actwise.formats import read_files
from formats.reading import LOOKED_UP, one, outline, refused, thoughts
from formats.samples import ASKED, CALLING, CHOICE, SAMPLES, SPAN, TOOL, TOOLS


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
        ({"context": {"trace_id": "t", "span_id": "s"}}, "t"),
        ({"properties": {"Helicone-Session-Id": "h"}}, "h"),
        ({"request_properties": {"Helicone-Session-Id": "h"}, "trace_id": "t"}, "h"),
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


@pytest.mark.parametrize(
    "name",
    [
        "session.id",
        "gen_ai.conversation.id",
        "langfuse.session.id",
        "ai.telemetry.metadata.sessionId",
        "traceloop.association.properties.session_id",
    ],
)
def test_the_session_of_a_span_is_found_however_its_attributes_are_written(
    tmp_path: Path, name: str
) -> None:
    values = SPAN["attributes"] | {name: "s"}
    short = {"name": "chat", "traceId": "t", "spanId": "x"}
    listed = {**short, "attributes": attributes(values)}
    columns = {f"attributes.{key}": value for key, value in values.items()}
    for span in (
        {**short, "attributes": values},
        listed,
        {"resourceSpans": [{"scopeSpans": [{"spans": [listed]}]}]},
        {"name": "chat", "context.trace_id": "t", **columns},
        {**short, **values},
    ):
        item = one(tmp_path, span)
        assert (item.group, item.messages) == ("s", one(tmp_path, SPAN).messages)
        assert item.remarks == ()


def test_spans_as_phoenix_gives_them(tmp_path: Path) -> None:
    """Nested in its JSON lines, flat within its columns in a data frame."""
    function = {"name": "weather", "arguments": '{"city": "Bonn"}'}
    nested: dict[str, Any] = {
        "llm": {
            "input_messages": [{"message": message} for message in ASKED],
            "output_messages": [
                {
                    "message": {
                        "role": "assistant",
                        "tool_calls": [{"tool_call": {"id": "c1", "function": function}}],
                    }
                }
            ],
            "tools": [{"tool": {"json_schema": json.dumps(tool)}} for tool in TOOLS],
        },
        "session": {"id": "s"},
    }
    columns = {
        "attributes.llm.input_messages": [
            {f"message.{key}": value for key, value in message.items()} for message in ASKED
        ],
        "attributes.llm.output_messages": [
            {
                "message.role": "assistant",
                "message.tool_calls": [
                    {"tool_call.id": "c1"}
                    | {f"tool_call.function.{key}": value for key, value in function.items()}
                ],
            }
        ],
        "attributes.llm.tools": [{"tool.json_schema": json.dumps(tool)} for tool in TOOLS],
        "attributes.session.id": "s",
    }
    about = {"name": "ChatCompletion", "span_kind": "LLM", "parent_id": None}
    older = {**nested["llm"], "invocation_parameters": json.dumps({"tools": TOOLS})}
    del older["tools"]
    for span in (
        {**about, "context": {"trace_id": "t", "span_id": "x"}, "attributes": nested},
        {**about, "attributes": {"llm": older, "session.id": "s"}},
        {**about, "context.trace_id": "t", "context.span_id": "x", **columns},
    ):
        item = one(tmp_path, span)
        assert outline(item) == [("system", "You help."), ("user", "Rain in Bonn?"), LOOKED_UP]
        assert item.tools == tuple(TOOLS)
        assert item.group == "s"
        assert item.remarks == ()


def test_the_project_of_langsmith_is_no_session(tmp_path: Path) -> None:
    assert one(tmp_path, SAMPLES["langsmith"]).group == "th1"
    record = SAMPLES["langsmith"] | {"extra": {"invocation_params": {"tools": TOOLS}}}
    assert one(tmp_path, record).group == "t1"


def told(*events: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    listed = [{"name": f"gen_ai.{name}", "attributes": body} for name, body in events]
    return {"spanId": "s", "attributes": {"gen_ai.system": "m"}, "events": listed}


@pytest.mark.parametrize("words", ['{"a": 1}', '"quoted"', "[1,  2]", "plain"])
def test_words_of_events_stay_as_they_were_written(tmp_path: Path, words: str) -> None:
    asked, said = ("user.message", {"content": words}), ("choice", {"content": words})
    assert outline(one(tmp_path, told(asked, said))) == [("user", words), ("assistant", words)]


def test_a_span_with_two_answers_tells_not_which_was_used(tmp_path: Path) -> None:
    said = {"role": "assistant", "content": "Yes."}
    choices = [("choice", {"index": i, "message": json.dumps(said)}) for i in (0, 1)]
    events = told(("user.message", {"content": "Rain?"}), *choices)
    attributes = flat("gen_ai.prompt", [{"role": "user", "content": "Rain?"}])
    attributes |= flat("gen_ai.completion", [said, said])
    for record in (events, {"spanId": "s", "attributes": attributes}):
        assert refused(tmp_path, record).reason == "no_response"


def test_thoughts_of_vercel_s_telemetry_are_kept(tmp_path: Path) -> None:
    asked = json.dumps([{"role": "user", "content": "Rain?"}])
    answer = {"ai.response.reasoning": "It is May.", "ai.response.text": "No."}
    record = {"spanId": "s", "attributes": {"ai.prompt.messages": asked} | answer}
    assert thoughts(one(tmp_path, record)) == ["It is May."]
