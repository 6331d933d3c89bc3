"""Several clients of the server: keys, limits, what waits, and who goes away."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial
from typing import Any

import httpx2 as httpx
import pytest
from openai import APIError, AuthenticationError, NotFoundError, OpenAI, RateLimitError

from actwise.engine.batch import Batch, Token
from actwise.model.policy import Policy
from actwise.serving.app import Limits, Served, Server
from actwise.template.render import Template
from serving.asking import DECISIONS, HI, asked, metric
from serving.conftest import Start, listening


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


def test_who_sends_a_long_conversation_keeps_nobody_waiting(policy: Policy) -> None:
    begun, answered = threading.Event(), threading.Event()

    class Long(Template):
        def encode(self, text: str) -> list[int]:
            begun.set()
            assert answered.wait(60)
            return super().encode(text)

    slow = copy(policy)
    slow.template = copy(policy.template)
    slow.template.__class__ = Long
    models = [Served("long", slow, True), Served("base", policy, True)]
    with listening(Server(models)) as address, ThreadPoolExecutor(1) as pool:
        asker = OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0, timeout=50)
        ask = partial(asker.chat.completions.create, messages=HI, max_tokens=3)
        coming = pool.submit(ask, model="long")
        assert begun.wait(60)
        assert ask(model="base").usage.completion_tokens == 3
        answered.set()
        assert coming.result().usage.completion_tokens == 3


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
