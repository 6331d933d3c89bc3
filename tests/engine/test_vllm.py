"""vLLM servers as the engine, against fakes that behave, and fakes that do not."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch

from actwise.config import EngineConfig
from actwise.conversation import Conversation, Decision
from actwise.engine import SamplingParams
from actwise.engine.local import LocalEngine
from actwise.engine.opening import open_engine
from actwise.engine.rollouts import Group, Sample
from actwise.errors import ConfigError, RunError
from actwise.model.policy import Policy
from vllm_fake import FakeVllm, running

STOP = (5, 77, 130, 200)
SAMPLED = SamplingParams(12, STOP)


def make_policy(folder: Path, lora_rank: int | None = None) -> Policy:
    policy = Policy.load(str(folder), lora_rank=lora_rank)
    change(policy, seed=1)
    return policy


def change(policy: Policy, seed: int) -> None:
    """Move the trained weights by more than an optimiser would."""
    draw = torch.Generator().manual_seed(seed)
    policy.set_weights(
        {n: w + 0.15 * torch.randn(w.shape, generator=draw) for n, w in policy.weights().items()}
    )


def make_groups(count: int = 6) -> list[Group]:
    decision = Decision(Conversation(id="c", messages=()), 0)
    return [Group(decision, tuple(range(10 + i, 30 + i))) for i in range(count)]


def samples(groups: list[Group]) -> list[Sample]:
    return [rollout.sample for group in groups for rollout in group.rollouts]


class Given:
    """A policy, some servers, and the engine that asks them."""

    def __init__(self, policy: Policy, servers: list[FakeVllm], tmp_path: Path, **config: Any):
        self.policy, self.servers = policy, servers
        self.said: list[str] = []
        self.folder = tmp_path / "engine"
        urls = tuple(server.url for server in servers)
        settings = EngineConfig(kind="vllm", urls=urls, **config)
        self.engine = open_engine(policy, settings, tmp_path, self.said.append)

    def sample(self, seed: int = 0, params: SamplingParams = SAMPLED) -> list[Sample]:
        generator = torch.Generator().manual_seed(seed)
        return samples(
            self.engine.generate(
                make_groups(), num_generations=4, params=params, generator=generator
            )
        )


class Make:
    """Makes servers that run until the end of the test."""

    def __init__(self, folder: Path, tmp_path: Path, held: ExitStack) -> None:
        self._folder, self._tmp_path, self._held = folder, tmp_path, held

    def servers(self, count: int, lora_rank: int | None = None) -> list[FakeVllm]:
        policies = [Policy.load(str(self._folder), lora_rank=lora_rank) for _ in range(count)]
        return [self._held.enter_context(running(FakeVllm(policy))) for policy in policies]

    def __call__(self, count: int = 1, lora_rank: int | None = None, **config: Any) -> Given:
        policy = make_policy(self._folder, lora_rank)
        return Given(policy, self.servers(count, lora_rank), self._tmp_path, **config)


@pytest.fixture
def make(tiny_model_dir: Path, tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as held:
        yield Make(tiny_model_dir, tmp_path, held)


@pytest.mark.parametrize("lora_rank", [None, 2])
def test_completions_are_those_of_the_weights_as_they_are(
    make: Make, lora_rank: int | None
) -> None:
    given = make(lora_rank=lora_rank)
    greedy = SamplingParams(12, STOP, temperature=0)
    seen = []
    for seed in (2, 3):
        found = given.sample(params=greedy)
        own = LocalEngine(given.policy).generate(make_groups(), num_generations=4, params=greedy)
        assert [s.token_ids for s in found] == [s.token_ids for s in samples(own)]
        assert [s.stop_reason for s in found] == [s.stop_reason for s in samples(own)]
        for one, other in zip(found, samples(own), strict=True):
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)
        seen.append(found)
        change(given.policy, seed)
    assert seen[0] != seen[1]


def test_weights_are_handed_over_once_by_a_new_name_and_path(make: Make) -> None:
    given = make(lora_rank=2)
    (server,) = given.servers
    for seed in (2, 3):
        given.sample()
        given.sample()
        assert len(server.adapters) == len(list(given.folder.iterdir())) == 1
        change(given.policy, seed)
    loaded = [body for path, body in server.asked if path == "/v1/load_lora_adapter"]
    assert len(loaded) == 2
    assert len({body["lora_name"] for body in loaded} | {b["lora_path"] for b in loaded}) == 4
    other = Given(given.policy, given.servers, given.folder.parent)  # as a resumed run does
    other.sample()
    names = [b["lora_name"] for path, b in server.asked if path == "/v1/load_lora_adapter"]
    assert len(names) == len(set(names)) == 3


def test_what_a_server_keeps_of_prompts_is_thrown_away_with_the_weights(make: Make) -> None:
    given = make()
    given.sample()
    change(given.policy, 2)
    given.sample()
    paths = [path for path, _ in given.servers[0].asked if path != "/v1/completions"]
    assert paths == 2 * ["/v1/models", "/collective_rpc", "/reset_prefix_cache"]


def test_nothing_is_left_to_the_defaults_of_a_server(make: Make) -> None:
    given = make()
    given.sample(params=SamplingParams(7, STOP, temperature=0.6, top_p=0.9))
    for body in given.servers[0].completed:
        assert body["ignore_eos"] is True and body["stop_token_ids"] == list(STOP)
        assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.6, 0.9, 7)
        assert (body["top_k"], body["min_p"], body["repetition_penalty"]) == (0, 0.0, 1.0)


def test_each_decision_has_a_seed_of_its_own_and_a_run_repeats_it(make: Make) -> None:
    given = make()
    first, again, other = given.sample(seed=0), given.sample(seed=0), given.sample(seed=1)
    assert first == again != other
    seeds = [body["seed"] for body in given.servers[0].completed]
    assert len(set(seeds[:6])) == 6 and sorted(seeds[:6]) == sorted(seeds[6:12])


def test_several_servers_share_the_work_and_change_nothing(make: Make) -> None:
    alone = make().sample()
    given = make(3, concurrency=1)
    assert given.sample() == alone
    assert all(server.completed for server in given.servers)
    assert given.said == []


REASONS = {
    0: "RemoteProtocolError: Server disconnected",
    -1: "no answer within 1 s",
    404: '/v1/completions: HTTP 404: {"error": "it is broken"}',
    500: '/v1/completions: HTTP 500: {"error": "it is broken"}',
    b"<html>": "answers with no completion: : Invalid JSON",
    b"{}": "answers with no completion: choices: Field required",
    b'{"choices": []}': "answers with no completion: not the 4 completions asked for",
}


@pytest.mark.parametrize("answer", REASONS)
def test_a_server_that_fails_is_named_and_its_work_is_done_by_another(
    make: Make, answer: Any
) -> None:
    right = make().sample()
    given = make(2, concurrency=2, timeout=1)
    bad = given.servers[0]
    bad.answer = lambda path, body: answer if body.get("stop_token_ids") else None
    assert given.sample() == right
    (said,) = given.said
    assert said.startswith(f"{bad.url}: {REASONS[answer]}")
    assert said.endswith("; goes on without it, 1 left")
    before = len(bad.asked)
    change(given.policy, 2)
    given.sample()
    assert len(bad.asked) == before


def test_without_a_server_there_is_one_line_with_the_remedy(make: Make) -> None:
    given = make(2)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    dead = f"http://127.0.0.1:{port}"
    given.servers[0].answer = lambda path, body: 500
    settings = EngineConfig(kind="vllm", urls=(dead, given.servers[0].url))
    engine = open_engine(given.policy, settings, given.folder.parent, given.said.append)
    with pytest.raises(RunError) as raised:
        engine.generate(make_groups(), num_generations=1, params=SAMPLED)
    line = str(raised.value)
    assert line.startswith("no vLLM server is left: ") and "\n" not in line
    assert (
        f"{dead}: ConnectError: " in line
        and f"{given.servers[0].url}: /v1/models: HTTP 500" in line
    )
    assert "; start them as docs/engines.md says, and the same command goes on from" in line


@pytest.mark.parametrize("lora_rank", [None, 2])
def test_a_server_of_another_model_is_not_sampled_from(make: Make, lora_rank: int | None) -> None:
    given = make(2, lora_rank=lora_rank)
    torch.manual_seed(0)
    for parameter in given.servers[0].policy.model.parameters():
        parameter.data += 0.5 * torch.randn_like(parameter)
    loads = ("/collective_rpc",)
    given.servers[0].answer = lambda path, body: b"{}" if path in loads else None
    given.sample()
    (said,) = given.said
    assert said.startswith(f"{given.servers[0].url}: samples from other weights than it was given")
    assert given.servers[0].completed == []


def choice(**other: Any) -> dict[str, Any]:
    right = {
        "index": 0,
        "token_ids": [9] * 12,
        "logprobs": {"token_logprobs": [-1.0] * 12},
        "finish_reason": "length",
    }
    return {**right, **other}


BROKEN = {
    "12 tokens with 11 log-probs": choice(logprobs={"token_logprobs": [-1.0] * 11}),
    "0 tokens with 0 log-probs": choice(token_ids=[], logprobs={"token_logprobs": []}),
    "a token that the model does not have": choice(token_ids=[9] * 11 + [100000]),
    "a log-prob that is none": choice(logprobs={"token_logprobs": [-1.0] * 11 + [3.0]}),
    "a completion that ends elsewhere": choice(token_ids=[9, 5] + [9] * 10),
    "a completion that ends elsewhere than where": choice(finish_reason="stop"),
    "choices.0.finish_reason: Input should be 'stop' or 'length'": choice(finish_reason="abort"),
    "choices.0.token_ids: Field required": {k: v for k, v in choice().items() if k != "token_ids"},
    "cut after 7 tokens of 12: start it with a larger --max-model-len": choice(
        token_ids=[9] * 7, logprobs={"token_logprobs": [-1.0] * 7}
    ),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_what_is_no_completion_is_not_learned_from(make: Make, reason: str) -> None:
    given = make()
    reply = json.dumps({"choices": [BROKEN[reason]]}).encode()
    given.servers[0].answer = lambda path, body: reply if body.get("stop_token_ids") else None
    with pytest.raises(RunError) as raised:
        given.engine.generate(make_groups(), num_generations=1, params=SAMPLED)
    assert f"{given.servers[0].url}: answers with no completion: {reason}" in str(raised.value)


def test_a_key_is_sent_and_never_shown(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVERS_KEY", "sk-0123456789")
    given = make(api_key_env="SERVERS_KEY")
    given.servers[0].answer = lambda path, body: b'{"said": "sk-0123456789"}'
    with pytest.raises(RunError) as raised:
        given.sample()
    assert "0123456789" not in str(raised.value)
    monkeypatch.delenv("SERVERS_KEY")
    with pytest.raises(ConfigError, match="set the environment variable SERVERS_KEY"):
        make(api_key_env="SERVERS_KEY")


def test_a_snapshot_goes_on_with_the_weights_it_was_taken_of(make: Make) -> None:
    given = make()
    before = given.sample()
    snapshot = given.engine.snapshot()
    change(given.policy, 2)
    generator = torch.Generator().manual_seed(0)
    found = snapshot.generate(make_groups(), num_generations=4, params=SAMPLED, generator=generator)
    assert samples(found) == before
    assert given.sample() != before


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", "http://", "http://x:99999999"])
def test_an_address_that_is_none_is_named(make: Make, url: str) -> None:
    settings = EngineConfig(kind="vllm", urls=(url,))
    with pytest.raises(ConfigError, match=r"engine\.urls: "):
        open_engine(make().policy, settings, Path(), print)
