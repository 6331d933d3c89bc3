"""TRL's rows: a prompt and its completion, or preferences, of which the chosen side is read.

OpenAI's preferences (`preferred_output`) are read as well. Of a preference only the chosen side is
kept: what was rejected is nothing to imitate.
"""

from typing import Any

from actwise.conversation import Conversation, Tool
from actwise.formats.bodies import read_body
from actwise.formats.fields import object_at, word
from actwise.formats.keys import ANY, BOOKKEEPING, Keys, known
from actwise.formats.record import Unusable, kind_of
from actwise.formats.remarks import remark

KEYS: Keys = BOOKKEEPING | known(
    "prompt completion response chosen rejected label tools functions score_chosen score_rejected "
    "margin chat_template_kwargs preferred_output non_preferred_output system",
    input=ANY,
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like a row for TRL's trainers, or an OpenAI preference."""
    if not isinstance(record, dict) or record.keys() & {"messages", "choices", "reward_model"}:
        return False
    keys = record.keys()
    return (
        {"prompt", "completion"} <= keys
        or {"prompt", "response"} <= keys
        or {"prompt", "chosen"} <= keys
        or {"chosen", "rejected"} <= keys
        or {"input", "preferred_output"} <= keys
    )


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one row. See `openai.read`."""
    if not isinstance(record, dict):
        raise Unusable("no_messages", f"the record is {kind_of(record)}; write an object")
    if record.get("label") is False:
        raise Unusable(
            "rejected_side",
            "the completion is labelled false, so it is not to be imitated; leave it out",
        )
    body: dict[str, Any] = {"tools": record.get("tools") or record.get("functions") or None}
    if "preferred_output" in record:
        body |= object_at(record, "input", "the record")
        prompt, done = body.get("messages"), record["preferred_output"]
    else:
        prompt = record.get("prompt")
        done = next((record[k] for k in ("chosen", "completion", "response") if k in record), None)
    if record.keys() & {"chosen", "preferred_output"}:
        remark("chosen_side", "rejected")
    history = _turns(prompt, "user", "the prompt") if prompt is not None else []
    answer = _turns(done, "assistant", "the completion")
    if answer and isinstance(answer[0], dict) and answer[0].get("role") in ("system", "user"):
        history = []  # the chosen side repeats the prompt
    if isinstance(record.get("system"), str):
        history = [{"role": "system", "content": record["system"]}, *history]
    body["messages"] = [*history, *answer]
    return read_body(body, default_id=word(record, "id", "the record") or default_id, tools=tools)


def _turns(value: Any, role: str, place: str) -> list[Any]:
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise Unusable("no_messages", f"{place} is {kind_of(value)}; write messages or a text")
    return value
