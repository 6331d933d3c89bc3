"""What the server refuses, by name, and what it lets pass."""

import json
import logging
import socket
from typing import Any

import httpx2 as httpx
import pytest
from openai import BadRequestError, OpenAI

from actwise.serving.app import Limits
from actwise.serving.protocol import read_request, written_event
from serving.asking import HI, metric
from serving.conftest import Start

NAMED = {"type": "function", "function": {"name": "find"}}
TYPELESS = {"type": "function", "function": {"name": "find", "parameters": 3}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "word"}}}


@pytest.mark.parametrize(
    ("changes", "param", "problem"),
    [
        ({"messages": []}, "messages", "at least 1 item"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages", "role"),
        ({"messages": [{"role": "user", "content": "x " * 20000}]}, "messages", "the model holds"),
        ({"tools": [{"type": "function", "function": {}}]}, "messages", "name"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools", "custom: no function"),
        ({"tools": [{"type": "web_search"}]}, "tools", "web_search: no function"),
        ({"tools": [TYPELESS]}, "tools", "find: it is a number: its schema cannot be used"),
        ({"max_tokens": 201}, "max_tokens", "at most 200 here"),
        ({"max_completion_tokens": 201}, "max_completion_tokens", "at most 200 here"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ({"temperature": -1}, "temperature", "greater than or equal to 0"),
        ({"top_p": 0}, "top_p", "greater than 0"),
        ({"n": 100}, "n", "at most 32 here"),
        ({"n": 0}, "n", "greater than or equal to 1"),
        ({"stop": ""}, "stop", "an empty stop"),
        ({"stop": ["x"] * 17}, "stop", "at most 16 items"),
        ({"seed": "x"}, "seed", "valid integer"),
        ({"top_logprobs": 2}, "top_logprobs", "has to be 0 here"),
        ({"functions": [{"name": "find"}]}, "functions", "is not supported here"),
        ({"logit_bias": {"1": 2}}, "logit_bias", "is not supported here"),
        ({"tool_choice": "required"}, "tool_choice", "no tool is on offer"),
        ({"tool_choice": NAMED}, "tool_choice", "no tool 'find' is on offer"),
        ({"tool_choice": "any"}, "tool_choice.type", "'required' or 'function' here"),
        ({"tool_choice": {"type": "function"}}, "tool_choice", "a function belongs to"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "has to be 'text'"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "a json_schema belongs"),
        ({"response_format": SCHEMA}, "response_format", "cannot be kept to"),
        ({"chat_template_kwargs": {"x": 1}}, "chat_template_kwargs.x", "is not supported here"),
        ({"reasoning_effort": "low"}, "reasoning_effort", "has to be 'none' here"),
        ({"thinking_token_budget": -1}, "thinking_token_budget", "greater than or equal to 0"),
        ({"steering": True}, "steering", "base has no vector"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    url: str, changes: dict[str, Any], param: str, problem: str
) -> None:
    body = {"model": "base", "messages": HI, **changes}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert problem in error["message"]


@pytest.mark.parametrize(
    "field",
    ["stream", "stream_options", "tools", "stop", "n", "temperature", "logprobs", "logit_bias"],
)
def test_null_asks_for_nothing(url: str, field: str) -> None:
    body = {"model": "base", "messages": HI, "max_tokens": 3}
    plain, null = (
        httpx.post(f"{url}/v1/chat/completions", json=asking, timeout=60).json()["choices"]
        for asking in (body, {**body, field: None})
    )
    assert null == plain


@pytest.mark.parametrize(
    "nothing",
    [
        {"functions": [], "logit_bias": {}, "modalities": ["text"], "n": 1},
        {"prompt_cache_options": {"x": 1}, "prompt_cache_retention": "24h", "store": True},
        {"stream_options": {"include_usage": False, "include_obfuscation": False}},
        {"response_format": {"type": "text"}, "tool_choice": "auto", "parallel_tool_calls": True},
    ],
)
def test_what_asks_for_nothing_else_than_what_is_done_is_let_pass(nothing: dict[str, Any]) -> None:
    plain = {"model": "base", "messages": HI}
    asked = read_request(json.dumps({**plain, **nothing}).encode())
    assert (asked.n, asked.messages, asked.stream) == (1, HI, False)


def test_an_event_of_a_stream_is_one_line() -> None:
    said = {"content": "a\u2028b\x85c\x0bd\né"}
    event = written_event(said)
    line, *rest = event.splitlines()
    assert rest == [""] and event.endswith("\n\n")
    assert json.loads(line.removeprefix("data: ")) == said


def test_the_official_client_knows_the_errors(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.chat.completions.create(
            model="base", messages=[{"role": "user", "content": "x " * 9000}]
        )
    assert caught.value.code == "context_length_exceeded"


def test_bodies_that_are_no_requests(url: str, start: Start) -> None:
    place = f"{url}/v1/chat/completions"
    json_type = {"content-type": "application/json"}
    assert "not JSON" in httpx.post(place, content=b"{", headers=json_type).text
    assert httpx.post(place, content=b"[" * 100_000, headers=json_type).status_code == 400
    assert httpx.post(place, content=b"[]", headers=json_type).status_code == 400
    plain = httpx.post(place, content=b"{}", headers={"content-type": "text/plain"})
    assert plain.status_code == 400 and "application/json" in plain.text
    assert httpx.get(place).status_code == 405
    assert httpx.get(f"{url}/v1/absent").json()["error"]["type"] == "invalid_request_error"
    small = start(limits=Limits(max_body=100))
    body = {"model": "base", "messages": [{"role": "user", "content": "x" * 100}]}
    answer = httpx.post(f"{small}/v1/chat/completions", json=body)
    assert answer.status_code == 413 and "100 bytes" in answer.json()["error"]["message"]


def test_json_may_be_named_in_any_letters(url: str) -> None:
    for name in ("Application/JSON", "application/json ; charset=utf-8"):
        answer = httpx.post(
            f"{url}/v1/chat/completions", content=b"{}", headers={"content-type": name}
        )
        assert "model: is missing" in answer.text


def test_who_goes_away_before_the_end_of_a_request_is_no_failure(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(caplog.handler)
    host, port = url.removeprefix("http://").split(":")
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port))) as asker:
        asker.sendall(f"{head}Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n{{".encode())
        assert asker.recv(100).startswith(b"HTTP/1.1 100")  # the body is waited for
    for _ in range(3):
        assert httpx.get(f"{url}/health").status_code == 200
    logger.removeHandler(caplog.handler)
    assert caplog.records == []


HALF = "\ud83d hi"
FIND = {"type": "function", "function": {"name": "find", "description": HALF}}
ARGUMENTS = {"name": "find", "arguments": '{"x": "\\ud83d"}'}
CALLED = [
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": ARGUMENTS}],
    },
    {"role": "tool", "tool_call_id": "c", "content": "{}"},
]


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": [{"role": "user", "content": HALF}]},
        {"messages": [{"role": "system", "content": HALF}, *HI]},
        {"messages": [*HI, *CALLED], "tools": [NAMED]},
        {"tools": [FIND]},
        {HALF: 1},
    ],
    ids=["user", "system", "arguments", "tool", "field"],
)
def test_half_a_character_is_refused(url: str, changes: dict[str, Any]) -> None:
    before = metric(url, "actwise_requests_total")
    body = {"model": "base", "messages": HI, **changes}
    answer = httpx.post(
        f"{url}/v1/chat/completions",
        content=json.dumps(body),
        headers={"content-type": "application/json"},
        timeout=60,
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert "half of a" in error["message"]
    assert metric(url, "actwise_requests_total") == before + 1
