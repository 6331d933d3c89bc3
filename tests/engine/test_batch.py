"""Requests decoded together, against the local engine and transformers' own generation."""

import copy
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from actwise.conversation import Conversation, Decision
from actwise.engine import SamplingParams
from actwise.engine.batch import Batch, Request, Token
from actwise.engine.local import LocalEngine
from actwise.engine.rollouts import Group
from actwise.model.policy import Policy

SHARED = [7 * i % 250 for i in range(80)]
PROMPTS = [
    (*SHARED, 1, 2, 3),
    (*SHARED, 1, 2, 3),
    (*SHARED, 9),
    tuple(SHARED),
    (5, 4, 3),
    (250,),
]
STOPS = tuple(range(0, 260, 29))


@pytest.fixture(scope="module")
def policy(tiny_model_dir: Path) -> Policy:
    policy = Policy.load(str(tiny_model_dir))
    torch.manual_seed(1)
    with torch.no_grad():  # a fresh model repeats itself; this one is far from uniform
        for parameter in policy.model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    return policy


def run(batch: Batch) -> dict[Request, list[Token]]:
    found: dict[Request, list[Token]] = {}
    while batch.requests:
        for token in batch.step():
            found.setdefault(token.request, []).append(token)
    assert batch.step() == []
    return found


def alone(policy: Policy, request: Request) -> Any:
    group = Group(Decision(Conversation(id="one", messages=()), 0), request.prompt)
    generator = torch.Generator().manual_seed(request.seed)
    (completed,) = LocalEngine(policy).generate(
        [group], num_generations=1, params=request.params, generator=generator
    )
    return completed.rollouts[0].sample


def test_requests_with_settings_of_their_own_are_what_they_are_alone(policy: Policy) -> None:
    how = itertools.cycle([(0.0, 1.0, 20), (1.0, 1.0, 7), (0.7, 0.8, 30), (1.3, 0.5, 1)])
    requests = [
        Request(prompt, SamplingParams(limit, STOPS, temperature, top_p), seed)
        for seed, (prompt, (temperature, top_p, limit)) in enumerate(
            zip([*PROMPTS, *PROMPTS], how, strict=False)
        )
    ]
    found = run(Batch(policy, requests))
    reasons = set()
    for request in requests:
        expected = alone(policy, request)
        tokens = found[request]
        assert tuple(token.id for token in tokens) == expected.token_ids
        assert [token.logprob for token in tokens] == pytest.approx(expected.logprobs, abs=1e-4)
        assert [t.stop_reason for t in tokens] == [None] * (len(tokens) - 1) + [
            expected.stop_reason
        ]
        reasons.add(tokens[-1].stop_reason)
    assert reasons == {"stop", "length"}


def test_greedy_tokens_are_those_of_transformers(policy: Policy) -> None:
    ordinary = copy.deepcopy(policy.model)
    ordinary.set_attn_implementation("sdpa")
    requests = [Request(prompt, SamplingParams(12, (), temperature=0)) for prompt in PROMPTS]
    found = run(Batch(policy, requests))
    for request in requests:
        ids = torch.tensor([request.prompt])
        whole = ordinary.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=12,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
        expected = whole[0, len(request.prompt) :].tolist()
        assert [token.id for token in found[request]] == expected


def test_a_dropped_request_is_computed_no_further_and_changes_no_other(policy: Policy) -> None:
    requests = [Request(prompt, SamplingParams(9, (), 1.0), n) for n, prompt in enumerate(PROMPTS)]
    whole = run(Batch(policy, requests))
    batch = Batch(policy, requests)
    batch.drop([requests[0]])
    found = {request: [] for request in requests}
    for step in range(9):
        for token in batch.step():
            found[token.request].append(token.id)
        if step == 3:
            batch.drop([requests[2], requests[4]])
    assert batch.requests == [] and batch.step() == []
    kept = {0: 0, 2: 4, 4: 4}
    for number, request in enumerate(requests):
        expected = [token.id for token in whole[request]]
        assert found[request] == expected[: kept.get(number, 9)]
