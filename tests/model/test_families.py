"""Each family's architecture: trees as rows, sampling as transformers' own generation."""

import copy
import random
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
from actwise.tree.forest import Forest
from actwise.tree.layout import lay_out
from families import FAMILIES, Family, make_model, save_model
from trees import assert_same_gradients, gradients, make_case, row_by_row


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    return request.param


@pytest.fixture(scope="module")
def folder(family: Family, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(family, tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def ordinary(family: Family) -> Any:
    """The same weights with transformers' own attention."""
    return make_model(family)


@pytest.fixture(scope="module")
def policy(family: Family, folder: Path) -> Policy:
    return Policy.load(str(folder), shipped_template=family.shipped)


@pytest.mark.parametrize(("seed", "longest"), [(0, 20), (1, 150)])
def test_scores_and_gradients_are_those_of_whole_sequences(
    family: Family, policy: Policy, ordinary: Any, seed: int, longest: int
) -> None:
    case = make_case(seed, longest=longest)
    expected = row_by_row(ordinary, case)
    scores = policy.score(case.layout, case.indices)
    assert torch.allclose(scores.logprobs, expected, atol=2e-5, rtol=0)
    assert_same_gradients(
        gradients(policy.model, (scores.logprobs * case.weights).sum()),
        gradients(ordinary, (expected * case.weights).sum()),
        family.tolerance,
    )


def test_adapters_get_the_gradients_of_whole_sequences(family: Family, folder: Path) -> None:
    policy = Policy.load(str(folder), shipped_template=family.shipped, lora_rank=4)
    with torch.no_grad():  # B begins at zero, and A would get no gradient
        for name, parameter in policy.model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    ordinary = copy.deepcopy(policy.model)
    ordinary.get_base_model().set_attn_implementation("eager")
    case = make_case(5)
    expected = row_by_row(ordinary, case)
    scores = policy.score(case.layout, case.indices)
    assert torch.allclose(scores.logprobs, expected, atol=5e-5, rtol=0)
    found = gradients(policy.model, (scores.logprobs * case.weights).sum())
    assert all("lora_" in name for name in found)
    theirs = gradients(ordinary, (expected * case.weights).sum())
    assert_same_gradients(found, theirs, 2 * family.tolerance)


def test_greedy_completions_are_those_of_transformers(policy: Policy, ordinary: Any) -> None:
    stop = (7, 8, 9)
    params = SamplingParams(max_tokens=16, stop_token_ids=stop, temperature=0)
    for group in LocalEngine(policy).generate(make_groups(0), num_generations=1, params=params):
        ids = torch.tensor([group.prompt])
        out = ordinary.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=16,
            do_sample=False,
            eos_token_id=list(stop),
            pad_token_id=0,
        )
        (rollout,) = group.rollouts
        assert rollout.sample.token_ids == tuple(out[0, len(group.prompt) :].tolist())


def test_who_joins_and_what_is_kept_change_no_completion(policy: Policy, ordinary: Any) -> None:
    rng = random.Random(7)
    trunk = tuple(rng.randrange(10, 250) for _ in range(70))
    prompts = [trunk, (*trunk, 200, 201), tuple(rng.randrange(10, 250) for _ in range(5)), trunk]
    params = [SamplingParams(length, (), temperature=0) for length in (25, 20, 15, 8)]
    requests = [Request(*both) for both in zip(prompts, params, strict=True)]
    found: dict[Request, list[Token]] = {request: [] for request in requests}
    kept = KeptPrefixes(1 << 24)
    batch = Batch(policy, requests[:1], kept)
    for step in range(30):
        if step in (1, 7):
            batch.join(Batch(policy, requests[1:3] if step == 1 else requests[3:], kept))
        for token in batch.step():
            found[token.request].append(token)
    for request, tokens in found.items():
        ids = torch.tensor([request.prompt])
        out = ordinary.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=request.params.max_tokens,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
        assert [token.id for token in tokens] == out[0, len(request.prompt) :].tolist()
    if kept.num_bytes:  # a state is not kept
        assert [tokens[0].reused for tokens in found.values()] == [0, 70, 0, 69]


def test_sampled_logprobs_are_those_that_are_trained_on(policy: Policy) -> None:
    params = SamplingParams(max_tokens=12, stop_token_ids=(7,), temperature=0.8)
    generator = torch.Generator().manual_seed(0)
    for group in LocalEngine(policy).generate(
        make_groups(3), num_generations=4, params=params, generator=generator
    ):
        for rollout in group.rollouts:
            tokens = rollout.sample.token_ids
            expected = scored(policy, [*group.prompt, *tokens], len(tokens))
            assert rollout.sample.logprobs == pytest.approx(expected, abs=5e-5)


@torch.no_grad()
def scored(policy: Policy, row: list[int], count: int) -> list[float]:
    """Return the log-probs of a row's last tokens, as training computes them."""
    forest = Forest()
    forest.insert(row)
    indices = torch.arange(len(row) - count, len(row))
    scores = policy.score(lay_out(forest), indices, temperature=0.8)
    logprobs: list[float] = scores.logprobs.tolist()
    return logprobs


def make_groups(seed: int) -> list[Group]:
    """Conversations whose prompts are cuts of a trunk, some with a short end of their own."""
    rng = random.Random(seed)
    groups = []
    for number in range(2):
        conversation = Conversation(id=str(number), messages=())
        trunk = [rng.randrange(10, 250) for _ in range(rng.randint(30, 90))]
        end = [200, 201] if rng.random() < 0.5 else []
        for cut in sorted(rng.sample(range(5, len(trunk) + 1), 3)):
            groups.append(Group(Decision(conversation, 0), (*trunk[:cut], *end)))
    return groups
