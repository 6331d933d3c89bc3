"""A model that acts: messages and tools in, a thought and an action out."""

from collections.abc import Mapping, Sequence
from typing import Any

from actwise.engine.acting import Action, LocalActor
from actwise.errors import ConfigError
from actwise.model.policy import Policy


class Model:
    """A loaded model."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def act(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        thinking: bool = True,
        max_tokens: int = 512,
        temperature: float = 0.0,
        seed: int = 0,
        budget: int | None = None,
    ) -> Action:
        """Return what the model does next in a conversation.

        Args:
            messages: In OpenAI's shape, up to where the assistant is to act.
            tools: On offer, in OpenAI's shape.
            thinking: Whether it thinks before.
            max_tokens: Longest completion, thought included.
            temperature: 0 takes the likeliest tokens.
            seed: Seed of the sampling.
            budget: Tokens to which a thought is cut; as many as it has where None.

        Raises:
            ConfigError: A number is below the least that it may be.
            InputError: The messages or tools cannot be read, or leave no room in the context.
        """
        least = {"max_tokens": (max_tokens, 1), "temperature": (temperature, 0)}
        if budget is not None:
            least["budget"] = budget, 0
        for name, (given, at_least) in least.items():
            if not given >= at_least:  # NaN is not, either
                raise ConfigError(f"{name} is {given}; at least {at_least} is needed")
        actor = LocalActor(
            self.policy, max_tokens=max_tokens, temperature=temperature, seed=seed, budget=budget
        )
        acting = actor(messages, tools, thinking=thinking)
        while True:
            try:
                next(acting)
            except StopIteration as done:
                action: Action = done.value
                return action
