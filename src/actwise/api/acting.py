"""A model that acts: messages and tools in, a thought and an action out."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from actwise.engine import SamplingParams
from actwise.engine.acting import Action
from actwise.engine.local import LocalEngine
from actwise.engine.prompt import read_prompt
from actwise.engine.rollouts import Group
from actwise.model.policy import Policy


class Model:
    """A loaded model."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._engine = LocalEngine(policy)

    def act(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        thinking: bool = True,
        max_tokens: int = 512,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Action:
        """Return what the model does next in a conversation.

        Args:
            messages: In OpenAI's shape, up to where the assistant is to act.
            tools: On offer, in OpenAI's shape.
            thinking: Whether it thinks before.
            max_tokens: Longest completion, thought included.
            temperature: 0 takes the likeliest tokens.
            seed: Seed of the sampling.

        Raises:
            InputError: The messages or tools cannot be read, or leave no room in the context.
        """
        prompt = read_prompt(self.policy, messages, tools, thinking=thinking)
        template = self.policy.template
        params = SamplingParams(min(max_tokens, prompt.room), template.stop_token_ids, temperature)
        (completed,) = self._engine.generate(
            [Group(prompt.decision, prompt.token_ids)],
            num_generations=1,
            params=params,
            generator=torch.Generator(self.policy.device).manual_seed(seed),
        )
        sample = completed.rollouts[0].sample
        text = template.decode(list(sample.token_ids))
        return Action(text, prompt.parse(text), sample.stop_reason == "length")
