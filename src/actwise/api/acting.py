"""A model that acts: messages and tools in, a thought and an action out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from actwise.conversation import Conversation, Decision
from actwise.engine import SamplingParams
from actwise.engine.local import LocalEngine
from actwise.engine.rollouts import groups_of
from actwise.errors import InputError
from actwise.formats.readers.openai import read_messages
from actwise.formats.record import Unusable
from actwise.formats.tools import read_tools
from actwise.model.policy import Policy
from actwise.template.parse import ParsedCompletion


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
                    "id": f"call_{number}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                }
                for number, call in enumerate(self.parsed.calls)
            ]
        return message


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
        try:
            conversation = Conversation(
                id="conversation",
                messages=read_messages([dict(message) for message in messages]),
                tools=read_tools([dict(tool) for tool in tools]),
            )
        except Unusable as error:
            raise InputError(error.detail, file="messages") from error
        decision = Decision(conversation, len(conversation.messages))
        (group,) = groups_of(self.policy.template, [decision], thinking=thinking)
        room = self.policy.context_length - len(group.prompt)
        if room < 1:
            raise InputError(
                f"the conversation has {len(group.prompt)} tokens and the model holds "
                f"{self.policy.context_length}",
                file="messages",
                remedy="leave the oldest messages out",
            )
        template = self.policy.template
        params = SamplingParams(min(max_tokens, room), template.stop_token_ids, temperature)
        (completed,) = self._engine.generate(
            [group],
            num_generations=1,
            params=params,
            generator=torch.Generator(self.policy.device).manual_seed(seed),
        )
        sample = completed.rollouts[0].sample
        text = template.decode(list(sample.token_ids))
        parsed = template.parse(text, thinking=thinking, tools=conversation.tools)
        return Action(text, parsed, sample.stop_reason == "length")
