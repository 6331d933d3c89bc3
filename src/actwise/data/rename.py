"""Other names for tools and arguments, so that a model reads schemas instead of learning names.

As in function masking (Hammer, arXiv:2410.04587), but the names are made of the data's words: a
tokenizer cuts them as it does real ones. What is renamed is renamed everywhere: in schemas, calls
and tool messages, and in texts where the old name cannot be an ordinary word. What calls pass is
data: a name that stands in it ("sort_by": "created_at") is kept, for elsewhere it has to be found.
Arguments inside other arguments keep their names.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from random import Random
from string import ascii_lowercase
from typing import Any

from actwise.conversation import Conversation, Message, Tool, ToolCall, tool_name, tool_parameters
from actwise.data.stored import rebuilt

_WORD = re.compile(r"\b[a-z]{3,10}\b")
_PART = re.compile(r"[A-Za-z][a-z]{2,9}")
_IDENTIFIER = re.compile(r"\w*(_|[a-z][A-Z]|\d)\w*")

_REFERRING = {
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "patternProperties",
    "propertyNames",
    "enum",
    "const",
    "$ref",
    "$dynamicRef",
}
"""Keywords of schemas by which arguments may be named in further places: such keep theirs."""
_TO_ARGUMENTS = re.compile(r'"\$(?:ref|dynamicRef)": "#(?:/properties/|")')
"""A reference, however deep, to the schema of an argument or to that of all."""


def vocabulary(conversations: Iterable[Conversation]) -> list[str]:
    """Return the plain words of all messages and tools, of which names are made.

    Where texts are written in other letters, they are the parts of the tools' own names.
    """
    words: set[str] = set()
    names: set[str] = set()
    for conversation in conversations:
        texts = [message.content for message in conversation.messages]
        texts += [str(tool["function"].get("description", "")) for tool in conversation.tools]
        for text in texts:
            words.update(_WORD.findall(text))
        names.update(n for tool in conversation.tools for n in (tool_name(tool), *_arguments(tool)))
    parts = (part.lower() for name in names for part in _PART.findall(name))
    return sorted(words or set(parts) or ascii_lowercase)


def rename_share(
    conversations: Sequence[Conversation], share: float, seed: int, *, keep: Collection[str] = ()
) -> Sequence[Conversation]:
    """Return the conversations, a share of them with other names for tools and arguments.

    Args:
        conversations: Conversations of the training split.
        share: Probability of each to be renamed, in [0, 1].
        seed: The same seed gives the same names.
        keep: Tools that keep their names and those of their arguments.
    """
    if not share:
        return conversations
    words = vocabulary(conversations)
    draw = Random(f"renaming/{seed}")
    return rebuilt(
        conversations,
        (
            rename(conversation, words, draw, keep=keep) if draw.random() < share else conversation
            for conversation in conversations
        ),
    )


def rename(
    conversation: Conversation, words: Sequence[str], draw: Random, *, keep: Collection[str] = ()
) -> Conversation:
    """Return the conversation with other names for its tools and their arguments.

    An argument that several tools share keeps one name in all of them.

    Args:
        conversation: Whose tools are renamed; calls of tools that it does not offer stay.
        words: What names are made of; not empty.
        draw: Source of randomness.
        keep: Tools that keep their names and those of their arguments.
    """
    taken = {name for tool in conversation.tools for name in (tool_name(tool), *_arguments(tool))}
    changing = [tool for tool in conversation.tools if tool_name(tool) not in keep]
    names = list(dict.fromkeys(n for t in changing for n in (tool_name(t), *_arguments(t))))
    passed = set(re.findall(_standing(names), _values(conversation)))
    names = [name for name in names if name not in passed]
    # As many parts as names: like real ones, new names share parts and must be told apart.
    parts = [_part(words, draw) for _ in range(max(3, len(names)))]
    new: dict[str, str] = {}
    for name in names:
        new[name] = "_".join(draw.sample(parts, draw.randint(2, 3)))
        while new[name] in taken:
            new[name] += f"_{_part(words, draw)}"
        taken.add(new[name])
    arguments = {
        tool_name(tool): {name: new[name] for name in _arguments(tool) if name in new}
        for tool in changing
    }
    tools = {name: new[name] for name in arguments if name in new}
    return conversation.model_copy(
        update={
            "tools": tuple(
                _described(_tool(tool, tools, arguments), new) for tool in conversation.tools
            ),
            "messages": tuple(_message(m, tools, arguments, new) for m in conversation.messages),
        }
    )


def _part(words: Sequence[str], draw: Random) -> str:
    """Return a word or, as likely, the halves of two: a few hundred words could be learned."""
    one, other = draw.choice(words), draw.choice(words)
    return one if draw.random() < 0.5 else one[: len(one) // 2] + other[len(other) // 2 :]


def _arguments(tool: Tool) -> list[str]:
    schema = tool_parameters(tool)
    properties = schema.get("properties")
    referring = _REFERRING & set(schema) or _TO_ARGUMENTS.search(json.dumps(schema))
    return [] if referring or not isinstance(properties, dict) else list(properties)


def _values(conversation: Conversation) -> str:
    """Return all that calls pass, as JSON whose lines are cut."""
    calls = (call for message in conversation.messages for call in message.tool_calls)
    passed = json.dumps([list(call.arguments.values()) for call in calls], ensure_ascii=False)
    return passed.replace("\\n", " ")


def _tool(tool: Tool, tools: Mapping[str, str], arguments: Mapping[str, Mapping[str, str]]) -> Tool:
    name = tool_name(tool)
    if name not in arguments:
        return tool
    function = {**tool["function"], "name": tools.get(name, name)}
    if arguments[name]:
        schema = tool_parameters(tool)
        schema["properties"] = _renamed(schema["properties"], arguments[name])
        if "required" in schema:
            schema["required"] = [arguments[name].get(key, key) for key in schema["required"]]
        function["parameters"] = schema
    return {**tool, "function": function}


def _described(value: Any, new: Mapping[str, str]) -> Any:
    """Return a schema with the new names in its descriptions, however deep."""
    if isinstance(value, list):
        return [_described(item, new) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _text(item, new)
        if key == "description" and isinstance(item, str)
        else _described(item, new)
        for key, item in value.items()
    }


def _message(
    message: Message,
    tools: Mapping[str, str],
    arguments: Mapping[str, Mapping[str, str]],
    new: Mapping[str, str],
) -> Message:
    calls = tuple(
        ToolCall(
            name=tools.get(call.name, call.name),
            arguments=_renamed(call.arguments, arguments.get(call.name, {})),
            id=call.id,
        )
        for call in message.tool_calls
    )
    thought = message.reasoning_content
    return message.model_copy(
        update={
            "content": _text(message.content, new),
            "reasoning_content": None if thought is None else _text(thought, new),
            "tool_calls": calls,
            "name": tools.get(message.name, message.name) if message.name else message.name,
        }
    )


def _renamed(values: Mapping[str, Any], new: Mapping[str, str]) -> dict[str, Any]:
    return {new.get(key, key): value for key, value in values.items()}


def _text(text: str, new: Mapping[str, str]) -> str:
    return re.sub(_standing(new), lambda match: new[match[0]], text)


def _standing(names: Iterable[str]) -> str:
    """Return a pattern of those names that cannot be ordinary words."""
    identifiers = [re.escape(name) for name in names if _IDENTIFIER.fullmatch(name)]
    # Chinese letters stand beside a name without a space.
    beside = "[A-Za-z0-9_]"
    return rf"(?<!{beside})(?:{'|'.join(identifiers)})(?!{beside})" if identifiers else r"(?!)"
