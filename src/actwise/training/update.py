"""The gradient of one GRPO step: completions in, passes over their trees, gradients added up."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from actwise.config import RlConfig
from actwise.conversation import Decision
from actwise.engine import Sample
from actwise.evaluation.judging import Judged
from actwise.model.policy import Policy
from actwise.model.workers import in_order
from actwise.training.gradients import add_gradients
from actwise.training.objective import policy_loss
from actwise.tree.layout import Layout
from actwise.tree.packing import Tree, lay_out_pass, pack


@dataclass(frozen=True)
class Rollout:
    """One judged completion."""

    decision: Decision
    conversation: int
    """Number of the conversation in its batch."""
    group: int
    """Number of the decision in its batch."""
    prompt: list[int]
    sample: Sample
    judged: Judged
    advantage: float = 0.0
    live: bool = False


def accumulate(
    policy: Policy,
    rollouts: Sequence[Rollout],
    totals: tuple[int, int],
    reference: dict[str, Tensor],
    config: RlConfig,
    *,
    max_tokens: int,
    max_batch_tokens: int,
) -> dict[str, float]:
    """Add the gradient of the loss over one optimiser step's completions.

    Args:
        policy: Its gradients are added to.
        rollouts: Completions with something to teach.
        totals: Completions of the step and their tokens, those of dead groups included: their
            advantages are zero and their divergence is not taken, but they count in the mean.
        reference: Weights that the divergence is taken from.
        config: Of the stage.
        max_tokens: Budget of a completion.
        max_batch_tokens: Tokens in one forward and backward pass.
    """
    num_completions, num_tokens = totals
    learning_tokens = sum(len(r.sample.token_ids) for r in rollouts)
    passes = passes_of(rollouts, max_batch_tokens, policy.device)

    @torch.no_grad()
    def logprobs(one: Pass) -> Tensor:
        return policy.score(one.layout, one.places_T, temperature=config.temperature).logprobs

    references: list[Tensor | None] = [None] * len(passes)
    if config.kl_coefficient:
        with policy.using(reference):  # its weights are there for all workers at once
            references = [*in_order(logprobs, passes, policy.workers)]

    def loss_of(number: int) -> tuple[Tensor, dict[str, Tensor]]:
        one = passes[number]
        scores = policy.score(one.layout, one.places_T, temperature=config.temperature)
        parts = policy_loss(
            scores.logprobs,
            torch.tensor(
                [lp for r in one.rollouts for lp in r.sample.logprobs], device=policy.device
            ),
            torch.tensor([r.advantage for r in one.rollouts], device=policy.device),
            one.owner_T,
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
        return parts.loss, {
            "loss": parts.loss.detach(),
            "kl": parts.kl * num_tokens / learning_tokens,
            "clipped_low": parts.ratio_clipped_low,
            "clipped_high": parts.ratio_clipped_high,
            "entropy": scores.entropy.sum() / learning_tokens,
        }

    return add_gradients(policy, range(len(passes)), loss_of)


@dataclass(frozen=True)
class Pass:
    """Completions that are computed together."""

    rollouts: list[Rollout]
    layout: Layout
    places_T: Tensor
    """Of the completions' tokens."""
    owner_T: Tensor
    """Number of the rollout each token belongs to."""


def passes_of(rollouts: Sequence[Rollout], limit: int, device: torch.device) -> list[Pass]:
    """Return the forward and backward passes of a step; see `pack`."""
    groups, trees = _trees(rollouts)
    passes = []
    for packed in pack(trees, limit):
        of_pass = [r for p in packed for i in p.decisions for r in groups[p.conversation][i]]
        owners = [i for i, r in enumerate(of_pass) for _ in r.sample.token_ids]
        layout, places_T = lay_out_pass(packed, device)
        passes.append(Pass(of_pass, layout, places_T, torch.tensor(owners, device=device)))
    return passes


def _trees(rollouts: Sequence[Rollout]) -> tuple[list[list[list[Rollout]]], list[Tree]]:
    """Return the rollouts by conversation and decision, and the trees of the conversations."""
    by_conversation: dict[int, dict[int, list[Rollout]]] = {}
    for r in rollouts:
        by_conversation.setdefault(r.conversation, {}).setdefault(r.group, []).append(r)
    groups = [list(of_one.values()) for of_one in by_conversation.values()]
    return groups, [
        Tree(
            tuple(of_decision[0].prompt for of_decision in of_one),
            tuple(tuple(r.sample.token_ids for r in of_decision) for of_decision in of_one),
        )
        for of_one in groups
    ]
