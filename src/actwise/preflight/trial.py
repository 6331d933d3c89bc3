"""A few steps of the real stages, with a learning rate that changes nothing, against the clock.

The stages are called as the pipeline calls them, in a run folder that is thrown away; the sign of
progress after each step ends them. So what is measured is what the run will do, memory of the
optimiser and the reference included.
"""

import contextlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from actwise.config import RunConfig
from actwise.conversation import Conversation
from actwise.engine import Engine, Sample, SamplingParams
from actwise.engine.local import LocalEngine
from actwise.evaluation.evaluate import Evaluator
from actwise.model.policy import Policy
from actwise.model.threads import choose_threads
from actwise.preflight.targets import Distribution, distribution
from actwise.run.files import read_records
from actwise.run.folder import Run
from actwise.run.progress import Progress
from actwise.training.recipes.rl import RlSettings, train_rl
from actwise.training.recipes.sft import Target, sft_tree, train_sft
from actwise.training.stage import batch_of, mean

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
    pass_rates: Distribution
    """Share of right completions of each decision."""
    learnable: float
    """Share of decisions with a pass rate above 0 and below 1."""
    live: float
    """Share of decisions whose rewards differ, so that they have a gradient."""
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
        config: Of the run.
        max_tokens: Budget of a completion.
        decisions: Training decisions to sample for, at least; whole batches are taken.
        progress: Where it is told what is going on.
    """
    engine = LocalEngine(policy)
    with tempfile.TemporaryDirectory(prefix="actwise-preflight-") as name:
        steps = _Steps()
        with Run.open(Path(name) / "run", {}, steps) as run:
            choose_threads(run.folder, config.model, policy)
            progress.say("preflight: two supervised steps")
            seconds, tokens = _update(run, steps, policy, train, config)
            progress.say(f"preflight: greedy answers to {decisions} decisions")
            evaluation = _evaluation(policy, engine, train, config, max_tokens, decisions)
            samples, sampling, sampled, rl_step = None, None, None, None
            if config.rl.steps:
                progress.say(
                    f"preflight: {config.rl.num_generations} completions each of at least "
                    f"{decisions} decisions"
                )
                timed = _Timed(engine)
                rl_step = _rl(run, steps, policy, timed, train, config, max_tokens, decisions)
                samples = _samples(run, timed)
                sampling, sampled = timed.seconds / steps.steps, timed.tokens / steps.steps
    return Trial(
        samples,
        Speeds(
            seconds, tokens, evaluation, sampling, sampled, rl_step, _peak_memory(policy.device)
        ),
    )


class _Timed:
    """An engine that counts what it has sampled, and how long that took."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.seconds = 0.0
        self.decisions = 0
        self.tokens = 0

    def generate(
        self,
        conversations: Sequence[Sequence[Sequence[int]]],
        *,
        num_generations: int,
        params: SamplingParams,
        generator: torch.Generator | None = None,
    ) -> list[list[list[Sample]]]:
        begin = time.perf_counter()
        made = self._engine.generate(
            conversations, num_generations=num_generations, params=params, generator=generator
        )
        self.seconds += time.perf_counter() - begin
        groups = [group for of_conversation in made for group in of_conversation]
        self.decisions += len(groups)
        self.tokens += sum(len(sample.token_ids) for group in groups for sample in group)
        return made


class _Enough(Exception):
    """A stage has made the steps that were wanted."""


class _Steps(Progress):
    """Takes the time of each step, and ends the stage when there are enough."""

    def __init__(self) -> None:
        super().__init__(Console(quiet=True))
        self.enough: Callable[[], bool] = lambda: True
        self.times: list[float] = []

    @contextlib.contextmanager
    def track(self, title: str, total: int, done: int = 0) -> Iterator[Callable[..., None]]:
        def update(now_done: int, **figures: float) -> None:
            self.times.append(time.perf_counter())
            if self.enough():
                raise _Enough

        self.times = [time.perf_counter()]
        yield update

    @property
    def steps(self) -> int:
        return len(self.times) - 1

    def until(self, enough: Callable[[], bool]) -> "contextlib.suppress":
        self.enough = enough
        return contextlib.suppress(_Enough)


def _update(
    run: Run, steps: _Steps, policy: Policy, train: Sequence[Conversation], config: RunConfig
) -> tuple[float, int]:
    """Return the seconds and the tokens of one supervised step."""
    examples = [[Target(d, None) for d in c.decisions()] for c in train]
    with steps.until(lambda: steps.steps >= _SFT_STEPS):
        train_sft(
            run,
            "sft",
            policy,
            examples,
            config.sft.model_copy(update=_unending(config.sft.steps, _SFT_STEPS)),
            seed=config.seed,
            checkpoint_every=_NEVER,
            max_batch_tokens=config.max_batch_tokens,
            development_score=lambda: 0.0,
        )
    batch = batch_of(examples, config.sft.conversations_per_step, _SFT_STEPS - 1, config.seed)
    tokens = sum(sft_tree(policy.template, targets).num_tokens for targets in batch)
    return steps.times[-1] - steps.times[-2], tokens


def _unending(configured: int, steps: int) -> dict[str, Any]:
    """Return settings by which a stage is still far from its end after some steps."""
    return {
        "steps": max(configured, steps) + 1,
        "evaluate_every": _NEVER,
        "learning_rate": _STILL,
    }


def _evaluation(
    policy: Policy,
    engine: Engine,
    train: Sequence[Conversation],
    config: RunConfig,
    max_tokens: int,
    decisions: int,
) -> float:
    """Return the seconds of one greedy completion."""
    taken: list[Conversation] = []
    while len(taken) < len(train) and sum(len(c.decisions()) for c in taken) < decisions:
        taken.append(train[len(taken)])
    evaluator = Evaluator(engine, policy.template, config.reward, max_tokens)
    begin = time.perf_counter()
    records = evaluator.evaluate(taken, thinking=config.rl.mode == "thinking")
    return (time.perf_counter() - begin) / len(records)


def _rl(
    run: Run,
    steps: _Steps,
    policy: Policy,
    engine: _Timed,
    train: Sequence[Conversation],
    config: RunConfig,
    max_tokens: int,
    decisions: int,
) -> float:
    """Return the seconds of one step of RL."""
    with steps.until(lambda: engine.decisions >= decisions):
        train_rl(
            run,
            "rl",
            policy,
            engine,
            train,
            config.rl.model_copy(update=_unending(config.rl.steps, decisions)),
            RlSettings(config.reward, max_tokens, config.seed, _NEVER, config.max_batch_tokens),
            development_score=lambda: 0.0,
        )
    return (steps.times[-1] - steps.times[0]) / steps.steps


def _samples(run: Run, engine: _Timed) -> Samples:
    rollouts = read_records(run.folder / "rollouts" / "rl.jsonl")
    metrics = read_records(run.folder / "metrics" / "rl.jsonl")
    groups: dict[tuple[int, str], list[bool]] = {}
    for rollout in rollouts:
        groups.setdefault((rollout["step"], rollout["decision"]), []).append(rollout["right"])
    pass_rates = [sum(right) / len(right) for right in groups.values()]
    return Samples(
        len(groups),
        len(rollouts),
        distribution([rollout["reward"] for rollout in rollouts]),
        distribution(pass_rates),
        mean([float(0 < rate < 1) for rate in pass_rates]),
        mean([step["live_groups"] for step in metrics]),
        mean([step["format"] for step in metrics]),
        mean([float(rollout["stop"] == "length") for rollout in rollouts]),
        engine.tokens / len(rollouts),
    )


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # KiB on Linux
