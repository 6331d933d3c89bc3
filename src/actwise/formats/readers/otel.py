"""Spans of requests to models, exported from OpenTelemetry as JSON.

Read are the semantic conventions for generative AI (messages as attributes or events of a span, and
the events of earlier versions), and the attributes of OpenLLMetry, OpenInference and Vercel's SDK.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from actwise.conversation import Conversation, Message, Role, Tool
from actwise.formats.calls import made_call, result_text
from actwise.formats.fields import decoded, list_in, word
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.parts import PART_KEYS, TEXT_PARTS, PartReader, Turn, read_parts
from actwise.formats.readers import vercel
from actwise.formats.readers.openai import read_message, weight_of
from actwise.formats.record import Unusable, clip, kind_of
from actwise.formats.tools import read_tools

KEYS: Keys = BOOKKEEPING | known(
    "name kind parentSpanId parent_span_id parent_id context startTimeUnixNano "
    "endTimeUnixNano status resource scope instrumentationScope instrumentation_scope events "
    "links flags traceState trace_state droppedAttributesCount droppedEventsCount "
    "droppedLinksCount schemaUrl resourceSpans scopeSpans spans attributes "
    "resource_attributes duration_ns body eventName severityNumber severityText timeUnixNano "
    "observedTimeUnixNano span_kind status_message",
)
_MESSAGE_EVENT = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message")
_FROM = re.compile(r"^(gen_ai\.|ai\.(prompt|response|operationId)|llm\.|input\.value)")
_ROLES: Mapping[Any, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "model": "assistant",
    "tool": "tool",
}


def recognises(record: Any) -> bool:
    """Return whether a record looks like a span about a model, or an export of spans."""
    if not isinstance(record, dict):
        return False
    if isinstance(record.get("resourceSpans"), list):
        return True
    names = _attributes(record.get("attributes")) if "attributes" in record else record
    told = [event.get("name") for event in list_in(record, "events") if isinstance(event, dict)]
    return any(isinstance(name, str) and _FROM.match(name) for name in (*names, *told))


def parts(record: Any) -> list[Any]:
    """Return the spans of an export that tell of a request to a model, or the span itself."""
    if not isinstance(record, dict) or "resourceSpans" not in record:
        return [record]
    spans = list(_spans(record["resourceSpans"]))
    asked = [span for span in spans if recognises(span) and _has_messages(_all(span))]
    if not asked:
        raise Unusable(
            "not_a_generation",
            f"none of the {len(spans)} spans holds messages; switch on the capturing of content "
            "in the instrumentation",
        )
    return asked


def _spans(exported: Any) -> Iterator[dict[str, Any]]:
    for resource in exported if isinstance(exported, list) else []:
        for scope in list_in(resource, "scopeSpans"):
            yield from (span for span in list_in(scope, "spans") if isinstance(span, dict))


def _attributes(value: Any) -> dict[str, Any]:
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
        return _attributes(inner.get("values"))
    if kind == "intValue" and isinstance(inner, str) and inner.lstrip("-").isdigit():
        return int(inner)
    return inner if str(kind).endswith("Value") else value


def _all(span: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of a span and of the event that tells its details."""
    found = dict(_attributes(span.get("attributes")) if "attributes" in span else span)
    for event in list_in(span, "events"):
        if isinstance(event, dict):
            inner = _attributes(event.get("attributes"))
            if any(name.startswith("gen_ai.input") for name in map(str, inner)):
                found |= inner
    return found


def _has_messages(names: Mapping[str, Any]) -> bool:
    return any(
        str(name).startswith(
            (
                "gen_ai.input.messages",
                "gen_ai.output.messages",
                "gen_ai.prompt.",
                "llm.input_messages.",
                "ai.prompt.messages",
                "ai.prompt",
            )
        )
        for name in names
    )


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one span. See `openai.read`."""
    if not isinstance(record, dict):
        raise Unusable("no_messages", f"the span is {kind_of(record)}; write an object")
    found = _all(record)
    messages, declared = _said(record, found)
    if not messages:
        raise Unusable(
            "no_messages",
            f"the span {clip(repr(record.get('name')), 60)} of OpenTelemetry holds no messages; "
            "switch on the capturing of content in the instrumentation, or leave it out",
        )
    name = word(record, "spanId", "the span") or word(record, "span_id", "the span")
    return Conversation(
        id=name or default_id,
        messages=tuple(messages),
        tools=read_tools(declared) if declared else tools,
    )


def _said(record: dict[str, Any], found: dict[str, Any]) -> tuple[list[Message], Any]:
    """Return messages and tools, whichever convention the attributes follow."""
    if "gen_ai.input.messages" in found or "gen_ai.output.messages" in found:
        declared = decoded(found.get("gen_ai.tool.definitions"))
        if isinstance(declared, list):
            declared = [decoded(tool) for tool in declared]
        return _conventional(found), declared
    if any(name.startswith("gen_ai.prompt.") for name in map(str, found)):
        tree = _nested(found)
        prompt, done = (_at(tree, "gen_ai", key) for key in ("prompt", "completion"))
        return _flat(prompt, "prompt") + _flat(done, "completion"), _at(
            tree, "llm", "request", "functions"
        )
    if any(name.startswith("llm.input_messages.") for name in map(str, found)):
        tree = _nested(found)
        prompt, done = (_at(tree, "llm", key) for key in ("input_messages", "output_messages"))
        return _inferred(prompt, "input") + _inferred(done, "output"), [
            decoded(_at(tool, "tool", "json_schema")) for tool in _at(tree, "llm", "tools") or []
        ]
    if "ai.prompt.messages" in found or "ai.prompt" in found:
        return _of_sdk(found), [decoded(tool) for tool in _listed(found.get("ai.prompt.tools"))]
    return _of_events(record), None


def _listed(value: Any) -> list[Any]:
    value = decoded(value)
    return value if isinstance(value, list) else []


def _conventional(found: dict[str, Any]) -> list[Message]:
    instructions = decoded(found.get("gen_ai.system_instructions"))
    answers = decoded(found.get("gen_ai.output.messages"))
    if isinstance(answers, list) and len(answers) > 1:
        raise Unusable(
            "no_response",
            f"the span holds {len(answers)} answers; leave exactly the one that was used",
        )
    messages: list[Message] = []
    if instructions:
        turn = Turn("system", "gen_ai.system_instructions")
        read_parts(instructions, "gen_ai.system_instructions", turn, _PARTS, _PART_KEYS)
        messages += turn.messages()
    given = decoded(found.get("gen_ai.input.messages"))
    for key, values in (("input", given), ("output", answers)):
        if values is not None and not isinstance(values, list):
            raise Unusable(
                "no_messages", f"gen_ai.{key}.messages is {kind_of(values)}; write an array"
            )
        for index, value in enumerate(values or []):
            messages += _of_parts(value, f"gen_ai.{key}.messages[{index}]")
    return messages


def _of_parts(value: Any, place: str) -> list[Message]:
    role = value.get("role") if isinstance(value, dict) else None
    if not isinstance(role, str) or role not in _ROLES:
        raise Unusable(
            "unknown_role",
            f"{place} has the role {clip(repr(role), 40)}; use one of user, "
            "assistant, system, tool",
        )
    if "parts" not in value:
        return [read_message(value, place)]
    turn = Turn(_ROLES[role], place)
    read_parts(value["parts"], f"{place}.parts", turn, _PARTS, _PART_KEYS)
    messages = turn.messages()
    messages[-1] = messages[-1].model_copy(update={"weight": weight_of(value, place)})
    return messages


def _call(part: dict[str, Any], place: str, turn: Turn) -> None:
    call_id = word(part, "id", place)
    turn.call(made_call(part.get("name"), part.get("arguments"), call_id, place))


def _result(part: dict[str, Any], place: str, turn: Turn) -> None:
    value = part["response"] if "response" in part else part.get("result")
    turn.result(result_text(value, place), word(part, "id", place))


_PART_KEYS = PART_KEYS | known("name arguments response result")
_PARTS: dict[str, PartReader] = TEXT_PARTS | {"tool_call": _call, "tool_call_response": _result}


def _nested(found: Mapping[str, Any]) -> dict[str, Any]:
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
    if not isinstance(node, dict):
        return node
    inner = {key: _lists(value) for key, value in node.items()}
    if inner and all(key.isdigit() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner


def _at(node: Any, *path: str) -> Any:
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    return node


def _flat(entries: Any, place: str) -> list[Message]:
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


def _inferred(entries: Any, place: str) -> list[Message]:
    """Read OpenInference's messages."""
    messages = []
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        message = entry.get("message") if isinstance(entry, dict) else None
        message = message if isinstance(message, dict) else {}
        contents = [_at(part, "message_content") for part in message.get("contents") or []]
        calls = [
            {
                "id": _at(call, "tool_call", "id"),
                "function": _at(call, "tool_call", "function"),
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
                },
                f"{place}[{index}]",
            )
        )
    return messages


def _of_sdk(found: dict[str, Any]) -> list[Message]:
    """Read the telemetry of Vercel's SDK."""
    prompt = decoded(found.get("ai.prompt"))
    whole = prompt if isinstance(prompt, dict) else {}
    given = decoded(found.get("ai.prompt.messages")) or whole.get("messages") or []
    calls = [
        {"type": "tool-call", **call}
        for call in _listed(found.get("ai.response.toolCalls"))
        if isinstance(call, dict)
    ]
    text = found.get("ai.response.text")
    content = ([{"type": "text", "text": text}] if text else []) + calls
    answer = [{"role": "assistant", "content": content}] if content else []
    if not isinstance(given, list):
        raise Unusable("no_messages", f"ai.prompt.messages is {kind_of(given)}; write an array")
    record = {"messages": [*given, *answer], "system": whole.get("system")}
    return list(vercel.read(record, default_id="x", tools=()).messages) if given else []


def _of_events(span: dict[str, Any]) -> list[Message]:
    """Read the events of the first versions of the conventions."""
    messages = []
    for index, event in enumerate(list_in(span, "events")):
        if not isinstance(event, dict):
            continue
        name = str(event.get("name", ""))
        body = event.get("body") or event.get("attributes")
        body = {key: decoded(value) for key, value in _attributes(body).items()}
        match = _MESSAGE_EVENT.fullmatch(name)
        if name == "gen_ai.choice":
            said = body.get("message")
            body = {"role": "assistant", **(said if isinstance(said, dict) else body)}
        elif match:
            body = {"role": match[1], "tool_call_id": body.get("id"), **body}
        else:
            continue
        kept = {k: v for k, v in body.items() if "." not in k}
        messages.append(read_message(kept, f"events[{index}]"))
    return messages
