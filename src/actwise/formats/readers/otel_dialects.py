"""Attributes of spans as instrumentations other than OpenTelemetry's own write them.

OpenLLMetry and OpenInference number their messages in the names of flat attributes, Vercel's SDK
has attributes with JSON, and the first versions of the conventions had events.
"""

import re
from collections.abc import Mapping
from typing import Any

from actwise.conversation import Message
from actwise.formats.endings import cut_off
from actwise.formats.fields import decoded, list_in
from actwise.formats.readers import vercel
from actwise.formats.readers.openai import read_message
from actwise.formats.record import Unusable, kind_of

_MESSAGE_EVENT = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message")


def attributes_of(value: Any) -> dict[str, Any]:
    """Return attributes by their names; OTLP writes a list of keys and typed values."""
    if isinstance(value, list):
        return {
            str(item.get("key")): _value(item.get("value"))
            for item in value
            if isinstance(item, dict)
        }
    return value if isinstance(value, dict) else {}


def _value(value: Any) -> Any:
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((kind, inner),) = value.items()
    if kind == "arrayValue" and isinstance(inner, dict):
        return [_value(item) for item in inner.get("values") or []]
    if kind == "kvlistValue" and isinstance(inner, dict):
        return attributes_of(inner.get("values"))
    if kind == "intValue" and isinstance(inner, str) and inner.lstrip("-").isdigit():
        return int(inner)
    return inner if str(kind).endswith("Value") else value


def flattened(found: dict[str, Any]) -> dict[str, Any]:
    """Return nested attributes by their full names."""
    out: dict[str, Any] = {}
    for name, value in found.items():
        if isinstance(value, dict) and "." not in str(name):
            out |= {f"{name}.{rest}": inner for rest, inner in flattened(value).items()}
        else:
            out[name] = value
    return out


def listed(value: Any) -> list[Any]:
    """Return the list that a value, or its JSON, is; else an empty one."""
    value = decoded(value)
    return value if isinstance(value, list) else []


def nested(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat attributes as a tree; members named by numbers become a list."""
    tree: dict[str, Any] = {}
    for name, value in found.items():
        node = tree
        *path, last = str(name).split(".")
        for key in path:
            inner = node.setdefault(key, {})
            if not isinstance(inner, dict):
                inner = node[key] = {}
            node = inner
        if not isinstance(node.get(last), dict):
            node[last] = value
    listed = _lists(tree)
    return listed if isinstance(listed, dict) else {}


def _lists(node: Any) -> Any:
    if isinstance(node, list):
        return [nested(item) if isinstance(item, dict) else item for item in node]
    if not isinstance(node, dict):
        return node
    inner = {key: _lists(value) for key, value in node.items()}
    if inner and all(key.isdigit() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner


def at(node: Any, *path: str) -> Any:
    """Return what stands at a path of a tree, or None."""
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    return node


def openllmetry(entries: Any, place: str) -> list[Message]:
    """Read OpenLLMetry's messages."""
    return [
        read_message(
            {
                "role": entry.get("role"),
                "content": decoded(entry.get("content"))
                if _is_parts(entry)
                else entry.get("content"),
                "tool_calls": entry.get("tool_calls"),
                "tool_call_id": entry.get("tool_call_id"),
                "reasoning": entry.get("reasoning"),
                "refusal": entry.get("refusal"),
                **cut_off(entry),
            },
            f"{place}[{index}]",
        )
        for index, entry in enumerate(entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
    ]


def _is_parts(entry: dict[str, Any]) -> bool:
    content = decoded(entry.get("content"))
    return isinstance(content, list) and all(
        isinstance(part, dict) and "type" in part for part in content
    )


def openinference(entries: Any, place: str) -> list[Message]:
    """Read OpenInference's messages."""
    messages = []
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        message = entry.get("message") if isinstance(entry, dict) else None
        message = message if isinstance(message, dict) else {}
        contents = [at(part, "message_content") for part in message.get("contents") or []]
        calls = [
            {
                "id": at(call, "tool_call", "id"),
                "function": at(call, "tool_call", "function"),
            }
            for call in message.get("tool_calls") or []
        ]
        messages.append(
            read_message(
                {
                    "role": message.get("role"),
                    "content": message.get("content", contents or None),
                    "tool_calls": calls or None,
                    "tool_call_id": message.get("tool_call_id"),
                    **cut_off(entry, message),
                },
                f"{place}[{index}]",
            )
        )
    return messages


def vercel_sdk(found: dict[str, Any]) -> list[Message]:
    """Read the telemetry of Vercel's SDK."""
    prompt = decoded(found.get("ai.prompt"))
    whole = prompt if isinstance(prompt, dict) else {}
    given = decoded(found.get("ai.prompt.messages")) or whole.get("messages") or []
    calls = [
        {"type": "tool-call", **call}
        for call in listed(found.get("ai.response.toolCalls"))
        if isinstance(call, dict)
    ]
    text = found.get("ai.response.text")
    thought = found.get("ai.response.reasoning")
    content = [{"type": "reasoning", "text": thought}] if thought else []
    content += ([{"type": "text", "text": text}] if text else []) + calls
    answer = [{"role": "assistant", "content": content}] if content else []
    if not isinstance(given, list):
        raise Unusable("no_messages", f"ai.prompt.messages is {kind_of(given)}; write an array")
    record = {"messages": [*given, *answer], "system": whole.get("system")}
    return list(vercel.read(record, default_id="x", tools=()).messages) if given else []


def _told(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an event with its JSON decoded; words stay as they are."""
    words = () if _is_parts(body) else ("content",)
    return {key: value if key in words else decoded(value) for key, value in body.items()}


def only_one(answers: Any) -> None:
    """Refuse a span with several answers: which of them was used is not told.

    Raises:
        Unusable: When there are several.
    """
    if isinstance(answers, list) and len(answers) > 1:
        raise Unusable(
            "no_response",
            f"the span holds {len(answers)} answers; leave exactly the one that was used",
        )


def first_events(span: dict[str, Any]) -> list[Message]:
    """Read the events of the first versions of the conventions."""
    messages = []
    choices = [e for e in list_in(span, "events") if at(e, "name") == "gen_ai.choice"]
    only_one(choices)
    for index, event in enumerate(list_in(span, "events")):
        if not isinstance(event, dict):
            continue
        name = str(event.get("name", ""))
        body = event.get("body") or event.get("attributes")
        body = _told(attributes_of(body))
        match = _MESSAGE_EVENT.fullmatch(name)
        if name == "gen_ai.choice":
            said = body.get("message")
            said = said if isinstance(said, dict) else body
            body = {"role": "assistant", **said, **cut_off(body)}
        elif match:
            body = {"role": match[1], "tool_call_id": body.get("id"), **body}
        else:
            continue
        kept = {k: v for k, v in body.items() if "." not in k}
        messages.append(read_message(kept, f"events[{index}]"))
    return messages
