"""Tools as records write them, brought into OpenAI's shape."""

import json
import re
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from actwise.conversation import Tool, tool_name, tool_parameters
from actwise.formats.record import Unusable, clip, kind_of, strict_json


def read_tools(value: Any) -> tuple[Tool, ...]:
    """Read a list of tools, or the JSON text of one.

    Legacy `functions` and the tools of an MCP server are brought into OpenAI's shape.

    Raises:
        Unusable: When one of them is not a function with a name and a valid JSON schema.
    """
    if isinstance(value, str):
        try:
            value = strict_json(value)
        except ValueError as error:
            raise Unusable(
                "bad_tools", f"`tools` is a string that is not JSON ({error}); write a JSON array"
            ) from None
    if not isinstance(value, list):
        raise Unusable("bad_tools", f"`tools` is {kind_of(value)}; write a JSON array of tools")
    tools = tuple(_read_tool(tool, index) for index, tool in enumerate(value))
    seen: set[str] = set()
    for tool in tools:
        if tool_name(tool) in seen:
            raise Unusable(
                "bad_tools", f"the tool {tool_name(tool)!r} is declared twice; leave one of them"
            )
        seen.add(tool_name(tool))
    return tools


def argument_problem(tool: Tool, arguments: dict[str, Any]) -> str | None:
    """Say what about the arguments breaks the tool's JSON schema (Draft 2020-12), if anything.

    Raises:
        Unusable: When the schema itself fails while it is applied.
    """
    validator = _validator(json.dumps(tool_parameters(tool)))
    try:
        error = best_match(validator.iter_errors(arguments))
    except (Unresolvable, re.error, RecursionError) as failure:
        raise Unusable(
            "bad_tools",
            f"the schema of the tool {tool_name(tool)!r} cannot be applied "
            f"({clip(str(failure))}); mend its $ref or pattern",
        ) from None
    if error is None:
        return None
    path = error.json_path.removeprefix("$").removeprefix(".")
    return (f"argument {path!r}: " if path else "") + clip(error.message)


def allows(schema: dict[str, Any] | bool, value: Any) -> bool:
    """Return whether a JSON schema, itself known to be valid, allows a value."""
    return bool(_validator(json.dumps(schema)).is_valid(value))


def _read_tool(value: Any, index: int) -> Tool:
    place = f"`tools[{index}]`"
    if not isinstance(value, dict):
        raise Unusable("bad_tools", f"{place} is {kind_of(value)}; write a tool as an object")
    if value.get("type", "function") != "function":
        raise Unusable(
            "bad_tools", f"{place} has type {value['type']!r}; only function tools can be learned"
        )
    tool: Tool = dict(value)
    if "inputSchema" in tool:
        # An MCP server's; its hints for clients (annotations, title, icons) are not the model's.
        kept = {key: tool[key] for key in ("name", "description") if key in tool}
        tool = {"type": "function", "function": {**kept, "parameters": tool["inputSchema"]}}
    elif "function" not in tool:
        tool.pop("type", None)
        tool = {"type": "function", "function": tool}
    elif "type" not in tool:
        tool = {"type": "function", **tool}
    function = tool["function"]
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise Unusable("bad_tools", f"{place} has no name; write function.name")
    if not function["name"]:
        raise Unusable("bad_tools", f"{place} has an empty name; write function.name")
    _check_schema(function.get("parameters"), function["name"])
    return tool


def _check_schema(schema: Any, name: str) -> None:
    if schema is not None and not isinstance(schema, dict):
        raise Unusable(
            "bad_tools",
            f"the parameters of the tool {name!r} are {kind_of(schema)}; write a JSON schema",
        )
    fault = _schema_fault(json.dumps(schema or {}))
    if fault:
        raise Unusable(
            "bad_tools", f"the parameters of the tool {name!r} are no JSON schema: {fault}; mend it"
        )


# Both caches are keyed by the schema's text: thousands of records share a handful of tools, and
# checking one schema costs milliseconds.
@lru_cache(maxsize=1024)
def _schema_fault(schema: str) -> str:
    try:
        Draft202012Validator.check_schema(json.loads(schema))
    except SchemaError as error:
        return clip(error.message)
    return ""


@lru_cache(maxsize=1024)
def _validator(schema: str) -> Draft202012Validator:
    # An empty registry: a schema that refers to an address must not reach into the network.
    return Draft202012Validator(json.loads(schema), registry=Registry())
