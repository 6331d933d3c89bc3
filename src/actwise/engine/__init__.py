"""Sampling completions: what an engine is asked and what it returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch


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


@dataclass(frozen=True)
class Sample:
    """One completion."""

    token_ids: tuple[int, ...]
    """With its stop token, where it has one."""
    logprobs: tuple[float, ...]
    """Of each token under the policy at the sampling temperature, before top-p cuts the
    distribution (at temperature 0: of the distribution at temperature 1)."""
    stop_reason: Literal["stop", "length"]


class Engine(Protocol):
    """Something that completes prompts."""

    def generate(
        self,
        conversations: Sequence[Sequence[Sequence[int]]],
        *,
        num_generations: int,
        params: SamplingParams,
        generator: torch.Generator | None = None,
    ) -> list[list[list[Sample]]]:
        """Complete every prompt `num_generations` times.

        Args:
            conversations: For each conversation, the token ids of its decisions' prompts; what
                they have in common is computed once.
            num_generations: Completions per prompt.
            params: How tokens are drawn.
            generator: Source of randomness; not used at temperature 0.

        Returns:
            Samples by conversation, prompt and generation.
        """
        ...
