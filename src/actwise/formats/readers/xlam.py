"""xLAM's rows (Salesforce/xlam-function-calling-60k): a query, the tools and the calls it takes."""

from typing import Any

from actwise.conversation import Conversation, Message, Tool
from actwise.formats.calls import read_call
from actwise.formats.fields import decoded, text_at, word
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.record import Unusable, kind_of
from actwise.formats.tools import read_tools

KEYS: Keys = BOOKKEEPING | known("query answers tools system")


def recognises(record: Any) -> bool:
    """Return whether a record looks like a row of xLAM."""
    return isinstance(record, dict) and {"query", "answers"} <= record.keys()


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one row. See `openai.read`."""
    query = text_at(record, "query", "the record")
    answers = decoded(record.get("answers"))
    if not isinstance(answers, list) or not answers:
        found = kind_of(answers) if answers != [] else "empty"
        raise Unusable(
            "no_gold", f"`answers` is {found}, so no call is recorded; leave the row out"
        )
    calls = tuple(read_call(call, f"answers[{index}]") for index, call in enumerate(answers))
    asked = [Message(role="user", content=query)]
    if isinstance(record.get("system"), str) and record["system"]:
        asked.insert(0, Message(role="system", content=record["system"]))
    declared = record.get("tools")
    return Conversation(
        id=word(record, "id", "the record") or default_id,
        messages=(*asked, Message(role="assistant", tool_calls=calls)),
        tools=read_tools(declared) if declared else tools,
    )
