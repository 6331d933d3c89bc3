"""How tests of formats read a record, and what they look at."""

import json
from pathlib import Path
from typing import Any

from actwise.conversation import Conversation
from actwise.formats import Rejected, read_files

LOOKED_UP = ("assistant", "", ("weather", {"city": "Bonn"}))
"""A call in an outline."""


def read_sample(folder: Path, record: Any, tools: Any = None) -> list[Conversation | Rejected]:
    path = folder / "log.json"
    path.write_text(json.dumps([record]), encoding="utf-8")
    if tools is None:
        return list(read_files([path]))
    (folder / "weather.json").write_text(json.dumps(tools), encoding="utf-8")
    return list(read_files([path], tools=folder / "weather.json"))


def one(folder: Path, record: Any, tools: Any = None) -> Conversation:
    (item,) = read_sample(folder, record, tools)
    assert isinstance(item, Conversation), item
    return item


def refused(folder: Path, record: Any, tools: Any = None) -> Rejected:
    (item,) = read_sample(folder, record, tools)
    assert isinstance(item, Rejected), item
    return item


def outline(conversation: Conversation) -> list[tuple[Any, ...]]:
    """Return (role, content) of every message, and (name, arguments) of its calls."""
    return [
        (m.role, m.content, *((call.name, call.arguments) for call in m.tool_calls))
        for m in conversation.messages
    ]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values inside a JSON value."""
    if not isinstance(value, dict | list):
        return [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(p for key, member in inner for p in places(member, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    out = value.copy()
    out[path[0]] = replaced(value[path[0]], path[1:], new)
    return out


def thoughts(item: Conversation) -> list[str | None]:
    return [m.reasoning_content for m in item.messages if m.role == "assistant"]


def codes(item: Conversation) -> list[str]:
    return [remark.code for remark in item.remarks]
