"""Rows of ToolRL (github.com/qiancheng0/ToolRL): one decision each, tools and history in texts.

Three spellings: `instruction` / `input` / `output` (supervised fine-tuning), veRL's `prompt` /
`reward_model`, and `system` / `user` / `answer` (its API-Bank evaluation). The system prompt lists
the tools, the user's text is the history between tags. What explains those tags is dropped.
"""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from actwise.conversation import Conversation, Message, Tool, ToolCall
from actwise.formats.calls import read_call
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.literal import read_literal
from actwise.formats.record import Unusable, clip, kind_of
from actwise.formats.schema import function_tool, object_schema
from actwise.formats.tools import read_tools

_TOOLS, _STEPS = "**Available Tools**", "**Steps for Each Turn**"
_HISTORY = "Dialogue Records History"
_PART = re.compile(r"<(user|think|tool_call|obs|response)>(.*?)</\1>\s*", re.DOTALL)
_TOOL = re.compile(
    r"^\d+\. (?:Name: (?P<name>[^\n]*)\nDescription: |(?P<short>[^:\n]+): )", re.MULTILINE
)
_CANNED = (
    "I should use the appropriate tool with proper parameters to respond to the user's need.",
    "I should directly respond to the user's need.",
)
"""Stand-ins for thoughts, which hold none."""
KEYS: Keys = BOOKKEEPING | known(
    "other instruction input output prompt reward_model system user answer data_source "
    "ability extra_info"
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like a row of ToolRL."""
    texts = _texts(record)
    return texts is not None and _TOOLS in texts[0]


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one row; `tools` is not needed, for every row lists its own. See `openai.read`."""
    texts = _texts(record)
    if texts is None:
        raise Unusable(
            "no_messages",
            "the row has none of ToolRL's shapes; write `instruction`, `input` and `output`",
        )
    system, history, action = texts
    declared, prompt = _split_system(system)
    messages = [Message(role="system", content=prompt)]
    before, found, after = history.partition(_HISTORY)
    said = before.rstrip("* \n") + after.lstrip("*") if found else history
    for kind, text in _parts(said, "the history"):
        _add(messages, kind, text)
    if isinstance(action, str):
        # What follows is the assistant's even where the history ends with words of its own.
        done: list[Message] = []
        for kind, text in _parts(action, "the action"):
            _add(done, kind, text)
    else:
        calls = action if isinstance(action, list) else [action]
        done = [Message(role="assistant", tool_calls=_calls(calls, "the answer"))]
    return Conversation(id=default_id, messages=(*messages, *done), tools=declared)


def _texts(record: Any) -> tuple[str, str, Any] | None:
    """Return system prompt, history and action of a row; the action is a text, or calls."""
    if not isinstance(record, dict):
        return None
    found: tuple[Any, Any, Any]
    if {"instruction", "input", "output"} <= record.keys():
        found = (record["instruction"], record["input"], record["output"])
    elif {"system", "user", "answer"} <= record.keys():
        found = (record["system"], record["user"], record["answer"])
    else:
        prompt, truth = record.get("prompt"), record.get("reward_model")
        if not isinstance(prompt, list) or len(prompt) != 2 or not isinstance(truth, dict):
            return None
        contents = [m.get("content") if isinstance(m, dict) else None for m in prompt]
        found = (contents[0], contents[1], truth.get("ground_truth"))
    return found if isinstance(found[0], str) and isinstance(found[1], str) else None


def _split_system(text: str) -> tuple[tuple[Tool, ...], str]:
    """Return the tools of a system prompt, and what stands before them."""
    prompt, _, rest = text.partition(_TOOLS)
    listed = rest.partition(_STEPS)[0]
    found: list[Tool] = []
    pieces = listed.split("\nParameters: ")
    for head, after in pairwise(pieces):
        match = _TOOL.search(head)
        if match is None:
            continue
        name = (match["name"] or match["short"]).strip()
        try:
            properties = read_literal(after.partition("\n")[0])
        except ValueError as error:
            raise Unusable(
                "bad_tools",
                f"the parameters of the tool {name!r} are not JSON ({clip(str(error))}); mend them",
            ) from None
        # The rows declare defaults, and no argument as required.
        schema = object_schema(properties if isinstance(properties, dict) else {}, [])
        found.append(function_tool(name, head[match.end() :].strip(), schema))
    return read_tools(found), prompt.strip()


def _parts(text: str, place: str) -> Iterator[tuple[str, str]]:
    """Yield (tag, text) of everything between tags."""
    at, text = 0, text.strip()
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            raise Unusable(
                "unread_text",
                f"{place} holds text outside its tags: {clip(repr(text[at : at + 40]))}; tag it",
            )
        at = match.end()
        yield match[1], match[2].strip()


def _add(messages: list[Message], kind: str, text: str) -> None:
    """Add a part; a thought begins a message, calls and responses after it belong to it."""
    if kind == "user":
        messages.append(Message(role="user", content=text))
        return
    if kind == "obs":
        messages.extend(_results(messages[-1] if messages else None, text))
        return
    if kind == "think" or not messages or messages[-1].role != "assistant":
        messages.append(Message(role="assistant"))
    last = messages[-1]
    if kind == "think":
        update: dict[str, Any] = {"reasoning_content": None if text in _CANNED else text}
    elif kind == "tool_call":
        lines = [line for line in text.splitlines() if line.strip()]
        calls = _calls([_value(line) for line in lines], "a <tool_call>")
        update = {"tool_calls": (*last.tool_calls, *calls)}
    else:
        update = {"content": f"{last.content}\n{text}".strip()}
    messages[-1] = last.model_copy(update=update)


def _value(line: str) -> Any:
    try:
        return read_literal(line)
    except ValueError as error:
        raise Unusable(
            "broken_json", f"a call cannot be read as JSON ({clip(str(error))}); mend it"
        ) from None


def _calls(values: list[Any], place: str) -> tuple[ToolCall, ...]:
    calls = []
    for value in values:
        if not isinstance(value, dict):
            raise Unusable("bad_call", f"{place} holds {kind_of(value)}; write name and parameters")
        function = {"name": value.get("name"), "arguments": value.get("parameters")}
        calls.append(read_call({"function": function}, place))
    return tuple(calls)


def _results(last: Message | None, text: str) -> list[Message]:
    """Return the results in an <obs>: a list of one for each call, or that of the only call."""
    calls = last.tool_calls if last is not None else ()
    if len(calls) == 1:
        listed = [text]
    else:
        try:
            value = read_literal(text)
        except ValueError:
            value = None
        if not isinstance(value, list) or len(value) != len(calls):
            raise Unusable(
                "unpaired_results",
                f"an <obs> holds no list of {len(calls)} results, one for each call; write one",
            )
        listed = [json.dumps(part, ensure_ascii=False) for part in value]
    return [
        Message(role="tool", content=result, name=call.name)
        for call, result in zip(calls, listed, strict=True)
    ]
