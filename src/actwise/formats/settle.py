"""What all formats have in common once their messages are read: turns put in their usual order.

Only what leaves no doubt is changed, and every change is remarked.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from actwise.conversation import Conversation, Message, ToolCall, tool_name, tool_parameters
from actwise.formats.literal import read_literal
from actwise.formats.record import clip
from actwise.formats.remarks import remark
from actwise.formats.tags import between
from actwise.template.calls import Schemas, argument

_FENCED = re.compile(r"```(?:json|tool_call|tool_code)?[ \t]*\n(\{.*\}|\[.*\])\s*```", re.DOTALL)
_LONGEST = 10_000
"""Characters of a text that is looked at as Python."""
_BEGINS = re.compile(r"[<\[{`]|\w[\w.]*\(")
"""How a text begins that may be nothing but calls."""
_KEYWORD = re.compile(r"\s*([\w.-]+)\s*=\s*")
_COMMA, _CLOSED = re.compile(r"\s*,\s*"), re.compile(r"\s*\)")
_TOKEN = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[][{}(),]|[^][{}(),'"]+""", re.DOTALL)
"""A string, a mark or what stands between such in a value."""
_PREFIX = re.compile(r"\[TOOL_CALLS\]|<\|python_tag\|>|<\|tool_call\|>")


def settled(conversation: Conversation) -> Conversation:
    """Return a conversation with its turns in order.

    Calls written as text become calls. Words and a call in two messages become one, for as two, the
    first would teach to stop where the second begins. Results are a message each, in the order of
    their calls. What the assistant says before anybody has asked is context.
    """
    schemas = {tool_name(tool): tool_parameters(tool) for tool in conversation.tools}
    messages = [
        _with_calls(m, f"messages[{i}]", schemas) for i, m in enumerate(conversation.messages)
    ]
    messages = _merged(messages)
    messages = _told_apart(messages)
    messages = _in_order(messages)
    messages = _greeted(messages)
    return conversation.model_copy(update={"messages": tuple(messages)})


def _with_calls(message: Message, place: str, schemas: Schemas) -> Message:
    """Return a message whose text is nothing but calls of declared tools as one that calls."""
    if message.role != "assistant" or message.tool_calls or not schemas:
        return message
    text = message.content.strip()
    if not (_BEGINS.match(text) or "<tool_call>" in text):
        return message
    rest, calls = _calls_in(text, schemas)
    if not calls or any(call.name not in schemas for call in calls):
        return message
    remark("call_from_text", place)
    return message.model_copy(update={"content": rest, "tool_calls": tuple(calls)})


def _calls_in(text: str, schemas: Schemas) -> tuple[str, list[ToolCall]]:
    """Return the words before the calls in a text, and the calls; none where there is more."""
    rest, tagged = between(text, "<tool_call>", "</tool_call>")
    functions = between("".join(tagged) if tagged else text, "<function=", "</function>")
    if tagged and not text.endswith("</tool_call>"):
        return text, []  # words after a call, whose result nobody knew yet
    if functions[1]:
        left = rest.strip() if tagged else ""
        called = [_function(body, schemas) for body in functions[1]]
        calls = [call for call in called if call is not None]
        return left, [] if functions[0].strip() or len(calls) < len(called) else calls
    if tagged:
        return rest.strip(), _parsed(tagged)
    if text.rstrip("] \n").endswith(")"):
        return "", _pythonic(text, schemas)
    fenced = _FENCED.fullmatch(text)
    inner = fenced[1] if fenced else _PREFIX.sub("", text, count=1).strip()
    return "", _parsed([inner]) if inner[:1] in "[{" else []


def _function(body: str, schemas: Schemas) -> ToolCall | None:
    """Return the call that stands between tags as Qwen3-Coder writes it, None where more does."""
    name, _, inner = body.partition(">")
    rest, parts = between(inner, "<parameter=", "</parameter>")
    texts = {key: text for key, _, text in (part.partition(">") for part in parts)}
    if rest.strip() or len(texts) < len(parts) or any("<parameter=" in t for t in texts.values()):
        return None
    schema = schemas.get(name, {})
    arguments = {
        key: argument(text.removeprefix("\n").removesuffix("\n"), key, schema)
        for key, text in texts.items()
    }
    return ToolCall(name=name, arguments=arguments)


def _pythonic(text: str, schemas: Schemas) -> list[ToolCall]:
    """Return calls written as Python's, `[f(city="Bonn"), g()]`, as some models are taught to.

    Names of tools and arguments may be none of Python's, and values may be JSON's.
    """
    if len(text) > _LONGEST:
        return []
    text = text[1:-1].strip() if text.startswith("[") and text.endswith("]") else text
    names = sorted(schemas, key=len, reverse=True)
    calls: list[ToolCall] = []
    at = 0
    while at < len(text):
        name = next((name for name in names if text.startswith(f"{name}(", at)), None)
        arguments, end = _keywords(text, at + len(name) + 1) if name is not None else (None, at)
        if name is None or arguments is None:
            return []
        calls.append(ToolCall(name=name, arguments=arguments))
        comma = _COMMA.match(text, end)
        if comma is None and end < len(text):
            return []
        at = comma.end() if comma is not None else end
    return calls


def _keywords(text: str, at: int) -> tuple[dict[str, Any] | None, int]:
    """Return the arguments that begin at a place, and where their bracket has ended.

    None stand there where they cannot be read whole.
    """
    values: dict[str, Any] = {}
    while keyword := _KEYWORD.match(text, at):
        end = _end_of_value(text, keyword.end())
        try:
            value = read_literal(text[keyword.end() : end])
        except ValueError:
            return None, at
        if keyword[1] in values:
            return None, at
        values[keyword[1]] = value
        comma = _COMMA.match(text, end)
        at = comma.end() if comma is not None else end
        if comma is None:
            break
    closed = _CLOSED.match(text, at)
    return (values, closed.end()) if closed is not None else (None, at)


def _end_of_value(text: str, at: int) -> int:
    """Return where a value ends: at a comma or a bracket that is not within it."""
    depth = 0
    while token := _TOKEN.match(text, at):
        depth += (token[0] in "([{") - (token[0] in ")]}")
        if depth < 0 or (token[0] == "," and not depth):
            break
        at = token.end()
    return at


def _parsed(texts: Sequence[str]) -> list[ToolCall]:
    calls: list[ToolCall] = []
    for text in texts:
        try:
            value = read_literal(text)
        except ValueError:
            return []
        for item in value if isinstance(value, list) else [value]:
            call = _call(item)
            if call is None:
                return []
            calls.append(call)
    return calls


def _call(value: Any) -> ToolCall | None:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    if not value.keys() <= {"name", "arguments", "parameters", "id", "type"}:
        return None
    arguments = value.get("arguments", value.get("parameters"))
    return (
        ToolCall(name=value["name"], arguments=arguments) if isinstance(arguments, dict) else None
    )


def _merged(messages: list[Message]) -> list[Message]:
    out: list[Message] = []
    asked = False
    for index, message in enumerate(messages):
        last = out[-1] if out else None
        if last is not None and asked and _goes_on(last, message):
            remark("merged_turns", f"messages[{index - 1}]")
            out[-1] = _joined(last, message)
        else:
            out.append(message)
        asked = asked or message.role == "user"
    return out


def _goes_on(first: Message, second: Message) -> bool:
    """Return whether the assistant takes one action in two messages."""
    return (
        first.role == second.role == "assistant"
        and first.weight == second.weight
        and (not first.tool_calls or bool(second.tool_calls))
    )


def _joined(first: Message, second: Message) -> Message:
    thoughts = filter(None, (first.reasoning_content, second.reasoning_content))
    return first.model_copy(
        update={
            "content": "\n".join(filter(None, (first.content, second.content))),
            "tool_calls": first.tool_calls + second.tool_calls,
            "reasoning_content": "\n".join(thoughts) or None,
            "labels": tuple(dict.fromkeys(first.labels + second.labels)),
        }
    )


def _told_apart(messages: list[Message]) -> list[Message]:
    """Return messages with the results of several calls, listed in one message, as one each."""
    out: list[Message] = []
    for index, message in enumerate(messages):
        alone = not any(m.role == "tool" for m in messages[index + 1 : index + 2])
        results = _listed(message, out[-1].tool_calls) if out and alone else []
        if results:
            remark("divided_results", f"messages[{index}]")
        out += results or [message]
    return out


def _listed(message: Message, calls: Sequence[ToolCall]) -> list[Message]:
    """Return the results that a message lists with the names of all tools called, as ToolACE's."""
    text = message.content.lstrip()
    if len(calls) < 2 or message.role != "tool" or message.tool_call_id or text[:1] != "[":
        return []
    try:
        values = read_literal(text)
    except ValueError:
        return []
    if not all(isinstance(value, dict) and len(value) == 2 and "name" in value for value in values):
        return []
    names = [value["name"] for value in values]
    if names != [call.name for call in calls]:
        return []
    results = [next(v for key, v in value.items() if key != "name") for value in values]
    return [
        Message(
            role="tool",
            content=found if isinstance(found, str) else json.dumps(found, ensure_ascii=False),
            name=call.name,
            tool_call_id=call.id,
        )
        for call, found in zip(calls, results, strict=True)
    ]


def _in_order(messages: list[Message]) -> list[Message]:
    """Return messages with the results of parallel calls in the order of the calls.

    They are known by their ids, or where there are none by the names of different tools.
    """
    out = list(messages)
    for index, message in enumerate(out):
        calls = message.tool_calls
        end = index + 1 + len(calls)
        group = out[index + 1 : end]
        if len(calls) < 2 or any(result.role != "tool" for result in group):
            continue
        wanted: list[str | None] = [call.id for call in calls]
        found = [result.tool_call_id for result in group]
        if not any(wanted) and not any(found):
            wanted, found = [call.name for call in calls], [result.name for result in group]
        order = {key: number for number, key in enumerate(wanted)}
        if len(order) < len(calls) or None in order or set(found) != set(order) or found == wanted:
            continue
        remark("ordered_results", f"messages[{index}]")
        by_key = dict(zip(found, group, strict=False))
        out[index + 1 : end] = [by_key[key] for key in wanted]
    return out


def _greeted(messages: list[Message]) -> list[Message]:
    """Return messages with the assistant's words before the user's first as context."""
    first = next((i for i, m in enumerate(messages) if m.role == "user"), 0)
    out = list(messages)
    for index, message in enumerate(messages[:first]):
        if message.role == "assistant" and not message.tool_calls and message.weight:
            remark("greeting", f"messages[{index}]: {clip(message.content, 60)}")
            out[index] = message.model_copy(update={"weight": 0})
    return out
