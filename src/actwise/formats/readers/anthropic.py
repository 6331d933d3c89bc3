"""Anthropic's Messages: blocks as content, the system prompt beside the messages, `input_schema`.

A record is a request with the turn that followed at its end. Results stand in the user's messages,
and become messages of their own before the user's words.
"""

from typing import Any

from actwise.conversation import Conversation, Message, Role, Tool
from actwise.formats.calls import failed_text, made_call, result_text
from actwise.formats.fields import list_at, word
from actwise.formats.keys import BOOKKEEPING, SETTINGS, Keys, known
from actwise.formats.parts import PART_KEYS, TEXT_PARTS, PartReader, Turn, read_parts
from actwise.formats.readers import bedrock
from actwise.formats.readers.openai import MESSAGE_KEYS, answer_beside, read_message, weighed
from actwise.formats.readers.vercel import is_message as is_message_of_vercel
from actwise.formats.record import Unusable, kind_of
from actwise.formats.tools import read_tools

_BLOCKS = {"tool_use", "tool_result", "server_tool_use"}
_BLOCK_KEYS = PART_KEYS | known("name input tool_use_id is_error caller")
KEYS: Keys = (
    BOOKKEEPING
    | SETTINGS
    | known("thinking tools output_config container system")
    | {"messages": [MESSAGE_KEYS]}
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like a request to Anthropic's Messages."""
    entries = record.get("messages") if isinstance(record, dict) else None
    if not isinstance(entries, list) or answer_beside(record):
        return False
    if bedrock.recognises(record):
        return False
    roles = {str(entry.get("role")) for entry in entries if isinstance(entry, dict)}
    if roles & {"tool_call", "tool_response"} or not all(map(_has_role, entries)):
        return False
    if any(is_message_of_vercel(entry) for entry in entries):
        return False
    return "system" in record or any(map(_has_blocks, entries))


def _has_role(entry: Any) -> bool:
    return isinstance(entry, dict) and "role" in entry and "parts" not in entry


def _has_blocks(entry: Any) -> bool:
    content = entry.get("content")
    return isinstance(content, list) and any(
        isinstance(part, dict) and str(part.get("type")) in _BLOCKS for part in content
    )


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one request. See `openai.read`."""
    entries = list_at(record, "messages", "the record")
    messages = _system(record.get("system"))
    for index, entry in enumerate(entries):
        messages += _messages(entry, f"messages[{index}]")
    declared = record.get("tools")
    return Conversation(
        id=word(record, "id", "the record") or default_id,
        messages=tuple(messages),
        tools=read_tools(declared) if declared else tools,
    )


def _system(value: Any) -> list[Message]:
    turn = Turn("system", "system")
    for index, part in enumerate(value if isinstance(value, list) else [value or ""]):
        turn.text("\n\n" if index else "")
        read_parts(part, f"system[{index}]", turn)
    return [message for message in turn.messages() if message.content]


def _messages(entry: Any, place: str) -> list[Message]:
    role = entry.get("role") if isinstance(entry, dict) else None
    if role not in ("user", "assistant") or entry.get("tool_calls"):
        return [read_message(entry, place)]
    if not isinstance(entry.get("content"), list):
        return [read_message(entry, place)]
    speaker: Role = "user" if role == "user" else "assistant"
    turn = Turn(speaker, place)
    read_parts(entry["content"], f"{place}.content", turn, _PARTS, _BLOCK_KEYS)
    return weighed(turn.messages(), entry, place)


def _call(part: dict[str, Any], place: str, turn: Turn) -> None:
    turn.call(made_call(part.get("name"), part.get("input"), word(part, "id", place), place))


def _result(part: dict[str, Any], place: str, turn: Turn) -> None:
    text = result_text(part.get("content"), place)
    text = failed_text(text) if part.get("is_error") is True else text
    turn.result(text, word(part, "tool_use_id", place))


def _server(part: dict[str, Any], place: str, turn: Turn) -> None:
    name = part.get("name") if isinstance(part.get("name"), str) else kind_of(part.get("name"))
    raise Unusable(
        "server_tool",
        f"{place} calls {name!r}, which Anthropic's server runs itself and which cannot be "
        "learned; leave the conversation out",
    )


_PARTS: dict[str, PartReader] = TEXT_PARTS | {
    "tool_use": _call,
    "tool_result": _result,
    "server_tool_use": _server,
}
