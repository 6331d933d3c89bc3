"""The local engine, against transformers' own generation and against the policy's scores."""

import copy
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import chi2
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from actwise.conversation import Conversation, Decision
from actwise.engine import Engine, SamplingParams, prefill
from actwise.engine.decoding import attend_part, attend_part_plainly
from actwise.engine.local import LocalEngine
from actwise.engine.rollouts import Group, Sample, by_conversation
from actwise.engine.scripted import ScriptedEngine
from actwise.model.policy import Policy

Prompts = list[list[list[int]]]


@pytest.fixture(scope="module")
def policy(tiny_model_dir: Path) -> Policy:
    policy = Policy.load(str(tiny_model_dir))
    torch.manual_seed(1)
    with torch.no_grad():  # a fresh model repeats itself; this one is far from uniform
        for parameter in policy.model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    return policy


@pytest.fixture(scope="module")
def ordinary(policy: Policy) -> Any:
    """The same weights with transformers' own attention."""
    model = copy.deepcopy(policy.model)
    model.set_attn_implementation("sdpa")
    return model


def make_prompts(seed: int) -> Prompts:
    """Conversations as they occur: each prompt is a cut of the trunk and a tail of its own."""
    rng = random.Random(seed)
    conversations = []
    for _ in range(rng.randint(2, 4)):
        trunk = [rng.randrange(260) for _ in range(rng.randint(5, 60))]
        cuts = sorted(rng.sample(range(1, len(trunk) + 1), rng.randint(1, 4)))
        prompts = [trunk[:cut] for cut in cuts]
        if rng.random() < 0.5:
            prompts = [[*prompt, 200, 201] for prompt in prompts]
        conversations.append(prompts)
    conversations[0].append([259])  # shares nothing with the others of its conversation
    return conversations


def complete(engine: Engine, conversations: Prompts, **how: Any) -> list[list[list[Sample]]]:
    """Complete prompts of conversations; samples by conversation, prompt and generation."""
    groups = []
    for number, prompts in enumerate(conversations):
        conversation = Conversation(id=str(number), messages=())
        groups += [Group(Decision(conversation, 0), tuple(prompt)) for prompt in prompts]
    completed = engine.generate(groups, **how)
    assert [(g.decision, g.prompt) for g in completed] == [(g.decision, g.prompt) for g in groups]
    return [
        [[rollout.sample for rollout in group.rollouts] for group in of_one]
        for of_one in by_conversation(completed)
    ]


def samples_of(samples: list[list[list[Sample]]]) -> list[Sample]:
    return [s for conversation in samples for prompt in conversation for s in prompt]


def frequent_stop(ordinary: Any, conversations: Prompts, max_tokens: int) -> tuple[int, ...]:
    """Return tokens at which some greedy completions end, early and late."""
    seen: dict[int, list[int]] = {}
    for prompt in itertools.chain.from_iterable(conversations):
        for step, token in enumerate(hf_greedy(ordinary, prompt, max_tokens, ())[:-1]):
            seen.setdefault(token, []).append(step)
    return tuple(sorted(seen, key=lambda token: -len(set(seen[token])))[:2])


def hf_greedy(
    model: Any, prompt: Sequence[int], max_tokens: int, stop: tuple[int, ...]
) -> tuple[int, ...]:
    ids = torch.tensor([prompt])
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=max_tokens,
        do_sample=False,
        eos_token_id=list(stop) or None,
        pad_token_id=0,
    )
    return tuple(out[0, len(prompt) :].tolist())


@pytest.mark.parametrize("seed", range(3))
def test_greedy_completions_are_those_of_transformers(
    policy: Policy, ordinary: Any, seed: int
) -> None:
    conversations = make_prompts(seed)
    stop = frequent_stop(ordinary, conversations, 40)
    params = SamplingParams(max_tokens=40, stop_token_ids=stop, temperature=0)
    samples = complete(LocalEngine(policy), conversations, num_generations=1, params=params)
    lengths = set()
    for prompts, of_conversation in zip(conversations, samples, strict=True):
        for prompt, (sample,) in zip(prompts, of_conversation, strict=True):
            assert sample.token_ids == hf_greedy(ordinary, prompt, 40, stop)
            ended = sample.token_ids[-1] in stop
            assert sample.stop_reason == ("stop" if ended else "length")
            assert ended or len(sample.token_ids) == 40
            lengths.add(len(sample.token_ids))
    assert len(lengths) > 1  # rows did end at different steps


@pytest.mark.parametrize("max_rows", [1, 5])
def test_cutting_into_chunks_does_not_change_greedy_completions(
    policy: Policy, max_rows: int
) -> None:
    conversations = make_prompts(7)
    params = SamplingParams(max_tokens=20, stop_token_ids=(3,), temperature=0)
    whole = complete(LocalEngine(policy), conversations, num_generations=2, params=params)
    cut = complete(
        LocalEngine(policy, max_rows=max_rows), conversations, num_generations=2, params=params
    )
    tokens = [[[s.token_ids for s in p] for p in c] for c in whole]
    assert tokens == [[[s.token_ids for s in p] for p in c] for c in cut]
    assert [len(c) for c in whole] == [len(c) for c in conversations]
    assert all(len(prompt) == 2 for conversation in whole for prompt in conversation)


def test_conversations_that_begin_alike_complete_as_if_alone(
    policy: Policy, ordinary: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(0)
    monkeypatch.setattr(prefill, "_PREFILL_TOKENS", 100)  # so that there are several prefills
    heads = [[rng.randrange(260) for _ in range(80)] for _ in range(2)]
    conversations = []
    for head in (heads[0], heads[1], heads[0], heads[0]):
        trunk = [*head, *(rng.randrange(260) for _ in range(40))]
        conversations.append([trunk[:90], trunk, [*trunk[:100], 200, 201]])
    params = SamplingParams(max_tokens=10, stop_token_ids=(3,), temperature=0)
    samples = complete(LocalEngine(policy), conversations, num_generations=1, params=params)
    for prompts, of_conversation in zip(conversations, samples, strict=True):
        for prompt, (sample,) in zip(prompts, of_conversation, strict=True):
            assert sample.token_ids == hf_greedy(ordinary, prompt, 10, (3,))


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (0.7, 0.8), (0.0, 1.0)])
def test_logprobs_are_those_of_the_model_on_the_whole_sequence(
    policy: Policy, ordinary: Any, temperature: float, top_p: float
) -> None:
    conversations = make_prompts(11)
    params = SamplingParams(40, (17, 18, 19, 20), temperature=temperature, top_p=top_p)
    samples = complete(
        LocalEngine(policy),
        conversations,
        num_generations=3,
        params=params,
        generator=torch.Generator().manual_seed(0),
    )
    for prompts, of_conversation in zip(conversations, samples, strict=True):
        for prompt, group in zip(prompts, of_conversation, strict=True):
            for sample in group:
                logprobs = whole_sequence(ordinary, prompt, sample.token_ids, temperature or 1.0)
                assert sample.logprobs == pytest.approx(logprobs.tolist(), abs=2e-5)


@torch.no_grad()
def whole_sequence(
    model: Any, prompt: Sequence[int], completion: Sequence[int], temperature: float
) -> Tensor:
    ids = torch.tensor([[*prompt, *completion]])
    logits = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
    logprobs = (logits / temperature).log_softmax(-1)
    return logprobs[torch.arange(len(completion)), torch.tensor(completion)]


def test_the_same_seed_gives_the_same_samples_and_another_seed_others(policy: Policy) -> None:
    conversations = make_prompts(3)
    params = SamplingParams(max_tokens=12, stop_token_ids=(3,))

    def sample(seed: int) -> list[Sample]:
        generator = torch.Generator().manual_seed(seed)
        engine = LocalEngine(policy)
        return samples_of(
            complete(engine, conversations, num_generations=4, params=params, generator=generator)
        )

    first = sample(0)
    assert first == sample(0)
    assert first != sample(1)
    assert len({s.token_ids for s in first[:4]}) > 1  # generations of one prompt differ


def test_samples_do_not_depend_on_what_they_are_drawn_beside(policy: Policy) -> None:
    conversations = make_prompts(6)
    params = SamplingParams(max_tokens=12, stop_token_ids=(3,))

    def sample(max_rows: int) -> list[tuple[int, ...]]:
        engine = LocalEngine(policy, max_rows=max_rows)
        generator = torch.Generator().manual_seed(0)
        found = complete(
            engine, conversations, num_generations=4, params=params, generator=generator
        )
        return [s.token_ids for s in samples_of(found)]

    assert sample(1) == sample(512)


def test_completions_end_at_a_stop_token_or_at_the_budget(policy: Policy) -> None:
    stop = tuple(range(0, 260, 9))
    params = SamplingParams(max_tokens=15, stop_token_ids=stop)
    samples = samples_of(
        complete(
            LocalEngine(policy),
            make_prompts(4),
            num_generations=16,
            params=params,
            generator=torch.Generator().manual_seed(0),
        )
    )
    for sample in samples:
        assert len(sample.token_ids) == len(sample.logprobs)
        assert not set(sample.token_ids[:-1]) & set(stop)
        if sample.stop_reason == "stop":
            assert sample.token_ids[-1] in stop
        else:
            assert len(sample.token_ids) == 15
            assert sample.token_ids[-1] not in stop
    assert {sample.stop_reason for sample in samples} == {"stop", "length"}


def test_completions_that_begin_alike_are_drawn_independently(
    policy: Policy, ordinary: Any
) -> None:
    prompt, count = [5, 6, 7], 4000
    params = SamplingParams(2, (), temperature=0.3)
    samples = complete(
        LocalEngine(policy),
        [[prompt]],
        num_generations=count,
        params=params,
        generator=torch.Generator().manual_seed(0),
    )
    drawn = Counter(s.token_ids for s in samples_of(samples))
    expected = {
        tokens: count * float(whole_sequence(ordinary, prompt, tokens, 0.3).sum().exp())
        for tokens in drawn
    }
    frequent = [tokens for tokens in drawn if expected[tokens] >= 5]
    assert len(frequent) > 5
    assert len({first for first, _ in frequent}) > 1
    rest = sum(drawn.values()) - sum(drawn[tokens] for tokens in frequent)
    rest_expected = count - sum(expected[tokens] for tokens in frequent)
    distance = (rest - rest_expected) ** 2 / rest_expected + sum(
        (drawn[tokens] - expected[tokens]) ** 2 / expected[tokens] for tokens in frequent
    )
    assert distance < chi2.ppf(0.999, df=len(frequent))


def test_what_completions_of_a_prompt_begin_with_in_common_is_computed_once(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    forward = policy.model.forward

    def counting(**inputs: Any) -> Any:
        rows.append(inputs["input_ids"].numel())
        return forward(**inputs)

    monkeypatch.setattr(policy.model, "forward", counting)
    prompts = [[5, 6, 7], [5, 6, 7, 8]]
    samples = complete(
        LocalEngine(policy),
        [prompts],
        num_generations=16,
        params=SamplingParams(12, (), temperature=0.3),
        generator=torch.Generator().manual_seed(0),
    )
    begun = [
        len({(i, s.token_ids[:step]) for i, group in enumerate(samples[0]) for s in group})
        for step in range(1, 12)
    ]
    assert rows == [4, *begun]  # the prompts are one trunk
    assert begun[0] < begun[-1]


def test_a_row_that_ended_early_is_carried_until_all_have_ended(
    policy: Policy, ordinary: Any
) -> None:
    # One row of many ends at once and is carried along; then all the others end together, while
    # the carried row draws something else than a stop token.
    early = [5, 6, 7]
    (stop,) = hf_greedy(ordinary, early, 1, ())
    late, length = next(
        (prompt, len(completion))
        for prompt in ([token, 6, 7] for token in range(250))
        if (completion := hf_greedy(ordinary, prompt, 8, (stop,)))[-1] == stop
        and len(completion) > 1
    )
    params = SamplingParams(max_tokens=8, stop_token_ids=(stop,), temperature=0)
    samples = complete(
        LocalEngine(policy),
        [[early], *([late] for _ in range(20))],
        num_generations=1,
        params=params,
    )
    assert [len(s.token_ids) for s in samples_of(samples)] == [1] + [length] * 20


def test_the_plain_attention_of_other_devices_is_that_of_the_kernel() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(1, 2, 5, 8), torch.randn(1, 2, 7, 8), torch.randn(1, 2, 7, 8)
    mask = torch.where(torch.rand(1, 1, 5, 7) < 0.5, 0.0, -torch.inf)
    mask[..., 0] = 0
    for m in (None, mask):
        for ours, kernel in zip(
            attend_part_plainly(q, k, v, m), attend_part(q, k, v, m), strict=True
        ):
            assert torch.allclose(ours, kernel, atol=1e-5)


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer_dir: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_tokenizer_dir)


def test_the_scripted_engine_says_what_its_script_says(tokenizer: Any) -> None:
    engine = ScriptedEngine(tokenizer, lambda prompt, number: f"{prompt}{number}")
    prompts = [[tokenizer.encode("a"), tokenizer.encode("bc")], [tokenizer.encode("d")]]
    params = SamplingParams(max_tokens=3, stop_token_ids=(tokenizer.eos_token_id,))
    samples = complete(engine, prompts, num_generations=2, params=params)
    decoded = [[[tokenizer.decode(s.token_ids) for s in p] for p in c] for c in samples]
    stop = tokenizer.eos_token
    assert decoded == [
        [[f"a0{stop}", f"a1{stop}"], ["bc0", "bc1"]],
        [[f"d0{stop}", f"d1{stop}"]],
    ]
    reasons = [s.stop_reason for s in samples_of(samples)]
    assert reasons == ["stop", "stop", "length", "length", "stop", "stop"]


def test_the_model_on_disk_generates_the_same(policy: Policy, tmp_path: Path) -> None:
    policy.save(tmp_path)
    served = AutoModelForCausalLM.from_pretrained(tmp_path)
    prompt = [40, 41, 42, 43]
    params = SamplingParams(max_tokens=12, stop_token_ids=(3,), temperature=0)
    (((sample,),),) = complete(LocalEngine(policy), [[prompt]], num_generations=1, params=params)
    assert sample.token_ids == hf_greedy(served, prompt, 12, (3,))


def test_a_snapshot_goes_on_with_the_weights_it_was_taken_of(tiny_model_dir: Path) -> None:
    policy = Policy.load(str(tiny_model_dir))
    engine, prompts = LocalEngine(policy), make_prompts(0)

    def found(engine: Engine) -> list[Sample]:
        params = SamplingParams(6, (), temperature=0)
        return samples_of(complete(engine, prompts, num_generations=1, params=params))

    before = found(engine)
    for _ in range(2):
        snapshot = engine.snapshot()
        assert found(snapshot) == before
        policy.set_weights({n: w + torch.randn_like(w) for n, w in policy.weights().items()})
        assert found(snapshot) == before != found(engine)
        before = found(engine)
