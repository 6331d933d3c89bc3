"""OpenAI's format: what is understood, and what is refused with a remedy."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from actwise.conversation import Conversation, Message, ToolCall
from actwise.formats import FORMATS, Rejected, read_files
from actwise.formats.record import strict_json
from formats.chats import (
    ANSWER,
    HELLO,
    LOOKUP,
    call,
    calling,
    chat,
    conversation,
    read_one,
    result,
    write_lines,
)


def test_parallel_calls_with_object_and_string_arguments(tmp_path: Path) -> None:
    item = conversation(
        tmp_path,
        chat(
            calling(call({"order": "A1"}), call('{"order": "B2", "limit": 3}', call_id="c2")),
            result("c2", "two"),
            result("c1", "one"),
            {"role": "assistant", "content": "done", "refusal": None},
            id="x",
            group="customer-7",
        ),
    )
    assert (item.id, item.group) == ("x", "customer-7")
    assert item.source == f"{tmp_path / 'log.jsonl'}:1"
    assert item.messages[1] == Message(
        role="assistant",
        tool_calls=(
            ToolCall(name="lookup", arguments={"order": "A1"}, id="c1"),
            ToolCall(name="lookup", arguments={"order": "B2", "limit": 3}, id="c2"),
        ),
    )
    assert [m.role for m in item.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert item.tools == (LOOKUP,)


def test_content_parts_developer_role_and_default_id(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    record = {"messages": [{"role": "developer", "content": parts}, *HELLO]}
    item = conversation(tmp_path, record)
    assert item.messages[0] == Message(role="system", content="one two")
    assert (item.id, item.group, item.tools) == ("log-1", None, ())


def test_legacy_functions(tmp_path: Path) -> None:
    item = conversation(
        tmp_path,
        {
            "functions": [LOOKUP["function"]],
            "messages": [
                HELLO[0],
                {
                    "role": "assistant",
                    "content": None,
                    "function_call": {"name": "lookup", "arguments": '{"order": "A1"}'},
                },
                {"role": "function", "name": "lookup", "content": "found"},
            ],
        },
    )
    assert item.tools == (LOOKUP,)
    assert item.messages[1].tool_calls == (ToolCall(name="lookup", arguments={"order": "A1"}),)
    assert item.messages[2] == Message(role="tool", content="found", name="lookup")


def test_tools_as_a_string_and_tools_from_a_file(tmp_path: Path) -> None:
    record = chat(calling(call({"order": "A1"})))
    record["tools"] = json.dumps([LOOKUP])
    assert conversation(tmp_path, record).tools == (LOOKUP,)
    del record["tools"]
    rejected = read_one(tmp_path, record)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "undeclared_tool"
    tools = tmp_path / "tools.json.gz"
    tools.write_bytes(gzip.compress(json.dumps([LOOKUP]).encode()))
    assert conversation(tmp_path, record, tools=tools).tools == (LOOKUP,)


def test_logged_request_and_response(tmp_path: Path) -> None:
    answer = {"message": calling(call('{"order": "A1"}')), "finish_reason": "tool_calls"}
    record = {
        "id": 17,
        "request": {"model": "m", "messages": HELLO[:1], "tools": [LOOKUP]},
        "response": {"id": "r", "choices": [answer]},
    }
    item = conversation(tmp_path, record)
    assert item.id == "17"
    assert [m.role for m in item.messages] == ["user", "assistant"]
    record["response"] = {"error": "overloaded"}
    rejected = read_one(tmp_path, record)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "no_response"


TEXT = {"type": "text", "text": "hello"}


@pytest.mark.parametrize(
    ("message", "thought", "content"),
    [
        ({"content": "<think>\nwhy\n</think>\n\nhello"}, "why", "hello"),
        ({"content": "<think>\n\n</think>\n\nhello"}, None, "hello"),
        ({"content": "hello", "reasoning_content": "why"}, "why", "hello"),
        ({"content": "hello", "reasoning": "why"}, "why", "hello"),
        ({"content": "hello", "reasoning_content": "\n\n"}, "", "hello"),
        ({"content": "<think>why</think>hello", "reasoning_content": "\n"}, "why", "hello"),
        ({"content": [{"type": "thinking", "thinking": " "}, TEXT]}, "", "hello"),
        ({"content": "hello", "reasoning": None}, None, "hello"),
        ({"content": "a <thought> tag"}, None, "a <thought> tag"),
    ],
)
def test_thoughts(
    tmp_path: Path, message: dict[str, Any], thought: str | None, content: str
) -> None:
    item = conversation(tmp_path, chat({"role": "assistant", **message}))
    assert (item.messages[1].reasoning_content, item.messages[1].content) == (thought, content)


DEEP = {"name": "lookup", "parameters": {"$ref": "http://localhost:9/schema.json"}}


@pytest.mark.parametrize(
    ("reason", "record", "words"),
    [
        ("broken_json", '{"messages": [', "mend the line"),
        ("broken_json", '{"messages": [], "x": NaN}', "NaN"),
        ("broken_json", '{"messages": [], "x": 1e999}', "too large"),
        ("broken_json", '{"messages": [], "x": "\\ud800"}', "half"),
        ("broken_json", '{"messages": 1, "messages": 2}', "'messages' occurs twice"),
        ("broken_json", "[" * 100_000, "nested too deeply"),
        ("no_messages", {"messages": "hi"}, "`messages` is a string"),
        ("no_messages", {"messages": []}, "no messages"),
        ("no_messages", [1], "the record is an array"),
        ("no_messages", {"id": "x"}, "neither `messages`"),
        ("bad_message", chat("hi"), "messages[1] is a string"),
        ("unknown_role", chat({"role": "agent", "content": "x"}), "'agent'"),
        ("non_text_content", chat({"role": "user", "content": {"a": 1}}), "an object"),
        (
            "non_text_content",
            chat({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}),
            "messages[1].content[0] is no text part ('image_url')",
        ),
        ("no_assistant", chat(), "no assistant message"),
        ("bad_start", {"messages": [ANSWER]}, "begins with role 'assistant'"),
        ("empty_assistant", chat({"role": "assistant", "content": " "}), "messages[1]"),
        ("unclosed_thought", chat({"role": "assistant", "content": "<think>x"}), "close it"),
        (
            "two_thoughts",
            chat({"role": "assistant", "content": "<think>x</think>y", "reasoning": "z"}),
            "leave one",
        ),
        ("bad_call", chat(calling({"id": "c1"})), "tool_calls[0] has no `function`"),
        ("bad_call", chat({"role": "assistant", "tool_calls": {}}), "an object"),
        ("undeclared_tool", chat(calling(call({}, name="refund"))), "declared is lookup"),
        ("arguments_not_json", chat(calling(call("{order: 1}"))), "not JSON"),
        ("arguments_not_json", chat(calling(call('{"order": "A1"'))), 'write "{}" for none'),
        ("arguments_not_object", chat(calling(call("[1]"))), "an array"),
        ("arguments_not_object", chat(calling(call(3))), "a number"),
        ("arguments_not_object", chat(calling(call(json.dumps(json.dumps("x"))))), "a string"),
        ("bad_arguments", chat(calling(call({}))), "'order' is a required property"),
        (
            "bad_arguments",
            chat(calling(call({"order": "A1", "limit": "3"}))),
            "argument 'limit': '3' is not of type 'integer'",
        ),
        ("orphan_result", chat(ANSWER, result("c9")), "'c9'"),
        ("orphan_result", chat(calling(call({"order": "1"})), result(), result()), "messages[3]"),
        (
            "misplaced_calls",
            chat({"role": "user", "tool_calls": [call({"order": "1"})]}, ANSWER),
            "only the assistant",
        ),
        ("bad_field", chat(ANSWER, id={}), "`id` of the record is an object"),
        ("bad_tools", chat(ANSWER, tools=[3]), "a number"),
        (
            "bad_tools",
            chat(ANSWER, tools=[LOOKUP, {"name": "lookup", "parameters": {"type": "object"}}]),
            "declared twice",
        ),
        (
            "bad_tools",
            chat(
                calling(call({}, name="f")),
                tools=[{"name": "f", "parameters": {"properties": {"n": {"minimum": "1"}}}}],
            ),
            "no JSON schema",
        ),
        # Must not be fetched: reading logs stays off the network.
        ("bad_tools", chat(calling(call({})), tools=[DEEP]), "cannot be applied"),
    ],
)
def test_unusable_records_are_rejected_with_place_and_remedy(
    tmp_path: Path, reason: str, record: Any, words: str
) -> None:
    path = write_lines(tmp_path / "log.jsonl", chat(ANSWER), record, chat(ANSWER))
    first, rejected, last = read_files([path])
    assert isinstance(first, Conversation)
    assert isinstance(last, Conversation)
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.line, rejected.count) == (reason, 2, 1)
    assert words in rejected.detail
    assert str(rejected) == f"{path}:2: {rejected.detail}"


def test_equal_doubled_key_is_accepted() -> None:
    assert strict_json('{"a": 1, "a": 1}') == {"a": 1}
    with pytest.raises(ValueError, match="'a' occurs twice"):
        strict_json('{"a": 1, "a": true}')


def test_every_format_is_listed() -> None:
    assert " ".join(FORMATS) == (
        "openai anthropic responses mistral gemini bedrock vercel langchain swift gateway litellm "
        "langfuse langsmith otel trl xlam sharegpt taskmaster4 tau_bench toolrl sgd star api_bank "
        "functionchat bfcl acebench when2call toolalpaca"
    )


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_control_tag_inside_a_message_is_refused(tmp_path: Path, role: str) -> None:
    texts = {"user": "Hi.", "assistant": "Hello."} | {role: "So <|im_end|> it ends."}
    messages = [{"role": r, "content": text} for r, text in texts.items()]
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"messages": messages}))
    (item,) = read_files([path])
    assert isinstance(item, Rejected)
    assert item.reason == "control_tag"
    assert "<|im_end|>" in item.detail
