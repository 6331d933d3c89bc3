"""Mistral's Conversations: a list of entries, in which calls and results stand beside messages.

A record has the entries of the request (`inputs`) with the system prompt (`instructions`) and the
tools, and those of the response (`outputs`); or it is a conversation's history (`entries`).
"""

from typing import Any

from actwise.conversation import Conversation, Tool
from actwise.formats.keys import BOOKKEEPING, SETTINGS, Keys, known
from actwise.formats.readers import responses
from actwise.formats.record import Unusable, clip, kind_of

_KINDS = {
    "message.input": "message",
    "message.output": "message",
    "function.call": "function_call",
    "function.result": "function_call_output",
}
"""What OpenAI's Responses call the entries."""
_ENTRIES = _KINDS.keys() | {"tool.execution", "agent.handoff"}
_LISTS = ("entries", "inputs", "outputs")
_ENTRY = known(
    "object type role id created_at completed_at agent_id model content prefix tool_call_id name "
    "arguments confirmation_status result"
)
KEYS: Keys = (
    BOOKKEEPING
    | SETTINGS
    | known(
        "instructions tools handoff_execution completion_args guardrails name description "
        "agent_id agent_version",
        entries=[_ENTRY],
        inputs=[_ENTRY],
        outputs=[_ENTRY],
    )
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like one of Mistral's Conversations."""
    return isinstance(record, dict) and any(
        _has_entries(record.get(key)) for key in (*_LISTS, "messages")
    )


def _has_entries(value: Any) -> bool:
    return isinstance(value, list) and any(
        isinstance(item, dict) and str(item.get("type")) in _ENTRIES for item in value
    )


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one request with its response, or one history. See `openai.read`."""
    if not isinstance(record, dict):
        raise Unusable("no_messages", f"the record is {kind_of(record)}; write an object")
    if "messages" in record:
        raise Unusable(
            "no_calls",
            "the record lists the messages of Mistral's Conversations, without the calls between "
            "them; export the history of the conversation",
        )
    items = [item for key in _LISTS for item in _items(record.get(key), key)]
    shared = {key: record[key] for key in ("instructions", "tools") if record.get(key)}
    return responses.read(
        {**shared, "id": record.get("id"), "input": items}, default_id=default_id, tools=tools
    )


def _items(entries: Any, key: str) -> list[Any]:
    """Return entries as items of OpenAI's Responses."""
    if entries is None:
        return []
    if isinstance(entries, str) and key == "inputs":
        return [{"role": "user", "content": entries}]
    if isinstance(entries, dict):  # one entry may stand for a list of it
        entries = [entries]
    if not isinstance(entries, list):
        raise Unusable("no_messages", f"`{key}` is {kind_of(entries)}; write an array of entries")
    return [_item(entry, f"{key}[{index}]") for index, entry in enumerate(entries)]


def _item(entry: Any, place: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise Unusable("bad_message", f"{place} is {kind_of(entry)}; write an entry as an object")
    kind = entry.get("type", "message.input")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise Unusable(
            "server_tool",
            f"{place} is an entry of type {clip(repr(kind), 40)} of Mistral's Conversations, which "
            "is no function call and cannot be learned; leave the conversation out",
        )
    item: dict[str, Any] = {"type": _KINDS[kind]}
    if kind == "function.call":
        return item | {
            "call_id": entry.get("tool_call_id"),
            "name": entry.get("name"),
            "arguments": entry.get("arguments"),
        }
    if kind == "function.result":
        return item | {"call_id": entry.get("tool_call_id"), "output": entry.get("result")}
    role = entry.get("role", "assistant" if kind == "message.output" else "user")
    return item | {"role": role, "content": entry.get("content")}
