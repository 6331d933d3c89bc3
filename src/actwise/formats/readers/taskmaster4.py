"""Dialogs of Taskmaster-4 (github.com/google-research-datasets/Taskmaster, TM-4-2024).

Customers order at a coffee bar. What the worker does stands under the customer's utterance that
made him do it, as a flat list of annotations: api_call, request, api_response, response. Each call
becomes an assistant message with one tool call, and a tool message with the recorded response.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from actwise.conversation import Conversation, Message, Tool, ToolCall
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.record import Unusable, clip, kind_of, strict_json

SYSTEM_PROMPT = (
    "You take orders at a coffee bar: use the tools to look up and place what the customer asks "
    "for, and answer briefly."
)


def _object(required: tuple[str, ...], **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _list_of(*keys: str) -> dict[str, Any]:
    return {"type": "array", "items": _object(keys, **dict.fromkeys(keys, _STRING))}


def _tool(name: str, description: str, parameters: dict[str, Any]) -> Tool:
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


_STRING = {"type": "string"}
_ADDONS = _list_of("addon_id", "option")

# The data set declares no schemas. These hold the arguments that its requests contain, with their
# types; required is what no request lacks.
TOOLS: tuple[Tool, ...] = (
    _tool("show_menu", "Show the menu.", _object(())),
    _tool(
        "get_menu_items",
        "Find items on the menu.",
        _object(("query",), query=_STRING, fields={"type": "array", "items": _STRING}),
    ),
    _tool(
        "get_addons",
        "Find options of an item or of the order.",
        _object(("query",), query=_STRING, menu_item_id=_STRING, scope=_STRING),
    ),
    _tool(
        "add_order_item",
        "Add an item to the order.",
        _object(
            ("menu_item_id", "quantity"),
            menu_item_id=_STRING,
            quantity=_STRING,
            attributes=_list_of("attribute_id", "option"),
            addons=_ADDONS,
            notes=_STRING,
            order_id=_STRING,
        ),
    ),
    _tool("get_order_details", "Show the order.", _object(("order_id",), order_id=_STRING)),
    _tool(
        "update_order",
        "Change the order.",
        _object(
            ("order_id", "attributes"),
            order_id=_STRING,
            attributes=_list_of("attribute_id", "attribute_name", "option"),
        ),
    ),
    _tool(
        "update_order_item",
        "Change an ordered item.",
        _object(("order_item_id", "addons"), order_item_id=_STRING, addons=_ADDONS),
    ),
    _tool("finish_order", "Send the order off.", _object(("order_id",), order_id=_STRING)),
)

_SHAPES = (
    ("api_call", "request", "api_response", "response"),
    ("api_call", "api_response", "response"),
)
"""How one call is annotated; the short form is a call without arguments."""
KEYS: Keys = BOOKKEEPING | known(
    "instructions utterances conversation_id vertical instruction_id scenario"
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like a dialog of Taskmaster."""
    return isinstance(record, dict) and "utterances" in record


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one dialog; `tools`, where given, replaces the reader's own. See `openai.read`."""
    utterances = record.get("utterances") if isinstance(record, dict) else None
    if not isinstance(utterances, list) or not utterances:
        raise Unusable(
            "no_messages",
            f"`utterances` is {kind_of(utterances)}; write an array that is not empty",
        )
    messages = [Message(role="system", content=SYSTEM_PROMPT)]
    broken: list[str] = []
    for index, utterance in enumerate(utterances):
        _add_utterance(messages, utterance, f"utterance {index}", broken)
    if broken:
        raise Unusable(
            "broken_json",
            f"not JSON: {', '.join(broken)}; mend or leave out the dialog",
            count=len(broken),
        )
    name = record.get("conversation_id")
    return Conversation(
        id=name if isinstance(name, str) and name else default_id,
        messages=tuple(messages),
        tools=tools or TOOLS,
    )


def _add_utterance(messages: list[Message], utterance: Any, place: str, broken: list[str]) -> None:
    speaker = utterance.get("speaker") if isinstance(utterance, dict) else None
    if speaker not in ("user", "assistant"):
        raise Unusable(
            "unknown_role",
            f"{place} has the speaker {clip(repr(speaker), 40)}; use user or assistant",
        )
    text = utterance.get("text")
    if not isinstance(text, str):
        raise Unusable(
            "non_text_content", f"the text of {place} is {kind_of(text)}; write a string"
        )
    last = messages[-1]
    if last.role == speaker and not last.tool_calls:
        # One speaker twice in a row is one turn.
        messages[-1] = last.model_copy(update={"content": f"{last.content}\n{text}"})
    else:
        messages.append(Message(role=speaker, content=text))
    calls = list(_calls(utterance.get("annotations") or [], place))
    if calls and speaker == "assistant":
        raise Unusable(
            "misplaced_calls",
            f"{place} has calls, but is the assistant's; move them under the user's utterance",
        )
    for call in calls:
        messages.extend(_call_messages(call, place, broken))


@dataclass(frozen=True)
class _Call:
    name: str
    context: str
    request: str
    response: str


def _calls(annotations: Any, place: str) -> Iterator[_Call]:
    """Group the flat list of annotations into calls, checking that each is whole."""
    if not isinstance(annotations, list):
        raise Unusable(
            "bad_annotations",
            f"the annotations of {place} are {kind_of(annotations)}; use an array",
        )
    at = 0
    while at < len(annotations):
        shape = next((s for s in _SHAPES if _names(annotations[at : at + len(s)]) == s), None)
        if shape is None:
            raise Unusable(
                "bad_annotations",
                f"annotation {at} of {place} does not begin a whole call; "
                "write api_call, request, api_response, response in this order",
            )
        part = dict(zip(shape, annotations[at : at + len(shape)], strict=True))
        at += len(shape)
        values = {name: annotation.get("value") for name, annotation in part.items()}
        number = {str(a.get("context")).rpartition("_")[2] for a in part.values()}
        if not all(isinstance(value, str) for value in values.values()):
            raise Unusable("bad_annotations", f"a call of {place} has no text; write strings")
        if len(number) > 1 or values["api_call"] != values["api_response"]:
            raise Unusable(
                "bad_annotations",
                f"the call {clip(values['api_call'], 40)!r} of {place} is followed by the response "
                "to another; pair them",
            )
        yield _Call(
            name=values["api_call"],
            context=str(part["api_call"].get("context")),
            request=values.get("request", "{}"),
            response=values["response"],
        )


def _names(annotations: list[Any]) -> tuple[Any, ...]:
    return tuple(a.get("name") if isinstance(a, dict) else None for a in annotations)


def _call_messages(call: _Call, place: str, broken: list[str]) -> Iterator[Message]:
    """Yield the call and its result; texts that are not JSON are added to `broken` instead."""
    parsed = {}
    for part, text in (("request", call.request), ("response", call.response)):
        try:
            parsed[part] = strict_json(text)
        except ValueError:
            broken.append(f"{part} of {call.name} ({call.context}, {place})")
    if len(parsed) < 2:
        return
    if not isinstance(parsed["request"], dict):
        raise Unusable(
            "arguments_not_object",
            f"the request of {call.name} ({call.context}, {place}) is "
            f"{kind_of(parsed['request'])}; write a JSON object",
        )
    yield Message(
        role="assistant",
        tool_calls=(ToolCall(name=call.name, arguments=parsed["request"], id=call.context),),
    )
    yield Message(
        role="tool",
        content=json.dumps(parsed["response"], ensure_ascii=False),
        tool_call_id=call.context,
        name=call.name,
    )
