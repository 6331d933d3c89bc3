"""How families of models write calls: one reader for each way.

A reader takes the text of a block, between its marks, and returns for each call in it the call or
what is wrong with it. No text raises. Values that are written without their type, as in XML, get
the one that the tool's schema asks for.
"""

import ast
import json
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from actwise.conversation import ToolCall
from actwise.template.schema import alternatives, json_types, mapping, members, types_of

Schemas = Mapping[str, Mapping[str, Any]]
"""JSON schemas of the arguments, by the name of the tool."""
Read = Callable[[str, Schemas], "list[ToolCall | FormatError]"]

SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair: JSON can hold it, and bytes that are no UTF-8 are read as such; no
tokenizer takes it."""
_MAX_DEPTH = 64


class FormatError(StrEnum):
    """What can be wrong with a completion."""

    MISSING_THOUGHT = "missing_thought"
    """Thinking mode, but the completion does not begin with a closed thought."""
    EMPTY_THOUGHT = "empty_thought"
    """Thinking mode, but nothing stands in the thought."""
    UNCLOSED_THOUGHT = "unclosed_thought"
    """A thought begins and never ends; everything after it counts as thought."""
    UNEXPECTED_THOUGHT = "unexpected_thought"
    """Direct mode, but the completion holds a thought."""
    UNCLOSED_CALL = "unclosed_call"
    """The last call never ends."""
    BROKEN_JSON = "broken_json"
    """The text of a call is not one JSON object, or what the model's family writes instead of it,
    repeats a key, or holds what cannot be stored: nesting deeper than 64 levels, a number beyond a
    double's range, half a surrogate pair."""
    MISSING_NAME = "missing_name"
    """A call without a string `name`."""
    ARGUMENTS_NOT_OBJECT = "arguments_not_object"
    """A call whose `arguments` are not a JSON object, or stand under another family's name."""
    STRAY_TAG = "stray_tag"
    """A control tag where none belongs."""
    EMPTY = "empty"
    """Neither a call nor an answer."""
    TEXT_AFTER_CALL = "text_after_call"
    """Words to the customer after a call: its result is not known yet."""


def json_call(arguments: str = "arguments") -> Read:
    """Read one JSON object with `name` and the arguments under a key."""

    def read(text: str, schemas: Schemas) -> list[ToolCall | FormatError]:
        try:
            return [_from_record(_json(text), arguments)]
        except ValueError:
            return [FormatError.BROKEN_JSON]

    return read


def json_list(text: str, schemas: Schemas) -> list[ToolCall | FormatError]:
    """Read a JSON list of objects with `name` and `arguments`."""
    try:
        records = _json(text)
    except ValueError:
        return [FormatError.BROKEN_JSON]
    if not isinstance(records, list) or not records:
        return [FormatError.BROKEN_JSON]
    return [_from_record(record, "arguments") for record in records]


def json_after_name(mark: str) -> Read:
    """Read a name, a mark, and a JSON object of arguments."""

    def read(text: str, schemas: Schemas) -> list[ToolCall | FormatError]:
        name, marked, body = text.partition(mark)
        try:
            arguments = _json(body)
        except ValueError:
            return [FormatError.BROKEN_JSON]
        if not marked or not name.strip():
            return [FormatError.MISSING_NAME]
        return [_from_record({"name": name.strip(), "arguments": arguments}, "arguments")]

    return read


def tagged(begin: str, parameter: str, end: str = "") -> Read:
    """Read arguments that stand between tags, each as text of no type.

    Args:
        begin: Expression of what the block begins with; group 1 is the tool's name.
        parameter: Expression of one argument; group 1 is its name, the next that matches its text.
        end: What the block ends with.
    """
    begins, parameters = re.compile(begin), re.compile(parameter, re.DOTALL)

    def read(text: str, schemas: Schemas) -> list[ToolCall | FormatError]:
        text = text.strip()
        opened = begins.match(text)
        if opened is None:
            return [FormatError.MISSING_NAME]
        if not text.endswith(end):
            return [FormatError.BROKEN_JSON]
        text = text.removesuffix(end)
        schema = schemas.get(opened[1], {})
        arguments: dict[str, Any] = {}
        at = opened.end()
        for found in parameters.finditer(text, at):
            if text[at : found.start()].strip() or found[1] in arguments:
                return [FormatError.BROKEN_JSON]
            arguments[found[1]] = argument(found[found.lastindex or 0], found[1], schema)
            at = found.end()
        if text[at:].strip():
            return [FormatError.BROKEN_JSON]
        return [_from_record({"name": opened[1], "arguments": arguments}, "arguments")]

    return read


def argument(text: str, name: str, schema: Mapping[str, Any]) -> Any:
    """Return the value that a text stands for as an argument of a tool.

    Args:
        text: What was written.
        name: The argument's.
        schema: That of all arguments.
    """
    found = [
        mapping(plain.get("properties")).get(name, plain.get("additionalProperties"))
        for plain in alternatives(schema, schema)
    ]
    return typed(text, {"anyOf": found}, schema)


def typed(text: str, schema: Any, root: Mapping[str, Any]) -> Any:
    """Return the value that a text stands for where a schema is expected.

    A text that the schema takes as it is stays one. Otherwise it is read as JSON or as Python
    writes it, where the schema lists that or names its type; where the schema names none, where it
    is JSON and no string.

    Args:
        text: What was written.
        schema: What is expected.
        root: Where the schema's references are looked up.
    """
    plain = alternatives(schema, root)
    listed = [member for one in plain for member in members(one)]
    types = set().union(*map(types_of, plain))
    is_text = "string" in types
    if text in listed or (is_text and not listed and text not in ("None", "null")):
        return text
    try:
        value = _json_or_python(text)
    except ValueError:
        return text
    kinds = json_types(value)
    if any(value == member and kinds == json_types(member) for member in listed):
        return value
    fits = types & kinds and (not is_text or value is None)
    return value if fits or not (types or kinds & {"string", ""}) else text


class _Cursor:
    """A text that is read from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def takes(self, expected: str) -> bool:
        if not self.text.startswith(expected, self.at):
            return False
        self.at += len(expected)
        return True

    def match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            raise ValueError(f"unreadable at {self.at}")
        self.at = found.end()
        return found[0]

    def until(self, pattern: re.Pattern[str]) -> str:
        found = pattern.search(self.text, self.at)
        if found is None:
            raise ValueError(f"no end after {self.at}")
        text, self.at = self.text[self.at : found.start()], found.start()
        return text

    @property
    def done(self) -> bool:
        return self.at == len(self.text)


_NAME = re.compile(r"[^\s(){}\[\],=:]+")
_SPACE = re.compile(r"\s*")


def python_calls(*, escaped: bool) -> Read:
    """Read a list of calls as Python writes them, with keywords: `[f(key='value'), g()]`.

    Args:
        escaped: Whether quotes and line breaks in strings are escaped. Where they are not, a
            string ends at the quote after which a keyword, a call or the end of the list follows.
    """

    def read(text: str, schemas: Schemas) -> list[ToolCall | FormatError]:
        cursor = _Cursor(text.strip())
        calls: list[ToolCall | FormatError] = []
        try:
            if not cursor.takes("["):
                raise ValueError("no list")
            while not calls or cursor.takes(", "):
                name = cursor.match(_NAME)
                arguments = dict(_keywords(cursor, escaped))
                calls.append(_from_record({"name": name, "arguments": arguments}, "arguments"))
            if not cursor.takes("]") or not cursor.done:
                raise ValueError("no end of the list")
        except ValueError:
            calls.append(FormatError.BROKEN_JSON)
        return calls

    return read


_ESCAPED = re.compile(r"'(?:[^'\\]|\\.)*'", re.DOTALL)
_STRING_END = re.compile(r"'(?=, [\w.-]+=|\)(?:, [\w.-]+\(|\]\Z))")
_VALUE_END = re.compile(r"(?=, [\w.-]+=|\)(?:, [\w.-]+\(|\]\Z))")


def _keywords(cursor: _Cursor, escaped: bool) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    if not cursor.takes("("):
        raise ValueError("no arguments")
    while not cursor.takes(")"):
        if seen and not cursor.takes(", "):
            raise ValueError("no comma")
        key = cursor.match(_NAME)
        if key in seen or not cursor.takes("="):
            raise ValueError("no keyword")
        seen.add(key)
        if escaped and cursor.text.startswith("'", cursor.at):
            yield key, python_value(cursor.match(_ESCAPED))
        elif cursor.takes("'"):
            yield key, cursor.until(_STRING_END)
            cursor.takes("'")
        else:
            yield key, _json_or_python(cursor.until(_VALUE_END))


def braces(quote: str) -> Read:
    """Read `call:name{key:value}` with strings between quotes of the family's own."""

    def read(text: str, schemas: Schemas) -> list[ToolCall | FormatError]:
        cursor = _Cursor(text.strip())
        if not cursor.takes("call:"):
            return [FormatError.MISSING_NAME]
        try:
            name = cursor.match(_NAME)
            arguments = _value(cursor, quote, _MAX_DEPTH)
            if not cursor.done:
                raise ValueError("more than one value")
        except ValueError:
            return [FormatError.BROKEN_JSON]
        return [_from_record({"name": name, "arguments": arguments}, "arguments")]

    return read


_KEY = re.compile(r"[^:{}\[\]]*")
_SCALAR = re.compile(r"[^,{}\[\]]+")


def _value(cursor: _Cursor, quote: str, depth: int) -> Any:
    if depth < 0:
        raise ValueError("nested too deeply")
    if cursor.takes(quote):
        text = cursor.until(re.compile(re.escape(quote)))
        cursor.takes(quote)
        return text
    if cursor.takes("["):
        return list(_members(cursor, quote, "]", depth))
    if cursor.takes("{"):
        return _unique_keys(list(_members(cursor, quote, "}", depth)))
    return _json_or_python(cursor.match(_SCALAR))  # Gemma's templates have None for null


def _members(cursor: _Cursor, quote: str, end: str, depth: int) -> Iterator[Any]:
    first = True
    while True:
        cursor.match(_SPACE)
        if cursor.takes(end):
            return
        if not first and not cursor.takes(","):
            raise ValueError("no comma")
        first = False
        cursor.match(_SPACE)
        if end == "]":
            yield _value(cursor, quote, depth - 1)
            continue
        key = _value(cursor, quote, 0) if cursor.text.startswith(quote, cursor.at) else None
        key = cursor.match(_KEY) if key is None else key
        if not cursor.takes(":"):
            raise ValueError("no colon")
        yield key, _value(cursor, quote, depth - 1)


def _from_record(record: Any, arguments: str) -> ToolCall | FormatError:
    if not isinstance(record, dict) or not _storable(record, _MAX_DEPTH):
        return FormatError.BROKEN_JSON
    name, values = record.get("name"), record.get(arguments)
    if arguments not in record:  # under another family's name they would be lost
        values = None if record.keys() & {"arguments", "parameters"} else {}
    if not isinstance(name, str) or not name:
        return FormatError.MISSING_NAME
    if not isinstance(values, dict):
        return FormatError.ARGUMENTS_NOT_OBJECT
    return ToolCall(name=name, arguments=values)


def _json(text: str) -> Any:
    """Return a JSON value.

    Raises:
        ValueError: If it is none, repeats a key, or is nested beyond Python's limits.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _json_or_python(text: str) -> Any:
    try:
        return _json(text)
    except ValueError:
        return python_value(text)


def python_value(text: str) -> Any:
    """Return a value as Python's `repr` writes it.

    Raises:
        ValueError: If it is none, or repeats a key.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            parsed = ast.parse(text.lstrip(" \t"), mode="eval")
        value = ast.literal_eval(parsed)
    except (SyntaxError, RecursionError, MemoryError, TypeError) as error:
        raise ValueError("no Python literal") from error
    for node in ast.walk(parsed):
        keys = [ast.dump(key) for key in node.keys if key] if isinstance(node, ast.Dict) else []
        if len(set(keys)) < len(keys):
            raise ValueError("a key occurs twice")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _storable(value: Any, depth: int) -> bool:
    """Whether a parsed value can be walked, written as UTF-8 JSON and read back unchanged."""
    if isinstance(value, str):
        return not SURROGATE.search(value)
    if isinstance(value, float):
        return math.isfinite(value)  # 1e999 is valid JSON and reads as infinity
    if isinstance(value, dict):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, list):
        parts = value
    else:
        return value is None or isinstance(value, int)
    return depth > 0 and all(_storable(part, depth - 1) for part in parts)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
