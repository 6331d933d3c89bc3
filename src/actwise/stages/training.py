"""What every training stage needs: an optimiser, its place in the data, checkpoints.

Everything that a step depends on is either in the checkpoint or a function of the seed and the
step's number, so a run that is killed and started again ends with the same weights, bit for bit.
"""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from actwise.config import OptimiserConfig
from actwise.policy import Policy
from actwise.run import Run, write_atomically

T = TypeVar("T")


class Training:
    """The state of one stage."""

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
    ) -> None:
        """Begin the stage, or take it up where its last checkpoint left it.

        Args:
            run: The run folder.
            stage: Name of the stage and of its files.
            policy: Its trained parameters are the state.
            config: Of the optimiser.
            steps: Steps of the whole stage; the learning rate follows them.
            checkpoint_every: Steps between checkpoints.
            seed: Of the stage's randomness.
        """
        self.step = 0
        self.steps = steps
        self.best_score = -math.inf
        self.best_step = 0
        self.generator = torch.Generator(device=policy.device).manual_seed(seed)
        self._policy = policy
        self._config = config
        self._checkpoint_every = checkpoint_every
        self._peak = config.learning_rate or suitable_rate(policy, config)
        self._best_weights = policy.weights()
        self._optimiser = torch.optim.AdamW(
            policy.trainable().values(),
            lr=self._peak,
            weight_decay=config.weight_decay,
        )
        self._checkpoint = run.folder / "checkpoints" / f"{stage}.pt"
        self.metrics = run.lines(f"metrics/{stage}.jsonl")
        self.rollouts = run.lines(f"rollouts/{stage}.jsonl")
        if self._checkpoint.exists():
            self._load(torch.load(self._checkpoint, map_location=policy.device, weights_only=True))
        self.metrics.keep_up_to(self.step)
        self.rollouts.keep_up_to(self.step)

    def learning_rate(self) -> float:
        """Return the rate of the coming step: linear warm-up, then linear decay."""
        warmup = max(1, round(self._config.warmup * self.steps))
        if self.step < warmup:
            return self._peak * (self.step + 1) / warmup
        left = (self.steps - self.step) / max(1, self.steps - warmup)
        return self._peak * (self._config.final + (1 - self._config.final) * left)

    def update(self) -> float:
        """Apply the gradients that were accumulated and return their length before clipping."""
        for group in self._optimiser.param_groups:
            group["lr"] = self.learning_rate()
        norm = torch.nn.utils.clip_grad_norm_(
            self._policy.trainable().values(), self._config.max_grad_norm
        )
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        return float(norm)

    def offer(self, score: float) -> None:
        """Remember the present weights if their development score is the best so far."""
        if score > self.best_score:
            self.best_score, self.best_step = score, self.step
            self._best_weights = self._policy.weights()

    def end_step(self) -> None:
        """Count the step and, from time to time, save."""
        self.step += 1
        if self.step % self._checkpoint_every == 0 or self.step == self.steps:
            write_atomically(self._checkpoint, self._save)

    def finish(self) -> None:
        """Put the best weights into the policy."""
        self._policy.set_weights(self._best_weights)

    def _save(self, path: Path) -> None:
        # Given a path, torch would open it itself and not tell why it cannot be written.
        with path.open("wb") as file:
            torch.save(self._state(), file)

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "weights": self._policy.weights(),
            "optimiser": self._optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "best_score": self.best_score,
            "best_step": self.best_step,
            "best_weights": self._best_weights,
        }

    def _load(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self._policy.set_weights(state["weights"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"].cpu())
        self.best_score, self.best_step = state["best_score"], state["best_step"]
        self._best_weights = state["best_weights"]


def suitable_rate(policy: Policy, config: OptimiserConfig) -> float:
    """Return a learning rate for a model's size: a rule of thumb, to be tuned where it matters."""
    parameters = sum(p.numel() for p in policy.model.parameters())
    trained = sum(p.numel() for p in policy.trainable().values())
    adapters = 10.0 if trained < parameters else 1.0
    return config.small_model_rate * adapters * min(1.0, (2e6 / parameters) ** 0.5)


def batch_of(items: Sequence[T], size: int, step: int, seed: int) -> list[T]:
    """Return the batch of a step: every item once an epoch, each epoch in an order of its own."""
    batch = []
    for position in range(step * size, (step + 1) * size):
        epoch, index = divmod(position, len(items))
        order = list(range(len(items)))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        batch.append(items[order[index]])
    return batch


def within(items: Iterable[T], size: Callable[[T], int], limit: int) -> list[list[T]]:
    """Pack items, in order, into groups whose sizes add up to at most the limit.

    An item that is larger than the limit is a group of its own.
    """
    groups: list[list[T]] = []
    room = 0
    for item in items:
        if not groups or size(item) > room:
            groups.append([])
            room = limit
        groups[-1].append(item)
        room -= size(item)
    return groups


def mean(values: Sequence[float]) -> float:
    """Return the mean; NaN where there is nothing."""
    return sum(values) / len(values) if values else math.nan
