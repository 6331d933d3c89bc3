"""Conversations in their canonical form, and the decisions in them.

On disk a conversation is one JSON line in OpenAI's chat shape: `messages`, `tools`, and
`arguments` as an object. In memory a tool call is flat (`name`, `arguments`). Argument values are
kept exactly as they were read: they never pass through a columnar format, which would pad them
with nulls.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["system", "user", "assistant", "tool"]
Kind = Literal["call", "answer"]
Tool = dict[str, Any]
"""One tool in OpenAI's shape: "type" and "function" with "name", "description", "parameters"."""


CONTROL_TAG = re.compile(r"<\|im_start\|>|<\|im_end\|>|</?tool_response>|</?think>|</?tool_call>")
"""Tags that structure a rendered conversation, and so cannot stand inside a message."""


class ToolCall(BaseModel):
    """One call of one tool."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    id: str | None = None


class Remark(NamedTuple):
    """Something that reading a record changed or left out, which its owner should know of."""

    code: str
    """By which remarks are counted, such as "unread_key"."""
    detail: str
    """What it is about: a key, the name of a tool, the place of a message."""


class Message(BaseModel):
    """One message; only the assistant's have `tool_calls`, only the tools' a `tool_call_id`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning_content: str | None = None
    """The recorded thought of an assistant message; never shown in a later history."""
    tool_call_id: str | None = None
    name: str | None = None
    labels: tuple[str, ...] = ()
    """Free words by which results are sliced, such as "reasoning"; the model never sees them."""
    weight: Literal[0, 1] = 1
    """0 makes an assistant message context: it is neither learned nor measured."""

    def to_dict(self, *, thought: bool = True) -> dict[str, Any]:
        """Return the message in OpenAI's shape, without empty fields.

        Args:
            thought: Whether to keep `reasoning_content`.
        """
        out: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            out["tool_calls"] = [
                ({"id": c.id} if c.id is not None else {})
                | {"type": "function", "function": {"name": c.name, "arguments": c.arguments}}
                for c in self.tool_calls
            ]
        if thought and self.reasoning_content is not None:
            out["reasoning_content"] = self.reasoning_content
        for key in ("tool_call_id", "name"):
            if getattr(self, key) is not None:
                out[key] = getattr(self, key)
        return out


class Conversation(BaseModel):
    """A line of messages and the tools that were on offer in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    group: str | None = None
    """Conversations of one group (a customer, say) stay on one side of every split."""
    source: str = ""
    """Where it was read, as "file:line"."""
    remarks: tuple[Remark, ...] = ()
    """What reading it changed or left out; not written to disk."""

    def decisions(self) -> "list[Decision]":
        """Return every point at which the assistant acted, in order."""
        return [
            Decision(self, index)
            for index, message in enumerate(self.messages)
            if message.role == "assistant" and message.weight
        ]

    def to_json(self) -> str:
        """Return the canonical JSON line (no newline at its end)."""
        messages = []
        for message in self.messages:
            out = message.to_dict()
            if message.labels:
                out["labels"] = list(message.labels)
            if not message.weight:
                out["weight"] = 0
            messages.append(out)
        record: dict[str, Any] = {"id": self.id, "messages": messages, "tools": list(self.tools)}
        if self.group is not None:
            record["group"] = self.group
        return json.dumps(record, ensure_ascii=False)


@dataclass(frozen=True)
class Decision:
    """One point of a conversation at which the assistant acts."""

    conversation: Conversation
    index: int
    """Index in `conversation.messages` of the recorded action."""

    @property
    def gold(self) -> Message:
        """The recorded action."""
        return self.conversation.messages[self.index]

    @property
    def history(self) -> tuple[Message, ...]:
        """Everything before the action."""
        return self.conversation.messages[: self.index]

    @property
    def kind(self) -> Kind:
        """Whether the recorded action calls tools or speaks to the user."""
        return "call" if self.gold.tool_calls else "answer"

    @property
    def key(self) -> str:
        """A name that is unique among the decisions of a run."""
        return f"{self.conversation.id}#{self.index}"


def all_decisions(conversations: Iterable[Conversation]) -> Iterator[Decision]:
    """Yield the decisions of several conversations, in order."""
    for conversation in conversations:
        yield from conversation.decisions()


def tool_name(tool: Tool) -> str:
    """Return the name of a tool in OpenAI's shape."""
    return str(tool["function"]["name"])


def tool_parameters(tool: Tool) -> dict[str, Any]:
    """Return the JSON schema of a tool's arguments; an absent one allows any object."""
    return dict(tool["function"].get("parameters") or {"type": "object"})
