"""ACEBench (github.com/ACEBench/ACEBench), English and Chinese; upstream's test data.

One decision each: the conversation is a text with `user:` and `system:` (the assistant) at the
head of each message, the date and the user's profile are the system prompt. Answers stand in a
file of the same name in `possible_answer`, and are joined to the records by id as `ground_truth`.
"""

import re
from typing import Any

from actwise.conversation import Conversation, Message, Role, Tool, ToolCall, tool_name
from actwise.formats.fields import list_at, object_at, text_at
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.record import Unusable, clip, kind_of
from actwise.formats.schema import foreign_tool
from actwise.formats.tools import read_tools

_SPEAKER = re.compile(r"^(user|system): ?", re.MULTILINE)
_CALL = re.compile(r"\[\w[\w.]*\(.*\)\]\s*", re.DOTALL)
_NUMBERED = re.compile(r"_\d+$")
KEYS: Keys = BOOKKEEPING | known(
    "question function ground_truth time profile initial_config path involved_classes"
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like an item of ACEBench."""
    return (
        isinstance(record, dict)
        and {"id", "function"} <= record.keys()
        and isinstance(record.get("question"), str)
    )


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one item. See `openai.read`."""
    question = text_at(record, "question", "the record")
    if "initial_config" in record:
        raise Unusable(
            "needs_execution",
            "the item is judged by running its tools, whose results are not recorded; leave it out",
        )
    name = str(record.get("id") or default_id)
    functions = list_at(record, "function", "the record")
    declared = read_tools([foreign_tool(function) for function in functions])
    system = [text_at(record, key, name).strip() for key in ("time", "profile") if record.get(key)]
    messages = [Message(role="system", content="\n".join(system))] if system else []
    messages += _messages(question)
    action = _action(record.get("ground_truth"), {tool_name(tool) for tool in declared}, name)
    # The turns of one conversation are items of their own, numbered f_0_0, f_0_1.
    parts = re.match(re.escape(_category(name)) + r"_\d+", name)
    return Conversation(
        id=name,
        messages=(*messages, action),
        tools=declared,
        group=parts.group() if parts else None,
    )


def _messages(text: str) -> list[Message]:
    marks = list(_SPEAKER.finditer(text))
    if not marks or text[: marks[0].start()].strip():
        raise Unusable(
            "unknown_role", f"the question begins with {clip(repr(text), 40)}; begin it with user:"
        )
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    out = []
    for mark, end in zip(marks, ends, strict=True):
        words = text[mark.end() : end].strip()
        if mark[1] == "system" and _CALL.fullmatch(words):
            raise Unusable(
                "no_results", "the conversation holds a call without its result; leave it out"
            )
        role: Role = "user" if mark[1] == "user" else "assistant"
        out.append(Message(role=role, content=words))
    return out


def _action(gold: Any, declared: set[str], name: str) -> Message:
    """Return the recorded action: the call or calls, or the words that upstream asks for."""
    label = (_category(name),)
    if isinstance(gold, str):
        return Message(role="assistant", content=gold, labels=label)
    # A list holds answers that are equally right.
    first = gold[0] if isinstance(gold, list) and gold else gold
    if not isinstance(first, dict) or label[0].startswith(("special_incomplete", "special_error")):
        raise Unusable(
            "no_gold",
            f"no action is recorded, but {kind_of(gold)} of what a reply should name; leave it out"
            if gold is not None
            else "no action is recorded (`ground_truth`, or possible_answer beside the file)",
        )
    calls = []
    for called in first:
        arguments = object_at(first, called, "the answer")
        # A function that is called several times is numbered: f_1, f_2.
        plain = called if called in declared else _NUMBERED.sub("", called)
        calls.append(ToolCall(name=plain, arguments=arguments))
    return Message(role="assistant", tool_calls=tuple(calls), labels=label)


def _category(name: str) -> str:
    return re.sub(r"(_\d+)+$", "", name)
