"""How tests train by GRPO: who is right where, and a stage of a few steps."""

import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from actwise.config import RlConfig
from actwise.conversation import Decision
from actwise.engine.rollouts import Group, Rollout
from actwise.model.policy import Policy
from actwise.run.folder import Run
from actwise.training import decisions
from actwise.training.stage import Training
from actwise.training.stages import RL
from finding import (
    CONVERSATIONS,
    context,
    gold_text,
    lines,
    logprobs_of,
    ordinary,
    scripted,
)

RIGHT_CALLS = {"W1": {0, 2}, "W22": {1}, "X9": {0, 1, 3}}
"""Generations in which `mixed` calls rightly, by conversation."""


def mixed(decision: Decision, number: int) -> str:
    """Call rightly now and then; answer always the same and wrong."""
    if decision.kind == "answer":
        return "<think>\nHm.\n</think>\n\nNo idea."
    right = number in RIGHT_CALLS[decision.conversation.id]
    return gold_text(decision, "x" * (number + 1)) if right else "<think>\nI do not." + "." * number


def make_groups(policy: Policy, run: Run, config: RlConfig) -> list[Group]:
    """Sample by script; the sampling policy's log-probs are near the present policy's."""
    given = context(policy, run, engine=scripted(policy, mixed), rl=config.model_dump())
    training = Training(run, "rl", policy, config, steps=1, checkpoint_every=100, seed=0)
    draw = random.Random(0)
    model = ordinary(policy)

    def near(group: Group, rollout: Rollout) -> Rollout:
        with torch.no_grad():
            logprobs = logprobs_of(
                model, group.prompt, rollout.sample.token_ids, config.temperature
            )
        old = tuple(lp + draw.uniform(-0.6, 0.6) for lp in logprobs.tolist())
        return replace(rollout, sample=replace(rollout.sample, logprobs=old))

    groups = decisions.roll_out(given, CONVERSATIONS, training)
    return [replace(g, rollouts=tuple(near(g, r) for r in g.rollouts)) for g in groups]


def run_rl(
    run: Run, policy: Policy, script: Callable[[Decision, int], str], **changes: Any
) -> list[dict[str, Any]]:
    config = {"steps": 1, "num_generations": 4, "conversations_per_step": 3, **changes}
    scores = itertools.count(0.0)
    stage = RL.begin(
        context(policy, run, engine=scripted(policy, script), score=scores.__next__, rl=config)
    )
    list(stage.steps)
    stage.training.finish()
    return lines(run, "metrics/rl.jsonl")
