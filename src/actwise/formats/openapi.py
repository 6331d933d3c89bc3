"""Tools from an OpenAPI 3 document: one for every operation."""

import re
from collections.abc import Iterator
from typing import Any

from actwise.conversation import Tool
from actwise.formats.fields import list_at
from actwise.formats.record import Unusable, clip, kind_of
from actwise.formats.schema import function_tool

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def recognises(value: Any) -> bool:
    """Return whether a JSON value looks like an OpenAPI document, of whichever version."""
    return isinstance(value, dict) and ("openapi" in value or "swagger" in value)


def tools_of(document: dict[str, Any]) -> list[Tool]:
    """Return a tool for every operation; its arguments are its parameters and its body's members.

    References are replaced by what they refer to; inside itself, a schema allows any value. A body
    that is no object, or that has a member called like a parameter, becomes the argument `body`.

    Raises:
        Unusable: When the document is not of version 3, or refers to what it does not hold.
    """
    version = document.get("openapi")
    if not isinstance(version, str) or not version.startswith("3."):
        found = f"version {clip(str(version or document.get('swagger')), 20)}"
        raise Unusable("bad_tools", f"the OpenAPI document has {found}; convert it to version 3")
    paths = document.get("paths")
    if not isinstance(paths, dict):
        raise Unusable("bad_tools", f"`paths` is {kind_of(paths)}; write the operations by path")
    resolver = _Resolver(document)
    return [
        _tool(resolver, path, shared, method, operation)
        for path, shared, method, operation in _operations(resolver, paths)
    ]


def _operations(
    resolver: "_Resolver", paths: dict[str, Any]
) -> Iterator[tuple[str, list[Any], str, dict[str, Any]]]:
    """Yield (path, parameters of all its operations, method, operation)."""
    for path, value in paths.items():
        item = resolver.follow(value)
        if isinstance(item, dict):
            for method in _METHODS:
                if isinstance(item.get(method), dict):
                    yield path, _parameters(item, path), method, item[method]


def _parameters(holder: dict[str, Any], place: str) -> list[Any]:
    return list_at(holder, "parameters", place) if holder.get("parameters") is not None else []


def _tool(
    resolver: "_Resolver", path: str, shared: list[Any], method: str, operation: dict[str, Any]
) -> Tool:
    words = [operation.get("summary"), operation.get("description")]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for value in [*shared, *_parameters(operation, f"{method} {path}")]:
        parameter = resolver.follow(value)
        if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
            raise Unusable("bad_tools", f"a parameter of {method} {path} has no name; write one")
        # An operation's parameter replaces its path's of the same name and place.
        found[parameter["name"], str(parameter.get("in"))] = parameter
    properties = {p["name"]: _parameter_schema(resolver, p) for p in found.values()}
    required = [p["name"] for p in found.values() if p.get("required") is True]
    _add_body(resolver, operation.get("requestBody"), properties, required)
    return function_tool(
        operation.get("operationId") or re.sub(r"\W+", "_", f"{path} {method}").strip("_"),
        "\n".join(dict.fromkeys(word.strip() for word in words if isinstance(word, str) and word)),
        {"type": "object", "properties": properties, "required": list(dict.fromkeys(required))},
    )


def _parameter_schema(resolver: "_Resolver", parameter: dict[str, Any]) -> dict[str, Any]:
    schema = resolver.schema(parameter.get("schema") or _content_schema(parameter))
    if isinstance(parameter.get("description"), str):
        schema = {**schema, "description": parameter["description"]}
    return schema


def _content_schema(holder: dict[str, Any]) -> Any:
    """Return the schema of the JSON content, or of the first content there is."""
    content = holder.get("content")
    if not isinstance(content, dict) or not content:
        return {}
    media = content.get("application/json") or next(iter(content.values()))
    return media.get("schema") if isinstance(media, dict) else {}


def _add_body(
    resolver: "_Resolver", value: Any, properties: dict[str, Any], required: list[str]
) -> None:
    body = resolver.follow(value) if value is not None else None
    if not isinstance(body, dict):
        return
    schema = resolver.schema(_content_schema(body))
    members = schema.get("properties")
    if isinstance(members, dict) and not set(members) & set(properties):
        properties.update(members)
        required += schema.get("required") or [] if body.get("required") else []
    else:
        properties["body"] = schema
        required += ["body"] if body.get("required") else []


class _Resolver:
    """Replaces references by what they refer to, in the document alone."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def follow(self, value: Any) -> Any:
        """Return the object that a value refers to, or the value itself."""
        seen: set[str] = set()
        while isinstance(value, dict) and isinstance(value.get("$ref"), str):
            if value["$ref"] in seen:
                raise Unusable("bad_tools", f"{value['$ref']} refers to itself; mend the document")
            seen.add(value["$ref"])
            value = self._at(value["$ref"])
        return value

    def schema(self, value: Any, inside: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return a schema without references, in the words of JSON schema."""
        if not isinstance(value, dict):
            return {}
        reference = value.get("$ref")
        if isinstance(reference, str):
            if reference in inside:
                return {}
            beside = {k: v for k, v in value.items() if k != "$ref"}
            return {**self.schema(self._at(reference), (*inside, reference)), **beside}
        out: dict[str, Any] = {}
        hidden = _only_answered(value)
        for key, inner in value.items():
            if key == "properties" and isinstance(inner, dict):
                out[key] = {
                    name: self.schema(member, inside)
                    for name, member in inner.items()
                    if name not in hidden
                }
            elif key == "required":
                out |= {key: [name for name in _names(inner) if name not in hidden]}
            elif key in ("items", "not", "additionalProperties") and isinstance(inner, dict):
                out[key] = self.schema(inner, inside)
            elif key in ("allOf", "anyOf", "oneOf") and isinstance(inner, list):
                out[key] = [self.schema(member, inside) for member in inner]
            else:
                out[key] = inner
        return _merged(_modern(out))

    def _at(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            raise Unusable(
                "bad_tools",
                f"{clip(reference, 80)!r} refers to another document; bundle them into one",
            )
        value: Any = self._document
        for part in reference[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(value, dict) or name not in value:
                raise Unusable(
                    "bad_tools", f"{clip(reference, 80)!r} refers to nothing; mend the document"
                )
            value = value[name]
        return value


def _only_answered(schema: dict[str, Any]) -> set[str]:
    """Return the properties that a server answers and never takes, which are no arguments."""
    members = schema.get("properties")
    if not isinstance(members, dict):
        return set()
    return {n for n, m in members.items() if isinstance(m, dict) and m.get("readOnly") is True}


def _names(required: Any) -> list[str]:
    # Many documents write a boolean on the property itself, which says nothing about its members.
    if isinstance(required, bool):
        return []
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise Unusable("bad_tools", "a `required` is no list of names; mend the document")
    return required


def _modern(schema: dict[str, Any]) -> dict[str, Any]:
    """Write what only OpenAPI 3.0 has in the words of JSON schema."""
    out = dict(schema)
    if out.pop("nullable", False) is True and isinstance(out.get("type"), str):
        out["type"] = [out["type"], "null"]
        if isinstance(out.get("enum"), list) and None not in out["enum"]:
            out["enum"] = [*out["enum"], None]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(out.get(exclusive), bool) and out.pop(exclusive) and bound in out:
            out[exclusive] = out.pop(bound)
    return out


def _merged(schema: dict[str, Any]) -> dict[str, Any]:
    """Join the parts of `allOf` where all of them are plain objects, so that arguments show."""
    parts = schema.get("allOf")
    if not parts or not all(isinstance(p.get("properties"), dict) for p in parts):
        return schema
    rest = {key: value for key, value in schema.items() if key != "allOf"}
    all_parts = [*parts, rest]
    merged = {key: value for part in all_parts for key, value in part.items()}
    merged["properties"] = {k: v for part in all_parts for k, v in _members(part).items()}
    required = [name for part in all_parts for name in part.get("required") or []]
    return {**merged, "required": list(dict.fromkeys(required))}


def _members(schema: dict[str, Any]) -> dict[str, Any]:
    return dict(schema.get("properties") or {})
