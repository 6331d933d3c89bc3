"""How much better than the others of its group each judged completion is."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from actwise.config import RlConfig
from actwise.engine.rollouts import Group
from actwise.rewards.settings import JudgeConfig
from actwise.training.objective import Combine, group_advantages, live_groups


def with_advantages(groups: Sequence[Group], config: RlConfig, judge: JudgeConfig) -> list[Group]:
    """Return judged groups with the advantage of each rollout, and whether they are live."""
    if config.advantage == "rejection":
        return [_accepted(group) for group in groups]
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    combine: Combine = "normalize_each" if judge.combine == "normalize_each" else "sum"
    if combine == "sum":
        rewards = [[r.verdict.reward] for r in rollouts]
        weights = None
    else:
        names = judge.weights()
        parts = [r.verdict.components() for r in rollouts]
        rewards = [[part.get(name, torch.nan) for name in names] for part in parts]
        weights = torch.tensor(list(names.values()), dtype=torch.float64)
    rewards_NK = torch.tensor(rewards, dtype=torch.float64)
    group_N = torch.tensor([i for i, group in enumerate(groups) for _ in group.rollouts])
    advantages = group_advantages(
        rewards_NK, group_N, weights_K=weights, scale=config.scale, combine=combine
    )
    live = live_groups(rewards_NK, group_N, weights, combine=combine)
    scored = iter(zip(advantages.tolist(), live.tolist(), strict=True))
    found = []
    for group in groups:
        pairs = [(rollout, *next(scored)) for rollout in group.rollouts]
        learned = tuple(replace(rollout, advantage=a) for rollout, a, _ in pairs)
        found.append(replace(group, rollouts=learned, live=any(alive for *_, alive in pairs)))
    return found


def _accepted(group: Group) -> Group:
    """Return a group in which each right completion in good form counts 1, every other 0."""
    right = [r.verdict.right is True and not r.parsed.errors for r in group.rollouts]
    rollouts = tuple(
        replace(r, advantage=float(ok)) for r, ok in zip(group.rollouts, right, strict=True)
    )
    return replace(group, rollouts=rollouts, live=any(right))
