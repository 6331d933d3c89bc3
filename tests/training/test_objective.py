"""The objective against TRL's own code, and against numbers worked out by hand."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TRANSFORMERS_OFFLINE="1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from actwise.training.objective import (
    group_advantages,
    k3,
    live_groups,
    policy_loss,
    truncated_importance,
)

LENGTHS = [5, 1, 7, 3, 4, 6, 2, 7]
"""Tokens of eight completions; TRL pads them to seven."""
MAX_TOKENS = 9
NAN = math.nan


# --- TRL as the oracle ----------------------------------------------------------------------------


def _make_trl(path: Path) -> Any:
    """A real GRPOTrainer whose model, sampler and rewards are replaced by tensors of the test."""
    from datasets import Dataset
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
    from trl import GRPOConfig, GRPOTrainer

    class Scripted(GRPOTrainer):  # type: ignore[misc]
        logprobs: Tensor
        rewards: Tensor

        def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
            return self.logprobs, torch.zeros_like(self.logprobs), None

        def _generate(self, prompts: list[str]) -> Any:
            ids = [[1, 2]] * len(prompts)
            return ids, ids, None, ["x"] * len(prompts), None, {}, None, None

        def _calculate_rewards(self, *args: Any) -> Tensor:
            return self.rewards

    vocabulary = {"<pad>": 0, "<eos>": 1, "x": 2}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="x")),
        pad_token="<pad>",
        eos_token="<eos>",
    )
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=3,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            num_key_value_heads=1,
            head_dim=8,
        )
    )

    def first(completions: list[str], **_: Any) -> list[float]:
        return [0.0] * len(completions)

    def second(completions: list[str], **_: Any) -> list[float]:
        return [0.0] * len(completions)

    return Scripted(
        model=model,
        args=GRPOConfig(
            output_dir=str(path),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
            disable_tqdm=True,
            num_generations=4,
            per_device_train_batch_size=8,
            max_completion_length=MAX_TOKENS,
            use_bias_correction_kl=False,
            reward_weights=[1.0, 0.5],
        ),
        reward_funcs=[first, second],
        train_dataset=Dataset.from_dict({"prompt": ["x"] * 8}),
        processing_class=tokenizer,
    )


@pytest.fixture(scope="module")
def trl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("trl", reason="TRL is the oracle; it comes with the dev extra")
    trainer = _make_trl(tmp_path_factory.mktemp("trl"))
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    yield trainer


def _pad(flat: Tensor) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(flat.split(LENGTHS)), batch_first=True)


def _step(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """New, old and reference log-probs far enough apart that clipping acts on both sides."""
    generator = torch.Generator().manual_seed(seed)
    total = sum(LENGTHS)
    old = -torch.rand(total, generator=generator) * 2 - 0.1
    advantages = torch.tensor([1.2, -0.7, 0.4, -1.5, 0.9, 0.0, -0.3, 1.1])
    drift = torch.tensor([0.9, -0.9, -0.4, 0.5, 0.0, 0.3, 0.1, -0.2])
    owner = torch.repeat_interleave(torch.arange(len(LENGTHS)), torch.tensor(LENGTHS))
    new = old + drift[owner] + torch.randn(total, generator=generator) * 0.4
    reference = old + torch.randn(total, generator=generator) * 0.5
    return new, old, reference, advantages, owner


def _trl_loss(
    trl: Any,
    new: Tensor,
    old: Tensor,
    reference: Tensor,
    advantages: Tensor,
    rows: slice,
    importance: Tensor | None = None,
) -> Tensor:
    mask = _pad(torch.ones(sum(LENGTHS), dtype=torch.long))[rows]
    trl.logprobs = _pad(new)[rows]
    loss: Tensor = trl._compute_loss(
        trl.model,
        {
            "prompt_ids": torch.ones(len(mask), 1, dtype=torch.long),
            "prompt_mask": torch.ones(len(mask), 1, dtype=torch.long),
            "completion_ids": mask,
            "completion_mask": mask,
            "advantages": advantages[rows],
            "old_per_token_logps": _pad(old)[rows],
            "ref_per_token_logps": _pad(reference)[rows],
            "num_items_in_batch": torch.tensor(sum(LENGTHS)),
            "importance_sampling_ratio": None if importance is None else _pad(importance)[rows],
        },
    )
    return loss


@pytest.mark.parametrize("aggregation", ["grpo", "dapo", "dr_grpo"])
@pytest.mark.parametrize("beta", [0.0, 0.04])
@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize(("clip_low", "clip_high"), [(0.2, 0.2), (0.1, 0.28)])
def test_loss_and_gradient_equal_trls(
    trl: Any, aggregation: Any, beta: float, level: Any, clip_low: float, clip_high: float
) -> None:
    new, old, reference, advantages, owner = _step()
    trl.loss_type, trl.beta, trl.importance_sampling_level = aggregation, beta, level
    trl.epsilon_low, trl.epsilon_high = clip_low, clip_high
    trl._metrics["train"].clear()
    theirs = new.clone().requires_grad_()
    expected = _trl_loss(trl, theirs, old, reference, advantages, slice(None))
    expected.backward()

    ours = new.clone().requires_grad_()
    parts = policy_loss(
        ours,
        old,
        advantages,
        owner,
        reference_logprobs_T=reference if beta else None,
        clip_low=clip_low,
        clip_high=clip_high,
        kl_coefficient=beta,
        aggregation=aggregation,
        ratio_level=level,
        num_completions=len(LENGTHS),
        num_tokens=sum(LENGTHS),
        max_completion_tokens=MAX_TOKENS,
    )
    parts.loss.backward()
    torch.testing.assert_close(parts.loss, expected, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-8)
    logged = {key: values[-1] for key, values in trl._metrics["train"].items()}
    assert parts.ratio_clipped_low.item() == pytest.approx(logged["clip_ratio/low_mean"])
    assert parts.ratio_clipped_high.item() == pytest.approx(logged["clip_ratio/high_mean"])
    assert parts.ratio_clipped_low > 0 and parts.ratio_clipped_high > 0
    if beta:
        assert parts.kl.item() == pytest.approx(logged["kl"], rel=1e-5)


@pytest.mark.parametrize("aggregation", ["grpo", "dapo", "dr_grpo"])
def test_completions_of_another_engine_count_as_they_do_with_trl(
    trl: Any, aggregation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, old, reference, advantages, owner = _step()
    trl.loss_type, trl.beta, trl.importance_sampling_level = aggregation, 0.04, "token"
    trl.epsilon_low = trl.epsilon_high = 0.2
    monkeypatch.setattr(trl, "use_vllm", True)
    monkeypatch.setattr(trl, "vllm_importance_sampling_correction", True)
    sampler = old + 0.8 * torch.randn(len(old), generator=torch.Generator().manual_seed(3))
    importance = torch.clamp(torch.exp(old - sampler), max=1.5)  # TRL's "token_truncate"
    theirs = new.clone().requires_grad_()
    _trl_loss(trl, theirs, old, reference, advantages, slice(None), importance).backward()
    ours = new.clone().requires_grad_()
    policy_loss(
        ours,
        old,
        advantages,
        owner,
        importance_T=truncated_importance(old, sampler, 1.5),
        reference_logprobs_T=reference,
        kl_coefficient=0.04,
        aggregation=aggregation,
        num_completions=len(LENGTHS),
        num_tokens=sum(LENGTHS),
        max_completion_tokens=MAX_TOKENS,
    ).loss.backward()
    assert 0 < (importance == 1.5).sum() < len(old)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("aggregation", ["grpo", "dapo", "dr_grpo"])
def test_micro_batches_equal_trls_accumulation(
    trl: Any, aggregation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, old, reference, advantages, owner = _step(1)
    trl.loss_type, trl.beta, trl.importance_sampling_level = aggregation, 0.1, "token"
    trl.epsilon_low = trl.epsilon_high = 0.2
    monkeypatch.setattr(trl, "current_gradient_accumulation_steps", 2)
    monkeypatch.setattr(trl.args, "steps_per_generation", 2)
    theirs = new.clone().requires_grad_()
    for rows in (slice(0, 4), slice(4, 8)):
        _trl_loss(trl, theirs, old, reference, advantages, rows).backward()

    ours = new.clone().requires_grad_()
    # TRL needs micro-batches of one size; ours follow the trees, so take 3 and 5.
    for chosen in (owner < 3, owner >= 3):
        names, local = torch.unique(owner[chosen], return_inverse=True)
        policy_loss(
            ours[chosen],
            old[chosen],
            advantages[names],
            local,
            reference_logprobs_T=reference[chosen],
            kl_coefficient=0.1,
            aggregation=aggregation,
            num_completions=len(LENGTHS),
            num_tokens=sum(LENGTHS),
            max_completion_tokens=MAX_TOKENS,
        ).loss.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-8)


REWARDS = {
    "ordinary": [[1, 0], [0, 1], [0.5, 1], [0.25, 0], [1, 1], [0, 0], [0, 0.5], [0.75, 1]],
    "a dead group": [[1, 0.5]] * 4 + [[1, 1], [0, 0], [0, 0.5], [0.75, 1]],
    "no verdicts": [
        *([1, NAN], [NAN, NAN], [0.5, 1], [0.25, 0]),
        *([1, NAN], [0, NAN], [0.5, NAN], [NAN, NAN]),
    ],
    "one verdict": [
        *([1, NAN], [NAN, NAN], [NAN, NAN], [NAN, NAN]),
        *([1, 1], [0, 0], [0, 0.5], [0.75, 1]),
    ],
}


@pytest.mark.parametrize("rewards", REWARDS.values(), ids=REWARDS.keys())
@pytest.mark.parametrize(
    ("combine", "scale"),
    [("sum", "group"), ("sum", "batch"), ("sum", "none"), ("normalize_each", "group")],
)
def test_advantages_equal_trls(
    trl: Any, rewards: list[list[float]], combine: Any, scale: Any
) -> None:
    trl.rewards = torch.tensor(rewards, dtype=torch.float32)
    trl.beta, trl.scale_rewards = 0.0, scale
    trl.multi_objective_aggregation = {
        "sum": "sum_then_normalize",
        "normalize_each": "normalize_then_sum",
    }[combine]
    expected = trl._generate_and_score_completions([{"prompt": "x"}] * 8)["advantages"]

    group = torch.tensor([7, 7, 7, 7, 3, 3, 3, 3])
    weights = torch.tensor([1.0, 0.5])
    found = group_advantages(trl.rewards, group, weights_K=weights, scale=scale, combine=combine)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    order = torch.tensor([4, 0, 5, 1, 6, 2, 7, 3])
    shuffled = group_advantages(
        trl.rewards[order], group[order], weights_K=weights, scale=scale, combine=combine
    )
    torch.testing.assert_close(shuffled, found[order])


# --- by hand --------------------------------------------------------------------------------------


def test_advantages_of_ragged_groups_by_hand() -> None:
    rewards = torch.tensor([[0.0], [1.0], [2.0], [5.0], [7.0], [9.0]])
    group = torch.tensor([0, 1, 0, 1, 2, 0])
    # Group 0: 0, 2, 9 with mean 11/3; group 1: 1, 5 with mean 3; group 2 is alone.
    centred = [-11 / 3, -2, -5 / 3, 2, 0, 16 / 3]
    assert group_advantages(rewards, group, scale="none").tolist() == pytest.approx(centred)
    std = [math.sqrt(((11 / 3) ** 2 + (5 / 3) ** 2 + (16 / 3) ** 2) / 2), math.sqrt(8)]
    by_group = [c / (std[g % 2] + 1e-4) for c, g in zip(centred, group.tolist(), strict=True)]
    assert group_advantages(rewards, group).tolist() == pytest.approx(by_group)
    # All six: mean 4, squares 16 + 9 + 4 + 1 + 9 + 25 = 64 over 5.
    by_batch = [c / (math.sqrt(64 / 5) + 1e-4) for c in centred]
    assert group_advantages(rewards, group, scale="batch").tolist() == pytest.approx(by_batch)


def test_gdpo_tells_apart_what_a_sum_hides() -> None:
    rewards = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    group = torch.zeros(4, dtype=torch.long)
    assert group_advantages(rewards, group).tolist() == [0.0] * 4
    assert not live_groups(rewards, group).any()
    weights = torch.tensor([2.0, 1.0])
    # Each column deviates by 1/2 (Bessel): +-3/4 and -+1/4 become +-1.5 and -+0.5 but for the
    # floor. Weighted: +1.5 and three times -0.5, which deviate by 1.
    expected = [1.5, -0.5, -0.5, -0.5]
    found = group_advantages(rewards, group, weights_K=weights, combine="normalize_each")
    assert found.tolist() == pytest.approx(expected, rel=1e-3)
    assert live_groups(rewards, group, weights, combine="normalize_each").all()


def test_equal_rewards_leave_no_rounding_noise() -> None:
    rewards = torch.full((7, 2), 0.7)
    group = torch.zeros(7, dtype=torch.long)
    for combine in ("sum", "normalize_each"):
        assert group_advantages(rewards, group, combine=combine).abs().max() < 1e-6


def test_live_groups() -> None:
    rewards = torch.tensor(
        [[1, 0], [1, 0], [1, 0], [0, 1], [NAN, NAN], [1, 1], [NAN, NAN], [0, 1], [1, 1]]
    )
    group = torch.tensor([0, 0, 1, 1, 2, 2, 3, 4, 4])
    dead, live = [False], [True]
    assert live_groups(rewards, group).tolist() == dead * 2 + dead * 2 + dead * 3 + live * 2
    weights = torch.tensor([1.0, 0.0])
    found = live_groups(rewards, group, weights).tolist()
    assert found == dead * 2 + live * 2 + dead * 3 + live * 2
    # The second reward differs within group 1, but counts for nothing there.
    only_second = torch.tensor([0.0, 1.0])
    found = live_groups(rewards, group, only_second, combine="normalize_each").tolist()
    assert found == dead * 2 + live * 2 + dead * 3 + dead * 2
    assert live_groups(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long)).tolist() == []


def test_loss_by_hand() -> None:
    # Two completions, of two tokens and of one; ratios 2, 1/2 and 1/2.
    old = torch.zeros(3)
    new = torch.log(torch.tensor([2.0, 0.5, 0.5])).requires_grad_()
    advantages, owner = torch.tensor([1.0, -2.0]), torch.tensor([0, 0, 1])
    parts = policy_loss(
        new, old, advantages, owner, aggregation="dapo", num_completions=2, num_tokens=3
    )
    # min(2, 1.2) = 1.2; min(0.5, 0.8) = 0.5; min(-1, -1.6) = -1.6.
    assert parts.loss.item() == pytest.approx(-(1.2 + 0.5 - 1.6) / 3)
    parts.loss.backward()
    # Clipped tokens get none; the middle one gets -advantage * ratio / 3.
    assert new.grad is not None
    assert new.grad.tolist() == pytest.approx([0.0, -0.5 / 3, 0.0])
    assert parts.ratio_clipped_high.item() == pytest.approx(1 / 3)
    assert parts.ratio_clipped_low.item() == pytest.approx(1 / 3)
    assert parts.mean_ratio.item() == pytest.approx(1.0)
    assert parts.kl.item() == 0.0
    values = {
        "grpo": -((1.2 + 0.5) / 2 - 1.6) / 2,
        "dr_grpo": -(1.2 + 0.5 - 1.6) / (2 * 10),
    }
    for aggregation, expected in values.items():
        loss = policy_loss(
            new,
            old,
            advantages,
            owner,
            aggregation=aggregation,  # type: ignore[arg-type]
            num_completions=2,
            num_tokens=3,
            max_completion_tokens=10,
        ).loss
        assert loss.item() == pytest.approx(expected)


def test_on_policy_gradient_is_that_of_the_plain_policy_gradient() -> None:
    new = torch.tensor([-0.3, -1.0, -0.2], requires_grad=True)
    parts = policy_loss(
        new,
        new.detach(),
        torch.tensor([3.0, -6.0]),
        torch.tensor([0, 0, 1]),
        num_completions=2,
        num_tokens=3,
    )
    parts.loss.backward()
    assert new.grad is not None
    assert new.grad.tolist() == pytest.approx([-3 / 4, -3 / 4, 6 / 2])
    assert parts.mean_ratio == 1


def test_the_reference_is_measured_without_a_coefficient() -> None:
    new = torch.tensor([-1.0], requires_grad=True)
    arguments = (new, new.detach(), torch.tensor([0.0]), torch.tensor([0]))
    parts = policy_loss(
        *arguments, reference_logprobs_T=torch.tensor([-2.0]), num_completions=1, num_tokens=1
    )
    assert parts.kl.item() == pytest.approx(math.exp(-1))
    assert parts.loss.item() == 0.0
    assert parts.loss.requires_grad and not parts.kl.requires_grad


def test_k3_by_hand_and_near_zero() -> None:
    found = k3(torch.tensor([0.0, 0.0, -1.0]), torch.tensor([0.0, math.log(2), -2.0]))
    assert found.tolist() == pytest.approx([0.0, 1 - math.log(2), math.exp(-1)])
    # d = 1e-3: d^2 / 2 + d^3 / 6; exp(d) - d - 1 in float32 is off by a tenth here.
    small = k3(torch.zeros(1), torch.tensor([1e-3])).item()
    assert small == pytest.approx(5.0016671e-07, rel=1e-3)


def test_importance_by_hand() -> None:
    trained = torch.tensor([0.2, 0.4, 0.9, 0.5]).log().requires_grad_()
    sampler = torch.tensor([0.4, 0.4, 0.1, 0.2]).log()
    found = truncated_importance(trained, sampler, 2.0)
    torch.testing.assert_close(found, torch.tensor([0.5, 1.0, 2.0, 2.0]))
    assert not found.requires_grad


def test_importance_is_what_an_expectation_under_the_trained_policy_needs() -> None:
    """Weighted by it, what the sampler drew has the trained policy's expectation."""
    trained, sampler = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.4, 0.4, 0.2])
    gain = torch.tensor([1.0, -2.0, 5.0])
    importance = truncated_importance(trained.log(), sampler.log(), 2.0)
    torch.testing.assert_close((sampler * importance * gain).sum(), (trained * gain).sum())


def test_what_cannot_be_meant_is_refused() -> None:
    tensors = (torch.zeros(1), torch.zeros(1), torch.zeros(1), torch.tensor([0]))
    with pytest.raises(ValueError, match="reference_logprobs_T"):
        policy_loss(*tensors, kl_coefficient=0.1, num_completions=1, num_tokens=1)
    with pytest.raises(ValueError, match="max_completion_tokens"):
        policy_loss(*tensors, aggregation="dr_grpo", num_completions=1, num_tokens=1)
    with pytest.raises(ValueError, match="no loss"):
        policy_loss(*tensors, num_completions=1, num_tokens=0)


# --- properties -----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=7),
    st.data(),
    st.sampled_from(["grpo", "dapo", "dr_grpo"]),
    st.sampled_from(["token", "sequence"]),
)
def test_any_split_into_micro_batches_adds_up(
    lengths: list[int], data: st.DataObject, aggregation: Any, level: Any
) -> None:
    count, total = len(lengths), sum(lengths)
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    old, reference = (-torch.rand(total, generator=generator).double() for _ in range(2))
    new = old + 0.5 * torch.randn(total, generator=generator).double()
    advantages = torch.randn(count, generator=generator).double()
    owner = torch.repeat_interleave(torch.arange(count), torch.tensor(lengths))
    batch_of = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))

    def run(leaf: Tensor, names: list[int]) -> list[float]:
        chosen = torch.isin(owner, torch.tensor(names))
        parts = policy_loss(
            leaf[chosen],
            old[chosen],
            advantages[names],
            torch.searchsorted(torch.tensor(names), owner[chosen]),
            reference_logprobs_T=reference[chosen],
            kl_coefficient=0.05,
            aggregation=aggregation,
            ratio_level=level,
            num_completions=count,
            num_tokens=total,
            max_completion_tokens=8,
        )
        parts.loss.backward()
        return [float(part.detach()) for part in parts]

    whole, split = new.clone().requires_grad_(), new.clone().requires_grad_()
    expected = run(whole, list(range(count)))
    names = [[i for i in range(count) if batch_of[i] == batch] for batch in range(3)]
    found = [run(split, batch) for batch in names if batch]
    assert [sum(part) for part in zip(*found, strict=True)] == pytest.approx(expected)
    torch.testing.assert_close(split.grad, whole.grad)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 4).map(lambda n: n / 4)),
        min_size=1,
        max_size=12,
    )
)
def test_advantages_of_a_group_sum_to_zero_and_keep_its_order(
    pairs: list[tuple[int, float]],
) -> None:
    group = torch.tensor([g for g, _ in pairs])
    rewards = torch.tensor([[r] for _, r in pairs])
    advantages = group_advantages(rewards, group).tolist()
    live = live_groups(rewards, group).tolist()
    for name in set(group.tolist()):
        rows = [i for i, (g, _) in enumerate(pairs) if g == name]
        assert sum(advantages[i] for i in rows) == pytest.approx(0, abs=1e-5)
        differ = len({pairs[i][1] for i in rows}) > 1
        assert [live[i] for i in rows] == [differ] * len(rows)
        for i in rows:
            for j in rows:
                assert (pairs[i][1] < pairs[j][1]) == (advantages[i] < advantages[j])
