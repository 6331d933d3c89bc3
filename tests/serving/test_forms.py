"""Calls and answers that are demanded, as OpenAI's own client gets them."""

import json
from typing import Any

import jsonschema
import pytest
from openai import OpenAI

from actwise.conversation import Conversation, Decision, Message, ToolCall
from actwise.desk import MODEL, generate
from actwise.engine import SamplingParams
from actwise.engine.batch import Request, Token
from actwise.engine.prompt import Prompt
from actwise.serving.choice import Choice
from actwise.serving.protocol import read_request
from actwise.template.render import Template

CONVERSATION = generate("test", 1, seed=5)[0]
TOOLS = list(CONVERSATION.tools)
SCHEMAS = {t["function"]["name"]: t["function"]["parameters"] for t in TOOLS}
MOOD = {
    "type": "object",
    "properties": {"mood": {"enum": ["good", "bad"]}, "left": {"type": "boolean"}},
    "required": ["mood", "left"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "mood", "schema": MOOD, "strict": True}}
HELLO = [{"role": "user", "content": "Hello, how are you today?"}]
MODES = [{"enable_thinking": False}, {"enable_thinking": True}]


def ask(client: OpenAI, mode: dict[str, Any], **how: Any) -> Any:
    """Seven completions of a greeting, for which no tool would be called."""
    extra = {"chat_template_kwargs": mode, "thinking_token_budget": 12}
    return client.chat.completions.create(
        model="base", messages=HELLO, temperature=1, n=7, seed=1, extra_body=extra, **how
    )


def calls_of(message: Any) -> list[tuple[str, Any]]:
    return [(c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or []]


@pytest.mark.parametrize("mode", MODES)
def test_a_call_that_is_required_is_made_and_fits_its_schema(
    client: OpenAI, mode: dict[str, Any]
) -> None:
    free = ask(client, mode, tools=TOOLS)
    assert not all(choice.message.tool_calls for choice in free.choices)
    found = ask(client, mode, tools=TOOLS, tool_choice="required")
    for choice in found.choices:
        if choice.finish_reason == "length":  # a text may go on for ever
            continue
        assert choice.finish_reason == "tool_calls" and choice.format_errors == []
        for name, arguments in calls_of(choice.message):
            jsonschema.validate(arguments, SCHEMAS[name])
        assert bool(getattr(choice.message, "reasoning_content", "")) == mode["enable_thinking"]
    assert [c.finish_reason for c in found.choices].count("tool_calls") >= 5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_the_tool_that_is_named_is_called_once(
    client: OpenAI, mode: dict[str, Any], name: str
) -> None:
    named = {"type": "function", "function": {"name": name}}
    how = {"tools": TOOLS, "tool_choice": named, "parallel_tool_calls": False}
    found = ask(client, mode, **how)
    whole = [c for c in found.choices if c.finish_reason == "tool_calls"]
    assert len(whole) >= 5
    for choice in whole:
        ((called, arguments),) = calls_of(choice.message)
        assert called == name
        jsonschema.validate(arguments, SCHEMAS[name])


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_keeps_to_a_schema(client: OpenAI, mode: dict[str, Any]) -> None:
    for choice in ask(client, mode, response_format=FORMAT).choices:
        assert choice.finish_reason == "stop"
        jsonschema.validate(json.loads(choice.message.content), MOOD)


def test_an_answer_is_an_object(client: OpenAI) -> None:
    found = ask(client, MODES[0], response_format={"type": "json_object"})
    whole = [c.message.content for c in found.choices if c.finish_reason == "stop"]
    assert whole and all(isinstance(json.loads(content), dict) for content in whole)


def test_beside_an_answer_in_json_tools_may_be_called(client: OpenAI) -> None:
    decisions = CONVERSATION.decisions()
    calling = next(d for d in decisions if d.gold.tool_calls)
    how: dict[str, Any] = {"model": "base", "tools": TOOLS, "response_format": FORMAT}
    how["extra_body"] = {"chat_template_kwargs": MODES[0]}
    asked = [m.to_dict(thought=False) for m in calling.history]
    called = client.chat.completions.create(messages=asked, **how).choices[0].message
    assert called.tool_calls
    shown = client.chat.completions.create(messages=asked, tool_choice="none", **how)
    jsonschema.validate(json.loads(shown.choices[0].message.content), MOOD)


def test_a_stream_of_what_is_demanded_adds_up(client: OpenAI) -> None:
    how = {"model": "base", "messages": HELLO, "tools": TOOLS, "tool_choice": "required"}
    whole = client.chat.completions.create(**how).choices[0]
    chunks = list(client.chat.completions.create(stream=True, **how))
    told = [c for chunk in chunks for c in chunk.choices[0].delta.tool_calls or []]
    assert [(c.function.name, json.loads(c.function.arguments)) for c in told] == calls_of(
        whole.message
    )


def test_of_several_calls_the_first_is_told_where_one_is_asked_for() -> None:
    template = Template.load(str(MODEL))
    calls = tuple(ToolCall(name=name) for name in ("one", "two", "three"))
    messages = Message(role="user", content="Hi"), Message(role="assistant", tool_calls=calls)
    decision = Decision(Conversation(id="x", messages=messages), 1)
    prompt = Prompt(template, decision, False, (1,), False, 1000)
    ids = template.completion(decision, thought=None)
    request = Request((1,), SamplingParams(999, template.stop_token_ids, 0.0))
    for most, names in ((None, ["one", "two", "three"]), (1, ["one"])):
        choice, told = Choice(prompt, request, [], most_calls=most), []
        for number, token in enumerate(ids, 1):
            choice.add(Token(request, token, 0.0, "stop" if number == len(ids) else None))
            told += choice.read().calls
        assert choice.parsed is not None and choice.finish_reason == "tool_calls"
        assert [c.name for c in told] == [c.name for c in choice.parsed.calls] == names


def test_a_format_is_read_as_the_official_client_writes_it() -> None:
    body = {"model": "base", "messages": HELLO, "response_format": FORMAT}
    form = read_request(json.dumps(body).encode()).form(())
    assert form is not None and (form.answer, form.tools) == (MOOD, ())
