"""The objective against TRL's own code."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TRANSFORMERS_OFFLINE="1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import torch
from torch import Tensor

from actwise.training.objective import (
    group_advantages,
    policy_loss,
    truncated_importance,
)

LENGTHS = [5, 1, 7, 3, 4, 6, 2, 7]
"""Tokens of eight completions; TRL pads them to seven."""
MAX_TOKENS = 9
NAN = math.nan


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
