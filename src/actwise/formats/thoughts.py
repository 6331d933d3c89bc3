"""The recorded thoughts of an assistant message, wherever servers put them."""

import re
from collections.abc import Mapping
from typing import Any

from actwise.formats.record import Unusable
from actwise.formats.remarks import remark

BESIDE = (
    "reasoning_content",
    "reasoning",
    "thinking",
    "thought",
    "thoughts",
    "reasoning_text",
    "reasoning_details",
    "thinking_blocks",
)
"""Keys of a message that hold its thought, beside the content."""
_OPEN = re.compile(r"\s*<(think|thinking)>")
_CLOSE = "</think>"


def thought_beside(message: Mapping[str, Any], place: str) -> str | None:
    """Return the thought that stands beside the content of a message.

    Raises:
        Unusable: When a key for thoughts holds something else.
    """
    for key in BESIDE:
        value = message.get(key)
        thought = thought_text(value)
        if thought is None and value not in (None, "", [], {}):
            raise Unusable("non_text_content", f"{place}.{key} holds no text; write a string")
        if thought:
            return thought
    return "" if message.get("reasoning_content") == "" else None


def thought_text(value: Any) -> str | None:
    """Return the text of a thought: a string, an object that holds one, or a list of them.

    Encrypted and redacted thoughts have none, and give an empty text.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = [thought_text(part) for part in value]
        texts = [part for part in parts if part is not None]
        return "\n".join(filter(None, texts)) if texts or not parts else None
    if isinstance(value, dict):
        if str(value.get("type", "")).endswith(("encrypted", "redacted_thinking")):
            return ""
        for key in ("text", "thinking", "reasoning", "reasoning_content", "summary", "content"):
            if value.get(key) is not None:
                return thought_text(value[key])
    return None


def split_thought(content: str, recorded: str | None, place: str) -> tuple[str, str | None]:
    """Take a thought at the head of the content out of it, as servers without a parser log it.

    One that is closed and never opened begins with the content: then the template had opened it.

    Args:
        content: The text of an assistant message.
        recorded: The thought that stands beside the content, if any.
        place: Where the message stands, for errors.

    Raises:
        Unusable: When the thought is not closed, or there are two.
    """
    opened = _OPEN.match(content)
    if opened is not None:
        inside, closed, rest = content[opened.end() :].partition(f"</{opened[1]}>")
        if not closed:
            raise Unusable(
                "unclosed_thought",
                f"{place} opens <{opened[1]}> and never closes it; close it",
            )
    elif _CLOSE in content and "<think>" not in content:
        inside, _, rest = content.partition(_CLOSE)
        remark("closing_thought", place)
    else:
        return content, recorded
    thought = inside.strip()
    if thought and recorded and thought != recorded.strip():
        raise Unusable(
            "two_thoughts",
            f"{place} holds a thought in its content and another beside it; leave one of them",
        )
    return rest.lstrip(), recorded or thought or None
