"""Records in OpenAI's format, made and read."""

import json
from pathlib import Path
from typing import Any

from actwise.conversation import Conversation
from actwise.formats import Rejected, read_files

LOOKUP = {
    "type": "function",
    "function": {
        "name": "lookup",
        "description": "Look up an order.",
        "parameters": {
            "type": "object",
            "properties": {"order": {"type": "string"}, "limit": {"type": "integer"}},
            "required": ["order"],
        },
    },
}

HELLO = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]


def write_lines(path: Path, *records: Any) -> Path:
    lines = [r if isinstance(r, str) else json.dumps(r) for r in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def call(arguments: Any, name: str = "lookup", call_id: str = "c1") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def calling(*calls: dict[str, Any], content: Any = None) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def result(call_id: str = "c1", content: Any = "{}") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def chat(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"messages": [HELLO[0], *messages], "tools": [LOOKUP], **fields}


def read_one(tmp_path: Path, record: Any, **options: Any) -> Conversation | Rejected:
    (item,) = read_files([write_lines(tmp_path / "log.jsonl", record)], **options)
    return item


def conversation(tmp_path: Path, record: Any, **options: Any) -> Conversation:
    item = read_one(tmp_path, record, **options)
    assert isinstance(item, Conversation), item
    return item


ANSWER = {"role": "assistant", "content": "hello"}
