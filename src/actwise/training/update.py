"""The gradient of one GRPO step: completions in, passes over their trees, gradients added up."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from actwise.config import EntropyConfig, RlConfig
from actwise.engine.rollouts import Group, Rollout, by_conversation
from actwise.model.kernels.output_layer import Scores
from actwise.model.policy import Policy
from actwise.model.processes import together
from actwise.model.workers import in_order
from actwise.training.gradients import add_gradients
from actwise.training.likelihood import Explained, explained_loss
from actwise.training.objective import k3, policy_loss, truncated_importance
from actwise.tree.layout import Layout
from actwise.tree.packing import Tree, lay_out_pass, pack


def accumulate(
    policy: Policy,
    learned: Sequence[Group | Explained],
    totals: tuple[int, int],
    reference: dict[str, Tensor],
    config: RlConfig,
    *,
    max_tokens: int,
    max_batch_tokens: int,
    likelihood_scale: float = 0.0,
    off_policy: bool = False,
) -> dict[str, float]:
    """Add the gradient of the loss over one optimiser step's completions.

    Args:
        policy: Its gradients are added to.
        learned: Completions with something to teach, and recorded actions after sampled thoughts;
            those of one conversation lie side by side and share its trunk.
        totals: Completions of the step and their tokens, those of dead groups included: their
            advantages are zero and their divergence is not taken, but they count in the mean.
            Of completions that are left out of the loss the tokens do not count, as in TRL.
        reference: Weights that the divergence is taken from.
        config: Settings of the RL stage.
        max_tokens: Budget of a completion.
        max_batch_tokens: Tokens in one forward and backward pass.
        likelihood_scale: What the loss of recorded actions after thoughts counts for each decision.
        off_policy: Whether something else than this policy has sampled: another engine, or older
            weights. It is then made up for by truncated importance sampling, and what the sampler
            and the policy differ by is in the figures.

    Returns:
        Means over the step: of completions, where there are any, "loss", "kl", "clipped_low",
        "clipped_high", "entropy", and with `off_policy` "mismatch_kl" and "importance_capped"; of
        recorded actions after thoughts "surprise", the loss of a decision in nats.
    """
    num_completions, num_tokens = totals
    groups = [one for one in learned if isinstance(one, Group)]
    learning_tokens = sum(len(branch) for group in groups for branch in group.branches)
    num_explained = len(learned) - len(groups)
    conversations = by_conversation(learned)
    # What branches have in common is not worth looking for here; `pack` does so.
    costs = [
        max(len(one.prompt) for one in of_one)
        + sum(len(branch) for one in of_one for branch in one.branches)
        for of_one in conversations
    ]
    passes = passes_of(
        [one for of_one in together().own(conversations, costs) for one in of_one],
        max_batch_tokens,
        policy.device,
    )
    bonus = entropy_bonus(groups, config.entropy)

    def score(one: Pass) -> Scores:
        return policy.score(one.layout, one.index_T, temperature=config.temperature)

    @torch.no_grad()
    def reference_logprobs(one: Pass | None) -> Tensor:
        return policy.idle() if one is None else score(one).logprobs[one.sampled_T]

    references: list[Tensor | None] = [None] * len(passes)
    if config.kl_coefficient:
        with policy.using(reference):  # its weights are there for all workers at once
            references = [*in_order(reference_logprobs, policy.even(passes), policy.workers)]

    def of_completions(number: int, scores: Scores) -> tuple[Tensor, dict[str, Tensor]]:
        one = passes[number]
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

    def loss_of(number: int) -> tuple[Tensor, dict[str, Tensor]]:
        one = passes[number]
        scores = score(one)
        losses: list[Tensor] = []
        figures: dict[str, Tensor] = {}
        if one.rollouts:
            loss, figures = of_completions(number, Scores(*(x[one.sampled_T] for x in scores)))
            losses.append(loss)
        if one.explained:
            surprise = explained_loss(
                scores.logprobs[one.explained_T],
                one.explained,
                action_weight=config.likelihood.action_weight,
            )
            losses.append(likelihood_scale * surprise)
            figures["surprise"] = surprise.detach() / num_explained
        return torch.stack(losses).sum(), figures

    return add_gradients(policy, range(len(passes)), loss_of)


def entropy_bonus(groups: Sequence[Group], config: EntropyConfig) -> float:
    """Return what the entropy of a batch counts: nothing from the target on.

    The mean surprise of sampled tokens is an unbiased estimate of the entropy they were drawn with.
    """
    logprobs = [lp for g in groups for r in g.rollouts for lp in r.sample.logprobs]
    return config.weight if -sum(logprobs) < config.target * len(logprobs) else 0.0


@dataclass(frozen=True)
class Pass:
    """Completions that are computed together."""

    rollouts: list[Rollout]
    explained: list[Explained]
    layout: Layout
    index_T: Tensor
    """Indices of the tokens of all branches in the layout."""
    sampled_T: Tensor
    """Which of these belong to rollouts, one after another."""
    explained_T: Tensor
    """Which belong to recorded actions and the thoughts before them."""
    owner_T: Tensor
    """Number of the rollout each token of rollouts belongs to."""


def passes_of(learned: Sequence[Group | Explained], limit: int, device: torch.device) -> list[Pass]:
    """Return the forward and backward passes of a step; see `pack`."""
    conversations = by_conversation(learned)
    passes = []
    for packed in pack([tree_of(of_one) for of_one in conversations], limit):
        ones = [conversations[part.conversation][i] for part in packed for i in part.decisions]
        sampled = [
            isinstance(one, Group) for one in ones for branch in one.branches for _ in branch
        ]
        sampled_T = torch.tensor(sampled, device=device)
        rollouts = [r for one in ones if isinstance(one, Group) for r in one.rollouts]
        owners = [i for i, r in enumerate(rollouts) for _ in r.sample.token_ids]
        layout, index_T = lay_out_pass(packed, device)
        passes.append(
            Pass(
                rollouts,
                [one for one in ones if isinstance(one, Explained)],
                layout,
                index_T,
                sampled_T.nonzero()[:, 0],
                (~sampled_T).nonzero()[:, 0],
                torch.tensor(owners, device=device),
            )
        )
    return passes


def tree_of(learned: Sequence[Group | Explained]) -> Tree:
    """Return the tree of what is learned of one conversation."""
    return Tree(tuple(one.prompt for one in learned), tuple(one.branches for one in learned))
