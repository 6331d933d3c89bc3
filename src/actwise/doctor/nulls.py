"""Nulls in arguments that the tool's schema has no room for.

A columnar format (Arrow, Parquet) gives all structs of a column the same keys, so that after a
detour through one, calls of one tool carry the arguments of all others as nulls. JSON schema lets
such keys pass unless it forbids additional properties.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator

from actwise.conversation import Conversation, ToolCall, tool_name, tool_parameters
from actwise.findings.finding import Case, Finding, Tally

_OPEN = {"patternProperties", "$ref", "allOf", "anyOf", "oneOf", "if", "dependentSchemas"}
"""With one of these, `properties` alone does not tell which keys a schema knows."""


class Nulls:
    """Calls with nulls that their tools' schemas have no room for."""

    def __init__(self, max_examples: int) -> None:
        self._calls = Tally(max_examples)
        self._padded_tools: set[str] = set()

    def look(self, case: Case) -> tuple[list[str], list[str]]:
        """See `Family.look`."""
        calls, padded = [], []
        conversation = case.conversation
        for index, message in enumerate(conversation.messages):
            for call in message.tool_calls:
                if not _has_null(call.arguments):
                    continue
                _, stray = without_stray_nulls(conversation, call)
                if stray:
                    calls.append(f"{case.at(index)} calls {call.name} with {', '.join(stray)}")
                if any(_is_of_another_tool(conversation, call, key) for key in stray):
                    padded.append(call.name)
        return calls, padded

    def note(self, seen: tuple[list[str], list[str]]) -> None:
        """Count the calls."""
        calls, padded = seen
        self._calls.extend(calls)
        self._padded_tools.update(padded)

    def findings(self) -> Iterator[Finding]:
        """Yield the calls, with the sign of a columnar format where it shows."""
        padded = (
            "; the keys are those of other tools, as a columnar format (Parquet, Arrow) pads them"
            if len(self._padded_tools) > 1
            else ""
        )
        yield from self._calls.finding(
            "warning",
            "stray_null",
            f"call(s) with null for arguments that the tool does not have, or that may not be null"
            f"{padded}",
            effect="The model learns to write arguments that do not exist, and pays tokens for it.",
            remedy="Export the logs as JSON lines without the detour; `--fix` strips these nulls.",
        )


def without_stray_nulls(
    conversation: Conversation, call: ToolCall
) -> tuple[dict[str, Any], list[str]]:
    """Return a call's arguments without stray nulls, and the paths of those.

    A null is stray where the schema lists its properties without this one, or lists it, does not
    allow null and does not require it. Where the schema is not plain enough to tell, it stays.
    """
    for tool in conversation.tools:
        if tool_name(tool) == call.name:
            return _strip(tool_parameters(tool), call.arguments, "")
    return call.arguments, []


def _strip(schema: Mapping[str, Any], value: Any, path: str) -> tuple[Any, list[str]]:
    if isinstance(value, list):
        items = schema.get("items")
        if not isinstance(items, dict):
            return value, []
        parts = [_strip(items, item, f"{path}[{index}]") for index, item in enumerate(value)]
        return [part for part, _ in parts], [stray for _, found in parts for stray in found]
    properties = schema.get("properties")
    if not isinstance(value, dict) or not isinstance(properties, dict):
        return value, []
    kept: dict[str, Any] = {}
    stray: list[str] = []
    for key, item in value.items():
        place = f"{path}.{key}" if path else key
        if item is None:
            if _is_stray(schema, key):
                stray.append(place)
            else:
                kept[key] = None
        elif isinstance(properties.get(key), dict):
            kept[key], found = _strip(properties[key], item, place)
            stray += found
        else:
            kept[key] = item
    return kept, stray


def _is_stray(schema: Mapping[str, Any], key: str) -> bool:
    if key in schema.get("required", ()):
        return False
    if key not in schema["properties"]:
        return schema.get("additionalProperties", False) is False and not _OPEN & schema.keys()
    return not _allows_null(json.dumps(schema["properties"][key]))


@lru_cache(maxsize=4096)
def _allows_null(schema: str) -> bool:
    # A reference can only be followed from the whole schema; in doubt null is allowed.
    return '"$ref"' in schema or Draft202012Validator(json.loads(schema)).is_valid(None)


def _has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_null, value.values()))
    if isinstance(value, list):
        return any(map(_has_null, value))
    return value is None


def _is_of_another_tool(conversation: Conversation, call: ToolCall, key: str) -> bool:
    declaring = {
        tool_name(tool)
        for tool in conversation.tools
        if key in tool_parameters(tool).get("properties", {})
    }
    return bool(declaring) and call.name not in declaring
