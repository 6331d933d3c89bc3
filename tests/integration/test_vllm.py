"""A real vLLM as the engine of a run, and as what serves a bundle."""

import json
import shlex
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from openai import OpenAI

import actwise as package
from actwise.config import EngineConfig
from actwise.conversation import all_decisions
from actwise.desk import MODEL, generate
from actwise.engine import Engine, SamplingParams
from actwise.engine.local import LocalEngine
from actwise.engine.opening import open_engine
from actwise.engine.rollouts import Group, Sample, groups_of
from actwise.errors import RunError
from actwise.model.policy import Policy
from finding import logprobs_of, ordinary
from integration.conftest import actwise as actwise
from vllm_real import RealVllm, serving

pytestmark = pytest.mark.slow

LORA = ("--dtype=float32", "--enable-lora", "--max-lora-rank=8")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealVllm]:
    with serving(tmp_path_factory.mktemp("vllm"), MODEL, LORA) as running:
        yield running


def engine_of(policy: Policy, folder: Path, *servers: RealVllm) -> Engine:
    urls = tuple(server.url for server in servers)
    return open_engine(policy, EngineConfig(kind="vllm", urls=urls), folder, print)


def change(policy: Policy, size: float, seed: int = 0) -> None:
    draw = torch.Generator().manual_seed(seed)
    policy.set_weights(
        {n: w + size * torch.randn(w.shape, generator=draw) for n, w in policy.weights().items()}
    )


def desk_groups(policy: Policy, count: int) -> list[Group]:
    decisions = all_decisions(generate("test", 8, seed=3))
    return groups_of(policy.template, islice(decisions, count), thinking=True)


def samples(groups: list[Group]) -> list[Sample]:
    return [rollout.sample for group in groups for rollout in group.rollouts]


def assert_samples_from(policy: Policy, engine: Engine) -> None:
    """Greedy tokens are the local engine's, and all log-probs the policy's."""
    groups, stop = desk_groups(policy, 24), policy.template.stop_token_ids
    greedy = SamplingParams(60, stop, temperature=0)
    ours = samples(LocalEngine(policy).generate(groups, num_generations=1, params=greedy))
    theirs = samples(engine.generate(groups, num_generations=1, params=greedy))
    assert [s.token_ids for s in theirs] == [s.token_ids for s in ours]
    assert [s.stop_reason for s in theirs] == [s.stop_reason for s in ours]
    for one, other in zip(theirs, ours, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
    drawn = engine.generate(
        groups,
        num_generations=4,
        params=SamplingParams(60, stop, top_p=0.95),
        generator=torch.Generator().manual_seed(0),
    )
    assert len({s.token_ids for s in samples(drawn)}) > len(groups)
    model = ordinary(policy)
    for group in drawn:
        for sample in samples([group]):
            with torch.no_grad():
                own = logprobs_of(model, group.prompt, sample.token_ids).tolist()
            assert sample.logprobs == pytest.approx(own, abs=1e-4)


def test_all_weights_are_those_that_are_trained(server: RealVllm, tmp_path: Path) -> None:
    policy = Policy.load(str(MODEL), train_embeddings=False)
    engine = engine_of(policy, tmp_path, server)
    assert_samples_from(policy, engine)
    for seed in (1, 2):
        change(policy, 0.02, seed)
        assert_samples_from(policy, engine)


def test_adapters_are_those_that_are_trained(server: RealVllm, tmp_path: Path) -> None:
    # What the other test has left is no base of these.
    engine_of(Policy.load(str(MODEL)), tmp_path, server).generate(
        desk_groups(policy := Policy.load(str(MODEL), lora_rank=4), 1),
        num_generations=1,
        params=SamplingParams(1, (), temperature=0),
    )
    engine = engine_of(policy, tmp_path, server)
    for seed in (1, 2):
        change(policy, 0.05, seed)
        assert_samples_from(policy, engine)


def test_a_server_that_did_not_take_the_weights_is_not_sampled_from(
    server: RealVllm, tmp_path: Path
) -> None:
    """On processors vLLM keeps the output layer of a model whose embeddings are tied to it."""
    policy = Policy.load(str(MODEL), train_embeddings=True)
    change(policy, 0.3)
    with pytest.raises(RunError, match="samples from other weights than it was given"):
        engine_of(policy, tmp_path, server).generate(
            desk_groups(policy, 1), num_generations=1, params=SamplingParams(4, ())
        )


SETTINGS = [
    "engine.kind=vllm",
    "checkpoint_every=1",
    "sft.steps=0",
    "think.steps=0",
    "rl.steps=4",
    "rl.num_generations=4",
    "rl.conversations_per_step=3",
    "evaluate.thought_tokens=16",
    "evaluate.max_completion_tokens=60",
    "evaluate.dev_conversations=2",
]


def test_a_run_learns_and_survives_a_server_that_is_killed(
    server: RealVllm, tmp_path: Path, actwise: Any
) -> None:
    log, out = tmp_path / "log.jsonl", tmp_path / "run"
    log.write_text("".join(c.to_json() + "\n" for c in generate("train", 24, seed=1)))
    metrics = out / "metrics" / "rl.jsonl"
    with serving(tmp_path, MODEL, LORA) as victim:

        def kill() -> None:
            while not metrics.exists() or not metrics.read_text():
                time.sleep(0.05)
            victim.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        urls = f'engine.urls=["{victim.url}", "{server.url}"]'
        settings = [f"--set={one}" for one in (*SETTINGS, urls)]
        done = actwise("run", f"--data={log}", "--model=base", f"--out={out}", *settings)
        killer.join()
    assert done.code == 0, done.err
    assert f"{victim.url}: " in done.err and "goes on without it, 1 left" in done.err
    records = [json.loads(line) for line in metrics.open()]
    assert [record["step"] for record in records] == [1, 2, 3, 4]
    learned = [record for record in records if "mismatch_kl" in record]
    assert learned
    assert all(0 <= record["mismatch_kl"] < 1e-6 for record in learned)
    assert all(record["importance_capped"] == 0 for record in learned)


def test_vllm_serves_a_bundle_as_it_was_measured(actwise: Any, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    assert actwise("export", "base", "--to", bundle).code == 0
    card = (bundle / "README.md").read_text()
    (line,) = [line for line in card.splitlines() if line.startswith("vllm serve FOLDER ")]
    model = package.load_model(bundle)
    called = thought = 0
    with serving(tmp_path, bundle, shlex.split(line)[3:]) as server:
        client = OpenAI(base_url=f"{server.url}/v1", api_key="none", timeout=300)
        for decision in generate("test", 3, seed=5)[0].decisions()[:4]:
            messages = [m.to_dict(thought=False) for m in decision.history]
            tools = list(decision.conversation.tools)
            for message in messages:
                for call in message.get("tool_calls", []):
                    call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
            for thinking in (True, False):
                action = model.act(messages, tools, thinking=thinking, max_tokens=80)
                if action.parsed.errors:
                    continue  # vLLM has its own view of what is no call
                answer = client.chat.completions.create(
                    model=str(bundle),
                    messages=messages,
                    tools=tools,
                    max_tokens=80,
                    temperature=0,
                    extra_body={"chat_template_kwargs": {"enable_thinking": thinking}},
                )
                message = answer.choices[0].message
                calls = message.tool_calls or []
                assert (message.content or "").strip() == action.answer
                assert [
                    (c.function.name, json.loads(c.function.arguments)) for c in calls
                ] == action.calls
                assert (message.model_extra.get("reasoning") or "").strip() == action.thought
                called += len(calls)
                thought += bool(action.thought)
    assert called and thought
