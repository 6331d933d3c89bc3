"""Read the schema of one value, leniently: a part that is not well formed constrains nothing."""

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

_MAX_REFS = 16
_MAX_ALTERNATIVES = 256
"""Schemas that refer to each other can stand for more alternatives than can ever be compared."""


def alternatives(schema: Any, root: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Resolve `$ref`, `allOf`, `anyOf` and `oneOf` into plain schemas, at least one.

    Args:
        schema: Schema of one value.
        root: Where local references are looked up.
    """
    if isinstance(schema, dict) and _PLURAL.isdisjoint(schema):
        return [schema]
    return list(islice(_expand(schema, root, _MAX_REFS), _MAX_ALTERNATIVES))


_PLURAL = frozenset(("$ref", "allOf", "anyOf", "oneOf"))


def _expand(schema: Any, root: Mapping[str, Any], refs: int) -> Iterator[dict[str, Any]]:
    plain, refs = _united(schema, root, refs)
    branches = [*sequence(plain.pop("anyOf", None)), *sequence(plain.pop("oneOf", None))]
    if not branches or not refs:
        yield plain
    for branch in branches if refs else ():
        yield from _expand({**plain, **mapping(branch)}, root, refs - 1)


def _united(schema: Any, root: Mapping[str, Any], refs: int) -> tuple[dict[str, Any], int]:
    """Return a schema with all that has to hold beside it, and how many references are left."""
    plain: dict[str, Any] = {}
    parts = deque([schema])
    while parts:
        part = dict(mapping(parts.popleft()))
        parts.extendleft(reversed(sequence(part.pop("allOf", None))))
        if isinstance(ref := part.pop("$ref", None), str) and refs:
            parts.appendleft(_look_up(ref, root))
            refs -= 1
        properties = {**mapping(part.get("properties")), **mapping(plain.get("properties"))}
        plain = {**part, **plain} | ({"properties": properties} if properties else {})
    return plain, refs


def _look_up(ref: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    node: Any = root
    for step in ref.removeprefix("#").strip("/").split("/"):
        node = mapping(node).get(step.replace("~1", "/").replace("~0", "~"))
    return mapping(node)


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a JSON object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """Return a JSON array, an empty one for anything else."""
    return value if isinstance(value, list) else []


def types_of(schema: Mapping[str, Any]) -> set[str]:
    """Return the JSON types that a plain schema allows: declared, or those of its `members`.

    An empty set allows all.
    """
    declared = schema.get("type")
    if isinstance(declared, str):
        return {declared}
    if isinstance(declared, list):
        return {item for item in declared if isinstance(item, str)}
    return set().union(*(json_types(member) for member in members(schema)))


def members(schema: Mapping[str, Any]) -> list[Any]:
    """Return the values that a plain schema lists, by `enum` or `const`."""
    return [schema["const"]] if "const" in schema else sequence(schema.get("enum"))


def json_types(value: Any) -> set[str]:
    """Return the names by which a schema may call the type of a value."""
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return {"integer", "number"}
    names = {float: "number", str: "string", list: "array", dict: "object", type(None): "null"}
    return {names.get(type(value), "")}
