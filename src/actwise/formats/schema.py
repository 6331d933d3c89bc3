"""Schemas as foreign data sets write them, brought to JSON schema.

Their types carry the names of Python, Java or JavaScript, and whether an argument is required
stands on the argument itself in some of them.
"""

from collections.abc import Mapping
from typing import Any

from actwise.conversation import Tool
from actwise.formats.fields import text_at

_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("str", "string", "char"), "string"),
    **dict.fromkeys(("int", "integer", "long"), "integer"),
    **dict.fromkeys(("float", "number", "double"), "number"),
    **dict.fromkeys(("bool", "boolean"), "boolean"),
    **dict.fromkeys(("list", "array", "tuple", "arraylist"), "array"),
    **dict.fromkeys(("dict", "object", "hashmap"), "object"),
    "null": "null",
}
"""Types by their name in lower case; any other name, such as "any", allows every value."""


def json_schema(foreign: Any) -> dict[str, Any]:
    """Return the JSON schema that a foreign one means; keywords it does not know are kept."""
    if not isinstance(foreign, dict):
        return {}
    out: dict[str, Any] = {}
    for key, value in foreign.items():
        if key == "type":
            known = _TYPES.get(value.lower()) if isinstance(value, str) else None
            out |= {"type": known} if known else {}
        elif key == "properties" and isinstance(value, dict):
            out[key] = {name: json_schema(inner) for name, inner in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            out[key] = json_schema(value)
        elif key == "required":
            out |= {"required": value} if isinstance(value, list) else {}
        else:
            out[key] = value
    return out


def object_schema(
    properties: Mapping[str, Any], required: list[str] | None = None
) -> dict[str, Any]:
    """Return the schema of an object with these properties, foreign schemas each.

    Args:
        properties: Schema by name.
        required: Names; by default those whose schema says `"required": true`.
    """
    if required is None:
        required = [n for n, s in properties.items() if isinstance(s, dict) and s.get("required")]
    return {
        "type": "object",
        "properties": {name: json_schema(inner) for name, inner in properties.items()},
        "required": required,
    }


def foreign_tool(value: Any) -> Tool:
    """Return the tool that a foreign function is: name, description and schema of its arguments.

    Raises:
        Unusable: When it has no name.
    """
    name = text_at(value, "name", "a function")
    # ACEBench's distractors write `arguments` for `parameters`.
    schema = json_schema(value.get("parameters") or value.get("arguments"))
    return function_tool(name, str(value.get("description") or ""), schema)


def function_tool(name: str, description: str, parameters: dict[str, Any]) -> Tool:
    """Return a tool in OpenAI's shape."""
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}
