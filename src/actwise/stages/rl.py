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
from actwise.engine import Engine, Sample, SamplingParams
from actwise.errors import RunError
from actwise.objective import group_advantages, live_groups, policy_loss
from actwise.policy import Policy
from actwise.rewards.judge import Verdict
from actwise.rewards.settings import JudgeSettings
from actwise.run import Run
from actwise.stages.judging import Judged, judge_samples, spent, spent_since
from actwise.stages.packing import Tree, grow, pack
from actwise.stages.training import Training, batch_of, mean


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
        run, stage, policy, config,
        steps=config.steps, checkpoint_every=settings.checkpoint_every, seed=settings.seed,
    )  # fmt: skip
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
            show(step, reward=figures["reward"], live=figures["live_groups"],
                 best=training.best_score)  # fmt: skip
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
            policy, learners, totals, reference, config, settings
        ).items():
            figures.setdefault(name, []).append(value)
        figures.setdefault("grad_norm", []).append(training.update())
    figures.setdefault("learning_rate", []).append(training.learning_rate())
    return {name: mean(values) for name, values in figures.items()}


def accumulate(
    policy: Policy,
    rollouts: Sequence[Rollout],
    totals: tuple[int, int],
    reference: dict[str, Tensor],
    config: RlConfig,
    settings: RlSettings,
) -> dict[str, float]:
    """Add the gradient of the loss over one optimiser step's completions.

    Args:
        policy: Its gradients are added to.
        rollouts: Completions with something to teach.
        totals: Completions of the step and their tokens, those of dead groups included: their
            advantages are zero and their divergence is not taken, but they count in the mean.
        reference: Weights that the divergence is taken from.
        config: Of the stage.
        settings: The rest.
    """
    num_completions, num_tokens = totals
    learning_tokens = sum(len(r.sample.token_ids) for r in rollouts)
    groups, trees = _trees(rollouts)
    figures = {"loss": 0.0, "kl": 0.0, "clipped_low": 0.0, "clipped_high": 0.0, "entropy": 0.0}
    for packed in pack(trees, settings.max_batch_tokens):
        batch = [r for p in packed for i in p.decisions for r in groups[p.conversation][i]]
        forest, ends = grow(packed)
        layout = forest.layout(policy.device)
        places_T = torch.tensor(
            [place for end in ends for place in layout.last_places(*end)], device=policy.device
        )
        owner_T = torch.tensor(
            [i for i, r in enumerate(batch) for _ in r.sample.token_ids], device=policy.device
        )
        reference_T = None
        if config.kl_coefficient:
            with torch.no_grad(), policy.using(reference):
                reference_T = policy.score(
                    layout, places_T, temperature=config.temperature
                ).logprobs
        scores = policy.score(layout, places_T, temperature=config.temperature)
        parts = policy_loss(
            scores.logprobs,
            torch.tensor([lp for r in batch for lp in r.sample.logprobs], device=policy.device),
            torch.tensor([r.advantage for r in batch], device=policy.device),
            owner_T,
            reference_logprobs_T=reference_T,
            clip_low=config.clip_low,
            clip_high=config.clip_high,
            kl_coefficient=config.kl_coefficient,
            ratio_level=config.ratio_level,
            aggregation=config.aggregation,
            num_completions=num_completions,
            num_tokens=num_tokens,
            max_completion_tokens=settings.max_tokens,
        )
        parts.loss.backward()  # type: ignore[no-untyped-call]
        figures["loss"] += parts.loss.item()
        figures["kl"] += parts.kl.item() * num_tokens / learning_tokens
        figures["clipped_low"] += parts.ratio_clipped_low.item()
        figures["clipped_high"] += parts.ratio_clipped_high.item()
        figures["entropy"] += scores.entropy.sum().item() / learning_tokens
    return figures


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


def _figures(rollouts: Sequence[Rollout]) -> dict[str, float]:
    verdicts = [r.judged.verdict for r in rollouts]
    groups: dict[int, bool] = {r.group: r.live for r in rollouts}
    return {
        "reward": mean([v.reward for v in verdicts]),
        "right": mean([float(v.right) for v in verdicts]),
        "format": mean([v.format for v in verdicts]),
        "live_groups": mean([float(live) for live in groups.values()]),
        "completion_tokens": mean([float(len(r.sample.token_ids)) for r in rollouts]),
        "thought_words": mean([float(len((r.judged.parsed.thought or "").split()))
                               for r in rollouts]),
        "truncated": mean([float(r.sample.stop_reason == "length") for r in rollouts]),
    } | _further_figures(verdicts)  # fmt: skip


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
