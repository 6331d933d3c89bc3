"""What a run says first: what it works with, what it will do, and how long that will take."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from actwise.config import RunConfig
from actwise.conversation import all_decisions
from actwise.data.prepare import Prepared
from actwise.model.policy import Policy
from actwise.model.startup import model_name
from actwise.preflight.choosing import uncertainty
from actwise.preflight.estimate import estimate
from actwise.preflight.trial import try_out
from actwise.report.words import duration
from actwise.run.progress import Progress
from actwise.training.stages import BASE, stages_of

_WORTH = 100
"""Steps from which on a run takes so long that it is worth a few more to tell how long."""
_DECISIONS = 8
"""For which completions are sampled to tell."""


def outline(model: str, policy: Policy, prepared: Prepared, config: RunConfig) -> Iterator[str]:
    """Yield lines that say what goes into a run and what it will do.

    Args:
        model: Folder or hub name.
        policy: What was loaded, with its threads chosen.
        prepared: Fitted to the model.
        config: Resolved.
    """
    parameters = sum(p.numel() for p in policy.model.parameters())
    trained = sum(p.numel() for p in policy.trainable().values())
    yield (
        f"model: {model_name(model)}, {_count(parameters)} parameters, of which {_count(trained)} "
        f"are trained, in {config.model.dtype} on {policy.device}{_threads(policy)}"
    )
    splits = prepared.splits
    decisions = thoughts = 0
    for decision in all_decisions(splits.train):
        decisions += 1
        thoughts += bool(decision.gold.reasoning_content)
    tests = ", ".join(f"{len(cs)} {name}" for name, cs in splits.tests.items())
    left_out = sum(item["count"] for item in prepared.skipped)
    choosing = len(splits.dev[: config.evaluate.dev_conversations])
    chosen_by, off = uncertainty(splits, config)
    yield (
        f"data: {len(splits.train)} conversations to train on, with {decisions} decisions, "
        f"{thoughts / decisions:.0%} of them with a thought; {choosing} to choose "
        f"checkpoints by ({chosen_by} decisions: a score may be off by {100 * off:.0f} points or "
        f"more); to measure on: {tests}"
        + (f"; {left_out} records are left out" if left_out else "")
    )
    stages = [
        f"{stage.name} ({stage.section(config).steps} steps, {stage.mode(config)})"
        for stage in stages_of(config)
    ]
    yield f"plan: {', then '.join([BASE, *stages])}; each is measured"


def _threads(policy: Policy) -> str:
    if policy.device.type != "cpu":
        return ""
    threads = torch.get_num_threads()
    return f", threads: {threads}, passes at once: {policy.workers}"


def _count(number: int) -> str:
    for unit, name in ((10**9, "billion"), (10**6, "million")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return str(number)


def expected_time(
    policy: Policy, prepared: Prepared, config: RunConfig, folder: Path
) -> str | None:
    """Say how long a run will take, from a few of its steps; None where it is too short for that.

    The policy is as it was before. No endpoint and no reward of the user's own is asked.
    """
    assert prepared.max_tokens is not None, "fitted to the model"
    if sum(stage.section(config).steps for stage in stages_of(config)) < _WORTH:
        return None
    own: dict[str, Any] = {"endpoint": None, "embedding": None, "custom": {}}
    alone = config.model_copy(
        update={
            "reward": config.reward.model_copy(update=own),
            "model": config.model.model_copy(
                update={"threads": torch.get_num_threads(), "workers": policy.workers}
            ),
        }
    )
    weights = policy.weights()
    trial = try_out(
        policy,
        prepared.splits.train,
        alone,
        prepared.max_tokens,
        decisions=_DECISIONS,
        progress=Progress(Console(quiet=True)),
    )
    policy.set_weights(weights)
    seconds = estimate(policy, prepared.splits, config, trial.speeds, folder).seconds
    return f"time: about {duration(seconds)}, judging by a few steps on this machine"
