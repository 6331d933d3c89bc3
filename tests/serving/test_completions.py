"""The server's completions, as OpenAI's own client sees them."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from openai import NotFoundError, OpenAI

import actwise
from actwise.conversation import Decision
from actwise.data.load import Logs
from actwise.model.policy import Policy
from serving.asking import CONVERSATIONS, DECISIONS, HI, asked

DIRECT = {"chat_template_kwargs": {"enable_thinking": False}}
THINKING = {"chat_template_kwargs": {"enable_thinking": True}}


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


def test_the_coldest_temperatures_take_the_likeliest(client: OpenAI) -> None:
    how = {"model": "base", "messages": HI, "max_tokens": 5, "logprobs": True}
    coldest, greedy = (
        client.chat.completions.create(temperature=t, **how).choices[0] for t in (1e-40, 0)
    )
    assert raw(coldest) == raw(greedy)
