"""Records that an export holds together, and conversations that are a bare list of messages."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from actwise.formats.readers import langchain

_WRAPPERS = (
    "data",
    "records",
    "rows",
    "items",
    "examples",
    "conversations",
    "results",
    "observations",
    "traces",
    "runs",
    "spans",
    "logs",
)
"""Keys under which an export holds its records, alone or beside what is said of all of them."""


def unwrapped(
    line: int, text: str, value: Any, *, is_record: Callable[[Any], bool]
) -> Iterator[tuple[int, Any]]:
    """Yield the records of an export that holds all of them, or the one record that a value is.

    Args:
        line: On which the value begins.
        text: Its JSON.
        value: What the JSON says.
        is_record: Whether a value is a record of some format.
    """
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        if "role" in value[0] or langchain.is_message(value[0]):
            yield line, {"messages": value}
        else:
            yield from ((line, item) for item in value)
        return
    key = None if is_record(value) else _wrapper(value)
    if key is None:
        yield line, value
        return
    at = line
    where = _lines_of(text, key, len(value[key]))
    for number, item in enumerate(value[key]):
        at = line + where[number] if where else line
        yield at, {"messages": item} if isinstance(item, list) else item


def _wrapper(value: Any) -> str | None:
    """Return the key under which a value holds records, if it does."""
    for key in _WRAPPERS if isinstance(value, dict) else ():
        inner = value.get(key)
        if isinstance(inner, list) and any(isinstance(item, dict | list) for item in inner):
            return key
    return None


def _lines_of(text: str, key: str, count: int) -> list[int]:
    """Return the lines, from 0, on which the members of an array under a key begin."""
    found = re.search(rf'"{key}"\s*:\s*(?=\[)', text)
    if found is None or "\n" not in text:
        return []
    decoder, at = json.JSONDecoder(), found.end() + 1
    lines, line, counted = [], 0, 0
    for _ in range(count):
        while text[at] in ", \t\r\n":
            at += 1
        line, counted = line + text.count("\n", counted, at), at
        lines.append(line)
        try:
            _, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return []
    return lines
