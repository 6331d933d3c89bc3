"""Calls and their results: calls passed over, results that say error, error loops."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from actwise.conversation import Message, ToolCall
from actwise.findings.finding import Case, Finding, Tally, canonical_json

_ERROR_TEXT = re.compile(r"\s*(?:\w*(?:Error|Exception|ERROR)|error)\s*(?::|$)|\s*Traceback \(most")
_ERROR_WORD = re.compile(r'"(?:errors?|exception|status|success|ok)"\s*:', re.IGNORECASE)
_FAILED = ("error", "failed", "failure")


@dataclass
class Seen:
    """The results in one conversation."""

    results: int = 0
    errors: int = 0
    unanswered: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)


class ToolResults:
    """What comes back from tools, and what the assistant does then."""

    def __init__(self, max_examples: int) -> None:
        self.results = 0
        self.errors = 0
        self._unanswered = Tally(max_examples)
        self._loops = Tally(max_examples)

    def look(self, case: Case) -> Seen:
        """See `Family.look`."""
        seen = Seen()
        messages = case.conversation.messages
        unanswered = _unanswered(messages)
        if unanswered is not None:
            seen.unanswered.append(case.at(unanswered))
        failed: list[str] = []  # the calls that failed since the user last spoke
        for index, message in enumerate(messages):
            if message.role == "user":
                failed.clear()
            for call, result in _answered(messages, index):
                seen.results += 1
                written = f"{call.name} {canonical_json(call.arguments)}"
                if not says_error(result.content):
                    failed.clear()  # something has changed; to try again makes sense
                    continue
                seen.errors += 1
                if written in failed:
                    seen.loops.append(f"{case.at(index)} calls {written[:80]} again")
                failed.append(written)
        return seen

    def note(self, seen: Seen) -> None:
        """Count the results."""
        self.results += seen.results
        self.errors += seen.errors
        self._unanswered.extend(seen.unanswered)
        self._loops.extend(seen.loops)

    def findings(self) -> Iterator[Finding]:
        """Yield calls without results, and errors."""
        yield from self._unanswered.finding(
            "warning",
            "unanswered_call",
            "conversation(s) in which the assistant goes on before a call has its result",
            effect="What it says next rests on nothing in its context, which teaches to invent.",
            remedy="Add the missing results, or cut the conversation after the call.",
        )
        yield from self._loops.finding(
            "warning",
            "error_loop",
            "call(s) made again unchanged after an error, and failing again",
            effect="The model learns to repeat a failing call instead of changing it.",
            remedy="Cut the conversation before the first repetition, or leave it out.",
        )


def says_error(text: str) -> bool:
    """Return whether the result of a tool says that the call failed; in doubt it does not."""
    if not text.lstrip().startswith("{"):
        return _ERROR_TEXT.match(text) is not None
    if not _ERROR_WORD.search(text):
        return False
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and _object_says_error(value)


def _object_says_error(value: dict[str, Any]) -> bool:
    lower = {key.lower(): item for key, item in value.items()}
    return (
        any(lower.get(key) for key in ("error", "errors", "exception"))
        or str(lower.get("status")).lower() in _FAILED
        or lower.get("success") is False
        or lower.get("ok") is False
    )


def _answered(messages: Sequence[Message], index: int) -> Iterator[tuple[ToolCall, Message]]:
    """Yield the calls of a message that have a result before anybody else speaks."""
    pending = list(messages[index].tool_calls)
    for message in messages[index + 1 :]:
        if message.role != "tool" or not pending:
            return
        wanted = message.tool_call_id
        call = next((c for c in pending if wanted is None or c.id == wanted), None)
        if call is not None:
            pending.remove(call)
            yield call, message


def _unanswered(messages: Sequence[Message]) -> int | None:
    """Return the index of the first assistant message that comes before due results."""
    due = 0
    for index, message in enumerate(messages):
        if message.role == "tool":
            due -= 1
        elif message.role == "assistant":
            if due > 0:
                return index
            due = len(message.tool_calls)
    return None
