"""Sampling completions: what an engine is asked and what it returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from actwise.engine.rollouts import Group


@dataclass(frozen=True)
class SamplingParams:
    """How tokens are drawn."""

    max_tokens: int
    """Longest completion, stop token included."""
    stop_token_ids: tuple[int, ...]
    temperature: float = 1.0
    """0 takes the likeliest token."""
    top_p: float = 1.0
    """Draw among the likeliest tokens that together have this probability."""


class Engine(Protocol):
    """Something that completes prompts."""

    @property
    def at_once(self) -> int:
        """How many calls of `generate` pay at once, in threads; only greedy ones may be."""
        ...

    def generate(
        self,
        groups: Sequence[Group],
        *,
        num_generations: int,
        params: SamplingParams,
        generator: torch.Generator | None = None,
    ) -> list[Group]:
        """Complete the prompt of every group `num_generations` times.

        Args:
            groups: What prompts of one conversation have in common is computed once where they lie
                side by side; rollouts that they have are replaced.
            num_generations: Completions of each prompt.
            params: How tokens are drawn.
            generator: Source of randomness; not used at temperature 0.

        Returns:
            The groups in the same order, with rollouts that have not been judged.
        """
        ...

    def snapshot(self) -> "Engine":
        """Return an engine that samples from the weights as they are now, until the next snapshot.

        It may be asked in another thread while the weights change. Meanwhile the engine itself is
        not asked.
        """
        ...
