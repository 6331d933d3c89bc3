"""STAR (github.com/RasaHQ/STAR): two people, one of them a wizard who can query APIs.

The wizard's queries are calls, the item that the knowledge base returned their result. Guides to
the user, suggestions asked for and items selected are marks of the collection and are dropped.
Each API's schema is a file named like the API; the folder of them is given as the tools.
"""

import json
import re
from typing import Any

from actwise.conversation import Conversation, Tool, tool_name, tool_parameters
from actwise.formats.fields import list_at, object_at, text_at
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.record import Unusable, clip, strict_json
from actwise.formats.schema import function_tool
from actwise.formats.turns import Turns

_CONDITION = re.compile(r"api\.(\w+)\((.*)\)", re.DOTALL)
_WORDS = {"True": True, "False": False}
KEYS: Keys = BOOKKEEPING | known(
    "IntroducesConflicts UserQuestionnaire WizardQuestionnaire DialogueID Scenario Events "
    "FORMAT-VERSION BatchID CompletionLevel UserTask WizardTask Questionnaire "
    "AnonymizedUserWorkerID AnonymizedWizardWorkerID"
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like a dialogue of STAR."""
    return isinstance(record, dict) and {"Events", "Scenario"} <= record.keys()


def is_api(value: Any) -> bool:
    """Return whether the JSON of a file looks like the schema of one of STAR's APIs."""
    return isinstance(value, dict) and {"input", "output", "required"} <= value.keys()


def read_api(value: dict[str, Any], *, name: str) -> Tool:
    """Return the tool of one API.

    An argument is a value, or an object of conditions such as {"is_at_least": 3}.

    Raises:
        Unusable: When the API is not described as STAR describes them.
    """
    parts = list_at(value, "input", f"the API {name}")
    parameters = {
        "type": "object",
        "properties": {text_at(part, "Name", name): _argument_schema(part) for part in parts},
        "required": list_at(value, "required", f"the API {name}"),
        "additionalProperties": False,
    }
    return function_tool(name, name.replace("_", " "), parameters)


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one dialogue; of the tools those of the wizard's tasks are on offer. See `openai.read`.

    The system prompt is the task that the wizard was given.
    """
    scenario = object_at(record, "Scenario", "the record")
    able = list_at(scenario, "WizardCapabilities", "the scenario")
    tasks = {text_at(part, "Task", "a capability") for part in able}
    offered = {tool_name(tool): tool for tool in tools if tool_name(tool) in tasks}
    out = Turns(text_at(scenario, "WizardTask", "the scenario"))
    pending: list[tuple[str, str]] = []
    for index, event in enumerate(list_at(record, "Events", "the record")):
        _add_event(out, event, f"event {index}", offered, pending)
    name = record.get("DialogueID")
    return Conversation(
        id=default_id if name is None else f"star-{name}",
        messages=tuple(out.messages),
        tools=tuple(offered.values()),
    )


def _add_event(
    out: Turns,
    event: Any,
    place: str,
    offered: dict[str, Tool],
    pending: list[tuple[str, str]],
) -> None:
    act = (text_at(event, "Agent", place), text_at(event, "Action", place))
    if act in (("User", "utter"), ("Wizard", "utter"), ("Wizard", "pick_suggestion")):
        out.say("user" if act[0] == "User" else "assistant", text_at(event, "Text", place))
    elif act == ("Wizard", "query"):
        name = text_at(event, "APIName", place)
        arguments = _arguments(list_at(event, "Constraints", place), offered.get(name), place)
        pending.append((out.call(name, arguments), name))
    elif act == ("KnowledgeBase", "return_item"):
        if not pending:
            raise Unusable("orphan_result", f"{place} returns an item nobody queried; leave it out")
        call_id, name = pending.pop()
        told = {key: event.get(key) for key in ("Item", "TotalItems")}
        out.result(call_id, name, json.dumps(told, ensure_ascii=False))


def _argument_schema(part: dict[str, Any]) -> dict[str, Any]:
    kind, about = part.get("Type"), {"description": str(part.get("ReadableName", ""))}
    if kind in ("ShortString", "LongString"):
        return {"type": "string", **about}
    if kind == "Boolean":
        return {"type": "boolean", **about}
    if kind == "Integer":
        plain: dict[str, Any] = {"type": "integer"}
    else:
        plain = {"type": "string", "enum": list_at(part, "Categories", str(part["Name"]))}
    if kind == "RequestType":
        return {**plain, **about}
    return {"anyOf": [plain, {"type": "object", "minProperties": 1}], **about}


def _arguments(constraints: list[Any], tool: Tool | None, place: str) -> dict[str, Any]:
    properties = tool_parameters(tool).get("properties", {}) if tool else {}
    out: dict[str, Any] = {}
    for constraint in constraints:
        for name in constraint if isinstance(constraint, dict) else ():
            is_text = properties.get(name, {}).get("type") == "string"
            text = text_at(constraint, name, f"a constraint of {place}")
            value = _value(text, is_text, f"{name} of {place}")
            if value is None:
                # A field that the wizard opened and left empty.
                continue
            out[name] = _joined(out[name], value, f"{name} of {place}") if name in out else value
    return out


def _value(text: str, is_text: bool, place: str) -> Any:
    """Return the value of a constraint; numbers without quotes stay text where text is wanted."""
    condition = _CONDITION.fullmatch(text)
    name, text = condition.groups() if condition else ("is_equal_to", text)
    text = text.strip()
    if text in ("", "null"):
        return None
    if text in _WORDS:
        value: Any = _WORDS[text]
    else:
        try:
            value = strict_json(text)
        except ValueError:
            value = None
        if is_text and not isinstance(value, str):
            value = text
        if value is None:
            raise Unusable(
                "bad_call", f"the constraint {place} is no value: {clip(text, 40)}; mend it"
            )
    return value if name == "is_equal_to" and not isinstance(value, list) else {name: value}


def _joined(first: Any, second: Any, place: str) -> Any:
    """Return two constraints on one argument as one: equal ones, or conditions of two kinds."""
    if first == second:
        return first
    if isinstance(first, dict) and isinstance(second, dict) and not first.keys() & second.keys():
        return {**first, **second}
    raise Unusable(
        "conflicting_arguments",
        f"the constraint {place} has two values in one query; leave one of them",
    )
