"""The work as actwise does it: trees in, through the same functions as a run."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from actwise.bench.shapes import Workload
from actwise.config import RlConfig, RunConfig
from actwise.engine import SamplingParams
from actwise.engine.local import LocalEngine
from actwise.engine.rollouts import Group
from actwise.model.policy import Policy
from actwise.training.objective import group_advantages
from actwise.training.optimisers import layer_matrices
from actwise.training.stages import sft
from actwise.training.update import accumulate, passes_of

MakeOptimiser = Callable[..., torch.optim.Optimizer]
"""Given parameters, `lr` and `weight_decay`."""

LEARNING_RATE = 1e-6
"""So small that repeats of a step work on the same model."""


def reward_of(token_ids: Sequence[int]) -> float:
    """Return a reward that costs nothing to compute and differs within a group."""
    return sum(token_ids) % 16 / 16


def learned_from(work: Workload, config: RlConfig) -> list[Group]:
    """Return the groups as the stage has them after judging; every one is live."""
    rollouts = [rollout for group in work.groups for rollout in group.rollouts]
    rewards = [[reward_of(rollout.sample.token_ids)] for rollout in rollouts]
    group_N = torch.arange(work.num_decisions).repeat_interleave(work.num_generations)
    advantages = group_advantages(
        torch.tensor(rewards, dtype=torch.float64), group_N, scale=config.scale
    )
    of_rollout = iter(advantages.tolist())
    return [
        replace(
            group,
            rollouts=tuple(replace(r, advantage=next(of_rollout)) for r in group.rollouts),
            live=True,
        )
        for group in work.groups
    ]


class Update:
    """The gradient of one GRPO step over a whole workload."""

    def __init__(
        self, policy: Policy, work: Workload, config: RunConfig, reference: dict[str, Tensor]
    ) -> None:
        self._policy, self._work, self._config = policy, work, config
        self._reference = reference
        self._groups = learned_from(work, config.rl)

    @property
    def num_passes(self) -> int:
        """Forward and backward passes."""
        limit = self._config.max_batch_tokens
        return len(passes_of(self._groups, limit, self._policy.device))

    def __call__(self) -> None:
        """Leave the gradient in the policy's parameters."""
        self._policy.model.zero_grad(set_to_none=True)
        completions = self._work.num_decisions * self._work.num_generations
        accumulate(
            self._policy,
            self._groups,
            (completions, completions * self._work.completion_tokens),
            self._reference,
            self._config.rl,
            max_tokens=self._work.completion_tokens,
            max_batch_tokens=self._config.max_batch_tokens,
        )


def sample(policy: Policy, work: Workload, config: RlConfig, *, max_tokens: int) -> Workload:
    """Complete every prompt anew."""
    groups = LocalEngine(policy).generate(
        work.groups,
        num_generations=work.num_generations,
        params=SamplingParams(max_tokens, (), config.temperature, config.top_p),
    )
    return replace(work, groups=tuple(groups))


class Step:
    """One whole GRPO step: sampling, advantages, gradient, optimiser."""

    def __init__(self, policy: Policy, work: Workload, config: RunConfig) -> None:
        self._policy, self._work, self._config = policy, work, config
        self._reference = policy.weights()
        self._optimiser = torch.optim.AdamW(policy.trainable().values(), lr=LEARNING_RATE)

    def __call__(self) -> None:
        """Change the policy by one step."""
        sampled = sample(
            self._policy, self._work, self._config.rl, max_tokens=self._work.completion_tokens
        )
        Update(self._policy, sampled, self._config, self._reference)()
        torch.nn.utils.clip_grad_norm_(
            self._policy.trainable().values(), self._config.rl.max_grad_norm
        )
        self._optimiser.step()


class OptimiserStep:
    """One step of an optimiser over the matrices of the layers, with gradients of noise."""

    def __init__(self, policy: Policy, make: MakeOptimiser) -> None:
        matrices = layer_matrices(policy)
        for matrix in matrices:
            matrix.grad = torch.randn_like(matrix)
        self._optimiser = make(matrices, lr=LEARNING_RATE, weight_decay=0.0)

    def __call__(self) -> None:
        """Move the matrices."""
        self._optimiser.step()


class Sft:
    """The gradient of one supervised step on the recorded actions, with their thoughts if any."""

    def __init__(self, policy: Policy, work: Workload, config: RunConfig) -> None:
        self._policy, self._limit = policy, config.max_batch_tokens
        self.trees = [
            sft.sft_tree(
                policy.template,
                [sft.Target(g.decision, g.decision.gold.reasoning_content) for g in groups],
            )
            for groups in work.conversations
        ]

    def __call__(self) -> None:
        """Leave the gradient in the policy's parameters."""
        self._policy.model.zero_grad(set_to_none=True)
        sft.accumulate(self._policy, self.trees, self._limit)
