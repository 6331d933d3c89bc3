"""Schema-Guided Dialogue (github.com/google-research-datasets/dstc8-schema-guided-dialogue).

A system turn that queried a service holds the call and its results in a frame; both come before
the turn's utterance. States, acts and spans are annotations and are dropped. A service's intents
are its tools; the dialogues name them, the schema file (given as tools) describes them.
"""

import json
from typing import Any

from actwise.conversation import Conversation, Tool, tool_name
from actwise.formats.fields import list_at, object_at, text_at
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.record import Unusable, clip
from actwise.formats.schema import function_tool
from actwise.formats.turns import Turns

KEYS: Keys = BOOKKEEPING | known("dialogue_id services turns")


def recognises(record: Any) -> bool:
    """Return whether a record looks like a dialogue of SGD."""
    return isinstance(record, dict) and {"services", "turns"} <= record.keys()


def is_schema(value: Any) -> bool:
    """Return whether the JSON of a file looks like SGD's schema of services."""
    return isinstance(value, list) and bool(value) and _is_service(value[0])


def read_schema(services: list[Any]) -> list[Tool]:
    """Return a tool for every intent of every service; all arguments are strings, as in the data.

    Raises:
        Unusable: When a service is not described as SGD describes them.
    """
    tools = []
    for index, service in enumerate(services):
        place = f"service {index}"
        slots = {text_at(s, "name", place): s for s in list_at(service, "slots", place)}
        for intent in list_at(service, "intents", place):
            name = _tool_name(
                text_at(service, "service_name", place), text_at(intent, "name", place)
            )
            tools.append(_tool(name, intent, slots))
    return tools


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one dialogue; of the tools those of its own services are on offer. See `openai.read`."""
    out = Turns()
    for index, turn in enumerate(list_at(record, "turns", "the record")):
        _add_turn(out, turn, f"turn {index}")
    services = list_at(record, "services", "the record")
    prefixes = tuple(_tool_name(str(service), "") for service in services)
    name = record.get("dialogue_id")
    return Conversation(
        id=name if isinstance(name, str) and name else default_id,
        messages=tuple(out.messages),
        tools=tuple(tool for tool in tools if tool_name(tool).startswith(prefixes)),
    )


def _add_turn(out: Turns, turn: Any, place: str) -> None:
    speaker, utterance = text_at(turn, "speaker", place), text_at(turn, "utterance", place)
    if speaker not in ("USER", "SYSTEM"):
        raise Unusable(
            "unknown_role",
            f"{place} has the speaker {clip(repr(speaker), 40)}; use USER or SYSTEM",
        )
    for frame in list_at(turn, "frames", place):
        if isinstance(frame, dict) and "service_call" in frame:
            _add_call(out, frame, place)
    out.say("user" if speaker == "USER" else "assistant", utterance)


def _add_call(out: Turns, frame: dict[str, Any], place: str) -> None:
    call, place = object_at(frame, "service_call", place), f"the call in {place}"
    name = _tool_name(text_at(frame, "service", place), text_at(call, "method", place))
    results = list_at(frame, "service_results", place)
    call_id = out.call(name, object_at(call, "parameters", place))
    out.result(call_id, name, json.dumps(results, ensure_ascii=False))


def _is_service(value: Any) -> bool:
    return isinstance(value, dict) and {"service_name", "slots", "intents"} <= value.keys()


def _tool(name: str, intent: Any, slots: dict[str, Any]) -> Tool:
    required = list_at(intent, "required_slots", f"the intent {name}")
    optional = object_at(intent, "optional_slots", f"the intent {name}")
    parameters = {
        "type": "object",
        "properties": {
            slot: _property(slots.get(slot, {}), optional.get(slot))
            for slot in dict.fromkeys([*map(str, required), *optional])
        },
        "required": required,
        "additionalProperties": False,
    }
    return function_tool(name, text_at(intent, "description", f"the intent {name}"), parameters)


def _property(slot: dict[str, Any], default: Any) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "string"}
    if slot.get("description"):
        out["description"] = slot["description"]
    # "dontcare" is a default that is no value of the slot, so it cannot be refused either.
    if slot.get("is_categorical") and slot.get("possible_values"):
        out["enum"] = list(dict.fromkeys([*slot["possible_values"], *filter(None, [default])]))
    if isinstance(default, str):
        out["default"] = default
    return out


def _tool_name(service: str, intent: str) -> str:
    # Services share names of intents; a name of a function holds no dot.
    return f"{service}_{intent}"
