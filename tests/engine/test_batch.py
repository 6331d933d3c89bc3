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
from actwise.engine.prefixes import KeptPrefixes
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


def greedy(prompt: tuple[int, ...], tokens: int, seed: int = 0) -> Request:
    return Request(prompt, SamplingParams(tokens, (), temperature=0), seed)


def test_who_joins_later_is_what_it_is_alone(policy: Policy) -> None:
    requests = [
        Request(prompt, SamplingParams(limit, (), temperature), seed)
        for seed, (prompt, limit, temperature) in enumerate(
            [
                (PROMPTS[0], 40, 1.0),
                (PROMPTS[2], 3, 0.0),
                (PROMPTS[4], 50, 0.0),
                (PROMPTS[3], 5, 0.8),
                (PROMPTS[0], 60, 1.0),
                (PROMPTS[5], 9, 0.0),
            ]
        )
    ]
    joining = {0: requests[:2], 1: requests[2:3], 4: requests[3:5], 44: requests[5:]}
    found: dict[Request, list[Token]] = {request: [] for request in requests}
    batch = Batch(policy, joining.pop(0))
    for step in range(70):
        if step in joining:
            batch.join(Batch(policy, joining[step]))
        for token in batch.step():
            found[token.request].append(token)
    assert batch.requests == []
    for request in requests:
        expected = alone(policy, request)
        assert tuple(token.id for token in found[request]) == expected.token_ids
        logprobs = [token.logprob for token in found[request]]
        assert logprobs == pytest.approx(expected.logprobs, abs=1e-4)


def test_what_was_kept_of_a_prompt_is_not_computed_again(policy: Policy) -> None:
    first = (*SHARED, 1, 2, 3)
    kept = KeptPrefixes(1 << 20)
    run(Batch(policy, [greedy(first, 5)], kept))
    computed = counted(policy)
    second = [greedy((*SHARED, 1, 2, 9, *range(40)), 12), greedy((*SHARED[:50], 8, 7), 12)]
    other = greedy((9, 8, 7, 6), 12)
    found = run(Batch(policy, [*second, other], kept))
    assert [found[r][0].reused for r in (*second, other)] == [82, 50, 0]
    assert [found[r][1].reused for r in second] == [0, 0]
    assert computed[:3] == [41, 2, 4]  # tokens of each pass of the prompts
    for request in (*second, other):
        assert tuple(token.id for token in found[request]) == alone(policy, request).token_ids
    third = greedy(first, 5)  # all of it but one token, which says what comes next
    (tokens,) = run(Batch(policy, [third], kept)).values()
    assert tokens[0].reused == 82
    assert tuple(token.id for token in tokens) == alone(policy, third).token_ids


def counted(policy: Policy) -> list[int]:
    computed: list[int] = []
    model = policy.model
    model.register_forward_pre_hook(
        lambda module, args, kwargs: computed.append(kwargs["input_ids"].shape[1]),
        with_kwargs=True,
    )
    return computed


def test_what_is_kept_is_bounded_and_what_was_used_last_stays(policy: Policy) -> None:
    def prompt(number: int, length: int = 100) -> tuple[int, ...]:
        return tuple((number * i + number) % 250 for i in range(length))

    size = KeptPrefixes(1 << 30)
    Batch(policy, [greedy(prompt(3), 1)], size)
    one = size.num_bytes
    config = policy.model.config  # keys and values, four bytes a number
    heads = config.num_key_value_heads * config.head_dim
    assert one == 2 * config.num_hidden_layers * 100 * heads * 4
    room = 2 * one + one // 10
    kept = KeptPrefixes(room)
    for number in (3, 5):
        Batch(policy, [greedy(prompt(number), 1)], kept)
    assert kept.num_bytes == 2 * one
    reused = []
    for number in (3, 7, 3, 5):
        (tokens,) = run(Batch(policy, [greedy((*prompt(number), 1), 1)], kept)).values()
        reused.append(tokens[0].reused)
    # With the seventh's the fifth's had to go; a prompt that goes on from another takes its place.
    assert reused == [100, 0, 100, 0]
    Batch(policy, [greedy(prompt(9, 500), 1)], kept)  # more than there is room for
    assert kept.num_bytes <= room
