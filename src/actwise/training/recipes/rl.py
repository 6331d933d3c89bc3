"""GRPO over decisions: sample groups, judge them, move the policy towards the better half.

A batch of rollouts is some conversations; every decision of theirs is completed `num_generations`
times on the shared trunk. Completions of one decision are a group; what they begin with in common
is computed once. A group whose rewards are all equal teaches nothing: it is counted and costs no
forward pass. Recorded actions of all kinds take part, also those that call nothing, unless
`rl.decisions` says otherwise.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from actwise.config import RlConfig
from actwise.conversation import Conversation, Decision
from actwise.engine import Engine, SamplingParams
from actwise.errors import RunError
from actwise.evaluation.judging import judge_samples, spent, spent_since
from actwise.model.policy import Policy
from actwise.rewards.judge import Verdict
from actwise.rewards.settings import JudgeSettings
from actwise.run.folder import Run
from actwise.training.objective import group_advantages, live_groups
from actwise.training.stage import Training, batch_of, mean
from actwise.training.update import Rollout, accumulate


@dataclass(frozen=True)
class RlSettings:
    """What the stage needs besides its own section of the configuration."""

    judge: JudgeSettings
    max_tokens: int
    """Budget of a completion."""
    seed: int
    checkpoint_every: int
    max_batch_tokens: int


def train_rl(
    run: Run,
    stage: str,
    policy: Policy,
    engine: Engine,
    conversations: Sequence[Conversation],
    config: RlConfig,
    settings: RlSettings,
    *,
    development_score: Callable[[], float],
) -> Training:
    """Train by GRPO and leave the best weights in the policy.

    Args:
        run: The run folder.
        stage: Name of the stage.
        policy: Trained in place; its weights at the start are the reference.
        engine: Samples from the policy as it is.
        conversations: The training split.
        config: Of the stage.
        settings: The rest.
        development_score: Measures the policy as it is; higher is better.

    Raises:
        RunError: Only calls are to be trained, and there are none.
    """
    reference = policy.weights()
    conversations = [c for c in conversations if _taking_part(c, config)]
    if not conversations:
        raise RunError("rl: no training conversation calls a tool; use --set rl.decisions=all")
    training = Training(
        run,
        stage,
        policy,
        config,
        steps=config.steps,
        checkpoint_every=settings.checkpoint_every,
        seed=settings.seed,
    )
    if training.step == 0:
        training.offer(development_score())  # what the stage has to beat
    with run.progress.track(stage, config.steps, training.step) as show:
        while training.step < config.steps:
            batch = batch_of(
                conversations, config.conversations_per_step, training.step, settings.seed
            )
            before = spent(settings.judge)
            rollouts = _roll_out(policy, engine, batch, config, settings, training)
            figures = _figures(rollouts) | spent_since(before, settings.judge)
            figures |= _improve(policy, training, rollouts, reference, config, settings)
            step = training.step + 1
            if step % config.evaluate_every == 0 or step == config.steps:
                # end_step() counts; the score belongs to the weights after this step.
                figures["dev_action_accuracy"] = development_score()
                training.offer(figures["dev_action_accuracy"])
            training.metrics.append({"step": step, **figures})
            training.rollouts.append(*(_record(step, rollout) for rollout in rollouts))
            training.end_step()
            show(
                step,
                reward=figures["reward"],
                live=figures["live_groups"],
                best=training.best_score,
            )
    training.finish()
    return training


def _roll_out(
    policy: Policy,
    engine: Engine,
    batch: Sequence[Conversation],
    config: RlConfig,
    settings: RlSettings,
    training: Training,
) -> list[Rollout]:
    thinking = config.mode == "thinking"
    draw = random.Random(f"{settings.seed}/decisions/{training.step}")
    decisions = [
        _some(_taking_part(c, config), config.decisions_per_conversation, draw) for c in batch
    ]
    prompts = [[policy.template.prompt(d, thinking=thinking) for d in ds] for ds in decisions]
    params = SamplingParams(
        settings.max_tokens, policy.template.stop_token_ids, config.temperature, config.top_p
    )
    samples = engine.generate(
        prompts,
        num_generations=config.num_generations,
        params=params,
        generator=training.generator,
    )
    groups = [
        (conversation, decision, prompts[conversation][i], samples[conversation][i])
        for conversation, of_conversation in enumerate(decisions)
        for i, decision in enumerate(of_conversation)
    ]
    judged = iter(
        judge_samples(
            policy.template,
            [(decision, sample) for _, decision, _, of_group in groups for sample in of_group],
            thinking=thinking,
            settings=settings.judge,
        )
    )
    rollouts = [
        Rollout(decision, conversation, group, prompt, sample, next(judged))
        for group, (conversation, decision, prompt, of_group) in enumerate(groups)
        for sample in of_group
    ]
    return _with_advantages(rollouts, config, settings.judge)


def _taking_part(conversation: Conversation, config: RlConfig) -> list[Decision]:
    return [d for d in conversation.decisions() if config.decisions == "all" or d.kind == "call"]


def _some(decisions: list[Decision], limit: int | None, draw: random.Random) -> list[Decision]:
    if limit is None or limit >= len(decisions):
        return decisions
    return [decisions[i] for i in sorted(draw.sample(range(len(decisions)), limit))]


def _with_advantages(
    rollouts: Sequence[Rollout], config: RlConfig, judge: JudgeSettings
) -> list[Rollout]:
    if judge.combine == "sum":
        rewards = [[r.judged.verdict.reward] for r in rollouts]
        weights = None
    else:
        names = judge.weights()
        parts = [r.judged.verdict.components() for r in rollouts]
        rewards = [[part.get(name, torch.nan) for name in names] for part in parts]
        weights = torch.tensor(list(names.values()), dtype=torch.float64)
    rewards_NK = torch.tensor(rewards, dtype=torch.float64)
    group_N = torch.tensor([r.group for r in rollouts])
    advantages = group_advantages(
        rewards_NK, group_N, weights_K=weights, scale=config.scale, combine=judge.combine
    )
    live = live_groups(rewards_NK, group_N, weights, combine=judge.combine)
    return [
        Rollout(r.decision, r.conversation, r.group, r.prompt, r.sample, r.judged, a, alive)
        for r, a, alive in zip(rollouts, advantages.tolist(), live.tolist(), strict=True)
    ]


def _improve(
    policy: Policy,
    training: Training,
    rollouts: Sequence[Rollout],
    reference: dict[str, Tensor],
    config: RlConfig,
    settings: RlSettings,
) -> dict[str, float]:
    """Take the optimiser steps of one batch of rollouts."""
    figures: dict[str, list[float]] = {}
    for part in range(config.optimiser_steps):
        # Each step takes whole conversations, so that their trunks are computed once.
        of_step = [r for r in rollouts if r.conversation % config.optimiser_steps == part]
        learners = [
            r
            for r in of_step
            if r.live and not (config.mask_truncated and r.sample.stop_reason == "length")
        ]
        if not learners:
            continue
        totals = len(of_step), sum(len(r.sample.token_ids) for r in of_step)
        for name, value in accumulate(
            policy,
            learners,
            totals,
            reference,
            config,
            max_tokens=settings.max_tokens,
            max_batch_tokens=settings.max_batch_tokens,
        ).items():
            figures.setdefault(name, []).append(value)
        figures.setdefault("grad_norm", []).append(training.update())
    figures.setdefault("learning_rate", []).append(training.learning_rate())
    return {name: mean(values) for name, values in figures.items()}


def _figures(rollouts: Sequence[Rollout]) -> dict[str, float]:
    verdicts = [r.judged.verdict for r in rollouts]
    groups: dict[int, bool] = {r.group: r.live for r in rollouts}
    return {
        "reward": mean([v.reward for v in verdicts]),
        "right": mean([float(v.right) for v in verdicts]),
        "format": mean([v.format for v in verdicts]),
        "live_groups": mean([float(live) for live in groups.values()]),
        "completion_tokens": mean([float(len(r.sample.token_ids)) for r in rollouts]),
        "thought_words": mean(
            [float(len((r.judged.parsed.thought or "").split())) for r in rollouts]
        ),
        "truncated": mean([float(r.sample.stop_reason == "length") for r in rollouts]),
    } | _further_figures(verdicts)


def _further_figures(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Return mean and missing verdicts of each component from outside."""
    names = sorted({name for v in verdicts for name in (*v.further, *v.missing)})
    return {
        f"reward_{name}": mean([v.further[name] for v in verdicts if name in v.further])
        for name in names
    } | {f"missing_{name}": float(sum(name in v.missing for v in verdicts)) for name in names}


def _record(step: int, rollout: Rollout) -> dict[str, object]:
    return {
        "step": step,
        "decision": rollout.decision.key,
        "text": rollout.judged.text,
        "stop": rollout.sample.stop_reason,
        "reward": rollout.judged.verdict.reward,
        "right": rollout.judged.verdict.right,
        "advantage": rollout.advantage,
    }
