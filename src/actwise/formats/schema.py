"""Schemas of tools as people write them, brought to JSON schema (draft 2020-12).

Types carry the names of Python, Java or JavaScript, or stand in capitals; a PHP program writes `[]`
for an empty object; a columnar format pads schemas with nulls; older drafts and OpenAPI 3.0 have
keywords of their own; whether an argument is required stands on the argument itself.
"""

import re
from collections.abc import Mapping
from typing import Any

from actwise.conversation import Tool
from actwise.formats.fields import text_at

_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("str", "string", "char"), "string"),
    **dict.fromkeys(("int", "integer", "long", "int32", "int64"), "integer"),
    **dict.fromkeys(("float", "number", "double", "decimal", "float32", "float64"), "number"),
    **dict.fromkeys(("bool", "boolean"), "boolean"),
    **dict.fromkeys(("list", "array", "tuple", "set", "sequence", "arraylist"), "array"),
    **dict.fromkeys(("dict", "object", "hashmap", "map", "mapping"), "object"),
    **dict.fromkeys(("null", "none", "nonetype"), "null"),
}
"""Types by their name in lower case; any other name, such as "any", allows every value."""

SCHEMAS_BY_NAME = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
LISTS_OF_SCHEMAS = {"allOf", "anyOf", "oneOf", "prefixItems"}
SCHEMAS = {
    "items",
    "additionalProperties",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "unevaluatedProperties",
    "unevaluatedItems",
}
_LONGEST = 200
"""Characters of the name of a type; more are none."""
_MAY_BE_NULL = {"const", "default"}
_OPTIONAL = re.compile(r",?\s*\(?optional\)?\s*$", re.IGNORECASE)
_LISTED = re.compile(r"(\w+)\[\]|(?:list|array) of (\w+?)s?", re.IGNORECASE)
_GENERIC = re.compile(r"(?:typing\.)?(\w+)\[(.*)\]", re.DOTALL)


def json_schema(foreign: Any) -> Any:
    """Return the JSON schema that a foreign one means; keywords it does not know are kept."""
    if foreign == [] or foreign is None:
        return {}
    if isinstance(foreign, str):
        return _typed(foreign) or {"description": foreign}
    if not isinstance(foreign, dict):
        return foreign
    out: dict[str, Any] = {}
    for key, value in foreign.items():
        if value is None and key not in _MAY_BE_NULL:
            continue
        if key == "type":
            out |= _typed(value)
        elif key in SCHEMAS_BY_NAME and (isinstance(value, dict) or value == []):
            members = dict(value).items()
            out[key] = {name: json_schema(inner) for name, inner in members if inner is not None}
        elif key in LISTS_OF_SCHEMAS and isinstance(value, list):
            out[key] = [json_schema(member) for member in value]
        elif key == "items" and isinstance(value, list) and value:
            out["prefixItems"] = [json_schema(member) for member in value]
        elif key in SCHEMAS:
            out[key] = json_schema(value)
        elif key == "enum" and isinstance(value, dict):
            out[key] = list(value.values())  # a PHP array with gaps
        elif key == "required":
            out |= {"required": [value] if isinstance(value, str) else value}
        else:
            out[key] = value
    return _with_required(foreign, modern(out))


def _typed(value: Any) -> dict[str, Any]:
    """Return what a type by any of its names demands; nothing for a name that allows all."""
    if isinstance(value, list):
        found = [_typed(member).get("type") for member in value]
        names = [name for name in found if isinstance(name, str)]
        return {"type": list(dict.fromkeys(names))} if names and len(names) == len(found) else {}
    if not isinstance(value, str):
        return {"type": value}
    if len(value) > _LONGEST:
        return {}
    name = _OPTIONAL.sub("", value).strip()
    if name != value.strip():  # what may be left out is recorded as null by many
        return _typed([name, "null"])
    listed = _LISTED.fullmatch(name)
    if listed is not None:
        return _generic("array", [listed[1] or listed[2]])
    generic = _GENERIC.fullmatch(name)
    if generic is not None:
        return _generic(generic[1].lower(), _parts(generic[2], ","))
    parts = _parts(name, "|")
    if len(parts) > 1:
        return _typed(parts)
    known = _TYPES.get(name.lower())
    return {"type": known} if known else {}


def _generic(name: str, inside: list[str]) -> dict[str, Any]:
    if name == "optional":
        return _typed([*inside, "null"])
    if name == "union":
        return _typed(inside)
    outer = _typed(name)
    items = _typed(inside[0]) if outer == {"type": "array"} and len(set(inside)) == 1 else {}
    return outer | ({"items": items} if items else {})


def _parts(text: str, mark: str) -> list[str]:
    """Cut a text at a mark, but not inside brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == mark and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def modern(schema: dict[str, Any]) -> dict[str, Any]:
    """Write what only OpenAPI 3.0 and older drafts have in the words of the current one."""
    out = dict(schema)
    if out.pop("nullable", False) is True:
        out = _nullable(out)
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(out.get(exclusive), bool) and out.pop(exclusive) and bound in out:
            out[exclusive] = out.pop(bound)
    if "prefixItems" in out and "additionalItems" in out:
        out["items"] = json_schema(out.pop("additionalItems"))
    return out


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that takes null, too; one that refers to others is an alternative to it."""
    if schema.keys() & {"$ref", *LISTS_OF_SCHEMAS} - {"prefixItems"}:
        kept = ("title", "description", "default", "$defs", "definitions")
        about = {key: schema[key] for key in kept if key in schema}
        rest = {key: value for key, value in schema.items() if key not in about}
        return {**about, "anyOf": [rest, {"type": "null"}]}
    out = dict(schema)
    if isinstance(out.get("type"), str):
        out["type"] = [out["type"], "null"]
    if isinstance(out.get("enum"), list) and None not in out["enum"]:
        out["enum"] = [*out["enum"], None]
    return out


def _with_required(foreign: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Gather what is required, be it said by the object or by its members."""
    required = schema.pop("required", None)
    names = [n for n in required if isinstance(n, str)] if isinstance(required, list) else []
    members = foreign.get("properties")
    if isinstance(members, dict):
        names += [
            name
            for name, member in members.items()
            if isinstance(member, dict) and member.get("required") is True
        ]
    if isinstance(required, list) or names:
        schema["required"] = list(dict.fromkeys(names))
    return schema


def arguments_schema(foreign: Any) -> Any:
    """Return the schema of a tool's arguments; its properties may stand at the top, as in xLAM."""
    if isinstance(foreign, dict) and foreign and _stands_at_top(foreign):
        optional = {
            name
            for name, member in foreign.items()
            if "default" in member or _OPTIONAL.search(str(member.get("type")))
        }
        return object_schema(foreign, [name for name in foreign if name not in optional])
    return json_schema(foreign)


def _stands_at_top(schema: dict[str, Any]) -> bool:
    # A keyword that stands for schemas holds an object, too.
    return all(isinstance(member, dict) for member in schema.values()) and not (
        schema.keys() & (SCHEMAS_BY_NAME | SCHEMAS)
    )


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
