"""What a model does in a conversation, as a value and as it is written."""

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from actwise.engine import SamplingParams
from actwise.engine.batch import Batch, Request
from actwise.engine.prefixes import KeptPrefixes
from actwise.engine.prompt import read_prompt
from actwise.engine.steering import Steering
from actwise.engine.writing import Writing
from actwise.model.policy import Policy
from actwise.template.parse import ParsedCompletion
from actwise.template.streaming import Delta

_KEPT_BYTES = 1 << 30
"""Room for what was computed of a conversation's last turn."""


@dataclass(frozen=True)
class Action:
    """What a model did."""

    text: str
    """The completion as it was written, without its stop token."""
    parsed: ParsedCompletion
    """The thought, the calls, the answer, and what is wrong with the form."""
    truncated: bool
    """Whether it hit the budget of tokens."""

    @property
    def thought(self) -> str:
        """What was thought before; empty where nothing was."""
        return self.parsed.thought or ""

    @property
    def answer(self) -> str:
        """What is said to the customer; empty where tools are called."""
        return self.parsed.answer

    @property
    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        """Names and arguments of the tools that are called."""
        return [(call.name, call.arguments) for call in self.parsed.calls]

    @property
    def message(self) -> dict[str, Any]:
        """The action as a message in OpenAI's shape, to go on with the conversation."""
        message: dict[str, Any] = {"role": "assistant", "content": self.answer}
        if self.thought:
            message["reasoning_content"] = self.thought
        if self.parsed.calls:
            message["tool_calls"] = [
                {
                    "id": f"call{number:05d}",  # nine characters, as Mistral's templates demand
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                }
                for number, call in enumerate(self.parsed.calls)
            ]
        return message


class Actor(Protocol):
    """Something that acts in a conversation and can be watched."""

    def __call__(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
        *,
        thinking: bool,
    ) -> Generator[Delta, None, Action]:
        """Yield what is written as it is written; return the whole.

        Args:
            messages: In OpenAI's shape, up to where the assistant is to act.
            tools: On offer, in OpenAI's shape.
            thinking: Whether it thinks before.

        Raises:
            InputError: The messages or tools cannot be read, or leave no room in the context.
        """
        ...


class LocalActor:
    """A model in this process."""

    def __init__(
        self,
        policy: Policy,
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
        budget: int | None = None,
        steering: Steering | None = None,
    ) -> None:
        """Take the model.

        Args:
            policy: The model.
            max_tokens: Longest completion, thought included.
            temperature: 0 takes the likeliest tokens.
            seed: Seed of the first completion; the next ones count on from it.
            budget: Tokens that a thought may have; as many as it has where None.
            steering: What is added inside of thoughts, if anything.
        """
        self._policy = policy
        self._max_tokens = max_tokens
        self._temperature = temperature
        self._seed = seed % 2**62
        self._budget = budget
        self._steering = steering
        self._kept = KeptPrefixes(_KEPT_BYTES)

    def __call__(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
        *,
        thinking: bool,
    ) -> Generator[Delta, None, Action]:
        """See `Actor`."""
        prompt = read_prompt(self._policy, messages, tools, thinking=thinking)
        template, limit = prompt.template, min(self._max_tokens, prompt.room)
        params = SamplingParams(limit, template.stop_token_ids, self._temperature)
        request = Request(prompt.token_ids, params, self._seed, self._steering)
        self._seed += 1
        writing, reader = Writing(prompt, request, self._budget), prompt.reader()
        batch = Batch(self._policy, [request], self._kept)
        while batch.requests:
            (token,) = batch.step()
            if (instead := writing.add(token)) is not None:
                batch = Batch(self._policy, [instead], self._kept)
            if delta := reader.read(writing.certain):
                yield delta
        parsed, delta = reader.finish(writing.text)
        if delta:
            yield delta
        return Action(writing.text, parsed, writing.tokens[-1].stop_reason == "length")
