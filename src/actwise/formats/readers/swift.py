"""ms-swift's rows: messages in which calls and results have roles of their own, or `query`s.

Rows with `query` and `response` have what was said before as pairs in `history`.
"""

from typing import Any

from actwise.conversation import Conversation, Message, Tool
from actwise.formats.calls import read_call, result_text
from actwise.formats.fields import decoded, word
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.readers.openai import MESSAGE_KEYS, messages_of, read_message, weighed
from actwise.formats.record import Unusable, kind_of
from actwise.formats.remarks import remark
from actwise.formats.tools import read_tools

_CALLS, _RESULTS = ("tool_call", "function_call"), ("tool_response", "observation")
KEYS: Keys = BOOKKEEPING | known(
    "tools system query response history rejected_response",
    messages=[MESSAGE_KEYS],
    conversations=[MESSAGE_KEYS],
)


def recognises(record: Any) -> bool:
    """Return whether a record has messages with ms-swift's roles, or a query and its response."""
    if isinstance(record, dict) and {"query", "response"} <= record.keys():
        return isinstance(record["query"], str) and "messages" not in record
    return any(
        isinstance(entry, dict) and str(entry.get("role")) in (*_CALLS, *_RESULTS)
        for entry in messages_of(record) or []
    )


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one record. See `openai.read`."""
    if not isinstance(record, dict):
        raise Unusable("no_messages", f"the record is {kind_of(record)}; write an object")
    if record.get("rejected_response"):
        remark("chosen_side", "rejected_response")
    entries = _asked(record) if "query" in record else messages_of(record)
    if entries is None:
        raise Unusable("no_messages", "the record has no `messages`; write an array of messages")
    if isinstance(record.get("system"), str) and record["system"]:
        entries = [{"role": "system", "content": record["system"]}, *entries]
    declared = record.get("tools")
    return Conversation(
        id=word(record, "id", "the record") or default_id,
        messages=tuple(_message(e, f"messages[{index}]") for index, e in enumerate(entries)),
        tools=read_tools(declared) if declared else tools,
    )


def _asked(record: dict[str, Any]) -> list[Any]:
    """Return the messages of a row that has a query and a response."""
    pairs = record.get("history") or []
    if not isinstance(pairs, list) or not all(isinstance(p, list) and len(p) == 2 for p in pairs):
        raise Unusable("bad_field", f"`history` is {kind_of(pairs)}; write pairs of texts")
    return [
        {"role": role, "content": text}
        for pair in [*pairs, [record.get("query"), record.get("response")]]
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]


def _message(entry: Any, place: str) -> Message:
    role = entry.get("role") if isinstance(entry, dict) else None
    if role in _RESULTS:
        return Message(role="tool", content=result_text(entry.get("content"), place))
    if role not in _CALLS:
        return read_message(entry, place)
    call = decoded(entry.get("content"))
    if not isinstance(call, dict):
        raise Unusable(
            "bad_call", f"the call of {place} is {kind_of(call)}; write its name and arguments"
        )
    message = Message(role="assistant", tool_calls=(read_call(call, place),))
    return weighed([message], entry, place)[0]
