"""Tools from an OpenAPI 3 document: one for every operation."""

import re
from collections.abc import Iterator
from typing import Any

from actwise.conversation import Tool
from actwise.formats.fields import list_at
from actwise.formats.record import Unusable, clip, kind_of
from actwise.formats.schema import (
    LISTS_OF_SCHEMAS,
    SCHEMAS,
    SCHEMAS_BY_NAME,
    function_tool,
    modern,
)

_DEFS = "#/$defs/"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def recognises(value: Any) -> bool:
    """Return whether a JSON value looks like an OpenAPI document, of whichever version."""
    return isinstance(value, dict) and ("openapi" in value or "swagger" in value)


def tools_of(document: dict[str, Any]) -> list[Tool]:
    """Return a tool for every operation; its arguments are its parameters and its body's members.

    References stay references, to `$defs` in the tool's own schema. A body that is no object, or
    that has a member called like a parameter, becomes the argument `body`.

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
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(dict.fromkeys(required)),
    }
    defs = resolver.definitions(parameters)
    return function_tool(
        operation.get("operationId") or re.sub(r"\W+", "_", f"{path} {method}").strip("_"),
        "\n".join(dict.fromkeys(word.strip() for word in words if isinstance(word, str) and word)),
        parameters | ({"$defs": defs} if defs else {}),
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
    schema = resolver.expanded(_content_schema(body))
    members = schema.get("properties")
    if isinstance(members, dict) and not set(members) & set(properties):
        properties.update(members)
        required += schema.get("required") or [] if body.get("required") else []
    else:
        properties["body"] = schema
        required += ["body"] if body.get("required") else []


class _Resolver:
    """Finds what references refer to, in the document alone; each schema is read once."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._names: dict[str, str] = {}
        """Reference -> name under `$defs`."""
        self._schemas: dict[str, dict[str, Any]] = {}
        """Name -> schema."""
        self._unread: list[tuple[str, Any]] = []

    def follow(self, value: Any) -> Any:
        """Return the object that a value refers to, or the value itself."""
        return self._followed(value)[0]

    def _followed(self, value: Any) -> tuple[Any, str | None]:
        """Return the object that a value refers to, and by which reference, if by one."""
        seen: dict[str, None] = {}
        while isinstance(value, dict) and isinstance(value.get("$ref"), str):
            if value["$ref"] in seen:
                raise Unusable("bad_tools", f"{value['$ref']} refers to itself; mend the document")
            seen[value["$ref"]] = None
            value = self._at(value["$ref"])
        return value, next(reversed(seen), None)

    def definitions(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schemas that a schema refers to, and those that they refer to, by name."""
        self._read()
        found: dict[str, Any] = {}
        waiting = [*_referred(schema)]
        while waiting:
            name = waiting.pop()
            if name not in found and name in self._schemas:
                found[name] = self._schemas[name]
                waiting += _referred(found[name])
        return dict(sorted(found.items()))

    def expanded(self, value: Any) -> dict[str, Any]:
        """Return a schema, or the one that it refers to, with references only inside it."""
        if isinstance(value, dict) and isinstance(value.get("$ref"), str):
            beside = {key: inner for key, inner in value.items() if key != "$ref"}
            name = self._name_of(value)
            self._read()
            return {**self._schemas[name], **beside}
        return self.schema(value)

    def _name_of(self, value: dict[str, Any]) -> str:
        """Return the name of the schema that a value refers to; it is read when first met."""
        target, reference = self._followed(value)
        reference = reference or ""
        if reference not in self._names:
            name = unique = re.sub(r"\W", "_", reference.rpartition("/")[2]) or "schema"
            while unique in self._schemas:
                unique = f"{name}_{len(self._schemas)}"
            self._names[reference] = unique
            self._schemas[unique] = {}
            self._unread.append((unique, target))
        return self._names[reference]

    def _read(self) -> None:
        """Read the schemas that were referred to; one after the other, however long the chain."""
        while self._unread:
            name, target = self._unread.pop()
            self._schemas[name] = self.schema(target)

    def schema(self, value: Any) -> dict[str, Any]:
        """Return a schema in the words of JSON schema, with references to `$defs`."""
        if not isinstance(value, dict):
            return {}
        if isinstance(value.get("$ref"), str):
            beside = {k: v for k, v in value.items() if k != "$ref"}
            return {"$ref": f"{_DEFS}{self._name_of(value)}", **beside}
        out: dict[str, Any] = {}
        hidden = _only_answered(value)
        for key, inner in value.items():
            if key == "properties" and isinstance(inner, dict):
                out[key] = {
                    name: self.schema(member)
                    for name, member in inner.items()
                    if name not in hidden
                }
            elif key == "required":
                out |= {key: [name for name in _names(inner) if name not in hidden]}
            elif key in SCHEMAS and isinstance(inner, dict):
                out[key] = self.schema(inner)
            elif key in SCHEMAS_BY_NAME and isinstance(inner, dict):
                out[key] = {name: self.schema(member) for name, member in inner.items()}
            elif key in LISTS_OF_SCHEMAS and isinstance(inner, list):
                read = self.expanded if key == "allOf" else self.schema
                out[key] = [read(member) for member in inner]
            else:
                out[key] = inner
        return modern(_merged(out))

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


def _referred(schema: Any) -> Iterator[str]:
    """Yield the names under `$defs` that a schema refers to."""
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_DEFS)
    for inner in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(inner, dict | list):
            yield from _referred(inner)


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
