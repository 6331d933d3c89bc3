"""What the whole run will take, from what a few of its steps took."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from actwise.config import MODES, RunConfig
from actwise.conversation import Conversation, all_decisions
from actwise.data.split import Splits
from actwise.evaluation.measurements import measurements
from actwise.findings.finding import Finding
from actwise.model.checkpointing import Needs
from actwise.model.memory import device_memory
from actwise.model.policy import Policy
from actwise.preflight.trial import Speeds
from actwise.report.words import size
from actwise.training.stages import BASE, stages_of

_ENOUGH = 64
"""Conversations whose tokens are counted for the mean."""
_CHECKPOINT = 4
"""A checkpoint holds the weights, the best weights, and two moments of the optimiser."""
_ROOM = 0.9
"""Share of memory or disk beyond which it may not be enough."""


@dataclass(frozen=True)
class StageCost:
    """One part of the run."""

    name: str
    steps: int
    seconds: float
    trained_tokens: int
    """Tokens of trees that go through forward and backward passes."""
    sampled_tokens: int


@dataclass(frozen=True)
class Estimate:
    """The whole run, on this machine; completions as long as the base model writes them now."""

    stages: list[StageCost]
    peak_memory: int
    """Measured, in bytes."""
    memory: int
    """Memory of the device, in bytes."""
    disk: int
    """Bytes that the run folder will hold: models and checkpoints."""
    free_disk: int

    @property
    def seconds(self) -> float:
        """Seconds of all stages."""
        return sum(stage.seconds for stage in self.stages)


def estimate(
    policy: Policy, splits: Splits, config: RunConfig, speeds: Speeds, out: Path
) -> Estimate:
    """Extrapolate measured steps to the stages of a run.

    Args:
        policy: Its size says what is written to the disk.
        splits: The conversations of the run.
        config: Settings of the run.
        speeds: Measured on this machine.
        out: Where the run folder will be.
    """
    stages = list(_stages(policy, splits, config, speeds))
    trained = sum(p.numel() * p.element_size() for p in policy.trainable().values())
    whole = sum(p.numel() * p.element_size() for p in policy.model.parameters())
    training = sum(stage.steps > 0 for stage in stages)
    return Estimate(
        stages,
        speeds.peak_memory,
        device_memory(policy.device),
        # While a checkpoint is written, the one before is still there.
        training * (whole + _CHECKPOINT * trained) + _CHECKPOINT * trained,
        shutil.disk_usage(next(p for p in (out, *out.absolute().parents) if p.exists())).free,
    )


def _stages(
    policy: Policy, splits: Splits, config: RunConfig, speeds: Speeds
) -> Iterator[StageCost]:
    dev = _decisions(splits.dev[: config.evaluate.dev_conversations])
    tests = sum(_decisions(conversations) for conversations in splits.tests.values())
    per_token = speeds.update_seconds / speeds.update_tokens

    def evaluations(times_dev: int, times_tests: int) -> float:
        return speeds.evaluation_seconds * (times_dev * dev + times_tests * tests)

    yield StageCost(BASE, 0, evaluations(len(MODES), len(MODES)), 0, 0)
    for stage in stages_of(config):
        plan = stage.plan(policy.template, splits.train[:_ENOUGH], config)
        section = stage.section(config)
        # As if every group were live: after the stages before, most are.
        sampled = (speeds.sampled_tokens or 0.0) if stage.samples else 0.0
        sampling = (speeds.sampling_seconds or 0.0) if stage.samples else 0.0
        learned = (plan.step_tokens + sampled) * section.steps
        further = measurements(config.evaluate, stage.mode(config))
        times = 1 + sum(measurement.evaluations for measurement in further)
        seconds = (
            learned * per_token * plan.passes
            + plan.searched * speeds.evaluation_seconds
            + sampling * section.steps
            + evaluations(stage.samples + -(-section.steps // section.evaluate_every), times)
        )
        yield StageCost(
            stage.name, section.steps, seconds, round(learned), round(sampled * section.steps)
        )


def _decisions(conversations: Sequence[Conversation]) -> int:
    return sum(1 for _ in all_decisions(conversations))


def cost_findings(cost: Estimate) -> Iterator[Finding]:
    """Yield what the machine may not have enough of."""
    if cost.disk > _ROOM * cost.free_disk:
        yield Finding(
            "warning",
            "disk",
            0,
            f"the run will write about {size(cost.disk)} and {size(cost.free_disk)} are free",
            "It would stop when the disk is full.",
            "Free some, name another --out, or --set model.lora_rank=16 for small checkpoints.",
        )
    if cost.peak_memory > _ROOM * cost.memory:
        yield Finding(
            "warning",
            "memory",
            0,
            f"a few steps took {size(cost.peak_memory)} of {size(cost.memory)}",
            "A larger batch may not fit.",
            "--set model.checkpointing=true, --set model.workers=1, lower max_batch_tokens, or "
            "--set model.lora_rank=16 and, where that is not enough, --set model.dtype=bfloat16.",
        )


def recomputed(needs: Needs) -> Finding:
    """Tell why activations are computed again."""
    return Finding(
        "note",
        "activations",
        0,
        f"training needs {size(needs.state)}, the activations of its longest conversations "
        f"{size(needs.activations)} more, of {size(needs.memory)}",
        "They are computed again in the backward pass, which takes about a third more time.",
        "Lower max_batch_tokens, or use a smaller model, adapters or fewer model.workers, to do "
        "without.",
    )
