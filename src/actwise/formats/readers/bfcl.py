"""Berkeley Function-Calling Leaderboard v4 (github.com/ShishirPatil/gorilla); upstream's test data.

The single-turn categories with accepted answers become one decision each: of every argument the
first accepted value that fits the schema is the recorded one, the others are dropped. Answers stand
in a file of the same name in `possible_answer`, and are joined to the records by id as
`ground_truth`.
"""

import re
from typing import Any

from actwise.conversation import (
    Conversation,
    Message,
    Tool,
    ToolCall,
    tool_name,
    tool_parameters,
)
from actwise.formats.fields import list_at, object_at
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.readers.openai import read_messages
from actwise.formats.record import Unusable
from actwise.formats.schema import foreign_tool
from actwise.formats.tools import allows, read_tools

_OPTIONAL = ""
"""Among the accepted values it stands for leaving the argument out."""
KEYS: Keys = BOOKKEEPING | known(
    "question function ground_truth initial_config path involved_classes missed_function "
    "excluded_function scenario num_hops depends_on"
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like an item of BFCL."""
    return isinstance(record, dict) and "id" in record and isinstance(record.get("question"), list)


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one item. See `openai.read`."""
    turns = list_at(record, "question", "the record")
    functions = record.get("function")
    if not isinstance(functions, list) or len(turns) != 1:
        raise Unusable(
            "needs_execution",
            "the item is judged by running its tools, whose results are not recorded; leave it out",
        )
    gold = record.get("ground_truth")
    if not isinstance(gold, list) or not gold:
        raise Unusable(
            "no_gold",
            "no accepted call is recorded (`ground_truth`, or possible_answer beside the file); "
            "leave it out",
        )
    declared = read_tools([foreign_tool(function) for function in functions])
    schemas = {tool_name(tool): tool_parameters(tool) for tool in declared}
    calls = tuple(
        ToolCall(
            name=name, arguments=_chosen(object_at(call, name, "a call"), schemas.get(name, {}))
        )
        for call in gold
        for name in (call if isinstance(call, dict) else ())
    )
    name = str(record.get("id") or default_id)
    category = re.match(r"[a-z_]*[a-z]", name)
    action = Message(
        role="assistant", tool_calls=calls, labels=(category.group(),) if category else ()
    )
    return Conversation(id=name, messages=(*read_messages(turns[0]), action), tools=declared)


def _chosen(accepted: dict[str, list[Any]], schema: Any) -> dict[str, Any]:
    """Return arguments with one accepted value each, as bfcl-eval's checker takes them."""
    # A schema may be the word `true`, which allows everything.
    known = schema if isinstance(schema, dict) else {}
    required, properties = known.get("required") or [], known.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    out = {}
    for name, values in accepted.items():
        if not isinstance(values, list) or not values:
            raise Unusable("no_gold", f"no value is accepted for {name!r}; mend the answer")
        if values[0] == _OPTIONAL and name not in required:
            continue
        own = properties.get(name, {})
        found = [_value(value, own) for value in values]
        # Some lists begin with a value that the item's own schema refuses, such as 1 for "1".
        out[name] = next((value for value in found if allows(own, value)), found[0])
    return out


def _value(value: Any, schema: Any) -> Any:
    """Return an accepted value; the members of an object are lists of accepted values in turn."""
    if isinstance(value, dict) and all(isinstance(member, list) for member in value.values()):
        return _chosen(value, schema)
    items = schema.get("items") if isinstance(schema, dict) else None
    if isinstance(value, list) and isinstance(items, dict) and items.get("type") == "object":
        return [_value(item, items) for item in value]
    return value
