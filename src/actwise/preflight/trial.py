"""A few steps of the real stages, with a learning rate that changes nothing, against the clock.

The stages begin as in the pipeline, in a run folder that is thrown away, and are advanced by a few
steps. So what is measured is what the run will do, memory of the optimiser and the reference
included.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from actwise.audit.figures import influence
from actwise.config import EngineConfig, RunConfig
from actwise.conversation import Conversation
from actwise.engine import Engine, SamplingParams
from actwise.engine.local import LocalEngine
from actwise.engine.rollouts import Group
from actwise.evaluation.evaluate import Evaluator
from actwise.model.checkpointing import Needs, choose_checkpointing
from actwise.model.memory import peak_memory
from actwise.model.policy import Policy
from actwise.model.threads import choose_threads
from actwise.preflight.targets import Distribution, distribution
from actwise.run.files import read_records
from actwise.run.folder import Run
from actwise.run.progress import Progress
from actwise.training.stage import Context, batch_of, mean
from actwise.training.stages import SFT, Stage, stages_of
from actwise.training.stages.sft import Target, sft_tree

_NEVER = 10**9
"""Steps between two checkpoints or evaluations that do not come."""
_STILL = 1e-30
"""A learning rate that leaves the weights as they are; 0 would mean that none is given."""
_SFT_STEPS = 2
"""The first of them allocates, the last is timed."""


@dataclass(frozen=True)
class Samples:
    """What the model at the beginning makes of some training decisions, sampled as in RL."""

    decisions: int
    completions: int
    rewards: Distribution
    pass_rates: Distribution | None
    """Share of right completions of each decision, among those that can be checked; None where
    none can."""
    pass_any: float
    """Share of those decisions that are right in any of their completions (pass@k)."""
    closed: float | None
    """Share of completions whose thought says something and ends; None in direct mode."""
    learnable: float
    """Share of decisions with a pass rate above 0 and below 1."""
    live: float
    """Share of decisions whose rewards differ, so that they have a gradient."""
    influence: float
    """How much a step can change, in [0, 1/2]; see `actwise.audit.figures.influence`."""
    not_checkable: float
    """Share of completions that can be called neither right nor wrong."""
    format: float
    """Share of completions in the right format."""
    truncated: float
    """Share of completions that hit their budget."""
    tokens: float
    """Mean tokens of a completion."""


@dataclass(frozen=True)
class Speeds:
    """What was measured, in seconds and tokens."""

    update_seconds: float
    """One supervised step."""
    update_tokens: int
    """Tokens of trees in it."""
    evaluation_seconds: float
    """One greedy completion of a decision, in a batch."""
    sampling_seconds: float | None
    """One batch of rollouts; None without RL."""
    sampled_tokens: float | None
    """Tokens of completions in it."""
    rl_step_seconds: float | None
    """One whole step of RL, in which only live groups are updated."""
    peak_memory: int
    """Bytes: of the device where it is a GPU, else of this process."""


@dataclass(frozen=True)
class Trial:
    """What a few steps have shown."""

    samples: Samples | None
    """None without RL."""
    speeds: Speeds
    needs: Needs


def try_out(
    policy: Policy,
    train: Sequence[Conversation],
    config: RunConfig,
    max_tokens: int,
    *,
    decisions: int,
    progress: Progress,
) -> Trial:
    """Sample, update and evaluate for a moment; the weights stay as they are.

    Args:
        policy: At the beginning of the run.
        train: The training split.
        config: Settings of the run.
        max_tokens: Budget of a completion.
        decisions: Training decisions to sample for, at least; whole batches are taken.
        progress: Where it is told what is going on.
    """
    engine = _Timed(LocalEngine(policy))
    config = config.model_copy(update={"engine": EngineConfig()})
    with tempfile.TemporaryDirectory(prefix="actwise-preflight-") as name:
        quiet = Progress(Console(quiet=True))
        with Run.open(Path(name) / "run", {}, quiet) as run:
            choose_threads(run, config.model, policy)
            needs = choose_checkpointing(policy, config, train, max_tokens)
            context = Context(
                run, policy, engine, train, config, max_tokens, lambda mode: 0.0, policy.weights
            )
            progress.say("preflight: two supervised steps")
            seconds, tokens = _update(context)
            progress.say(f"preflight: greedy answers to {decisions} decisions")
            evaluation = _evaluation(context, decisions)
            samples, sampling, sampled, step = None, None, None, None
            for stage in (s for s in stages_of(config) if s.samples and s.round == 1):
                progress.say(
                    f"preflight: {config.rl.num_generations} completions each of at least "
                    f"{decisions} decisions"
                )
                engine.reset()
                steps, step = _sampled_steps(context, stage, engine, decisions)
                samples = _samples(run, stage, engine)
                sampling, sampled = engine.seconds / steps, engine.tokens / steps
    return Trial(
        samples,
        Speeds(seconds, tokens, evaluation, sampling, sampled, step, peak_memory(policy.device)),
        needs,
    )


class _Timed:
    """An engine that counts what it has sampled, and how long that took."""

    at_once = 1

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.reset()

    def reset(self) -> None:
        """Begin to count anew."""
        self.seconds = 0.0
        self.decisions = 0
        self.tokens = 0

    def snapshot(self) -> Engine:
        """Return itself: what a step takes is measured part by part."""
        return self

    def generate(
        self,
        groups: Sequence[Group],
        *,
        num_generations: int,
        params: SamplingParams,
        generator: torch.Generator | None = None,
    ) -> list[Group]:
        begin = time.perf_counter()
        made = self._engine.generate(
            groups, num_generations=num_generations, params=params, generator=generator
        )
        self.seconds += time.perf_counter() - begin
        self.decisions += len(made)
        self.tokens += sum(len(r.sample.token_ids) for group in made for r in group.rollouts)
        return made


def _update(context: Context) -> tuple[float, int]:
    """Return the seconds and the tokens of one supervised step."""
    section = context.config.sft.model_copy(update=_unending(context.config.sft.steps, _SFT_STEPS))
    course = SFT.begin(_with_section(context, SFT, section))
    times = [time.perf_counter() for _ in islice(course.steps, _SFT_STEPS)]
    batch = batch_of(
        context.train, section.conversations_per_step, _SFT_STEPS - 1, context.config.seed
    )
    trees = [
        sft_tree(context.policy.template, [Target(d, None) for d in c.decisions()]) for c in batch
    ]
    return times[-1] - times[-2], sum(tree.num_tokens for tree in trees)


def _with_section(context: Context, stage: Stage, section: Any) -> Context:
    """Return the context with other settings of a stage, and without checkpoints."""
    update = {stage.name: section, "checkpoint_every": _NEVER}
    return replace(context, config=context.config.model_copy(update=update))


def _unending(configured: int, steps: int) -> dict[str, Any]:
    """Return settings by which a stage is still far from its end after some steps."""
    return {
        "steps": max(configured, steps) + 1,
        "evaluate_every": _NEVER,
        "learning_rate": _STILL,
    }


def _evaluation(context: Context, decisions: int) -> float:
    """Return the seconds of one greedy completion."""
    train, config = context.train, context.config
    taken: list[Conversation] = []
    while len(taken) < len(train) and sum(len(c.decisions()) for c in taken) < decisions:
        taken.append(train[len(taken)])
    evaluator = Evaluator(
        context.engine, context.policy.template, config.reward, context.max_tokens
    )
    begin = time.perf_counter()
    records = evaluator.evaluate(taken, thinking=config.rl.mode == "thinking")
    return (time.perf_counter() - begin) / len(records)


def _sampled_steps(
    context: Context, stage: Stage, engine: _Timed, decisions: int
) -> tuple[int, float]:
    """Advance a stage that samples; return the number of steps and the seconds of one."""
    section = stage.section(context.config)
    section = section.model_copy(update=_unending(section.steps, decisions))
    course = stage.begin(_with_section(context, stage, section))
    begin, steps = time.perf_counter(), 0
    for _ in course.steps:
        steps += 1
        if engine.decisions >= decisions:
            break
    return steps, (time.perf_counter() - begin) / steps


def _samples(run: Run, stage: Stage, engine: _Timed) -> Samples:
    sampled = read_records(run.folder / "rollouts" / f"{stage.name}.jsonl")
    # Without hints, and of the completions of an attempt at a turn the first, which stands for it.
    rollouts = [r for r in sampled if not r.get("given") and not r.get("turn_step")]
    metrics = read_records(run.folder / "metrics" / f"{stage.name}.jsonl")
    groups: dict[tuple[int, str], list[bool]] = {}
    for rollout in rollouts:
        checked = groups.setdefault((rollout["step"], rollout["decision"]), [])
        checked += [] if rollout["right"] is None else [rollout["right"]]
    pass_rates = [sum(right) / len(right) for right in groups.values() if right]
    return Samples(
        len(groups),
        len(rollouts),
        distribution([rollout["reward"] for rollout in rollouts]),
        distribution(pass_rates) if pass_rates else None,
        sum(rate > 0 for rate in pass_rates) / max(1, len(pass_rates)),
        mean([step["closed"] for step in metrics]) if "closed" in metrics[0] else None,
        sum(0 < rate < 1 for rate in pass_rates) / len(groups),
        mean([step["live_groups"] for step in metrics]),
        influence(pass_rates),
        mean([float(rollout["right"] is None) for rollout in rollouts]),
        mean([step["format"] for step in metrics]),
        mean([float(rollout["stop"] == "length") for rollout in rollouts]),
        engine.tokens / len(sampled),
    )
