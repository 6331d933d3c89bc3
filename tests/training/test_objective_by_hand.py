"""The objective against numbers worked out by hand, and what holds of it for any numbers."""

import math
from typing import Any

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

NAN = math.nan


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
