"""When2Call (github.com/NVIDIA/When2Call): call, ask back, or say that it cannot be done.

Upstream's test data for a judge. Each record holds an answer of every kind and says which kind is
right; that answer is the recorded action, its kind a label, and the others are dropped.
"""

from typing import Any

from actwise.conversation import Conversation, Message, Tool
from actwise.formats.calls import read_call
from actwise.formats.fields import json_at, list_at, object_at, text_at, word
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.schema import foreign_tool
from actwise.formats.tools import read_tools

KEYS: Keys = BOOKKEEPING | known(
    "question correct_answer answers tools target_tool orig_question orig_tools "
    "held_out_param source_id"
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like an item of When2Call."""
    return isinstance(record, dict) and {"question", "correct_answer", "answers"} <= record.keys()


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one item; a record that lists no tools has none on offer. See `openai.read`."""
    question = text_at(record, "question", "the record")
    kind = text_at(record, "correct_answer", "the record")
    answers = object_at(record, "answers", "the record")
    if kind == "tool_call":
        call = read_call({"function": json_at(answers, kind, "`answers`")}, "the call")
        action = Message(role="assistant", tool_calls=(call,), labels=(kind,))
    else:
        content = text_at(answers, kind, "`answers`")
        action = Message(role="assistant", content=content, labels=(kind,))
    texts = list_at(record, "tools", "the record")
    functions = [json_at({"tool": text}, "tool", "the record") for text in texts]
    return Conversation(
        id=word(record, "uuid", "the record") or default_id,
        messages=(Message(role="user", content=question), action),
        tools=read_tools([foreign_tool(function) for function in functions]),
    )
