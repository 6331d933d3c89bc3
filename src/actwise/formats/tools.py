"""Tools as records write them, brought into OpenAI's shape."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

import regex
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from actwise.conversation import Tool, tool_name, tool_parameters
from actwise.formats.literal import read_literal
from actwise.formats.record import Unusable, clip, kind_of, strict_json
from actwise.formats.remarks import remark
from actwise.formats.schema import arguments_schema


def read_tools(value: Any) -> tuple[Tool, ...]:
    """Read a list of tools, or the JSON text of one, or tools by their names.

    Legacy `functions`, the tools of an MCP server and those of Anthropic's, Google's and Vercel's
    interfaces are brought into OpenAI's shape, schemas of other dialects to JSON schema. A tool
    that is no function is left out, a schema that cannot be used gives way to one that allows any
    arguments; both are remarked.

    Raises:
        Unusable: When it holds something else than tools, or one without a name.
    """
    if isinstance(value, str):
        try:
            value = read_literal(value)
        except ValueError as error:
            raise Unusable(
                "bad_tools", f"`tools` is a string that is not JSON ({error}); write a JSON array"
            ) from None
    if isinstance(value, dict) and value and all(isinstance(v, dict) for v in value.values()):
        value = [{"name": name, **tool} for name, tool in value.items()]
    if not isinstance(value, list):
        raise Unusable("bad_tools", f"`tools` is {kind_of(value)}; write a JSON array of tools")
    tools: dict[str, Tool] = {}
    for index, entry in enumerate(value):
        for tool in _read_entry(entry, f"`tools[{index}]`"):
            name = tool_name(tool)
            if tools.setdefault(name, tool) != tool:
                raise Unusable(
                    "bad_tools", f"the tool {name!r} is declared twice; leave one of them"
                )
    return tuple(tools.values())


def argument_problem(tool: Tool, arguments: dict[str, Any]) -> str | None:
    """Say what about the arguments breaks the tool's JSON schema (Draft 2020-12), if anything.

    Raises:
        Unusable: When the schema itself fails while it is applied.
    """
    text = json.dumps(tool_parameters(tool))
    try:
        error = best_match(_validator(text).iter_errors(arguments))
    except (Unresolvable, re.error, regex.error, RecursionError, TimeoutError) as failure:
        raise Unusable(
            "bad_tools",
            f"the schema of the tool {tool_name(tool)!r} cannot be applied "
            f"({clip(str(failure))}); mend its $ref or pattern",
        ) from None
    if error is None:
        return None
    path = error.json_path.removeprefix("$").removeprefix(".")
    return (f"argument {path!r}: " if path else "") + clip(error.message)


def allows(schema: Any, value: Any) -> bool:
    """Return whether a JSON schema allows a value; one that cannot be used allows any."""
    text = json.dumps(schema)
    if not isinstance(schema, dict | bool) or _schema_fault(text):
        return True
    try:
        return bool(_validator(text).is_valid(value))
    except Unresolvable:
        return True


def _read_entry(value: Any, place: str) -> list[Tool]:
    """Read an entry of a list of tools: one tool, none, or several declarations (Gemini)."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = strict_json(value)
    if not isinstance(value, dict):
        raise Unusable("bad_tools", f"{place} is {kind_of(value)}; write a tool as an object")
    declared = value.get("functionDeclarations", value.get("function_declarations"))
    if value.get("type") == "namespace":  # of OpenAI's Responses
        declared = value.get("tools")
    if isinstance(declared, list):
        return [t for index, d in enumerate(declared) for t in _read_entry(d, f"{place}[{index}]")]
    function = _function(value)
    if function is None:
        kind = value.get("type") if "type" in value else next(iter(value), "nothing")
        remark("unread_tool", f"{kind}")
        return []
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise Unusable("bad_tools", f"{place} has no name; write function.name")
    if not function["name"]:
        raise Unusable("bad_tools", f"{place} has an empty name; write function.name")
    kept = {key: member for key, member in value.items() if key not in ("type", "function")}
    shape = {"type": "function"} | (kept if "function" in value else {})
    return [{**shape, "function": _with_schema(function)}]


def _function(value: dict[str, Any]) -> Any:
    """Return the function that a tool is, or None where it is something else."""
    if "function" in value and value.get("type", "function") == "function":
        return value["function"]
    for key in ("inputSchema", "input_schema", "parametersJsonSchema", "parameters_json_schema"):
        if key in value:
            # Hints for clients (annotations, title, caching) are not the model's.
            kept = {name: value[name] for name in ("name", "description") if name in value}
            schema = value[key]
            if isinstance(schema, dict) and isinstance(schema.get("jsonSchema"), dict):
                schema = schema["jsonSchema"]  # as Vercel's SDK wraps it
            return {**kept, "parameters": schema}
    if value.get("type", "function") != "function" or not value.keys() & {"name", "parameters"}:
        return None
    return {key: member for key, member in value.items() if key != "type"}


def _with_schema(function: dict[str, Any]) -> dict[str, Any]:
    """Return the function with the schema of its arguments as JSON schema has it."""
    name, written = function["name"], function.get("parameters")
    if isinstance(written, str):
        with suppress(ValueError):
            written = strict_json(written)
    if written is None:
        return {key: value for key, value in function.items() if key != "parameters"}
    schema, code, fault = _read_schema(json.dumps(written))
    if code:
        remark(code, f"{name}: {fault}" if fault else name)
    return {**function, "parameters": schema}


@lru_cache(maxsize=4096)
def _read_schema(text: str) -> tuple[Any, str, str]:
    """Return the schema of arguments in the words of JSON schema.

    Returns:
        The schema, the code of the remark to be made about it, if one is, and what is wrong.
    """
    written = json.loads(text)
    if not isinstance(written, dict) and written != []:
        return {"type": "object"}, "unusable_schema", f"it is {kind_of(written)}"
    schema = arguments_schema(written)
    fault = _schema_fault(json.dumps(schema))
    if fault:
        return {"type": "object"}, "unusable_schema", fault
    return schema, "schema_dialect" if schema != written else "", ""


def _pattern(
    validator: Validator, pattern: str, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    # The patterns are a stranger's, and some take exponential time in any backtracking engine.
    if isinstance(instance, str) and not regex.search(pattern, instance, timeout=_PATIENCE):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


_PATIENCE = 0.5
"""Seconds that a pattern may take."""
_Validator = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]


# These caches are keyed by the schema's text: thousands of records share a handful of tools, and
# checking one schema costs milliseconds.
@lru_cache(maxsize=1024)
def _schema_fault(schema: str) -> str:
    try:
        Draft202012Validator.check_schema(json.loads(schema))
    except SchemaError as error:
        return clip(error.message)
    return ""


@lru_cache(maxsize=1024)
def _validator(schema: str) -> Validator:
    # An empty registry: a schema that refers to an address must not reach into the network.
    return _Validator(json.loads(schema), registry=Registry())
