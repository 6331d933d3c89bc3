"""A mended copy of logs: what can be mended with certainty, and nothing else.

Not mended: calls without results (one at the end is a decision like any other), arguments of the
wrong type, results without calls. What is missing there, only the owner of the logs knows.
"""

import gzip
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from actwise.conversation import Conversation, Message, ToolCall
from actwise.data.grown import longest_records
from actwise.data.stored import Store
from actwise.doctor.copies import content_digest
from actwise.doctor.nulls import without_stray_nulls
from actwise.findings.finding import case_of
from actwise.formats import Rejected
from actwise.formats.validate import NOTHING_LEARNED, first_problem
from actwise.run.files import write_named


@dataclass
class Mending:
    """What was done; every record read is either written or left out."""

    written: int = 0
    mends: Counter[str] = field(default_factory=Counter)
    """How often each mend was made; "saved" counts records that were unusable before."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Records that are not in the copy, by reason."""

    def __str__(self) -> str:
        """Return one line."""
        parts = [f"{self.written} conversations written"]
        parts += [f"{number} {_MENDS[name]}" for name, number in self.mends.most_common()]
        parts += [f"{number} left out ({name})" for name, number in self.left_out.most_common()]
        return ", ".join(parts)


_MENDS = {
    "stray_null": "nulls stripped",
    "missing_id": "ids of calls and results filled in",
    "saved": "unusable records made usable",
    "growing_record": "records joined to the longer ones that hold their conversation",
    "merged_turns": "turns in two messages made one",
    "divided_results": "results of several calls in one message made one each",
    "ordered_results": "groups of results put in order",
    "call_from_text": "calls written as text made calls",
    "empty_arguments": "empty arguments written as {}",
    "double_encoded_arguments": "arguments decoded twice",
    "repaired_arguments": "arguments written as JSON",
    "object_result": "results written as text",
    "closing_thought": "thoughts taken out of answers",
    "schema_dialect": "schemas written as JSON schema",
}


def write_mended(items: Iterable[Conversation | Rejected], out: Path) -> Mending:
    """Write the mended conversations as canonical JSON lines, each of them once.

    Args:
        items: What `actwise.formats.read_files` yields; read once, and kept on the disk until all
            is read, for the longest record of a conversation may come last.
        out: The file, gzip if it is called .gz; replaced only when all is written.

    Raises:
        RunError: If it cannot be written.
    """
    mending = Mending()

    def write(temporary: Path) -> None:
        zipped = out.suffix == ".gz"
        with gzip.open(temporary, "wb") if zipped else open(temporary, "wb") as file:
            conversations, beginnings = longest_records(Store(mend_all(items, mending)))
            if beginnings:
                mending.mends["growing_record"] = len(beginnings)
            mending.written = len(conversations)
            for conversation in conversations:
                file.write(conversation.to_json().encode() + b"\n")

    write_named(out, write, remedy="choose another --fix")
    return mending


def mend_all(items: Iterable[Conversation | Rejected], mending: Mending) -> Iterator[Conversation]:
    """Yield the conversations that can be used, mended, each once; `mending` counts.

    Those of which nothing is learned are left out and yielded all the same, for longer records.
    """
    seen: set[int] = set()
    for item in items:
        conversation = item.conversation if isinstance(item, Rejected) else item
        if conversation is None:
            assert isinstance(item, Rejected)
            mending.left_out[item.reason] += 1
            continue
        mended, mends = mend(conversation)
        problem = first_problem(mended)
        if problem:
            mending.left_out[problem.reason] += 1
            # An answer that was cut off is not learned from longer records of it, either.
            if problem.reason == NOTHING_LEARNED:
                yield mended
            continue
        key = content_digest(case_of(mended))
        if key in seen:
            mending.left_out["duplicate_conversation"] += 1
            continue
        seen.add(key)
        mending.mends.update(mends)
        mending.mends.update(["saved"] if isinstance(item, Rejected) else [])
        mending.written += 1
        yield mended


def mend(conversation: Conversation) -> tuple[Conversation, Counter[str]]:
    """Return a conversation without stray nulls and with all ids, and what that took."""
    mends = Counter(r.code for r in conversation.remarks if r.code in _MENDS)
    messages = [_without_nulls(conversation, m, mends) for m in conversation.messages]
    messages = list(_with_ids(messages, mends))
    return conversation.model_copy(update={"messages": tuple(messages)}), mends


def _without_nulls(conversation: Conversation, message: Message, mends: Counter[str]) -> Message:
    calls = []
    for call in message.tool_calls:
        arguments, stray = without_stray_nulls(conversation, call)
        mends.update(["stray_null"] * len(stray))
        calls.append(call.model_copy(update={"arguments": arguments}) if stray else call)
    return message.model_copy(update={"tool_calls": tuple(calls)}) if calls else message


def _with_ids(messages: list[Message], mends: Counter[str]) -> Iterator[Message]:
    """Yield the messages with an id for every call and for every result that has a call."""
    taken = {call.id for message in messages for call in message.tool_calls}
    fresh = (name for name in map("call_{}".format, count(1)) if name not in taken)
    pending: list[ToolCall] = []
    for message in messages:
        if any(call.id is None for call in message.tool_calls):
            calls = [
                call if call.id is not None else call.model_copy(update={"id": next(fresh)})
                for call in message.tool_calls
            ]
            mends["missing_id"] += sum(call.id is None for call in message.tool_calls)
            message = message.model_copy(update={"tool_calls": tuple(calls)})
        pending.extend(message.tool_calls)
        if message.role == "tool":
            call = next((c for c in pending if _belongs(message, c)), None)
            if call is not None:
                pending.remove(call)
                if message.tool_call_id is None:
                    mends["missing_id"] += 1
                    message = message.model_copy(update={"tool_call_id": call.id})
        yield message


def _belongs(result: Message, call: ToolCall) -> bool:
    """Return whether a result is that of a call, as the readers' validation has it."""
    if result.tool_call_id is not None:
        return result.tool_call_id == call.id
    return result.name in (None, call.name)
