"""OpenAI chat records: the canonical form, its legacy spellings, logged requests and responses."""

from collections.abc import Mapping
from typing import Any

from actwise.conversation import Conversation, Message, Role, Tool, ToolCall
from actwise.formats.record import Unusable, clip, kind_of, strict_json
from actwise.formats.tools import read_tools

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_THINK_OPEN, _THINK_CLOSE = "<think>", "</think>"


def recognises(record: Any) -> bool:
    """Return whether a record looks like an OpenAI chat, or a logged request for one."""
    if not isinstance(record, dict):
        return False
    request = record.get("request")
    return "messages" in record or (isinstance(request, dict) and "messages" in request)


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one record.

    Args:
        record: The parsed JSON of the record.
        default_id: The conversation's id when the record has none.
        tools: The tools on offer when the record declares none.

    Raises:
        Unusable: When the record cannot be read.
    """
    if not isinstance(record, dict):
        raise Unusable(
            "no_messages", f"the record is {kind_of(record)}; write an object with `messages`"
        )
    chat = _logged_chat(record) if "messages" not in record else record
    declared = chat.get("tools") or chat.get("functions")
    return Conversation(
        id=word(record, "id", "the record") or default_id,
        messages=read_messages(chat.get("messages")),
        tools=read_tools(declared) if declared else tools,
        group=word(record, "group", "the record"),
    )


def read_messages(value: Any) -> tuple[Message, ...]:
    """Read a list of messages in OpenAI's shape; keys it does not know are ignored.

    Raises:
        Unusable: When one of them cannot be read.
    """
    if not isinstance(value, list):
        raise Unusable("no_messages", f"`messages` is {kind_of(value)}; write an array of messages")
    return tuple(_read_message(item, f"messages[{index}]") for index, item in enumerate(value))


def _logged_chat(record: dict[str, Any]) -> dict[str, Any]:
    """Return the request's chat with the response's message at its end."""
    request, response = record.get("request"), record.get("response")
    if not isinstance(request, dict):
        raise Unusable(
            "no_messages", "the record has neither `messages` nor a `request`; add one of them"
        )
    choices = response.get("choices") if isinstance(response, dict) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        found = len(choices) if isinstance(choices, list) else "no"
        raise Unusable(
            "no_response",
            f"`response.choices` holds {found} choices; leave exactly the one that was used",
        )
    messages = request.get("messages")
    if not isinstance(messages, list):
        raise Unusable(
            "no_messages", f"`request.messages` is {kind_of(messages)}; write an array of messages"
        )
    return {**request, "messages": [*messages, choices[0].get("message")]}


def _read_message(value: Any, place: str) -> Message:
    if not isinstance(value, dict):
        raise Unusable("bad_message", f"{place} is {kind_of(value)}; write a message as an object")
    role = value.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise Unusable(
            "unknown_role",
            f"{place} has the role {clip(repr(role), 40)}; use one of {', '.join(_ROLES)}",
        )
    content = _text(value.get("content"), f"{place}.content")
    thought = None
    if role == "assistant":
        content, thought = split_thought(content, _recorded_thought(value, place), place)
    return Message(
        role=_ROLES[role],
        content=content,
        tool_calls=_read_calls(value, place),
        reasoning_content=thought,
        tool_call_id=word(value, "tool_call_id", place),
        name=word(value, "name", place),
        labels=_labels(value.get("labels"), place),
    )


def _text(value: Any, place: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise Unusable(
            "non_text_content", f"{place} is {kind_of(value)}; write it as a string of its JSON"
        )
    parts = []
    for index, part in enumerate(value):
        known = isinstance(part, dict) and part.get("type") == "text"
        if not known or not isinstance(part.get("text"), str):
            seen = part.get("type") if isinstance(part, dict) else kind_of(part)
            raise Unusable(
                "non_text_content",
                f"{place}[{index}] is no text part ({clip(repr(seen), 40)}); replace it by text "
                "or leave the conversation out",
            )
        parts.append(part["text"])
    return "".join(parts)


def _recorded_thought(message: dict[str, Any], place: str) -> str | None:
    for key in ("reasoning_content", "reasoning"):
        value = message.get(key)
        if isinstance(value, str):
            return value
        if value is not None:
            raise Unusable("non_text_content", f"{place}.{key} is {kind_of(value)}; write a string")
    return None


def split_thought(content: str, recorded: str | None, place: str) -> tuple[str, str | None]:
    """Take a thought at the head of the content out of it, as servers without a parser log it.

    Args:
        content: The text of an assistant message.
        recorded: The thought that stands beside the content, if any.
        place: Where the message stands, for errors.

    Raises:
        Unusable: When the thought is not closed, or there are two.
    """
    body = content.lstrip()
    if not body.startswith(_THINK_OPEN):
        return content, recorded
    inside, closed, rest = body.removeprefix(_THINK_OPEN).partition(_THINK_CLOSE)
    if not closed:
        raise Unusable(
            "unclosed_thought", f"{place} opens {_THINK_OPEN} and never closes it; close it"
        )
    thought = inside.strip()
    if thought and recorded:
        raise Unusable(
            "two_thoughts",
            f"{place} holds a thought in its content and one beside it; leave one of them",
        )
    return rest.lstrip(), thought or recorded


def _read_calls(message: dict[str, Any], place: str) -> tuple[ToolCall, ...]:
    calls = message.get("tool_calls")
    legacy = message.get("function_call")
    if calls is None and legacy is not None:
        return (read_call({"function": legacy}, f"{place}.function_call"),)
    if calls is None:
        return ()
    if not isinstance(calls, list):
        raise Unusable(
            "bad_call", f"{place}.tool_calls is {kind_of(calls)}; write an array of calls"
        )
    return tuple(
        read_call(call, f"{place}.tool_calls[{index}]") for index, call in enumerate(calls)
    )


def read_call(value: Any, place: str) -> ToolCall:
    """Read a call in OpenAI's shape; its arguments are an object, or the JSON text of one.

    Raises:
        Unusable: When it is no such call.
    """
    function = value.get("function") if isinstance(value, dict) else None
    if not isinstance(function, dict):
        raise Unusable("bad_call", f"{place} has no `function`; write its name and arguments")
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise Unusable("bad_call", f"{place} has no name; write function.name")
    return ToolCall(
        name=name,
        arguments=_read_arguments(function.get("arguments"), f"{place} ({clip(name, 60)})"),
        id=word(value, "id", place),
    )


def _read_arguments(value: Any, place: str) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = strict_json(value)
        except ValueError as error:
            raise Unusable(
                "arguments_not_json",
                f"the arguments of {place} are not JSON ({clip(str(error))}); mend them "
                'or write "{}" for none',
            ) from None
        if isinstance(value, str):
            raise Unusable(
                "double_encoded_arguments",
                f"the arguments of {place} are a string inside a string; "
                "encode them as JSON once, not twice",
            )
    if not isinstance(value, dict):
        raise Unusable(
            "arguments_not_object",
            f"the arguments of {place} are {kind_of(value)}; write a JSON object",
        )
    return value


def word(record: dict[str, Any], key: str, place: str) -> str | None:
    """Return an optional id or name; whole numbers are taken as their digits.

    Raises:
        Unusable: When it is neither.
    """
    value = record.get(key)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Unusable("bad_field", f"`{key}` of {place} is {kind_of(value)}; write a string")


def _labels(value: Any, place: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise Unusable("bad_field", f"`labels` of {place} are not an array of strings; write one")
    return tuple(value)
