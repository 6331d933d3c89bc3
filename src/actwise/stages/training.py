"""What every training stage needs: an optimiser, its place in the data, checkpoints.

Everything that a step depends on is either in the checkpoint or a function of the seed and the
step's number, so a run that is killed and started again ends with the same weights, bit for bit.
"""

import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from actwise.config import OptimiserConfig
from actwise.policy import Policy
from actwise.run import Run, write_atomically
from actwise.workers import in_order

T = TypeVar("T")

_FALL = 0.25
"""With patience: steps in which the rate falls, as a share of those before; a fifth of all."""


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
        patience: int | None = None,
    ) -> None:
        """Begin the stage, or take it up where its last checkpoint left it.

        Args:
            run: The run folder.
            stage: Name of the stage and of its files.
            policy: Its trained parameters are the state.
            config: Of the optimiser.
            steps: Steps of the whole stage, or the most there are where `patience` is given; the
                learning rate follows them.
            checkpoint_every: Steps between checkpoints.
            seed: Of the stage's randomness.
            patience: Scores offered in a row without a better one, after which the learning rate
                begins to fall.
        """
        self.step = 0
        self.end = steps
        self.best_score = -math.inf
        self.best_step = 0
        self.generator = torch.Generator(device=policy.device).manual_seed(seed)
        self._policy = policy
        self._config = config
        self._checkpoint_every = checkpoint_every
        self._warmup = max(1, round(config.warmup * steps))
        self._patience = patience
        self._stale = 0
        self._fall_from = self._warmup if patience is None else round(steps / (1 + _FALL))
        self._peak = config.learning_rate or suitable_rate(policy, config)
        self._best_weights = policy.weights()
        self._optimisers = optimisers(policy, config, self._peak)
        self._checkpoint = run.folder / "checkpoints" / f"{stage}.pt"
        self.metrics = run.lines(f"metrics/{stage}.jsonl")
        self.rollouts = run.lines(f"rollouts/{stage}.jsonl")
        if self._checkpoint.exists():
            self._load(torch.load(self._checkpoint, map_location=policy.device, weights_only=True))
        self.metrics.keep_up_to(self.step)
        self.rollouts.keep_up_to(self.step)

    def learning_rate(self) -> float:
        """Return the rate of the coming step: linear warm-up, a level if any, linear decay."""
        if self.step < min(self._warmup, self._fall_from):
            return self._peak * (self.step + 1) / self._warmup
        left = (self.end - self.step) / max(1, self.end - self._fall_from)
        return self._peak * (self._config.final + (1 - self._config.final) * min(1.0, left))

    def update(self) -> float:
        """Apply the gradients that were accumulated and return their length before clipping."""
        norm = torch.nn.utils.clip_grad_norm_(
            self._policy.trainable().values(), self._config.max_grad_norm
        )
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.learning_rate()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return float(norm)

    def offer(self, score: float) -> None:
        """Remember the present weights if their development score is the best so far."""
        self._stale += 1
        if score > self.best_score:
            self.best_score, self.best_step, self._stale = score, self.step, 0
            self._best_weights = self._policy.weights()
        if self._stale == self._patience and self.step < self._fall_from:
            # Stopping at the full rate would leave the stage short of what it can reach.
            self._fall_from = self.step + 1
            self.end = min(self.end, self._fall_from + math.ceil(_FALL * self._fall_from))

    def end_step(self) -> None:
        """Count the step and, from time to time, save."""
        self.step += 1
        if self.step % self._checkpoint_every == 0 or self.step == self.end:
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
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "generator": self.generator.get_state(),
            "best_score": self.best_score,
            "best_step": self.best_step,
            "best_weights": self._best_weights,
            "stale": self._stale,
            "fall_from": self._fall_from,
            "end": self.end,
        }

    def _load(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self._policy.set_weights(state["weights"])
        for optimiser, own in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(own)
        self.generator.set_state(state["generator"].cpu())
        self.best_score, self.best_step = state["best_score"], state["best_step"]
        self._best_weights = state["best_weights"]
        self._stale, self._fall_from, self.end = state["stale"], state["fall_from"], state["end"]


def add_gradients(
    policy: Policy,
    passes: Sequence[T],
    loss_of: Callable[[T], tuple[Tensor, dict[str, Tensor]]],
) -> dict[str, float]:
    """Add up the gradients of all passes in the policy's parameters.

    The sums are taken in the order of the passes, so they are the same with any number of workers,
    bit for bit.

    Args:
        policy: Computes as many passes at once as it has workers.
        passes: What `loss_of` is given.
        loss_of: Returns a pass's share of the loss, with gradient, and further figures. Called in
            several threads.

    Returns:
        The sums of the further figures.
    """
    parameters = list(policy.trainable().values())

    def compute(one: T) -> tuple[tuple[Tensor | None, ...], dict[str, Tensor]]:
        loss, figures = loss_of(one)
        if policy.workers > 1:
            return torch.autograd.grad(loss, parameters, allow_unused=True), figures
        # In place: a large model on a GPU has no room for a second copy of its gradients.
        loss.backward()  # type: ignore[no-untyped-call]
        return (), figures

    sums: dict[str, float] = {}
    for grads, figures in in_order(compute, passes, policy.workers):
        for parameter, grad in zip(parameters, grads, strict=False):
            if grad is not None:
                parameter.grad = grad if parameter.grad is None else parameter.grad.add_(grad)
        for name, figure in figures.items():
            sums[name] = sums.get(name, 0.0) + figure.item()
    return sums


def optimisers(
    policy: Policy, config: OptimiserConfig, learning_rate: float
) -> list[torch.optim.Optimizer]:
    """Return the optimisers of all trained parameters.

    Muon (Jordan 2024) makes the update of a matrix orthogonal; scaled to the length that AdamW's
    updates have (Liu et al. 2025, arXiv:2502.16982, section 2.2), it shares AdamW's learning rate.
    It is not meant for embeddings and for vectors.
    """
    trained = policy.trainable()
    embeddings = {id(p) for p in policy.model.get_input_embeddings().parameters()}
    head = policy.model.get_output_embeddings()
    embeddings |= {id(p) for p in head.parameters()} if head is not None else set()
    matrices = [
        p
        for p in trained.values()
        if config.optimiser == "muon" and p.ndim == 2 and id(p) not in embeddings
    ]
    chosen = {id(p) for p in matrices}
    others = [p for p in trained.values() if id(p) not in chosen]
    made: list[torch.optim.Optimizer] = []
    if others:
        made.append(torch.optim.AdamW(others, lr=learning_rate, weight_decay=config.weight_decay))
    if matrices:
        made.append(
            torch.optim.Muon(
                matrices,
                lr=learning_rate,
                weight_decay=config.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return made


def suitable_rate(policy: Policy, config: OptimiserConfig) -> float:
    """Return a learning rate for a model's size: a rule of thumb, to be tuned where it matters."""
    parameters = sum(p.numel() for p in policy.model.parameters())
    trained = sum(p.numel() for p in policy.trainable().values())
    adapters = 10.0 if trained < parameters else 1.0
    muon = 5.0 if config.optimiser == "muon" else 1.0
    return config.small_model_rate * adapters * muon * min(1.0, (2e6 / parameters) ** 0.5)


def batch_of(items: Sequence[T], size: int, step: int, seed: int) -> list[T]:
    """Return the batch of a step: every item once an epoch, each epoch in an order of its own."""
    batch = []
    for position in range(step * size, (step + 1) * size):
        epoch, index = divmod(position, len(items))
        order = list(range(len(items)))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        batch.append(items[order[index]])
    return batch


def mean(values: Sequence[float]) -> float:
    """Return the mean; NaN where there is nothing."""
    return sum(values) / len(values) if values else math.nan
