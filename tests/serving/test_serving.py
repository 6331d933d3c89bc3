"""The server as OpenAI's own client and plain HTTP see it."""

import json
import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx2 as httpx
import pytest
from openai import (
    APIError,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OpenAI,
    RateLimitError,
)

import actwise
from actwise.conversation import Decision
from actwise.data.load import Logs
from actwise.desk import generate
from actwise.engine.batch import Batch, Token
from actwise.model.policy import Policy
from actwise.serving.app import Limits
from actwise.serving.protocol import read_request, written_event
from serving.conftest import Start

CONVERSATIONS = generate("test", 3, seed=5)
DECISIONS = [decision for c in CONVERSATIONS for decision in c.decisions()]
NAMED = {"type": "function", "function": {"name": "find"}}
TYPELESS = {"type": "function", "function": {"name": "find", "parameters": 3}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "word"}}}
HI = [{"role": "user", "content": "Hi"}]
DIRECT = {"chat_template_kwargs": {"enable_thinking": False}}
THINKING = {"chat_template_kwargs": {"enable_thinking": True}}


def asked(decision: Decision) -> dict[str, Any]:
    """What a client sends to have a decision made."""
    return {
        "messages": [m.to_dict(thought=False) for m in decision.history],
        "tools": list(decision.conversation.tools),
    }


def raw(choice: Any) -> str:
    """The completion as it was written, with its stop token."""
    return "".join(token.token for token in choice.logprobs.content)


def test_greedy_tokens_are_those_that_were_measured(client: OpenAI, policy: Policy) -> None:
    config = {"evaluate": {"max_completion_tokens": 200}}
    logs = Logs(list(CONVERSATIONS), [], [])
    measured = actwise.evaluate("base", logs, config=config).records
    ends = policy.template.tokenizer.convert_ids_to_tokens(list(policy.template.stop_token_ids))

    def ask(mode: str, decision: Decision) -> Any:
        return client.chat.completions.create(
            model="base",
            logprobs=True,
            extra_body={"chat_template_kwargs": {"enable_thinking": mode == "thinking"}},
            **asked(decision),
        )

    for mode, records in measured.items():
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(partial(ask, mode), DECISIONS))
        for record, answer in zip(records, answers, strict=True):
            choice = answer.choices[0]
            assert answer.usage.completion_tokens == record["tokens"]
            assert raw(choice) in [record["text"] + end for end in ["", *ends]]
            thought = getattr(choice.message, "reasoning_content", "")
            assert thought == record["thought"]
            assert (choice.finish_reason == "length") == (record["stop"] == "length")


def test_a_budget_is_what_the_python_api_does(client: OpenAI) -> None:
    model = actwise.load_model("base")
    cut = 0
    for decision in DECISIONS[:8]:
        given = asked(decision)
        free = model.act(given["messages"], given["tools"], max_tokens=150)
        action = model.act(given["messages"], given["tools"], max_tokens=150, budget=6)
        how = {"model": "base", "max_tokens": 150, "logprobs": True, **given}
        budget = {"thinking_token_budget": 6}
        whole = client.chat.completions.create(extra_body=budget, **how)
        stream = client.chat.completions.create(extra_body=budget, stream=True, **how)
        found, choice = together(list(stream)), whole.choices[0]
        assert found["thought"] == choice.message.reasoning_content == action.thought
        assert found["content"] == (choice.message.content or "") == action.answer
        assert [name for name, _ in found["calls"]] == [name for name, _ in action.calls]
        assert found["raw"] == raw(choice) and raw(choice).startswith(action.text)
        assert whole.usage.completion_tokens == len(choice.logprobs.content)
        assert whole.usage.completion_tokens_details.reasoning_tokens <= 6
        cut += action.thought != free.thought
    assert cut >= 4


def test_an_answer_is_what_the_python_api_does(client: OpenAI) -> None:
    model = actwise.load_model("base")
    kinds = set()
    for decision in DECISIONS[:8]:
        given = asked(decision)
        action = model.act(given["messages"], given["tools"], temperature=1, seed=3, max_tokens=99)
        answer = client.chat.completions.create(
            model="base", temperature=1, seed=3, max_tokens=99, **given
        )
        message, reason = answer.choices[0].message, answer.choices[0].finish_reason
        calls = [
            (c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or []
        ]
        assert calls == action.calls
        assert (message.content or "") == action.answer
        assert getattr(message, "reasoning_content", "") == action.thought
        expected = "tool_calls" if action.calls else "stop"
        assert reason == ("length" if action.truncated else expected)
        assert answer.choices[0].format_errors == [e.value for e in action.parsed.errors]
        kinds.add(reason)
    assert {"tool_calls", "stop"} <= kinds


def together(chunks: list[Any]) -> dict[str, Any]:
    """Add the pieces of a stream up."""
    found: dict[str, Any] = {"thought": "", "content": "", "calls": [], "reason": None, "raw": ""}
    for chunk in chunks:
        for choice in chunk.choices:
            found["thought"] += getattr(choice.delta, "reasoning_content", "") or ""
            found["content"] += choice.delta.content or ""
            for call in choice.delta.tool_calls or []:
                assert call.index == len(found["calls"])
                found["calls"].append((call.function.name, call.function.arguments))
            found["reason"] = choice.finish_reason or found["reason"]
            found["raw"] += raw(choice) if choice.logprobs else ""
    return found


def test_a_stream_adds_up_to_the_answer(client: OpenAI) -> None:
    for decision in DECISIONS[:6]:
        how = {"model": "base", "logprobs": True, **asked(decision)}
        whole = client.chat.completions.create(**how)
        choice = whole.choices[0]
        calls = choice.message.tool_calls or []
        stream = client.chat.completions.create(
            stream=True, stream_options={"include_usage": True}, **how
        )
        chunks = list(stream)
        assert len(chunks) > 3
        assert chunks[0].choices[0].delta.role == "assistant"
        assert chunks[-1].choices == []
        kept = {"prompt_tokens_details"}  # how many were kept depends on what was asked before
        told = (usage.model_dump(exclude=kept) for usage in (chunks[-1].usage, whole.usage))
        assert next(told) == next(told)
        assert len({chunk.id for chunk in chunks}) == 1
        assert together(chunks) == {
            "thought": getattr(choice.message, "reasoning_content", ""),
            "content": choice.message.content or "",
            "calls": [(c.function.name, c.function.arguments) for c in calls],
            "reason": choice.finish_reason,
            "raw": raw(choice),
        }


def test_choices_differ_and_can_be_repeated(client: OpenAI) -> None:
    how = {"model": "base", "messages": HI, "max_tokens": 12, "temperature": 1.0}
    one, again, other = (
        [c.message.to_dict() for c in client.chat.completions.create(n=3, seed=s, **how).choices]
        for s in (7, 7, 8)
    )
    assert one == again != other
    assert one[1] == client.chat.completions.create(seed=8, **how).choices[0].message.to_dict()
    assert len({json.dumps(message) for message in one}) > 1


def test_limits_of_a_completion(client: OpenAI) -> None:
    for decision in DECISIONS:
        how = {"model": "sft", **asked(decision)}
        free = client.chat.completions.create(**how)
        text = free.choices[0].message.content or ""
        if len(text) > 8:
            break
    cut = client.chat.completions.create(max_tokens=3, **how)
    assert cut.choices[0].finish_reason == "length" and cut.usage.completion_tokens == 3
    stop = text[4:7]
    expected = text[: text.index(stop)].rstrip()
    for stream in (False, True):
        answer = client.chat.completions.create(stop=[stop, "never said"], stream=stream, **how)
        if stream:
            found = together(list(answer))
            assert (found["content"], found["reason"]) == (expected, "stop")
        else:
            assert answer.choices[0].message.content == expected
            assert answer.usage.completion_tokens < free.usage.completion_tokens


def test_modes(client: OpenAI) -> None:
    def thought(model: str, **how: Any) -> bool:
        answer = client.chat.completions.create(model=model, **asked(DECISIONS[0]), **how)
        return bool(getattr(answer.choices[0].message, "reasoning_content", ""))

    assert thought("base") and thought("sft", extra_body=THINKING)
    assert not thought("sft") and not thought("base", extra_body=DIRECT)
    assert not thought("base", reasoning_effort="none")


def test_without_tools_to_choose_none_is_shown(client: OpenAI) -> None:
    given = asked(DECISIONS[0])
    none = client.chat.completions.create(model="base", tool_choice="none", **given)
    without = client.chat.completions.create(model="base", messages=given["messages"])
    assert none.usage.prompt_tokens == without.usage.prompt_tokens
    assert client.chat.completions.create(model="base", **given).usage.prompt_tokens > (
        none.usage.prompt_tokens
    )


def test_models_are_listed(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["base", "sft"]
    assert client.models.retrieve("sft").enable_thinking is False
    with pytest.raises(NotFoundError, match="there is no model 'rl'; there are base, sft"):
        client.chat.completions.create(model="rl", messages=HI)


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


def test_the_coldest_temperatures_take_the_likeliest(client: OpenAI) -> None:
    how = {"model": "base", "messages": HI, "max_tokens": 5, "logprobs": True}
    coldest, greedy = (
        client.chat.completions.create(temperature=t, **how).choices[0] for t in (1e-40, 0)
    )
    assert raw(coldest) == raw(greedy)


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


def test_a_key_is_demanded_where_there_is_one(start: Start) -> None:
    address = start(api_key="sk-right")
    # The scheme is so in any case (RFC 9110, section 11.1).
    for given, right in (
        ("Bearer sk-right", True),
        ("bearer  sk-right", True),
        ("Bearer sk-wrong", False),
        ("Bearer sk-rïght", False),
        ("Basic sk-right", False),
        ("sk-right", False),
        ("Bearer", False),
    ):
        headers = {"authorization": given.encode()}
        for place in ("/v1/models", "/metrics"):
            assert (httpx.get(address + place, headers=headers).status_code == 200) is right
    with pytest.raises(AuthenticationError):
        OpenAI(base_url=f"{address}/v1", api_key="sk-wrong").models.list()
    assert httpx.get(f"{address}/health").json() == {"status": "ok"}
    assert httpx.get(address).status_code == 200


def test_only_the_names_it_knows_are_answered(start: Start) -> None:
    address = start(hosts=("127.0.0.1", "localhost"))
    assert httpx.get(f"{address}/health").status_code == 200
    elsewhere = httpx.get(f"{address}/health", headers={"host": "evil.example"})
    assert elsewhere.status_code == 400


def test_more_than_may_wait_are_refused(start: Start) -> None:
    address = start(limits=Limits(max_running=1, max_waiting=1))
    asker = OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)

    def ask(seed: int) -> str:
        try:
            asker.chat.completions.create(
                model="base", messages=HI, max_tokens=200, temperature=2, seed=seed
            )
        except RateLimitError as error:
            assert error.code == "overloaded" and error.response.headers["retry-after"] == "1"
            return "refused"
        return "answered"

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(ask, range(6)))
    assert "refused" in found and found.count("answered") >= 1


def test_several_choices_are_answered_where_there_is_room(start: Start) -> None:
    asker = OpenAI(
        base_url=f"{start(limits=Limits(max_running=2, max_waiting=1))}/v1",
        api_key="any",
        max_retries=0,
    )
    for _ in range(2):
        answer = asker.chat.completions.create(model="base", messages=HI, max_tokens=3, n=2)
        assert len(answer.choices) == 2


def metric(url: str, name: str) -> float:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_who_goes_away_is_computed_no_further(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Batch.step

    def slow(batch: Batch) -> list[Token]:
        time.sleep(0.1)
        return step(batch)

    monkeypatch.setattr(Batch, "step", slow)
    address = start(limits=Limits(max_tokens=8000))
    body = {"model": "base", "messages": HI, "temperature": 2, "seed": 1, "max_tokens": 1900}
    for stream in (True, False):
        with httpx.Client(timeout=60) as asker:
            if stream:
                request = {**body, "stream": True}
                with asker.stream("POST", f"{address}/v1/chat/completions", json=request) as answer:
                    next(answer.iter_lines())
            else:
                with pytest.raises(httpx.TimeoutException):
                    asker.post(f"{address}/v1/chat/completions", json=body, timeout=0.3)
        deadline = time.monotonic() + 60
        while metric(address, "actwise_running ") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert metric(address, "actwise_running ") == 0
    assert metric(address, "actwise_dropped_total") == 2


def test_metrics_count_what_happens(start: Start) -> None:
    address = start()
    asker = OpenAI(base_url=f"{address}/v1", api_key="any")
    usage = asker.chat.completions.create(model="base", messages=HI, max_tokens=5).usage
    with pytest.raises(NotFoundError):
        asker.chat.completions.create(model="absent", messages=HI)
    labels = '{model="base",status="200"}'
    assert metric(address, f"actwise_requests_total{labels}") == 1
    assert metric(address, 'actwise_requests_total{model="",status="404"}') == 1
    assert metric(address, "actwise_prompt_tokens_sum") == usage.prompt_tokens
    assert metric(address, "actwise_completion_tokens_sum") == usage.completion_tokens
    assert metric(address, "actwise_batch_rows_count") == usage.completion_tokens
    assert metric(address, "actwise_first_token_seconds_count") == 1
    assert metric(address, "actwise_reused_tokens_total") == 0


def test_a_second_turn_is_read_from_where_the_first_ended(start: Start) -> None:
    whole, nothing = start(), start(limits=Limits(max_kept=0))
    given = asked(DECISIONS[1])
    answers = []
    for address in (whole, nothing):
        asker = OpenAI(base_url=f"{address}/v1", api_key="any")
        how = {"model": "base", "tools": given["tools"], "max_tokens": 40}
        first = asker.chat.completions.create(messages=given["messages"][:-2], **how)
        answers.append(asker.chat.completions.create(messages=given["messages"], **how))
        assert first.usage.prompt_tokens_details.cached_tokens == 0
        reused = answers[-1].usage.prompt_tokens_details.cached_tokens
        before = first.usage.prompt_tokens
        assert before - 20 < reused <= before if address == whole else reused == 0
        assert metric(address, "actwise_reused_tokens_total") == reused
        assert (metric(address, "actwise_kept_bytes") > 0) == (address == whole)
    one, other = (answer.choices[0].message for answer in answers)
    assert (one.content, one.reasoning_content) == (other.content, other.reasoning_content)


def test_who_arrives_joins_who_is_being_decoded(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, rows = Batch.step, []

    def slow(batch: Batch) -> list[Token]:
        time.sleep(0.02)
        rows.append(len(batch.requests))
        return step(batch)

    monkeypatch.setattr(Batch, "step", slow)
    asker = OpenAI(base_url=f"{start()}/v1", api_key="any")
    how = {"model": "base", "logprobs": True, **asked(DECISIONS[0])}
    first = iter(asker.chat.completions.create(max_tokens=60, stream=True, **how))
    next(first), next(first)
    second = asker.chat.completions.create(max_tokens=5, **how)
    assert len(list(first)) > 5
    assert rows.count(2) == second.usage.completion_tokens and rows.count(1) > 5


def test_a_failing_model_is_told_and_others_go_on(
    start: Start, policy: Policy, monkeypatch: Any
) -> None:
    address = start()
    asker = OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)

    def fail(*given: Any, **how: Any) -> Any:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(policy.model, "forward", fail)
        for stream in (False, True):
            with pytest.raises(APIError, match="the model failed"):
                list(asker.chat.completions.create(model="base", messages=HI, stream=stream))
    assert asker.chat.completions.create(model="base", messages=HI, max_tokens=3).usage
    assert metric(address, "actwise_running ") == 0
