"""FunctionChat-Bench (github.com/kakao/FunctionChat-Bench), Korean; upstream's test data.

Three files: dialogues, whose last turn repeats all that went before it; single decisions
(`input_messages`); and functions, each asked for in four wordings with five lists of tools, which
are twenty conversations. What other arguments upstream accepts is dropped.
"""

from typing import Any

from actwise.conversation import Conversation, Message, Tool
from actwise.formats.fields import json_at, list_at, text_at, word
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.readers.openai import read_messages
from actwise.formats.record import Unusable
from actwise.formats.tools import read_tools

KEYS: Keys = BOOKKEEPING | known(
    "tools_count dialog_num turns tools input_messages input_tools ground_truth category "
    "serial_num function_num query function_name function_info acceptable_arguments "
    "type_of_output group tool_choice"
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like one of FunctionChat's."""
    if not isinstance(record, dict):
        return False
    return any(
        keys <= record.keys()
        for keys in ({"dialog_num", "turns"}, {"input_messages"}, {"function_num", "query"})
    )


def parts(record: Any) -> list[Any]:
    """Return what a record holds as one record for each conversation.

    Raises:
        Unusable: When wordings and answers of a function do not belong together.
    """
    if not isinstance(record, dict) or "function_num" not in record:
        return [record]
    queries, golds, lists = (
        list_at(record, key, "the record") for key in ("query", "ground_truth", "tools")
    )
    if [_number(query) for query in queries] != [_number(gold) for gold in golds]:
        raise Unusable("bad_field", "`query` and `ground_truth` do not pair up; write one for each")
    return [
        _single(record, query, gold, tools)
        for query, gold in zip(queries, golds, strict=True)
        for tools in lists
    ]


def _number(value: Any) -> Any:
    return value.get("serial_num") if isinstance(value, dict) else None


def _single(record: dict[str, Any], query: Any, gold: Any, tools: Any) -> dict[str, Any]:
    name = text_at(tools, "type", "a list of tools")
    call = json_at(gold, "content", "a ground truth")
    return {
        "id": f"singlecall-{_number(query)}-{name}",
        "group": f"singlecall-{record['function_num']}",
        "category": name,
        "input_messages": [{"role": "user", "content": text_at(query, "content", "a query")}],
        "input_tools": list_at(tools, "content", "a list of tools"),
        "ground_truth": {"role": "assistant", "tool_calls": [{"function": call}]},
    }


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one dialogue or decision. See `openai.read`."""
    if isinstance(record, dict) and "turns" in record:
        return _read_dialog(record, default_id)
    history = list_at(record, "input_messages", "the record")
    messages = read_messages([*history, record.get("ground_truth")])
    number = _number(record)
    return Conversation(
        id=word(record, "id", "the record") or default_id
        if number is None
        else f"decision-{number}",
        messages=_labelled(messages, {len(history): record.get("category")}),
        tools=read_tools(record["input_tools"]) if record.get("input_tools") else tools,
        group=word(record, "group", "the record"),
    )


def _read_dialog(record: dict[str, Any], default_id: str) -> Conversation:
    turns = list_at(record, "turns", "the record")
    if not turns:
        raise Unusable("no_messages", "the dialogue has no turns; leave it out")
    labels = {len(list_at(turn, "query", "a turn")): turn.get("type_of_output") for turn in turns}
    messages = read_messages([*turns[-1]["query"], turns[-1].get("ground_truth")])
    number = record.get("dialog_num")
    return Conversation(
        id=default_id if number is None else f"dialog-{number}",
        messages=_labelled(messages, labels),
        tools=read_tools(record.get("tools")),
    )


def _labelled(messages: tuple[Message, ...], labels: dict[int, Any]) -> tuple[Message, ...]:
    """Return the messages with upstream's classes as labels of the assistant's."""
    return tuple(
        message.model_copy(update={"labels": (str(labels[index]),)})
        if message.role == "assistant" and labels.get(index)
        else message
        for index, message in enumerate(messages)
    )
