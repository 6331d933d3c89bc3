"""A fake engine for tests: it says what it was told to say."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from actwise.engine import SamplingParams
from actwise.engine.rollouts import Group, Sample


class ScriptedEngine:
    """Completes each prompt with the text that a function returns for it.

    Example:
        ``ScriptedEngine(tokenizer, lambda prompt, generation: "Hello.")``
    """

    at_once = 1

    def __init__(self, tokenizer: Any, script: Callable[[str, int], str]) -> None:
        """Take the script: prompt text and number of the generation to completion text."""
        self._tokenizer = tokenizer
        self._script = script

    def snapshot(self) -> "ScriptedEngine":
        """Return itself: it says the same whatever the weights are."""
        return self

    def generate(
        self,
        groups: Sequence[Group],
        *,
        num_generations: int,
        params: SamplingParams,
        generator: torch.Generator | None = None,
    ) -> list[Group]:
        """Return the scripted completions; one that is too long is cut, as a model's would be."""
        return [
            group.with_samples(
                self._sample(group.prompt, number, params) for number in range(num_generations)
            )
            for group in groups
        ]

    def _sample(self, prompt: Sequence[int], number: int, params: SamplingParams) -> Sample:
        text = self._script(self._tokenizer.decode(list(prompt)), number)
        ids = self._tokenizer.encode(text, add_special_tokens=False)
        ids = (*ids, params.stop_token_ids[0])
        cut = ids[: params.max_tokens]
        return Sample(cut, (0.0,) * len(cut), "stop" if len(cut) == len(ids) else "length")
