"""OpenAI chat records: the canonical form, its legacy spellings, and what servers add to it."""

from collections.abc import Mapping
from typing import Any, Literal

from actwise.conversation import Conversation, Message, Role, Tool, ToolCall
from actwise.formats.calls import read_call, result_text
from actwise.formats.endings import cut_off
from actwise.formats.fields import word
from actwise.formats.keys import ANY, BOOKKEEPING, SETTINGS, Keys, known
from actwise.formats.parts import Turn, read_parts
from actwise.formats.record import Unusable, clip, kind_of
from actwise.formats.remarks import remark
from actwise.formats.thoughts import BESIDE, thought_beside
from actwise.formats.tools import read_tools

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}
_LISTS = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat")
_ANSWERS = ("response", "completion", "output", "reply", "answer", "choices")
_OTHERS = {
    "system",
    "traj",
    "request",
    "call_type",
    "model_parameters",
    "proxy_server_request",
    "toolConfig",
    "inferenceConfig",
}
"""Keys of records that have `messages`, too, and are another format's."""
NOT_TRAINED = ("weight", "loss", "train", "training", "loss_scale")

CALL_KEYS: Keys = [known("id type index name args arguments", function=known("name arguments"))]
MESSAGE_KEYS = known(
    "role content refusal name tool_call_id labels id type index function_call annotations "
    "logprobs provider_specific_fields cache_control tool_name status prefix "
    "finish_reason stop_reason response_metadata",
    tool_calls=CALL_KEYS,
) | dict.fromkeys((*BESIDE, *NOT_TRAINED), ANY)
KEYS: Keys = (
    BOOKKEEPING
    | SETTINGS
    | known("tools functions function_call reasoning")
    | {key: [MESSAGE_KEYS] for key in _LISTS}
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like an OpenAI chat."""
    entries = messages_of(record)
    return (
        entries is not None
        and not record.keys() & _OTHERS
        and answer_beside(record) is None
        and not any(is_foreign(entry) for entry in entries)
    )


def messages_of(record: Any) -> list[Any] | None:
    """Return the messages of a record that has them under one of their names, else None."""
    if not isinstance(record, dict):
        return None
    if "messages" in record:
        found = record["messages"]
        return found if isinstance(found, list) else []
    for key in _LISTS[1:]:
        entries = record.get(key)
        if isinstance(entries, list) and any(isinstance(e, dict) and "role" in e for e in entries):
            return entries
    return None


def answer_beside(record: dict[str, Any]) -> str | None:
    """Return the key of the answer, if it stands beside the messages and not at their end."""
    key = next((key for key in _ANSWERS if record.get(key)), None)
    entries = record.get("messages")
    if key in (None, "response", "choices") or not isinstance(entries, list):
        return key
    last = entries[-1] if entries else None
    ended = isinstance(last, dict) and last.get("role") in ("assistant", "model", "tool_call")
    return None if ended else key


_FOREIGN_PARTS = {"tool_use", "tool_result", "server_tool_use", "tool-call", "tool-result"}
_FOREIGN_BLOCKS = {"toolUse", "toolResult", "reasoningContent"}
_FOREIGN_ROLES = {"tool_call", "tool_response"}
_FOREIGN_TYPES = {"message.input", "message.output"}


def is_foreign(message: Any) -> bool:
    """Return whether a message shows that another interface wrote it."""
    if isinstance(message, list):  # LangChain's shorthand, a pair of role and text
        return len(message) == 2 and all(isinstance(part, str) for part in message)
    if not isinstance(message, dict):
        return False
    if str(message.get("role")) in _FOREIGN_ROLES or ("role" not in message and "type" in message):
        return True
    if str(message.get("type")) in _FOREIGN_TYPES:
        return True
    if "parts" in message or "toolInvocations" in message or "lc" in message:
        return True
    content = message.get("content")
    return isinstance(content, list) and any(
        isinstance(part, dict)
        and (str(part.get("type")) in _FOREIGN_PARTS or bool(part.keys() & _FOREIGN_BLOCKS))
        for part in content
    )


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
    key = next((key for key in _LISTS if key in record), None)
    if key is None:
        raise Unusable(
            "no_messages", "the record has neither `messages` nor a `request`; add one of them"
        )
    declared = record.get("tools") or record.get("functions")
    return Conversation(
        id=word(record, "id", "the record") or default_id,
        messages=read_messages(record[key], key),
        tools=read_tools(declared) if declared else tools,
        group=word(record, "group", "the record"),
    )


def read_messages(value: Any, place: str = "messages") -> tuple[Message, ...]:
    """Read a list of messages in OpenAI's shape.

    Raises:
        Unusable: When one of them cannot be read.
    """
    if not isinstance(value, list):
        raise Unusable("no_messages", f"`{place}` is {kind_of(value)}; write an array of messages")
    return tuple(read_message(item, f"{place}[{index}]") for index, item in enumerate(value))


def read_message(value: Any, place: str) -> Message:
    """Read a message.

    Raises:
        Unusable: When it cannot be read.
    """
    if not isinstance(value, dict):
        raise Unusable("bad_message", f"{place} is {kind_of(value)}; write a message as an object")
    name = value.get("role")
    if not isinstance(name, str) or name not in _ROLES:
        raise Unusable(
            "unknown_role",
            f"{place} has the role {clip(repr(name), 40)}; use one of {', '.join(_ROLES)}",
        )
    role = _ROLES[name]
    shared: dict[str, Any] = {
        "labels": _labels(value.get("labels"), place),
        "name": word(value, "name", place),
    }
    if role == "tool":
        text = result_text(value.get("content"), f"{place}.content")
        call_id = word(value, "tool_call_id", place)
        shared["name"] = shared["name"] or word(value, "tool_name", place)
        return Message(role="tool", content=text, tool_call_id=call_id, **shared)
    if value.get("audio"):
        raise Unusable("non_text_content", f"{place} holds `audio`, which is no text; leave it out")
    turn = Turn(role, place)
    if role == "assistant":
        thought = thought_beside(value, place)
        if thought is not None:
            turn.thought(thought)
        shared["weight"] = weight_of(value, place)
    content = value.get("content")
    if content in (None, "", []) and value.get("refusal"):
        content = {"type": "refusal", "refusal": value["refusal"]}
    if content is not None:
        read_parts(content, f"{place}.content", turn)
    (message,) = turn.messages()
    return message.model_copy(update={**shared, "tool_calls": _read_calls(value, place)})


def _read_calls(message: dict[str, Any], place: str) -> tuple[ToolCall, ...]:
    calls = message.get("tool_calls")
    legacy = message.get("function_call")
    if not calls and legacy is not None:
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


def _labels(value: Any, place: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise Unusable("bad_field", f"`labels` of {place} are not an array of strings; write one")
    return tuple(value)


def weighed(messages: list[Message], record: dict[str, Any], place: str) -> list[Message]:
    """Return what one record says, with the weight it gives: cut off is the last message alone."""
    out = list(messages)
    said = [index for index, message in enumerate(out) if message.role == "assistant"]
    weight = weight_of(record, place) if said else 1
    for index in said[-1:] if cut_off(record) else said:
        out[index] = out[index].model_copy(update={"weight": weight})
    return out


def weight_of(message: dict[str, Any], place: str) -> Literal[0, 1]:
    """Return whether a message is learned: 0 where it was cut off, or a trainer's key says so.

    Raises:
        Unusable: When such a key holds something else than yes or no.
    """
    ended = cut_off(message)
    if ended:
        remark("cut_off", f"{place}: {ended['finish_reason']}")
        return 0
    for key in NOT_TRAINED:
        value = message.get(key)
        if value is None:
            continue
        if not isinstance(value, bool | int | float) or value not in (0, 1):
            raise Unusable(
                "bad_field", f"`{key}` of {place} is {clip(repr(value), 40)}; write 0 or 1"
            )
        if not value:
            remark("not_learned", place)
            return 0
    return 1
