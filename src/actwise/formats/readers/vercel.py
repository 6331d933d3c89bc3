"""Messages of Vercel's AI SDK: those sent to models (parts `tool-call`) and those of its pages.

A page's message holds all steps of a turn: calls with their results, then the words that follow.
"""

import json
from typing import Any

from actwise.conversation import Conversation, Message, Role, Tool
from actwise.formats.calls import failed_text, made_call, result_text
from actwise.formats.fields import list_at, word
from actwise.formats.keys import BOOKKEEPING, SETTINGS, Keys, known
from actwise.formats.parts import PART_KEYS, TEXT_PARTS, PartReader, Turn, nothing_said, read_parts
from actwise.formats.readers.openai import MESSAGE_KEYS, answer_beside, read_message, weighed
from actwise.formats.record import Unusable, kind_of
from actwise.formats.remarks import remark
from actwise.formats.tools import read_tools

_PARTS_OF_TOOLS = {"tool-call", "tool-result"}
_CALL_KEYS = known(
    "type state step toolCallId toolName args input result output errorText providerExecuted "
    "providerOptions providerMetadata callProviderMetadata preliminary dynamic title rawInput "
    "approval isError experimental_content"
)
_PART_KEYS = PART_KEYS | _CALL_KEYS | known("details url sourceId toolInvocation state")
_MESSAGE_KEYS = MESSAGE_KEYS | known("createdAt metadata providerOptions parts toolInvocations")
KEYS: Keys = (
    BOOKKEEPING
    | SETTINGS
    | known("tools trigger messageId system")
    | {
        "messages": [
            MESSAGE_KEYS
            | known("createdAt metadata providerOptions parts toolInvocations finishReason")
        ]
    }
)


def recognises(record: Any) -> bool:
    """Return whether a record has messages of Vercel's AI SDK."""
    entries = record.get("messages") if isinstance(record, dict) else None
    return (
        isinstance(entries, list)
        and any(map(is_message, entries))
        and answer_beside(record) is None
    )


def is_message(entry: Any) -> bool:
    """Return whether a message is one of Vercel's, by its parts."""
    if not isinstance(entry, dict) or "role" not in entry:
        return False
    if isinstance(entry.get("parts"), list) or "toolInvocations" in entry:
        return True
    content = entry.get("content")
    return isinstance(content, list) and any(
        isinstance(part, dict) and str(part.get("type")) in _PARTS_OF_TOOLS for part in content
    )


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one record. See `openai.read`."""
    entries = list_at(record, "messages", "the record")
    messages: list[Message] = []
    if isinstance(record.get("system"), str) and record["system"]:
        messages.append(Message(role="system", content=record["system"]))
    for index, entry in enumerate(entries):
        messages += _messages(entry, f"messages[{index}]")
    declared = record.get("tools")
    return Conversation(
        id=word(record, "id", "the record") or default_id,
        messages=tuple(messages),
        tools=read_tools(declared) if declared else tools,
    )


def _messages(entry: Any, place: str) -> list[Message]:
    role = entry.get("role") if isinstance(entry, dict) else None
    if role not in ("user", "assistant", "tool"):
        return [read_message(entry, place)]
    speaker: Role = role
    turn = Turn(speaker, place)
    parts = entry.get("parts")
    if isinstance(parts, list) and parts:
        for index, part in enumerate(parts):
            _add(part, f"{place}.parts[{index}]", turn)
        return _ended(turn, entry, parts)
    if isinstance(entry.get("reasoning"), str):
        turn.thought(entry["reasoning"])
    for index, call in enumerate(list_at({"x": entry.get("toolInvocations") or []}, "x", place)):
        _both(call, f"{place}.toolInvocations[{index}]", turn)
    content = entry.get("content")
    if isinstance(content, list):
        for index, part in enumerate(content):
            _add(part, f"{place}.content[{index}]", turn)
    elif content not in (None, ""):
        read_parts(content, f"{place}.content", turn)
    return _ended(turn, entry, entry.get("toolInvocations") or [])


def _ended(turn: Turn, entry: dict[str, Any], parts: list[Any]) -> list[Message]:
    """Return what a message says; one that broke off in a call is context."""
    if not any(map(_is_unfinished, parts)):
        return weighed(turn.messages(), entry, turn.place)
    if turn.is_empty:
        remark("cut_off", f"{turn.place}: a call")
        return turn.done
    return weighed(turn.messages(), {**entry, "finishReason": "abort"}, turn.place)


def _is_unfinished(part: Any) -> bool:
    inner = part.get("toolInvocation", part) if isinstance(part, dict) else None
    return isinstance(inner, dict) and inner.get("state") in ("input-streaming", "partial-call")


def _add(part: Any, place: str, turn: Turn) -> None:
    """Read one part; the kind of a call on a page holds the name of its tool."""
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(kind, str) and kind not in _PARTS:
        if kind.startswith("tool-"):
            _both({"toolName": kind.removeprefix("tool-"), **part}, place, turn)
            return
        if kind.startswith(("source-", "data-")) or kind == "source":
            return  # for the page alone
    if kind == "reasoning" and "text" not in part:
        part = {"type": "reasoning", "text": part.get("reasoning")}
    read_parts([part], place, turn, _PARTS, _PART_KEYS)


def _call(part: dict[str, Any], place: str, turn: Turn) -> None:
    arguments = part["input"] if "input" in part else part.get("args")
    call_id = word(part, "toolCallId", place)
    turn.call(made_call(part.get("toolName"), arguments, call_id, place))


def _result(part: dict[str, Any], place: str, turn: Turn) -> None:
    text = _output(part["output"] if "output" in part else part.get("result"), place)
    text = failed_text(text) if part.get("isError") is True else text
    turn.result(text, word(part, "toolCallId", place), word(part, "toolName", place))


def _output(value: Any, place: str) -> str:
    """Return the text of a result, which may be wrapped in an object that tells its type."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return result_text(value, place)
    kind = value["type"]
    if kind.startswith("error-"):
        return failed_text(_output({**value, "type": kind.removeprefix("error-")}, place))
    if kind in ("text", "content") and "value" in value:
        return result_text(value["value"], place)
    if kind == "json" and "value" in value:
        return json.dumps(value["value"], ensure_ascii=False)
    if kind == "execution-denied":
        return str(value.get("reason") or "The call was denied.")
    return result_text(value, place)


def _both(part: Any, place: str, turn: Turn) -> None:
    """Read a part that holds a call and, if it has come, its result."""
    inner = part.get("toolInvocation", part) if isinstance(part, dict) else None
    if not isinstance(inner, dict):
        raise Unusable("bad_call", f"{place} is {kind_of(inner)}; write a call as an object")
    if _is_unfinished(inner):
        return
    arguments = inner["input"] if "input" in inner else inner.get("args", inner.get("rawInput"))
    call_id, name = word(inner, "toolCallId", place), inner.get("toolName")
    turn.call(made_call(name, arguments, call_id, place), same_step=True)
    if inner.get("errorText") is not None:
        turn.result(failed_text(result_text(inner["errorText"], place)), call_id, name)
    elif "output" in inner or "result" in inner:
        value = inner["output"] if "output" in inner else inner["result"]
        turn.result(_output(value, place), call_id, name)
    elif inner.get("state") == "output-denied":
        approval = inner.get("approval")
        denied = approval if isinstance(approval, dict) else {}
        turn.result(_output({**denied, "type": "execution-denied"}, place), call_id, name)


def _step(part: dict[str, Any], place: str, turn: Turn) -> None:
    if not turn.is_empty:
        turn.step()


_PARTS: dict[str, PartReader] = TEXT_PARTS | {
    "tool-call": _call,
    "tool-result": _result,
    "tool-invocation": _both,
    "dynamic-tool": _both,
    "step-start": _step,
    "tool-approval-request": nothing_said,
    "tool-approval-response": nothing_said,
}
