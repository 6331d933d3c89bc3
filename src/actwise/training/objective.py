"""The GRPO objective, as pure tensor functions over the tokens of branches.

A conversation is a tree and its completions are ragged, so nothing here is padded: the tokens of
all completions lie one after another and `completion_of_token_T` says whose each one is.

Shape letters: N completions, K rewards, T tokens of completions, G groups.

Sources: GRPO (arXiv 2402.03300), clipping with two bounds and the mean over tokens from DAPO
(2503.14476), the constant divisor of Dr. GRPO (2503.20783), the ratio of whole completions from
GSPO (2507.18071), rewards normalised one by one from GDPO (2601.05242), truncated importance
sampling from IMPALA (1802.01561), used for engines by verl, TRL and others. Values and gradients
are those of TRL 1.16's `GRPOTrainer` on the same tensors.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

Scale = Literal["group", "batch", "none"]
Combine = Literal["sum", "normalize_each"]
Aggregation = Literal["grpo", "dapo", "dr_grpo"]
RatioLevel = Literal["token", "sequence"]

STD_FLOOR = 1e-4
"""Added to every standard deviation that divides; TRL's value."""
DEAD_STD = 1e-6
"""Rewards of a group that deviate less count as equal: sums of floats are off by as much."""


class LossParts(NamedTuple):
    """A micro-batch's share of the step's loss and of its figures.

    All are scalars, and each is divided by the totals of the whole optimiser step, so adding the
    micro-batches of a step gives the step's value. Only `loss` carries a gradient. The figures are
    means over tokens; those about the ratio are means over completions when ratios are taken at
    the level of the sequence.
    """

    loss: Tensor
    kl: Tensor
    """Mean k3 estimate against the reference, without its coefficient; 0 without a reference."""
    ratio_clipped_low: Tensor
    """Share whose ratio fell below the lower bound while the advantage was negative."""
    ratio_clipped_high: Tensor
    """Share whose ratio rose above the upper bound while the advantage was positive."""
    mean_ratio: Tensor
    """Mean probability ratio of the new to the old policy; exactly 1 on policy."""


def group_advantages(
    rewards_NK: Tensor,
    group_N: Tensor,
    *,
    weights_K: Tensor | None = None,
    scale: Scale = "group",
    combine: Combine = "sum",
) -> Tensor:
    """Return how much better each completion is than the others of its group.

    Args:
        rewards_NK: One column per reward; NaN is "no verdict" and is left out of every mean.
        group_N: Integers that say which completions share a group; any values, any order, and
            groups may differ in size.
        weights_K: What each reward counts; 1 when absent.
        scale: The standard deviation (with Bessel's correction) that divides: of the group, of
            the whole batch, or none as in Dr. GRPO. Only for `combine="sum"`.
        combine: "sum" adds the weighted rewards, then compares within the group. "normalize_each"
            (GDPO) compares and scales each reward within its group, adds the weighted results and
            normalises them over the batch, so that two rewards cannot hide each other.

    Returns:
        Advantages, shape N, without gradient, in the type of the rewards; 0 for a completion
        without any verdict and for one that is alone in its group.
    """
    exact_NK, index_N = _exact(rewards_NK), _group_index(group_N)
    one_group_N = torch.zeros_like(index_N)
    if combine == "sum":
        total_N1 = _weighted_sum(exact_NK, exact_NK, weights_K)[:, None]
        advantages_N1, std_N1 = _compare(total_N1, index_N)
        if scale == "batch":
            std_N1 = _compare(total_N1, one_group_N)[1]
        if scale != "none":
            advantages_N1 = advantages_N1 / (std_N1 + STD_FLOOR)
    else:
        centred_NK, std_NK = _compare(exact_NK, index_N)
        total_N = _weighted_sum(centred_NK / (std_NK + STD_FLOOR), exact_NK, weights_K)
        centred_N1, std_N1 = _compare(total_N[:, None], one_group_N)
        advantages_N1 = centred_N1 / (std_N1 + STD_FLOOR)
    return advantages_N1[:, 0].nan_to_num(nan=0.0).to(rewards_NK.dtype)


def live_groups(
    rewards_NK: Tensor,
    group_N: Tensor,
    weights_K: Tensor | None = None,
    *,
    combine: Combine = "sum",
) -> Tensor:
    """Return, for each completion, whether its group teaches anything.

    Args:
        rewards_NK: As for `group_advantages`.
        group_N: As for `group_advantages`.
        weights_K: As for `group_advantages`.
        combine: With "sum" a group is dead when the weighted sums of its completions are equal;
            with "normalize_each" when every reward is that counts.

    Returns:
        Booleans, shape N. A group with fewer than two verdicts is dead.
    """
    rewards_NK, index_N = _exact(rewards_NK), _group_index(group_N)
    if weights_K is None:
        weights_K = rewards_NK.new_ones(rewards_NK.shape[1])
    if combine == "sum":
        values_NK = _weighted_sum(rewards_NK, rewards_NK, weights_K)[:, None]
    else:
        values_NK = rewards_NK[:, weights_K != 0]
    return (_compare(values_NK, index_N)[1] > DEAD_STD).any(1)


def policy_loss(
    logprobs_T: Tensor,
    old_logprobs_T: Tensor,
    advantages_N: Tensor,
    completion_of_token_T: Tensor,
    *,
    importance_T: Tensor | None = None,
    reference_logprobs_T: Tensor | None = None,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    kl_coefficient: float = 0.0,
    aggregation: Aggregation = "grpo",
    ratio_level: RatioLevel = "token",
    num_completions: int,
    num_tokens: int,
    max_completion_tokens: int = 0,
) -> LossParts:
    """Return one micro-batch's share of the clipped policy loss.

    The KL term is the plain k3 estimate with its own gradient, as in the GRPO paper and as TRL's
    `use_bias_correction_kl=False`; TRL's default multiplies it by the ratio instead.

    Args:
        logprobs_T: Log-probabilities under the policy that is trained; carries the gradient.
        old_logprobs_T: The same under the policy that sampled; detached. On policy,
            `logprobs_T.detach()`.
        advantages_N: One per completion of this micro-batch.
        completion_of_token_T: Index into `advantages_N`. A completion must lie in one micro-batch
            as a whole.
        importance_T: What each token counts besides; see `truncated_importance`. Not for the KL
            term.
        reference_logprobs_T: The same under the reference policy; needed when `kl_coefficient`
            is not 0.
        clip_low: The ratio's lower bound is `1 - clip_low`.
        clip_high: The ratio's upper bound is `1 + clip_high`.
        kl_coefficient: What the KL term counts (beta).
        aggregation: "grpo" takes the mean over each completion's tokens, then over completions;
            "dapo" the mean over the step's tokens; "dr_grpo" divides the sum over tokens by
            `num_completions * max_completion_tokens`.
        ratio_level: "token", or "sequence" for the geometric mean over the completion (GSPO).
        num_completions: Completions of the whole optimiser step; one left with no tokens counts.
        num_tokens: Completion tokens of the whole optimiser step.
        max_completion_tokens: The longest completion that sampling allows; only for "dr_grpo".

    Raises:
        ValueError: If a KL coefficient comes without a reference, "dr_grpo" without
            `max_completion_tokens`, or the step has no completions or tokens.
    """
    if kl_coefficient != 0 and reference_logprobs_T is None:
        raise ValueError("kl_coefficient is not 0, so reference_logprobs_T is needed")
    if aggregation == "dr_grpo" and max_completion_tokens < 1:
        raise ValueError("dr_grpo divides by max_completion_tokens, which must be at least 1")
    if min(num_completions, num_tokens) < 1:
        raise ValueError("a step without completions or without tokens has no loss")
    owner_T = completion_of_token_T
    length_N = torch.bincount(owner_T, minlength=len(advantages_N)).clamp(min=1)
    log_ratio = logprobs_T - old_logprobs_T
    # `units` are what a ratio belongs to: tokens, or completions.
    if ratio_level == "token":
        advantages, units = advantages_N[owner_T], num_tokens
    else:
        summed_N = log_ratio.new_zeros(len(advantages_N)).index_add(0, owner_T, log_ratio)
        log_ratio, advantages, units = summed_N / length_N, advantages_N, num_completions
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    surrogate = torch.minimum(ratio * advantages, clipped * advantages)
    loss_T = -(surrogate if ratio_level == "token" else surrogate[owner_T])
    if importance_T is not None:
        loss_T = loss_T * importance_T

    kl_T = torch.zeros_like(logprobs_T)
    if reference_logprobs_T is not None:
        kl_T = k3(logprobs_T, reference_logprobs_T)
    if kl_coefficient != 0:
        loss_T = loss_T + kl_coefficient * kl_T

    if aggregation == "grpo":
        loss = (loss_T / length_N[owner_T]).sum() / num_completions
    elif aggregation == "dapo":
        loss = loss_T.sum() / num_tokens
    else:
        loss = loss_T.sum() / (num_completions * max_completion_tokens)
    ratio = ratio.detach()
    return LossParts(
        loss=loss,
        kl=kl_T.detach().sum() / num_tokens,
        ratio_clipped_low=((ratio < 1 - clip_low) & (advantages < 0)).sum() / units,
        ratio_clipped_high=((ratio > 1 + clip_high) & (advantages > 0)).sum() / units,
        mean_ratio=ratio.sum() / units,
    )


def truncated_importance(logprobs_T: Tensor, sampler_logprobs_T: Tensor, cap: float) -> Tensor:
    """Return what tokens count that another policy has sampled than the one that is trained.

    Truncated importance sampling: the probability ratio of the two, at most `cap`. It makes up for
    an engine that computes otherwise, and for weights that are some steps old.

    Args:
        logprobs_T: Under the policy that is trained; no gradient flows through them.
        sampler_logprobs_T: Under the one that sampled, as its engine computed them.
        cap: Without one, a few tokens would outweigh all others.
    """
    return (logprobs_T.detach() - sampler_logprobs_T).exp().clamp(max=cap)


def k3(logprobs: Tensor, reference: Tensor) -> Tensor:
    """Return the k3 estimate of the KL divergence from the reference, token by token.

    `exp(d) - d - 1` with `d = reference - logprobs`; never negative, unbiased for samples of the
    policy (Schulman, "Approximating KL divergence").
    """
    difference = reference - logprobs
    # Near d = 0, where training begins, exp(d) - 1 would lose every digit.
    return torch.expm1(difference) - difference


def _exact(rewards_NK: Tensor) -> Tensor:
    # In float32 the mean of equal rewards is off by 1e-8, which the division by 1e-4 would turn
    # into advantages, and GDPO's second division into large ones.
    return rewards_NK.detach().double()


def _group_index(group_N: Tensor) -> Tensor:
    index_N: Tensor = torch.unique(group_N, return_inverse=True)[1]
    return index_N


def _weighted_sum(values_NK: Tensor, verdicts_NK: Tensor, weights_K: Tensor | None) -> Tensor:
    """Sum over K, leaving out NaN; NaN where no column of `verdicts_NK` has a verdict."""
    if weights_K is not None:
        values_NK = values_NK * weights_K.to(values_NK)
    return values_NK.nansum(1).masked_fill(verdicts_NK.isnan().all(1), torch.nan)


def _compare(values_NK: Tensor, index_N: Tensor) -> tuple[Tensor, Tensor]:
    """Return each value less its group's mean, and the group's standard deviation (Bessel).

    Both leave NaN out; a NaN value stays NaN. The deviation of fewer than two values is 0.
    """
    shape = (int(index_N.max()) + 1 if len(index_N) else 0, values_NK.shape[1])
    known_NK = ~values_NK.isnan()
    count_GK = values_NK.new_zeros(shape).index_add(0, index_N, known_NK.to(values_NK))
    sum_GK = values_NK.new_zeros(shape).index_add(0, index_N, values_NK.nan_to_num(nan=0.0))
    centred_NK = values_NK - (sum_GK / count_GK.clamp(min=1))[index_N]
    squares_NK = centred_NK.nan_to_num(nan=0.0).square()
    squares_GK = values_NK.new_zeros(shape).index_add(0, index_N, squares_NK)
    return centred_NK, (squares_GK / (count_GK - 1).clamp(min=1)).sqrt()[index_N]
