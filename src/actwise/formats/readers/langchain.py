"""LangChain's messages: `type` human, ai or tool, plain, under `data`, or as written by `dumps`."""

from collections.abc import Mapping
from typing import Any

from actwise.conversation import Conversation, Message, Role, Tool, ToolCall
from actwise.formats.calls import failed_text, read_call, result_text
from actwise.formats.fields import list_at, word
from actwise.formats.keys import BOOKKEEPING, SETTINGS, Keys, known
from actwise.formats.parts import PART_KEYS, TEXT_PARTS, PartReader, Turn, nothing_said, read_parts
from actwise.formats.readers.openai import CALL_KEYS, answer_beside, read_message, weighed
from actwise.formats.record import Unusable, clip, kind_of
from actwise.formats.thoughts import thought_beside
from actwise.formats.tools import read_tools

_ROLES: Mapping[str, Role] = {
    "human": "user",
    "user": "user",
    "ai": "assistant",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}
_DATA = known(
    "type role name id content example tool_call_id status artifact response_metadata "
    "usage_metadata additional_kwargs invalid_tool_calls chunk_position "
    "generation_info finish_reason",
    tool_calls=CALL_KEYS,
)
KEYS: Keys = (
    BOOKKEEPING
    | SETTINGS
    | known("tools", messages=[_DATA | known("lc id repr graph", data=_DATA, kwargs=_DATA)])
)


def recognises(record: Any) -> bool:
    """Return whether a record has messages as LangChain writes them."""
    entries = record.get("messages") if isinstance(record, dict) else None
    return (
        isinstance(entries, list)
        and answer_beside(record) is None
        and any(is_message(entry) for entry in entries)
    )


def is_message(entry: Any) -> bool:
    """Return whether a value is one of LangChain's messages."""
    if isinstance(entry, list):
        return len(entry) == 2 and all(isinstance(e, str) for e in entry) and entry[0] in _ROLES
    if not isinstance(entry, dict) or "role" in entry:
        return False
    return "lc" in entry or (_kind(entry) in _ROLES and bool(entry.keys() & {"content", "data"}))


def _kind(entry: dict[str, Any]) -> str:
    kind = entry["id"][-1] if "lc" in entry and _is_path(entry.get("id")) else entry.get("type")
    return str(kind).lower().removesuffix("chunk").removesuffix("message")


def _is_path(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one record. See `openai.read`."""
    entries = list_at(record, "messages", "the record")
    declared = record.get("tools")
    return Conversation(
        id=word(record, "id", "the record") or default_id,
        messages=tuple(_message(entry, f"messages[{i}]") for i, entry in enumerate(entries)),
        tools=read_tools(declared) if declared else tools,
    )


def _message(entry: Any, place: str) -> Message:
    if isinstance(entry, list) and is_message(entry):
        entry = {"type": entry[0], "content": entry[1]}
    if isinstance(entry, dict) and "role" in entry:
        return read_message(entry, place)
    if not isinstance(entry, dict) or _kind(entry) not in _ROLES:
        seen = _kind(entry) if isinstance(entry, dict) else kind_of(entry)
        raise Unusable(
            "unknown_role",
            f"{place} is {clip(repr(seen), 40)}; write a message of one of {', '.join(_ROLES)}",
        )
    role = _ROLES[_kind(entry)]
    data = next((entry[k] for k in ("kwargs", "data") if isinstance(entry.get(k), dict)), entry)
    if role == "tool":
        text = result_text(data.get("content"), place)
        return Message(
            role="tool",
            content=failed_text(text) if data.get("status") == "error" else text,
            tool_call_id=word(data, "tool_call_id", place),
            name=word(data, "name", place),
        )
    extra = data.get("additional_kwargs")
    extra = extra if isinstance(extra, dict) else {}
    turn = Turn(role, place)
    if role == "assistant":
        thought = thought_beside(extra, place)
        if thought is not None:
            turn.thought(thought)
    calls = _calls(data, extra, place)
    if data.get("content") is not None:
        kinds = _PARTS if calls else _PARTS | dict.fromkeys(_CALLS, _call)
        read_parts(data["content"], f"{place}.content", turn, kinds, _PART_KEYS)
    (message,) = weighed(turn.messages(), {**entry, **data}, place)
    return message.model_copy(update={"tool_calls": calls or message.tool_calls})


def _calls(data: dict[str, Any], extra: dict[str, Any], place: str) -> tuple[ToolCall, ...]:
    if data.get("invalid_tool_calls"):
        raise Unusable(
            "arguments_not_json",
            f"{place} has a call whose arguments LangChain could not read "
            "(`invalid_tool_calls`); mend them",
        )
    calls = data.get("tool_calls") or extra.get("tool_calls") or []
    if not calls and isinstance(extra.get("function_call"), dict):
        calls = [extra["function_call"]]
    if not isinstance(calls, list):
        raise Unusable("bad_call", f"{place}.tool_calls is {kind_of(calls)}; write an array")
    return tuple(read_call(call, f"{place}.tool_calls[{i}]") for i, call in enumerate(calls))


def _call(part: dict[str, Any], place: str, turn: Turn) -> None:
    own = {"id": part["call_id"]} if "call_id" in part else {}
    turn.call(read_call({**part, **own}, place))


_PART_KEYS = PART_KEYS | known("input partial_json call_id name arguments args")
# The provider's own parts for calls repeat what stands in `tool_calls`, if there are any.
_CALLS = ("tool_use", "function_call", "tool_call")
_PARTS: dict[str, PartReader] = TEXT_PARTS | dict.fromkeys(
    (*_CALLS, "input_json_delta"), nothing_said
)
