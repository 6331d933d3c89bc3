"""ToolAlpaca's evaluation (github.com/tangqiaoyu/ToolAlpaca); upstream's test data.

One record is an API with its OpenAPI document, instructions and golden answers; each instruction
becomes one decision. Answers of several steps need results that are not recorded.
"""

from typing import Any

from actwise.conversation import Conversation, Message, Tool
from actwise.formats import openapi
from actwise.formats.calls import read_call
from actwise.formats.fields import json_at, list_at, text_at
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.record import Unusable, kind_of
from actwise.formats.tools import read_tools

KEYS: Keys = BOOKKEEPING | known(
    "asked gold Name Documentation Instructions Golden_Answers Description Category "
    "Introduction Functions NLDocumentation Function_Description Function_Projection "
    "Authentication Instances"
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like an API of ToolAlpaca."""
    return isinstance(record, dict) and {"Instructions", "Golden_Answers"} <= record.keys()


def parts(record: Any) -> list[Any]:
    """Return what a record holds as one record for each instruction.

    Raises:
        Unusable: When the record has not one answer for each instruction.
    """
    asked, golds = (
        list_at(record, key, "the record") for key in ("Instructions", "Golden_Answers")
    )
    if len(asked) != len(golds):
        raise Unusable(
            "bad_field", "`Instructions` and `Golden_Answers` do not pair up; write one for each"
        )
    rest = {key: record.get(key) for key in ("Name", "Documentation")}
    return [{**rest, "asked": a, "gold": g} for a, g in zip(asked, golds, strict=True)]


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one part of a record. See `openai.read`."""
    asked, gold = text_at(record, "asked", "a part"), list_at(record, "gold", "a part")
    if len(gold) != 1:
        raise Unusable(
            "no_results",
            f"the golden answer has {len(gold)} steps, whose results are not recorded; "
            "leave it out",
        )
    call = {
        "name": text_at(gold[0], "Action", "the golden answer"),
        "arguments": text_at(gold[0], "Action_Input", "the golden answer"),
    }
    action = Message(
        role="assistant", tool_calls=(read_call({"function": call}, "the golden answer"),)
    )
    document = json_at(record, "Documentation", "the record")
    if not isinstance(document, dict):
        raise Unusable(
            "bad_tools", f"`Documentation` is {kind_of(document)}; write the OpenAPI document"
        )
    return Conversation(
        id=default_id,
        messages=(Message(role="user", content=asked), action),
        tools=read_tools(openapi.tools_of(document)),
        group=str(record.get("Name")),
    )
