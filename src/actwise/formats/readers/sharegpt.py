"""ShareGPT's shape: `conversations` of `from` and `value`, with or without Hermes' tags.

Tools stand in `tools`, or between <tools> tags in the system prompt, where Hermes and Qwen put
them. Calls are messages from `function_call`, or stand between <tool_call> tags in the
assistant's; results come from `observation` or `tool`, each between <tool_response> tags or bare.
All tags become fields; of a system prompt that declares tools, what explains the tags is dropped.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from actwise.conversation import Conversation, Message, Tool, ToolCall
from actwise.formats.calls import read_call
from actwise.formats.fields import word
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.literal import read_literal
from actwise.formats.readers.openai import NOT_TRAINED, weighed
from actwise.formats.record import Unusable, clip, kind_of
from actwise.formats.tags import between
from actwise.formats.thoughts import split_thought
from actwise.formats.tools import read_tools

_KINDS: Mapping[str, str] = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "function_call": "call",
    "observation": "tool",
    "tool": "tool",
    "function_response": "tool",
}
KEYS: Keys = BOOKKEEPING | known(
    "system tools", conversations=[known("from value name " + " ".join(NOT_TRAINED))]
)
_BEFORE_TOOLS = re.compile(r"(# Tools\b|You are provided with function signatures).*", re.DOTALL)
_LISTED = re.compile(r"list of functions in JSON format[^\n:]{0,200}:\s*(?=\[\s*\{)")
_ONLY_CALLS = re.compile(r"You should only return the function calls? in[^\n]*")
_IN_PYTHON = re.compile(r"decide to (return|invoke)|in the format of \[|NO other text MUST")
"""What is in a line that explains how to write calls as Python's."""
_EACH_CALL = "For each function call"
_HOW_TO_CALL = ("Use the following pydantic model", _EACH_CALL)


def recognises(record: Any) -> bool:
    """Return whether a record looks like a conversation in ShareGPT's shape."""
    entries = record.get("conversations") if isinstance(record, dict) else None
    return (
        isinstance(record, dict)
        and "conversations" in record
        and not any(
            isinstance(entry, dict) and "role" in entry
            for entry in (entries if isinstance(entries, list) else [])
        )
    )


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one conversation. See `openai.read`."""
    entries = record.get("conversations") if isinstance(record, dict) else None
    if not isinstance(entries, list):
        raise Unusable(
            "no_messages", f"`conversations` is {kind_of(entries)}; write an array of messages"
        )
    messages: list[Message] = []
    declared = record.get("tools") or None
    if isinstance(record.get("system"), str) and record["system"].strip():
        entries = [{"from": "system", "value": record["system"]}, *entries]
    for index, entry in enumerate(entries):
        kind, text, place = *_entry(entry, f"conversations[{index}]"), f"conversations[{index}]"
        if kind == "system":
            text, found = _split_tools(text, place)
            declared = declared or found
            messages += [Message(role="system", content=text)] if text else []
        else:
            messages += weighed(_messages(kind, text, place), entry, place)
    return Conversation(
        id=word(record, "id", "the record") or default_id,
        messages=tuple(messages),
        tools=read_tools(declared) if declared else tools,
    )


def _entry(entry: Any, place: str) -> tuple[str, str]:
    if not isinstance(entry, dict):
        raise Unusable("bad_message", f"{place} is {kind_of(entry)}; write a message as an object")
    source, text = entry.get("from"), entry.get("value")
    if not isinstance(source, str) or source not in _KINDS:
        raise Unusable(
            "unknown_role",
            f"{place} is from {clip(repr(source), 40)}; use one of {', '.join(_KINDS)}",
        )
    if not isinstance(text, str):
        raise Unusable(
            "non_text_content", f"the value of {place} is {kind_of(text)}; write a string"
        )
    return _KINDS[source], text


def _split_tools(text: str, place: str) -> tuple[str, list[Any] | None]:
    """Take the declaration of tools out of a system prompt."""
    # The sentence before the declaration names the tags, too, with nothing between them.
    declared = [part for part in between(text, "<tools>", "</tools>")[1] if part.strip()]
    if not declared:
        return _split_list(text)
    start = text.rindex(f"<tools>{declared[-1]}</tools>")
    before = _BEFORE_TOOLS.sub("", text[:start])
    after = text[start:].partition("</tools>")[2]
    rest = f"{before.strip()}\n{_without_explanation(after).strip()}".strip()
    return rest, _values(declared[-1], f"the tools in {place}")


def _split_list(text: str) -> tuple[str, list[Any] | None]:
    """Take a list of functions out of a system prompt, and what explains how to call them.

    So do the prompts of ToolACE, and of others that teach to write calls as Python's.
    """
    named = _LISTED.search(text)
    if named is None:
        return text, None
    try:
        _, end = json.JSONDecoder().raw_decode(text, named.end())
    except (ValueError, RecursionError):
        return text, None
    before = text[: text.rfind("\n", 0, named.start()) + 1]
    lines = text[end:].removeprefix(".").split("\n")
    after = "\n".join(line for line in lines if not _IN_PYTHON.search(line))
    rest = f"{_ONLY_CALLS.sub('', before).strip()}\n{after.strip()}".strip()
    return rest, _values(text[named.end() : end], "the list of functions")


def _without_explanation(text: str) -> str:
    """Return what follows the tools of a system prompt without what explains how to call them."""
    begin = next((text.find(words) for words in _HOW_TO_CALL if words in text), -1)
    end = text.rfind("</tool_call>")
    if not 0 <= text.find(_EACH_CALL) < end:
        return text
    return text[:begin] + text[end + len("</tool_call>") :]


def _messages(kind: str, text: str, place: str) -> list[Message]:
    if kind == "user":
        return [Message(role="user", content=text)]
    if kind == "tool":
        tagged = between(text, "<tool_response>", "</tool_response>")[1]
        results = [result.strip() for result in tagged] or [text]
        return [Message(role="tool", content=result) for result in results]
    if kind == "call":
        text, thought = split_thought(text, None, place)
        calls = _calls(_values(text, f"the call in {place}"), place)
        return [Message(role="assistant", tool_calls=calls, reasoning_content=thought)]
    content, thought = split_thought(text, None, place)
    rest, tagged = between(content, "<tool_call>", "</tool_call>")
    found = [value for part in tagged for value in _values(part, f"a call in {place}")]
    if found:
        content = rest.strip()
    return [
        Message(
            role="assistant",
            content=content,
            tool_calls=_calls(found, place),
            reasoning_content=thought,
        )
    ]


def _calls(values: list[Any], place: str) -> tuple[ToolCall, ...]:
    return tuple(
        read_call({"function": value}, f"call {index} of {place}")
        for index, value in enumerate(values)
    )


def _values(text: str, place: str) -> list[Any]:
    """Return the values of a text: one list of them, one alone, or one on each line."""
    try:
        value = read_literal(text)
        return value if isinstance(value, list) else [value]
    except ValueError as error:
        # A string in JSON may hold what else is a line's end to Python, such as U+2028.
        lines = [line for line in text.split("\n") if line.strip()]
        try:
            if len(lines) > 1:
                return [read_literal(line) for line in lines]
        except ValueError:
            pass
        raise Unusable(
            "broken_json", f"{place} cannot be read as JSON ({clip(str(error))}); mend it"
        ) from None
