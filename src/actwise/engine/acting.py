"""What a model does in a conversation, as a value and as it is written."""

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from actwise.engine import SamplingParams
from actwise.engine.batch import Batch, Request, Token
from actwise.engine.prompt import read_prompt
from actwise.model.policy import Policy
from actwise.template.parse import ParsedCompletion
from actwise.template.streaming import Delta


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
        self, policy: Policy, *, max_tokens: int, temperature: float = 0.0, seed: int = 0
    ) -> None:
        """Take the model.

        Args:
            policy: The model.
            max_tokens: Longest completion, thought included.
            temperature: 0 takes the likeliest tokens.
            seed: Seed of the first completion; the next ones count on from it.
        """
        self._policy = policy
        self._max_tokens = max_tokens
        self._temperature = temperature
        self._seed = seed

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
        batch = Batch(self._policy, [Request(prompt.token_ids, params, self._seed)])
        self._seed += 1
        reader = prompt.reader()
        tokens: list[Token] = []
        while batch.requests:
            tokens += batch.step()
            if delta := reader.read(template.decode([token.id for token in tokens])):
                yield delta
        text = template.decode([token.id for token in tokens])
        parsed, delta = reader.finish(text)
        if delta:
            yield delta
        return Action(text, parsed, tokens[-1].stop_reason == "length")
