"""What every training stage needs: an optimiser, its position in the data, checkpoints.

Everything that a step depends on is either in the checkpoint or a function of the seed and the
step's number, so a run that is killed and started again ends with the same weights, bit for bit.
"""

import math
import random
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from actwise.config import Mode, OptimiserConfig, RunConfig
from actwise.conversation import Conversation
from actwise.engine import Engine
from actwise.engine.rollouts import Group
from actwise.errors import RunError
from actwise.model.policy import Policy
from actwise.model.processes import sum_gradients
from actwise.model.sharding import full, part_like
from actwise.run.files import damaged
from actwise.run.folder import Run
from actwise.training.optimisers import Optimisers, suitable_rate

T = TypeVar("T")

_FALL = 0.25
"""With patience: steps in which the rate falls, as a share of those before; a fifth of all."""


@dataclass(frozen=True)
class Context:
    """What a stage works with."""

    run: Run
    """Where checkpoints, metrics and rollouts are written."""
    policy: Policy
    """Trained in place."""
    engine: Engine
    """Samples from the policy as it is."""
    train: Sequence[Conversation]
    """The training split."""
    config: RunConfig
    max_tokens: int
    """Budget of a completion, in tokens."""
    development_score: Callable[[Mode], float]
    """Measures the policy as it is in a mode; higher is better."""

    def training(
        self, stage: str, config: OptimiserConfig, *, steps: int, patience: int | None = None
    ) -> "Training":
        """Return the state of a stage of this run; see `Training`."""
        return Training(
            self.run,
            stage,
            self.policy,
            config,
            steps=steps,
            checkpoint_every=self.config.checkpoint_every,
            seed=self.config.seed,
            patience=patience,
        )

    base: Callable[[], dict[str, Tensor]]
    """Returns the trained weights as they were before any stage."""


@dataclass(frozen=True)
class Course:
    """A stage on its way: whoever advances the steps decides when to stop."""

    training: "Training"
    steps: Iterator[dict[str, float]]
    """Each advance trains one step, writes it down and returns its figures."""
    shown: tuple[str, ...]
    """Figures worth showing beside the progress."""
    beside: Callable[[Path], None] = lambda folder: None
    """Called with the folder of the finished model, writes what belongs to it besides weights."""


@dataclass(frozen=True)
class Collected:
    """What a step of RL learns from, and what is written down of it."""

    groups: Sequence[Group]
    """Each with its completions, judged and with advantages; of turns, one for each completion."""
    figures: dict[str, float]
    records: list[dict[str, Any]]


@dataclass(frozen=True)
class Plan:
    """What a stage will have to compute, as far as its data and settings tell."""

    step_tokens: float
    """Tokens of trees that a step learns from, sampled completions not counted."""
    passes: float = 1.0
    """Cost of learning from a token, relative to a supervised step."""
    searched: int = 0
    """Completions that are sampled before the first step."""


class Training:
    """The state of one stage: optimiser, step, best weights, checkpoint."""

    def __init__(
        self,
        run: Run,
        stage: str,
        policy: Policy,
        config: OptimiserConfig,
        *,
        steps: int,
        checkpoint_every: int,
        seed: int,
        patience: int | None = None,
    ) -> None:
        """Begin the stage, or take it up where its last checkpoint left it.

        Args:
            run: The run folder.
            stage: Name of the stage and of its files.
            policy: Its trained parameters are the state.
            config: Settings of the optimiser.
            steps: Steps of the whole stage, or the most there are where `patience` is given; the
                learning rate follows them.
            checkpoint_every: Steps between checkpoints.
            seed: Seed of the stage's randomness.
            patience: Scores offered in a row without a better one, after which the learning rate
                begins to fall.
        """
        self.step = 0
        self.batch = 0
        """Number of the step whose rollouts are being sampled, which may be ahead of `step`."""
        self.steps = steps
        self.end = steps
        self.best_score = math.nan
        self.best_step = 0
        self.generator = torch.Generator(device=policy.device).manual_seed(seed)
        self._policy = policy
        self._config = config
        self._checkpoint_every = checkpoint_every
        self._warmup = max(1, round(config.warmup * steps))
        self._patience = patience
        self._stale = 0
        self._unchecked = False
        self._fall_from = self._warmup if patience is None else round(steps / (1 + _FALL))
        self._peak = config.learning_rate or suitable_rate(policy, config)
        self._best_weights = policy.weights()
        self._optimisers = Optimisers(policy, config, self._peak)
        self.kept: dict[str, Any] = {}
        """What a stage keeps in the checkpoint besides: numbers, texts and tensors."""
        self.held: dict[str, Any] = {}
        """What it keeps from step to step and in no checkpoint, such as processes."""
        self._run = run
        self.stage = stage
        self._checkpoint = f"checkpoints/{stage}.pt"
        self._seconds = f"checkpoints/{stage}.seconds.json"
        self.earlier = 0.0
        """Seconds that the stage had taken at the checkpoint from which it goes on."""
        self._begin = time.monotonic()
        self.metrics = run.lines(f"metrics/{stage}.jsonl")
        self.rollouts = run.lines(f"rollouts/{stage}.jsonl")
        if run.intact(self._checkpoint):
            self._load(run.folder / self._checkpoint)
            if not run.intact(self._seconds):  # damaged: how long it took is lost
                run.write_json(self._seconds, 0.0)
            self.earlier = run.read_json(self._seconds)
        self.metrics.keep_up_to(self.step)
        self.rollouts.keep_up_to(self.step)

    def learning_rate(self) -> float:
        """Return the rate of the coming step: linear warm-up, a level if any, linear decay."""
        if self.step < min(self._warmup, self._fall_from):
            return self._peak * (self.step + 1) / self._warmup
        left = (self.end - self.step) / max(1, self.end - self._fall_from)
        return self._peak * (self._config.final + (1 - self._config.final) * min(1.0, left))

    def update(self, loss: float) -> float:
        """Apply the gradients that were accumulated and return their length before clipping.

        Args:
            loss: From which they come.

        Raises:
            RunError: The loss, the gradients or then the weights are no numbers. Nothing of it is
                saved.
        """
        weights = list(self._policy.trainable().values())
        sum_gradients(weights)
        norm = full(torch.nn.utils.clip_grad_norm_(weights, self._config.max_grad_norm))
        self._check_number("loss", loss)
        self._check_number("gradient", float(norm))
        self._optimisers.step(self.learning_rate())
        self._check_number("weights", float(full(torch.nn.utils.get_total_norm(weights))))
        return float(norm)

    def _check_number(self, what: str, size: float) -> None:
        if not math.isfinite(size):
            last = self.step - self.step % self._checkpoint_every
            kept = f"the weights of step {last} are kept in the run folder; " if last else ""
            section = self.stage.partition("_")[0]  # of all rounds
            raise RunError(
                f"{self.stage}: in step {self.step + 1} the {what} became no number (NaN or "
                f"infinity); {kept}lower {section}.learning_rate, which is {self._peak:.3g}, or "
                f"{section}.max_grad_norm, and begin with another --out"
            )

    def offer(self, score: float) -> None:
        """Remember the present weights if their development score is the best so far.

        Where nothing of the development split can be checked (NaN), nothing chooses: the latest
        weights are kept, and the stage does not end early.
        """
        if math.isnan(score):
            self._say_unchecked()
            self.best_step, self._best_weights = self.step, self._policy.weights()
            return
        self._stale += 1
        if not score <= self.best_score:
            self.best_score, self.best_step, self._stale = score, self.step, 0
            self._best_weights = self._policy.weights()
        if self._stale == self._patience and self.step < self._fall_from:
            # Stopping at the full rate would leave the stage short of what it can reach.
            self._fall_from = self.step + 1
            self.end = min(self.end, self._fall_from + math.ceil(_FALL * self._fall_from))

    def _say_unchecked(self) -> None:
        if not self._unchecked:
            self._unchecked = True
            self._run.progress.say(
                f"{self.stage}: no decision of the development split can be checked, so the latest "
                "weights are kept, better or not; more conversations, or reward.embedding, would "
                "let them be compared"
            )

    @property
    def saves(self) -> bool:
        """Whether the present step ends with a checkpoint."""
        step = self.step + 1
        return step % self._checkpoint_every == 0 or step == self.end

    def end_step(self) -> None:
        """Count the step and, from time to time, save."""
        saves = self.saves
        self.step += 1
        if saves:
            state = self._policy.to_save(self._state)
            self._run.write_json(self._seconds, self.earlier + time.monotonic() - self._begin)
            self._run.write(
                self._checkpoint, partial(_save, state), lines=(self.metrics, self.rollouts)
            )

    def finish(self) -> None:
        """Put the best weights into the policy."""
        self._policy.set_weights(self._best_weights)

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            **self._optimisers.state(),
            "generator": self.generator.get_state(),
            "best_score": self.best_score,
            "best_step": self.best_step,
            "best_weights": self._best_weights,
            "stale": self._stale,
            "fall_from": self._fall_from,
            "end": self.end,
            "kept": self.kept,
        }

    def forget(self) -> None:
        """Reset the optimisers' states."""
        self._optimisers.forget()

    def _load(self, path: Path) -> None:
        try:
            # On the CPU: a GPU may have no room for all of it twice, an optimiser whose counts of
            # steps lie there waits for it in each step, and a generator takes its state from a CPU.
            self._take(self._run.processes.agreed(partial(_read_state, path)))
        except Exception as error:  # of a damaged file torch raises anything
            raise damaged(path) from error

    def _take(self, state: dict[str, Any]) -> None:
        self.kept = state["kept"]
        self.step = self.batch = state["step"]
        self._optimisers.take(state)
        self.generator.set_state(state["generator"])
        self.best_score, self.best_step = state["best_score"], state["best_step"]
        own = self._policy.trainable()
        self._best_weights = {n: part_like(w, own[n]) for n, w in state["best_weights"].items()}
        self._stale, self._fall_from, self.end = state["stale"], state["fall_from"], state["end"]


def _save(state: Callable[[], dict[str, Any]], path: Path) -> None:
    # Given a path, torch would open it itself and not tell why it cannot be written.
    with path.open("wb") as file:
        torch.save(state(), file)


def _read_state(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def batch_of(items: Sequence[T], size: int, step: int, seed: int | str) -> list[T]:
    """Return the batch of a step: every item once an epoch, each epoch in an order of its own."""
    batch = []
    for position in range(step * size, (step + 1) * size):
        epoch, index = divmod(position, len(items))
        batch.append(items[_order(len(items), epoch, seed)[index]])
    return batch


@lru_cache(maxsize=8)
def _order(count: int, epoch: int, seed: int | str) -> "array[int]":
    """Return the order of an epoch."""
    order = list(range(count))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return array("I", order)


def mean(values: Sequence[float]) -> float:
    """Return the mean; NaN where there is nothing."""
    return sum(values) / len(values) if values else math.nan
