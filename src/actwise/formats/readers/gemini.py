"""Gemini's contents: parts with `functionCall` and `functionResponse`, in either spelling of keys.

A record is a request with the content of the candidate that followed at its end.
"""

import json
import re
from typing import Any

from actwise.conversation import Conversation, Message, Role, Tool
from actwise.formats.calls import made_call
from actwise.formats.fields import word
from actwise.formats.keys import BOOKKEEPING, SETTINGS, Keys, known
from actwise.formats.parts import Turn
from actwise.formats.readers.openai import weighed
from actwise.formats.record import Unusable, clip, kind_of
from actwise.formats.tools import read_tools

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_ROLES: dict[Any, Role] = {
    None: "user",
    "user": "user",
    "function": "user",
    "tool": "user",
    "model": "assistant",
}
_CALLED = known("id name args response will_continue scheduling partial_args")
_CONTENT = known(
    "role finish_reason",
    parts=[
        known("text thought thought_signature", function_call=_CALLED, function_response=_CALLED)
    ],
)
_KEYS: Keys = (
    BOOKKEEPING
    | SETTINGS
    | known(
        "tools tool_config safety_settings generation_config cached_content",
        system_instruction=_CONTENT,
        contents=[_CONTENT],
        config=SETTINGS
        | known("tools tool_config safety_settings thinking_config", system_instruction=_CONTENT),
    )
)


def _in_both_spellings(keys: Keys) -> Keys:
    if isinstance(keys, list):
        return [_in_both_spellings(keys[0])]
    if keys is None:
        return None
    inner = {key: _in_both_spellings(value) for key, value in keys.items()}
    return inner | {re.sub("_(.)", lambda m: m[1].upper(), k): v for k, v in inner.items()}


KEYS = _in_both_spellings(_KEYS)


def recognises(record: Any) -> bool:
    """Return whether a record looks like a request to Gemini."""
    return (
        isinstance(record, dict)
        and "contents" in record
        and not record.keys() & {"response", "candidates", "output"}
    )


def plain(record: Any) -> Any:
    """Return a record with its keys in the spelling of the Python interface.

    Arguments, results and schemas keep theirs.
    """
    if isinstance(record, list):
        return [plain(item) for item in record]
    if not isinstance(record, dict):
        return record
    out = {}
    for key, value in record.items():
        name = _CAPITAL.sub("_", key).lower()
        out[name] = value if name in ("args", "response", "tools", "labels") else plain(value)
    return out


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one request. See `openai.read`."""
    given = plain(record)
    contents = given.get("contents") if isinstance(given, dict) else None
    if isinstance(contents, str | dict):
        contents = [{"parts": [{"text": contents}]} if isinstance(contents, str) else contents]
    if not isinstance(contents, list):
        raise Unusable("no_messages", f"`contents` is {kind_of(contents)}; write an array")
    config = given.get("config") if isinstance(given.get("config"), dict) else {}
    messages: list[Message] = []
    instruction = given.get("system_instruction") or config.get("system_instruction")
    if instruction:
        messages += _messages(instruction, "systemInstruction", "system")
    for index, content in enumerate(contents):
        messages += _messages(content, f"contents[{index}]")
    declared = given.get("tools") or config.get("tools")
    return Conversation(
        id=word(given, "id", "the record") or default_id,
        messages=tuple(messages),
        tools=read_tools(declared) if declared else tools,
    )


def _messages(content: Any, place: str, role: Role | None = None) -> list[Message]:
    if isinstance(content, str):
        content = {"parts": [{"text": content}]}
    if not isinstance(content, dict):
        raise Unusable("bad_message", f"{place} is {kind_of(content)}; write an object")
    name = content.get("role")
    if role is None and (not isinstance(name, str | None) or name not in _ROLES):
        raise Unusable(
            "unknown_role", f"{place} has the role {clip(repr(name), 40)}; use user or model"
        )
    parts = content.get("parts") or []
    parts = [parts] if isinstance(parts, dict) else parts
    if not isinstance(parts, list):
        raise Unusable("non_text_content", f"{place}.parts is {kind_of(parts)}; write an array")
    turn = Turn(role or _ROLES[name], place)
    for index, part in enumerate(parts):
        _add(part, f"{place}.parts[{index}]", turn)
    return weighed(turn.messages(), content, place)


def _add(part: Any, place: str, turn: Turn) -> None:
    part = {"text": part} if isinstance(part, str) else part
    if not isinstance(part, dict):
        raise Unusable("non_text_content", f"{place} is {kind_of(part)}; write an object")
    text, called, result = (part.get(k) for k in ("text", "function_call", "function_response"))
    if isinstance(called, dict):
        turn.call(
            made_call(called.get("name"), called.get("args"), word(called, "id", place), place)
        )
    elif isinstance(result, dict):
        answer = json.dumps(result.get("response"), ensure_ascii=False)
        turn.result(answer, word(result, "id", place), word(result, "name", place))
    elif isinstance(text, str) and part.get("thought") is True:
        turn.thought(text)
    elif isinstance(text, str):
        turn.text(text)
    elif not part.keys() <= {"thought", "thought_signature"}:
        seen = ", ".join(key for key in part if key not in ("thought", "thought_signature"))
        raise Unusable(
            "non_text_content",
            f"{place} holds {clip(seen, 60)}, which is no text and cannot be learned; "
            "leave the conversation out",
        )
