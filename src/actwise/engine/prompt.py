"""Messages and tools in OpenAI's shape, as a prompt that a model completes.

It is rendered as every prompt that is trained or measured on, so a model that is talked to sees
what it has learned from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actwise.conversation import Conversation, Decision, Message, Tool
from actwise.engine.rollouts import after_thought
from actwise.errors import InputError
from actwise.formats.readers.openai import read_messages
from actwise.formats.record import Unusable
from actwise.formats.remarks import collected
from actwise.formats.tools import read_tools
from actwise.model.policy import Policy
from actwise.template.calls import SURROGATE
from actwise.template.parse import ParsedCompletion
from actwise.template.render import Template
from actwise.template.streaming import CompletionReader


@dataclass(frozen=True)
class Prompt:
    """What a model is to complete."""

    template: Template
    decision: Decision
    thinking: bool
    token_ids: tuple[int, ...]
    opened: bool
    """Whether it ends with the mark that opens a thought."""
    room: int
    """Tokens that the completion may have in the model's context; at least 1."""

    def parse(self, text: str) -> ParsedCompletion:
        """Take a completion of this prompt apart."""
        tools = self.decision.conversation.tools
        return self.template.parse(text, thinking=self.thinking, tools=tools)

    def parse_written(self, text: str) -> ParsedCompletion:
        """Take the beginning of a completion apart, whose thought the prompt may have opened."""
        begin = self.template.syntax.think[0].strip()
        return self.parse(
            text if text.lstrip().startswith(begin) or not self.opened else begin + text
        )

    def closed_thought(self, thought: str) -> tuple[int, ...]:
        """Return the tokens with which a completion begins that thinks this and then acts."""
        try:
            return self._closed(self.decision.history, thought)
        except InputError:  # Qwen3's own template shows no thought behind an answer, say
            return self._closed((Message(role="user", content="Hi"),), thought)

    def _closed(self, history: tuple[Message, ...], thought: str) -> tuple[int, ...]:
        # What follows the thought does not matter, but there has to be something.
        acts = Message(role="assistant", content="It is done.")
        whole = self.decision.conversation.model_copy(update={"messages": (*history, acts)})
        decision = Decision(whole, len(history))
        return after_thought(self.template, decision, thought, closed=True).given

    def reader(self, most_calls: int | None = None) -> CompletionReader:
        """Return what reads a completion of this prompt while it is being written.

        Args:
            most_calls: How many of its calls are told; all of them where None.
        """
        return CompletionReader(
            self.parse,
            thinking=self.thinking,
            syntax=self.template.syntax,
            opened=self.opened,
            most_calls=most_calls,
        )


def read_prompt(
    policy: Policy,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] = (),
    *,
    thinking: bool,
) -> Prompt:
    """Read messages and tools and render them for a model.

    Args:
        policy: The model.
        messages: In OpenAI's shape, up to where the assistant is to act.
        tools: On offer, in OpenAI's shape.
        thinking: Whether the model is to think before.

    Raises:
        InputError: They cannot be read or rendered, or leave no room in the model's context.
    """
    try:
        conversation = Conversation(
            id="conversation",
            messages=read_messages([dict(message) for message in messages]),
            tools=_read_tools(tools),
        )
    except Unusable as error:
        raise InputError(error.detail, file="messages") from error
    template = policy.template
    decision = Decision(conversation, len(conversation.messages))
    text = template.prompt_text(decision, thinking=thinking)
    if SURROGATE.search(text):
        raise InputError(
            "a text holds half of a surrogate pair, which is no character",
            file="messages",
            remedy="leave it out",
        )
    token_ids = tuple(template.encode(text))
    room = policy.context_length - len(token_ids)
    if room < 1:
        raise InputError(
            f"the conversation has {len(token_ids)} tokens and the model holds "
            f"{policy.context_length}",
            file="messages",
            remedy="leave the oldest messages out",
        )
    opened = thinking and text.rstrip().endswith(template.syntax.think[0].strip())
    return Prompt(template, decision, thinking, token_ids, opened, room)


def _read_tools(tools: Sequence[Mapping[str, Any]]) -> tuple[Tool, ...]:
    with collected() as remarks:
        read = read_tools([dict(tool) for tool in tools])
    problems = {"unread_tool": "no function", "unusable_schema": "its schema cannot be used"}
    for remark in remarks:
        if remark.code in problems:
            raise InputError(
                f"{remark.detail}: {problems[remark.code]}",
                file="tools",
                remedy="offer functions with JSON schemas",
            )
    return read
