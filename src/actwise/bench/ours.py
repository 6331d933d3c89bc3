"""The work as actwise does it: trees in, through the same functions as a run."""

from collections.abc import Sequence

import torch
from torch import Tensor

from actwise.bench.shapes import Workload
from actwise.config import RlConfig, RunConfig
from actwise.engine import Sample, SamplingParams
from actwise.engine.local import LocalEngine
from actwise.evaluation.judging import judge_samples
from actwise.model.policy import Policy
from actwise.rewards.settings import JudgeSettings
from actwise.training.objective import group_advantages
from actwise.training.recipes import sft
from actwise.training.update import Rollout, accumulate, passes_of

LEARNING_RATE = 1e-6
"""So small that repeats of a step work on the same model."""


def reward_of(token_ids: Sequence[int]) -> float:
    """Return a reward that costs nothing to compute and differs within a group."""
    return sum(token_ids) % 16 / 16


def rollouts_of(policy: Policy, work: Workload, config: RlConfig) -> list[Rollout]:
    """Return the completions as the stage has them; every group is alive."""
    # The judge is no part of what is compared, so nobody reads its verdicts.
    first = work.decisions[0][0], Sample((), (), "length")
    (unread,) = judge_samples(policy.template, [first], thinking=True, settings=JudgeSettings())
    found = [
        (conversation, i, sample)
        for conversation, of_conversation in enumerate(work.samples)
        for i, samples in enumerate(of_conversation)
        for sample in samples
    ]
    numbers = {key: n for n, key in enumerate(dict.fromkeys((c, i) for c, i, _ in found))}
    groups = [numbers[c, i] for c, i, _ in found]
    rewards = torch.tensor([[reward_of(s.token_ids)] for _, _, s in found], dtype=torch.float64)
    advantages = group_advantages(rewards, torch.tensor(groups), scale=config.scale).tolist()
    return [
        Rollout(work.decisions[c][i], c, group, work.prompts[c][i], sample, unread, a, True)
        for (c, i, sample), group, a in zip(found, groups, advantages, strict=True)
    ]


class Update:
    """The gradient of one GRPO step over a whole workload."""

    def __init__(
        self, policy: Policy, work: Workload, config: RunConfig, reference: dict[str, Tensor]
    ) -> None:
        self._policy, self._work, self._config = policy, work, config
        self._reference = reference
        self._rollouts = rollouts_of(policy, work, config.rl)

    @property
    def num_passes(self) -> int:
        """Forward and backward passes."""
        limit = self._config.max_batch_tokens
        return len(passes_of(self._rollouts, limit, self._policy.device))

    def __call__(self) -> None:
        """Leave the gradient in the policy's parameters."""
        self._policy.model.zero_grad(set_to_none=True)
        totals = len(self._rollouts), sum(len(r.sample.token_ids) for r in self._rollouts)
        accumulate(
            self._policy,
            self._rollouts,
            totals,
            self._reference,
            self._config.rl,
            max_tokens=self._work.completion_tokens,
            max_batch_tokens=self._config.max_batch_tokens,
        )


def sample(policy: Policy, work: Workload, config: RlConfig, *, max_tokens: int) -> Workload:
    """Complete every prompt anew."""
    samples = LocalEngine(policy).generate(
        work.prompts,
        num_generations=work.num_generations,
        params=SamplingParams(max_tokens, (), config.temperature, config.top_p),
    )
    of_all = tuple(tuple(map(tuple, of_one)) for of_one in samples)
    return Workload(work.decisions, work.prompts, of_all, work.texts)


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


class Sft:
    """The gradient of one supervised step on the recorded actions, with their thoughts if any."""

    def __init__(self, policy: Policy, work: Workload, config: RunConfig) -> None:
        self._policy, self._limit = policy, config.max_batch_tokens
        self.trees = [
            sft.sft_tree(
                policy.template,
                [sft.Target(d, d.gold.reasoning_content) for d in decisions],
            )
            for decisions in work.decisions
        ]

    def __call__(self) -> None:
        """Leave the gradient in the policy's parameters."""
        self._policy.model.zero_grad(set_to_none=True)
        sft.accumulate(self._policy, self.trees, self._limit)
