"""Spans of requests to models, exported from OpenTelemetry as JSON.

Read are the semantic conventions for generative AI (messages as attributes or events of a span, and
the events of earlier versions), and the attributes of OpenLLMetry, OpenInference and Vercel's SDK.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from actwise.conversation import Conversation, Message, Role, Tool
from actwise.formats.calls import made_call, result_text
from actwise.formats.endings import cut_off
from actwise.formats.fields import decoded, list_in, word
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.parts import PART_KEYS, TEXT_PARTS, PartReader, Turn, read_parts
from actwise.formats.readers.openai import read_message, weighed
from actwise.formats.readers.otel_dialects import (
    at,
    attributes_of,
    first_events,
    flattened,
    listed,
    nested,
    only_one,
    openinference,
    openllmetry,
    vercel_sdk,
)
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
_FROM = re.compile(r"^(gen_ai\.|ai\.(prompt|response|operationId)|llm\.|input\.value)")
_ENDED = re.compile(
    r"(gen_ai\.response|ai\.response|llm(\.response)?)\.(finish_?reasons?|stop_reason)", re.I
)
"""Names of the attributes of a span that tell how its answer ended."""
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
    return _tells_of_model(_plain(record))


def _tells_of_model(record: dict[str, Any]) -> bool:
    names = record["attributes"]
    told = [event.get("name") for event in list_in(record, "events") if isinstance(event, dict)]
    return any(isinstance(name, str) and _FROM.match(name) for name in (*names, *told))


def parts(record: Any) -> list[Any]:
    """Return the spans of an export that tell of a request to a model, or the span itself."""
    if not isinstance(record, dict):
        return [record]
    if "resourceSpans" not in record:
        return [_plain(record)]
    spans = [_plain(span) for span in _spans(record["resourceSpans"])]
    asked = [span for span in spans if _tells_of_model(span) and _has_messages(_all(span))]
    if not asked:
        raise Unusable(
            "not_a_generation",
            f"none of the {len(spans)} spans holds messages; switch on the capturing of content "
            "in the instrumentation",
        )
    return asked


def _plain(span: dict[str, Any]) -> dict[str, Any]:
    """Return a span with its attributes by their full names, wherever they stood.

    OTLP lists them, Phoenix nests them, and in a table's row each is a column.
    """
    if "attributes" in span:
        return {**span, "attributes": flattened(attributes_of(span["attributes"]))}
    out: dict[str, Any] = {"attributes": {}}
    for name, value in span.items():
        place, _, rest = str(name).partition(".")
        if place in ("attributes", "context") and rest:
            out.setdefault(place, {})[rest] = value
        elif _FROM.match(str(name)):
            out["attributes"][name] = value
        else:
            out[name] = value
    return out


def _spans(exported: Any) -> Iterator[dict[str, Any]]:
    for resource in exported if isinstance(exported, list) else []:
        for scope in list_in(resource, "scopeSpans"):
            yield from (span for span in list_in(scope, "spans") if isinstance(span, dict))


def _all(span: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of a plain span and of the event that tells its details."""
    found = dict(span["attributes"])
    for event in list_in(span, "events"):
        if isinstance(event, dict):
            inner = attributes_of(event.get("attributes"))
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
                "llm.input_messages",
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
    if messages[-1].weight:
        messages[-1:] = weighed(messages[-1:], _ending(found), "the span's answer")
    name = word(record, "spanId", "the span") or word(record, "span_id", "the span")
    return Conversation(
        id=name or default_id,
        messages=tuple(messages),
        tools=read_tools(declared) if declared else tools,
    )


def _ending(found: dict[str, Any]) -> dict[str, Any]:
    """Return what the attributes tell of how the span's answer ended."""
    told = [value for name, value in found.items() if _ENDED.fullmatch(str(name))]
    reasons = [reason for value in told for reason in listed(value) or [value]]
    return cut_off(*({"finish_reason": reason} for reason in reasons))


def _said(record: dict[str, Any], found: dict[str, Any]) -> tuple[list[Message], Any]:
    """Return messages and tools, whichever convention the attributes follow."""
    if "gen_ai.input.messages" in found or "gen_ai.output.messages" in found:
        declared = decoded(found.get("gen_ai.tool.definitions"))
        if isinstance(declared, list):
            declared = [decoded(tool) for tool in declared]
        return _conventional(found), declared
    if any(name.startswith("gen_ai.prompt.") for name in map(str, found)):
        tree = nested(found)
        prompt, done = (at(tree, "gen_ai", key) for key in ("prompt", "completion"))
        only_one(done)
        return openllmetry(prompt, "prompt") + openllmetry(done, "completion"), at(
            tree, "llm", "request", "functions"
        )
    if any(name.startswith("llm.input_messages") for name in map(str, found)):
        tree = nested(found)
        prompt, done = (at(tree, "llm", key) for key in ("input_messages", "output_messages"))
        offered = [
            decoded(at(tool, "tool", "json_schema")) for tool in at(tree, "llm", "tools") or []
        ]
        parameters = decoded(found.get("llm.invocation_parameters"))
        return openinference(prompt, "input") + openinference(done, "output"), offered or at(
            parameters, "tools"
        )
    if "ai.prompt.messages" in found or "ai.prompt" in found:
        return vercel_sdk(found), [decoded(tool) for tool in listed(found.get("ai.prompt.tools"))]
    return first_events(record), None


def _conventional(found: dict[str, Any]) -> list[Message]:
    instructions = decoded(found.get("gen_ai.system_instructions"))
    answers = decoded(found.get("gen_ai.output.messages"))
    only_one(answers)
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
    return weighed(turn.messages(), value, place)


def _call(part: dict[str, Any], place: str, turn: Turn) -> None:
    call_id = word(part, "id", place)
    turn.call(made_call(part.get("name"), part.get("arguments"), call_id, place))


def _result(part: dict[str, Any], place: str, turn: Turn) -> None:
    value = part["response"] if "response" in part else part.get("result")
    turn.result(result_text(value, place), word(part, "id", place))


_PART_KEYS = PART_KEYS | known("name arguments response result")
_PARTS: dict[str, PartReader] = TEXT_PARTS | {"tool_call": _call, "tool_call_response": _result}
