"""OpenAI's Responses: a list of items, in which calls, results and thoughts are entries.

A record has the items of the request (`input`), those of the response (`output`), the system
prompt (`instructions`) and the tools.
"""

import re
from typing import Any

from actwise.conversation import Conversation, Message, Tool
from actwise.formats.calls import made_call, result_text
from actwise.formats.endings import cut_off
from actwise.formats.fields import word
from actwise.formats.keys import BOOKKEEPING, SETTINGS, Keys, known
from actwise.formats.parts import Turn, read_parts
from actwise.formats.readers.openai import read_message, weighed
from actwise.formats.record import Unusable, clip, kind_of
from actwise.formats.thoughts import thought_text
from actwise.formats.tools import read_tools

_ITEM = re.compile(r"message|reasoning|\w+_call(_output)?|mcp_\w+|item_reference|compaction")
_ITEMS = {"message", "function_call", "function_call_output", "reasoning"}

_OTHERS = {
    "preferred_output",
    "traceId",
    "trace_id",
    "response",
    "call_type",
    "model_parameters",
    "proxy_server_request",
}
"""Keys of records that hold items, too, and are another format's."""
_ITEM_KEYS = known(
    "type role id status call_id name arguments output summary encrypted_content phase "
    "namespace content"
)
KEYS: Keys = (
    BOOKKEEPING
    | SETTINGS
    | known(
        "instructions tools reasoning text output_text error incomplete_details completed_at "
        "billing previous_response_id conversation prompt_cache_options moderation",
        input=[_ITEM_KEYS],
        items=[_ITEM_KEYS],
        messages=[_ITEM_KEYS],
        output=[_ITEM_KEYS],
    )
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like OpenAI's Responses."""
    if not isinstance(record, dict) or record.keys() & _OTHERS:
        return False
    if record.get("object") == "response":
        return "request" not in record
    given = _given(record)
    return isinstance(given, list | str) and (
        _has_items(given)
        or _has_items(record.get("output"))
        or ("instructions" in record and isinstance(given, list))
    )


def _given(record: dict[str, Any]) -> Any:
    return next((record[key] for key in ("input", "items", "messages") if key in record), None)


def _has_items(value: Any) -> bool:
    return isinstance(value, list) and any(
        isinstance(item, dict) and _ITEM.fullmatch(str(item.get("type"))) for item in value
    )


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one request with its response. See `openai.read`."""
    if not isinstance(record, dict):
        raise Unusable("no_messages", f"the record is {kind_of(record)}; write an object")
    for key in ("previous_response_id", "conversation"):
        if record.get(key):
            raise Unusable(
                "no_history",
                f"the record of OpenAI's Responses has `{key}`: what was said before is kept on "
                "the server and not in the record; log all items as `input`",
            )
    messages: list[Message] = []
    instructions = record.get("instructions")
    if isinstance(instructions, str) and instructions:
        messages.append(Message(role="system", content=instructions))
    elif isinstance(instructions, list):
        messages += _messages(instructions, "instructions")
    given = _given(record)
    if given is None:
        raise Unusable(
            "no_request",
            "the record is a stored response of OpenAI's without what was asked; add the items "
            "that the interface lists for it, as `input`",
        )
    given = [{"role": "user", "content": given}] if isinstance(given, str) else given
    answered = record.get("output") or []
    if not isinstance(given, list) or not isinstance(answered, list):
        raise Unusable(
            "no_messages",
            f"`input` is {kind_of(given)} and `output` {kind_of(answered)}; write arrays of items",
        )
    messages += _messages([*given, *answered], "items")
    if messages[-1:] and messages[-1].weight:
        ended = {"status": "incomplete"} if record.get("incomplete_details") else cut_off(record)
        messages[-1:] = weighed(messages[-1:], ended, "the response")
    declared = record.get("tools")
    return Conversation(
        id=word(record, "id", "the record") or default_id,
        messages=tuple(messages),
        tools=read_tools(declared) if declared else tools,
    )


def _messages(items: list[Any], place: str) -> list[Message]:
    messages: list[Message] = []
    turn: Turn | None = None
    cut: dict[str, str] = {}
    for index, item in enumerate(items):
        here = f"{place}[{index}]"
        kind = _kind(item, here)
        if kind == "message" and item.get("role") != "assistant":
            messages += _said(turn, cut)
            turn, cut = None, {}
            messages.append(read_message(item, here))
        else:
            turn = turn or Turn("assistant", here)
            if kind != "function_call_output":
                cut = cut or cut_off(item)
            _add(item, kind, here, turn)
    return messages + _said(turn, cut)


def _said(turn: Turn | None, cut: dict[str, str]) -> list[Message]:
    """Return what a turn says, as context where one of its items was cut off."""
    return weighed(turn.messages(), cut, turn.place) if turn else []


def _kind(item: Any, place: str) -> str:
    if not isinstance(item, dict):
        raise Unusable("bad_message", f"{place} is {kind_of(item)}; write an item as an object")
    kind = item.get("type", "message")
    if str(kind) not in _ITEMS:
        raise Unusable(
            "server_tool",
            f"{place} is an item of type {clip(repr(kind), 40)} of OpenAI's Responses, which is "
            "no function call and cannot be learned; leave the conversation out",
        )
    return str(kind)


def _add(item: dict[str, Any], kind: str, place: str, turn: Turn) -> None:
    if kind == "message":
        if item.get("content") is not None:
            turn.line()
            read_parts(item["content"], f"{place}.content", turn)
    elif kind == "reasoning":
        thought = thought_text(item.get("content")) or thought_text(item.get("summary"))
        if thought:
            turn.thought(thought)
    elif kind == "function_call":
        turn.call(
            made_call(item.get("name"), item.get("arguments"), word(item, "call_id", place), place)
        )
    else:
        turn.result(result_text(item.get("output"), place), word(item, "call_id", place))
