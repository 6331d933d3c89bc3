"""Runs of tau-bench (github.com/sierra-research/tau-bench, `historical_trajectories`).

A file is a JSON array of runs with `traj` (OpenAI messages), `task_id`, `trial` and `reward`. The
tools stand elsewhere and are given by the caller. Runs that failed (`reward` 0) are read as well.
"""

from typing import Any

from actwise.conversation import Conversation, Tool
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.readers.openai import read_messages
from actwise.formats.record import Unusable, kind_of

KEYS: Keys = BOOKKEEPING | known("traj task_id trial reward info")


def recognises(record: Any) -> bool:
    """Return whether a record looks like a run of tau-bench."""
    return isinstance(record, dict) and "traj" in record


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one run; its runs of one task form one group. See `openai.read`."""
    if not isinstance(record, dict) or "traj" not in record:
        raise Unusable(
            "no_messages", f"the record ({kind_of(record)}) has no `traj`; write the run's messages"
        )
    task = _number(record, "task_id")
    return Conversation(
        id=f"task-{task}-trial-{_number(record, 'trial')}",
        messages=read_messages(record["traj"]),
        tools=tools,
        group=f"task-{task}",
    )


def _number(record: dict[str, Any], key: str) -> int:
    value = record.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unusable("bad_field", f"`{key}` is {kind_of(value)}; write a whole number")
    return value
