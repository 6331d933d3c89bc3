"""Amazon Bedrock's Converse: blocks named by their only key, such as `toolUse` and `toolResult`."""

import json
from typing import Any

from actwise.conversation import Conversation, Message, Role, Tool
from actwise.formats.calls import failed_text, made_call
from actwise.formats.fields import list_at, list_in, word
from actwise.formats.keys import BOOKKEEPING, SETTINGS, Keys, known
from actwise.formats.parts import Turn
from actwise.formats.readers.openai import weighed
from actwise.formats.record import Unusable, clip, kind_of
from actwise.formats.tools import read_tools

_BLOCKS = {"toolUse", "toolResult", "reasoningContent"}
_CONFIGS = ("toolConfig", "inferenceConfig")
_BLOCK = known(
    "text reasoningContent cachePoint",
    toolUse=known("toolUseId name input type"),
    toolResult=known("toolUseId content status type"),
)
KEYS: Keys = (
    BOOKKEEPING
    | SETTINGS
    | known(
        "modelId inferenceConfig guardrailConfig additionalModelRequestFields promptVariables "
        "requestMetadata performanceConfig additionalModelResponseFieldPaths",
        system=[_BLOCK],
        messages=[known("role finish_reason stopReason", content=[_BLOCK])],
        toolConfig=known("tools toolChoice"),
    )
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like a request to Converse."""
    if not isinstance(record, dict) or not isinstance(record.get("messages"), list):
        return False
    if "response" in record:
        return False
    blocks = [b for entry in record["messages"] for b in list_in(entry, "content")]
    return any(isinstance(record.get(key), dict) for key in _CONFIGS) or any(
        isinstance(block, dict) and "type" not in block and bool(block.keys() & _BLOCKS)
        for block in blocks
    )


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one request. See `openai.read`."""
    entries = list_at(record, "messages", "the record")
    messages: list[Message] = []
    if list_in(record, "system"):
        messages += _messages({"role": "system", "content": record["system"]}, "system")
    for index, entry in enumerate(entries):
        messages += _messages(entry, f"messages[{index}]")
    config = record.get("toolConfig")
    declared = [
        {
            "name": spec.get("name"),
            "description": str(spec.get("description") or ""),
            "parameters": schema.get("json") if isinstance(schema, dict) else schema,
        }
        for tool in list_in(config, "tools")
        if isinstance(tool, dict) and isinstance(spec := tool.get("toolSpec"), dict)
        for schema in [spec.get("inputSchema")]
    ]
    return Conversation(
        id=word(record, "id", "the record") or default_id,
        messages=tuple(messages),
        tools=read_tools(declared) if declared else tools,
    )


def _messages(entry: Any, place: str) -> list[Message]:
    role = entry.get("role") if isinstance(entry, dict) else None
    if role not in ("system", "user", "assistant"):
        raise Unusable(
            "unknown_role", f"{place} has the role {clip(repr(role), 40)}; use user or assistant"
        )
    speaker: Role = role
    turn = Turn(speaker, place)
    content = entry.get("content")
    content = [{"text": content}] if isinstance(content, str) else content
    if not isinstance(content, list):
        raise Unusable("non_text_content", f"{place}.content is {kind_of(content)}; write blocks")
    for index, block in enumerate(content):
        _add(block, f"{place}.content[{index}]", turn)
    return weighed(turn.messages(), entry, place)


def _add(block: Any, place: str, turn: Turn) -> None:
    inside = block if isinstance(block, dict) else {}
    called, result = inside.get("toolUse"), inside.get("toolResult")
    if isinstance(called, dict):
        call_id = word(called, "toolUseId", place)
        turn.call(made_call(called.get("name"), called.get("input"), call_id, place))
    elif isinstance(result, dict):
        turn.result(_result(result, place), word(result, "toolUseId", place))
    elif isinstance(inside.get("text"), str):
        turn.text(inside["text"])
    elif isinstance(inside.get("reasoningContent"), dict):
        text = inside["reasoningContent"].get("reasoningText")
        if isinstance(text, dict) and isinstance(text.get("text"), str):
            turn.thought(text["text"])
    elif "cachePoint" not in inside:
        seen = ", ".join(map(str, inside)) or kind_of(block)
        raise Unusable(
            "non_text_content",
            f"{place} holds {clip(seen, 60)}, which is no text and cannot be learned; "
            "leave the conversation out",
        )


def _result(result: dict[str, Any], place: str) -> str:
    parts = []
    for part in list_in(result, "content"):
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            parts.append(part["text"])
        elif isinstance(part, dict) and "json" in part:
            parts.append(json.dumps(part["json"], ensure_ascii=False))
        else:
            raise Unusable(
                "non_text_content", f"{place} holds a result that is no text; leave it out"
            )
    text = "".join(parts)
    return failed_text(text) if result.get("status") == "error" else text
