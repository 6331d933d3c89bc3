"""The gradient of one GRPO step: completions in, passes over their trees, gradients added up."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from actwise.config import EntropyConfig, RlConfig
from actwise.engine.rollouts import Group, Rollout, by_conversation
from actwise.model.policy import Policy
from actwise.model.processes import together
from actwise.model.workers import in_order
from actwise.training.gradients import add_gradients
from actwise.training.objective import k3, policy_loss, truncated_importance
from actwise.tree.layout import Layout
from actwise.tree.packing import Tree, lay_out_pass, pack


def accumulate(
    policy: Policy,
    groups: Sequence[Group],
    totals: tuple[int, int],
    reference: dict[str, Tensor],
    config: RlConfig,
    *,
    max_tokens: int,
    max_batch_tokens: int,
    off_policy: bool = False,
) -> dict[str, float]:
    """Add the gradient of the loss over one optimiser step's completions.

    Args:
        policy: Its gradients are added to.
        groups: Completions with something to teach.
        totals: Completions of the step and their tokens, those of dead groups included: their
            advantages are zero and their divergence is not taken, but they count in the mean.
        reference: Weights that the divergence is taken from.
        config: Settings of the RL stage.
        max_tokens: Budget of a completion.
        max_batch_tokens: Tokens in one forward and backward pass.
        off_policy: Whether something else than this policy has sampled: another engine, or older
            weights. It is then made up for by truncated importance sampling, and what the sampler
            and the policy differ by is in the figures.
    """
    num_completions, num_tokens = totals
    learning_tokens = sum(len(r.sample.token_ids) for g in groups for r in g.rollouts)
    conversations = by_conversation(groups)
    costs = [
        max(len(g.prompt) for g in of_one)
        + sum(len(r.sample.token_ids) for g in of_one for r in g.rollouts)
        for of_one in conversations
    ]
    passes = passes_of(
        [group for of_one in together().own(conversations, costs) for group in of_one],
        max_batch_tokens,
        policy.device,
    )
    bonus = entropy_bonus(groups, config.entropy)

    @torch.no_grad()
    def logprobs(one: Pass | None) -> Tensor:
        if one is None:
            return policy.idle()
        return policy.score(one.layout, one.index_T, temperature=config.temperature).logprobs

    references: list[Tensor | None] = [None] * len(passes)
    if config.kl_coefficient:
        with policy.using(reference):  # its weights are there for all workers at once
            references = [*in_order(logprobs, policy.even(passes), policy.workers)]

    def loss_of(number: int) -> tuple[Tensor, dict[str, Tensor]]:
        one = passes[number]
        scores = policy.score(one.layout, one.index_T, temperature=config.temperature)
        sampled_T = torch.tensor(
            [lp for r in one.rollouts for lp in r.sample.logprobs], device=policy.device
        )
        own_T = scores.logprobs.detach()
        importance_T = None
        if off_policy:
            importance_T = truncated_importance(own_T, sampled_T, config.importance_cap)
        parts = policy_loss(
            scores.logprobs,
            own_T if off_policy else sampled_T,
            torch.tensor([r.advantage for r in one.rollouts], device=policy.device),
            one.owner_T,
            importance_T=importance_T,
            reference_logprobs_T=references[number],
            clip_low=config.clip_low,
            clip_high=config.clip_high,
            kl_coefficient=config.kl_coefficient,
            ratio_level=config.ratio_level,
            aggregation=config.aggregation,
            num_completions=num_completions,
            num_tokens=num_tokens,
            max_completion_tokens=max_tokens,
        )
        entropy = scores.entropy.sum() / learning_tokens
        figures = {
            "loss": parts.loss.detach(),
            "kl": parts.kl * num_tokens / learning_tokens,
            "clipped_low": parts.ratio_clipped_low,
            "clipped_high": parts.ratio_clipped_high,
            "entropy": entropy.detach(),
        }
        if importance_T is not None:
            capped_T = importance_T == config.importance_cap
            figures["mismatch_kl"] = k3(sampled_T, own_T).sum() / learning_tokens
            figures["importance_capped"] = capped_T.sum() / learning_tokens
        return parts.loss - bonus * entropy if bonus else parts.loss, figures

    return add_gradients(policy, range(len(passes)), loss_of)


def entropy_bonus(groups: Sequence[Group], config: EntropyConfig) -> float:
    """Return what the entropy of a batch counts: nothing from the target on.

    The mean surprise of sampled tokens is an unbiased estimate of the entropy they were drawn with.
    """
    logprobs = [lp for g in groups for r in g.rollouts for lp in r.sample.logprobs]
    return config.weight if -sum(logprobs) / len(logprobs) < config.target else 0.0


@dataclass(frozen=True)
class Pass:
    """Completions that are computed together."""

    rollouts: list[Rollout]
    layout: Layout
    index_T: Tensor
    """Indices of the completions' tokens in the layout."""
    owner_T: Tensor
    """Number of the rollout each token belongs to."""


def passes_of(groups: Sequence[Group], limit: int, device: torch.device) -> list[Pass]:
    """Return the forward and backward passes of a step; see `pack`."""
    conversations = by_conversation(groups)
    passes = []
    for packed in pack([tree_of(of_one) for of_one in conversations], limit):
        of_pass = [
            r
            for p in packed
            for i in p.decisions
            for r in conversations[p.conversation][i].rollouts
        ]
        owners = [i for i, r in enumerate(of_pass) for _ in r.sample.token_ids]
        layout, index_T = lay_out_pass(packed, device)
        passes.append(Pass(of_pass, layout, index_T, torch.tensor(owners, device=device)))
    return passes


def tree_of(groups: Sequence[Group]) -> Tree:
    """Return the tree of one conversation's groups."""
    return Tree(
        tuple(group.prompt for group in groups),
        tuple(tuple(r.sample.token_ids for r in group.rollouts) for group in groups),
    )
