"""Bodies of requests to a model, in whichever interface's shape: what logs of requests hold."""

from typing import Any, Protocol

from actwise.conversation import Conversation, Tool
from actwise.formats.keys import Keys, remark_unread
from actwise.formats.readers import (
    anthropic,
    bedrock,
    gemini,
    langchain,
    mistral,
    openai,
    responses,
    swift,
    vercel,
)
from actwise.formats.record import Unusable, kind_of


class Body(Protocol):
    """The module that reads the requests of one interface."""

    KEYS: Keys

    def recognises(self, record: Any) -> bool:
        """Return whether a request is of this interface."""

    def read(self, record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
        """Read a request with what followed at its end."""


BODIES: tuple[Body, ...] = (
    bedrock,
    vercel,
    anthropic,
    langchain,
    swift,
    gemini,
    mistral,
    responses,
    openai,
)


def read_body(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read a request, with the turn that followed at its end, by the interface it is of.

    Raises:
        Unusable: When it is of none, or cannot be read.
    """
    if not isinstance(record, dict):
        raise Unusable(
            "no_messages", f"the request is {kind_of(record)}; write an object with `messages`"
        )
    body = next((body for body in BODIES if body.recognises(record)), None)
    if body is None:
        found = ", ".join(sorted(map(str, record))[:12]) or "nothing"
        raise Unusable(
            "no_messages",
            f"the request has {found}, but no `messages`, `contents` or `input`; log it whole",
        )
    remark_unread(record, body.KEYS)
    return body.read(record, default_id=default_id, tools=tools)
