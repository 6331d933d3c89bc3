"""Answers that were cut off, in every format that tells how an answer ended."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from formats.reading import codes, one

HELLO, WHOLE, MORE, HALF = "Hello", "Hello to you.", "More?", "Half an ans"
TEXTS = [("user", HELLO), ("assistant", WHOLE), ("user", MORE)]
CHAT = [{"role": role, "content": text} for role, text in TEXTS]
BLOCKS = [{"role": role, "content": [{"text": text}]} for role, text in TEXTS]
KINDS = {"user": "human", "assistant": "ai"}
CHAIN = [{"type": KINDS[role], "content": text} for role, text in TEXTS]
DUMPED = [
    {"lc": 1, "type": "constructor", "id": ["x", name], "kwargs": {"content": text}}
    for name, (_, text) in zip(["HumanMessage", "AIMessage", "HumanMessage"], TEXTS, strict=True)
]
CONTENTS = [
    {"role": role.replace("assistant", "model"), "parts": [{"text": text}]} for role, text in TEXTS
]
PARTS = [{"role": role, "parts": [{"type": "text", "text": text}]} for role, text in TEXTS]
CONVENTIONAL = [
    {"role": role, "parts": [{"type": "text", "content": text}]} for role, text in TEXTS
]
OPENLLMETRY = {
    f"gen_ai.prompt.{i}.{key}": value
    for i, (role, text) in enumerate(TEXTS)
    for key, value in (("role", role), ("content", text))
}
OPENINFERENCE = {
    f"llm.input_messages.{i}.message.{key}": value
    for i, (role, text) in enumerate(TEXTS)
    for key, value in (("role", role), ("content", text))
}
EVENTS = [
    {"name": f"gen_ai.{role}.message", "attributes": {"content": text}} for role, text in TEXTS
]
SAID = {"role": "assistant", "content": HALF}


def span(attributes: dict[str, Any], *events: Any) -> dict[str, Any]:
    return {"name": "chat", "attributes": attributes, "events": list(events)}


def conventional(answer: Any, **more: Any) -> dict[str, Any]:
    said = {"role": "assistant", "parts": [{"type": "text", "content": HALF}], **answer}
    return span(
        {
            "gen_ai.input.messages": json.dumps(CONVENTIONAL),
            "gen_ai.output.messages": json.dumps([said]),
            **more,
        }
    )


def openllmetry(**more: Any) -> dict[str, Any]:
    said = {"gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": HALF}
    return span(OPENLLMETRY | said | more)


def openinference(**more: Any) -> dict[str, Any]:
    said = "llm.output_messages.0.message."
    return span(OPENINFERENCE | {said + "role": "assistant", said + "content": HALF} | more)


def run(messages: Any, **outputs: Any) -> dict[str, Any]:
    return {"id": "1", "run_type": "llm", "inputs": {"messages": messages}, "outputs": outputs}


def answered(messages: Any, response: Any) -> dict[str, Any]:
    return {"request": {"messages": messages}, "response": response}


def choice(reason: Any) -> dict[str, Any]:
    return {"choices": [{"message": SAID, "finish_reason": reason}]}


def ai(**more: Any) -> dict[str, Any]:
    return {"type": "ai", "content": HALF, **more}


def dumped(**more: Any) -> dict[str, Any]:
    return {**DUMPED[1], "kwargs": {"content": HALF, **more}}


def items(**more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": HALF, **more}


def telemetry(**more: Any) -> dict[str, Any]:
    return span({"ai.prompt.messages": json.dumps(CHAT), "ai.response.text": HALF, **more})


# Each with the reason as its interface writes it.
CUT: dict[str, Any] = {
    "openai": {"messages": [*CHAT, {**SAID, "finish_reason": "length"}]},
    "openai, another name": {
        "messages": [*CHAT, {**SAID, "finish_reason": None, "stop_reason": "max_tokens"}]
    },
    "openai, choice": answered(CHAT, choice("length")),
    "openai, text": answered(CHAT, {"choices": [{"text": HALF, "finish_reason": "length"}]}),
    "azure": answered(CHAT, choice("content_filter")),
    "anthropic": answered(CHAT, {**SAID, "type": "message", "stop_reason": "max_tokens"}),
    "ollama": answered(CHAT, {"message": SAID, "done": True, "done_reason": "length"}),
    "cohere": answered(CHAT, {"message": SAID, "finish_reason": "MAX_TOKENS"}),
    "completion": answered(CHAT, {"completion": HALF, "stop_reason": "max_tokens"}),
    "tgi": answered(CHAT, {"generated_text": HALF, "details": {"finish_reason": "length"}}),
    "responses": {
        "input": CHAT,
        "output": [items(status="incomplete")],
        "incomplete_details": {"reason": "max_output_tokens"},
    },
    "responses, item": {"input": CHAT, "output": [items(status="incomplete")]},
    "responses, gateway": {
        "request": {"input": CHAT},
        "response": {"object": "response", "status": "incomplete", "output": [items()]},
    },
    "gemini": {"contents": [*CONTENTS, {**CONTENTS[1], "finishReason": "MAX_TOKENS"}]},
    "gemini, gateway": {
        "request": {"contents": CONTENTS},
        "response": {"candidates": [{"content": CONTENTS[1], "finishReason": "SAFETY"}]},
    },
    "bedrock": {
        "request": {"messages": BLOCKS, "toolConfig": {"tools": []}},
        "response": {"output": {"message": BLOCKS[1]}, "stopReason": "max_tokens"},
    },
    "bedrock, without tools": answered(
        BLOCKS, {"output": {"message": BLOCKS[1]}, "stopReason": "guardrail_intervened"}
    ),
    "bedrock, settings alone": {
        "request": {"modelId": "m", "messages": BLOCKS, "inferenceConfig": {"maxTokens": 3}},
        "response": {"output": {"message": BLOCKS[1]}, "stopReason": "max_tokens"},
    },
    "vercel": {"messages": [*PARTS, {**PARTS[1], "metadata": {"finishReason": "length"}}]},
    "record, response": {"messages": CHAT, "response": HALF, "finish_reason": "length"},
    "record, messages": {"messages": [*CHAT, SAID], "metadata": {"finishReason": "length"}},
    "langchain": {"messages": [*CHAIN, ai(response_metadata={"finish_reason": "length"})]},
    "langchain, bedrock": {
        "messages": [*CHAIN, ai(response_metadata={"stopReason": "max_tokens"})]
    },
    "langchain, gemini": {
        "messages": [*CHAIN, ai(response_metadata={"finish_reason": "FinishReason.MAX_TOKENS"})]
    },
    "langchain, responses": {"messages": [*CHAIN, ai(response_metadata={"status": "incomplete"})]},
    "langchain, dumped": {
        "messages": [*DUMPED, dumped(response_metadata={"stop_reason": "max_tokens"})]
    },
    "langsmith": run(
        [DUMPED],
        generations=[[{"generation_info": {"finish_reason": "length"}, "message": dumped()}]],
    ),
    "langsmith, message": run(
        [DUMPED], generations=[[{"message": dumped(response_metadata={"finish_reason": "length"})}]]
    ),
    "langsmith, text": run(
        [DUMPED], generations=[[{"generation_info": {"finish_reason": "length"}, "text": HALF}]]
    ),
    "langsmith, openai": run(CHAT, **choice("length")),
    "langfuse": {"id": "1", "type": "GENERATION", "input": CHAT, "output": choice("length")},
    "langfuse, langchain": {
        "id": "1",
        "type": "GENERATION",
        "input": CHAT,
        "output": {
            **SAID,
            "additional_kwargs": {},
            "response_metadata": {"finish_reason": "length"},
        },
    },
    "litellm": {"call_type": "completion", "messages": CHAT, "response": choice("length")},
    "otel": conventional({"finish_reason": "length"}),
    "otel, span": conventional({}, **{"gen_ai.response.finish_reasons": ["length"]}),
    "otel, span as JSON": conventional({}, **{"gen_ai.response.finish_reasons": '["length"]'}),
    "openllmetry": openllmetry(**{"gen_ai.completion.0.finish_reason": "length"}),
    "openllmetry, span": openllmetry(**{"llm.response.stop_reason": "max_tokens"}),
    "openinference": openinference(**{"llm.finish_reason": "length"}),
    "otel, events": span(
        {},
        *EVENTS,
        {
            "name": "gen_ai.choice",
            "attributes": {"finish_reason": "length", "message": json.dumps({"content": HALF})},
        },
    ),
    "vercel, telemetry": telemetry(**{"ai.response.finishReason": "content-filter"}),
}


@pytest.mark.parametrize("record", CUT.values(), ids=CUT.keys())
def test_half_an_answer_is_context_and_the_whole_one_before_it_is_learned(
    record: Any, tmp_path: Path
) -> None:
    item = one(tmp_path, record)
    assert [(m.role, m.weight) for m in item.messages] == [
        ("user", 1),
        ("assistant", 1),
        ("user", 1),
        ("assistant", 0),
    ]
    assert codes(item) == ["cut_off"]


REASON = re.compile(
    r"\b(length|max_tokens|content[_-]filter|guardrail_intervened|SAFETY|incomplete)\b",
    re.IGNORECASE,
)


def finished(record: dict[str, Any]) -> Any:
    """Return a record in which each reason to cut off is one to end."""
    kept = {key: value for key, value in record.items() if key != "incomplete_details"}
    return json.loads(REASON.sub("stop", json.dumps(kept)))


@pytest.mark.parametrize("record", CUT.values(), ids=CUT.keys())
def test_the_same_answer_is_learned_where_it_ended(record: Any, tmp_path: Path) -> None:
    item = one(tmp_path, finished(record))
    assert [m.weight for m in item.messages] == [1, 1, 1, 1]
    assert "cut_off" not in codes(item)


def test_of_a_page_s_message_only_the_last_step_was_cut_off(tmp_path: Path) -> None:
    called = {"type": "tool-look", "toolCallId": "1", "input": {}, "output": "rain"}
    parts = [called, {"type": "text", "text": HALF}]
    said = {"role": "assistant", "parts": parts, "metadata": {"finishReason": "length"}}
    tool = {"type": "function", "function": {"name": "look", "parameters": {}}}
    item = one(tmp_path, {"messages": [PARTS[0], said], "tools": [tool]})
    assert [m.weight for m in item.messages if m.role == "assistant"] == [1, 0]


@pytest.mark.parametrize("key", ["weight", "loss", "train"])
def test_what_a_trainer_s_key_takes_out_is_context_in_every_shape(key: str, tmp_path: Path) -> None:
    turns = [{"from": KINDS[role].replace("ai", "gpt"), "value": text} for role, text in TEXTS]
    for messages in (PARTS, BLOCKS, CHAT, turns):
        taken_out = {**messages[1], key: 0}
        name = "conversations" if messages is turns else "messages"
        item = one(tmp_path, {name: [*messages, taken_out]})
        assert [m.weight for m in item.messages] == [1, 1, 1, 0]
        assert codes(item) == ["not_learned"]


def test_a_call_of_swift_s_that_is_not_to_be_learned_is_context(tmp_path: Path) -> None:
    call = {"role": "tool_call", "content": json.dumps({"name": "look", "arguments": {}})}
    tool = {"type": "function", "function": {"name": "look", "parameters": {}}}
    result = {"role": "tool_response", "content": "rain"}
    messages = [CHAT[0], {**call, "loss": False}, result, CHAT[1]]
    item = one(tmp_path, {"messages": messages, "tools": [tool]})
    assert [m.weight for m in item.messages] == [1, 0, 1, 1]


def test_the_status_of_something_else_is_none_of_an_answer(tmp_path: Path) -> None:
    messages = [*CHAT, {**SAID, "metadata": {"status": "cancelled"}}]
    record = {"messages": messages, "status": "failed", "metadata": {"status": "error"}}
    assert [m.weight for m in one(tmp_path, record).messages] == [1, 1, 1, 1]
