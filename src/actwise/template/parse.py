"""Read a completion: its thought, its tool calls, its answer, and what is wrong with it.

Each call is parsed on its own, so one broken call of two costs one call. No text raises: a
completion that cannot be read is a completion with errors. Needs neither torch nor transformers.
"""

import json
import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from actwise.conversation import CONTROL_TAG, ToolCall

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
CALL_OPEN, CALL_CLOSE = "<tool_call>", "</tool_call>"
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DEPTH = 64


class FormatError(StrEnum):
    """What can be wrong with a completion."""

    MISSING_THOUGHT = "missing_thought"
    """Thinking mode, but the completion does not begin with a closed thought."""
    EMPTY_THOUGHT = "empty_thought"
    """Thinking mode, but nothing stands in the thought."""
    UNCLOSED_THOUGHT = "unclosed_thought"
    """A thought begins and never ends; everything after it counts as thought."""
    UNEXPECTED_THOUGHT = "unexpected_thought"
    """Direct mode, but the completion holds a thought."""
    UNCLOSED_CALL = "unclosed_call"
    """The last call never ends."""
    BROKEN_JSON = "broken_json"
    """The text of a call is not one JSON object, repeats a key, or holds what cannot be stored:
    nesting deeper than 64 levels, a number beyond a double's range, half a surrogate pair."""
    MISSING_NAME = "missing_name"
    """A call without a string `name`."""
    ARGUMENTS_NOT_OBJECT = "arguments_not_object"
    """A call whose `arguments` are not a JSON object."""
    STRAY_TAG = "stray_tag"
    """A control tag where none belongs."""
    EMPTY = "empty"
    """Neither a call nor an answer."""
    TEXT_AFTER_CALL = "text_after_call"
    """Words to the customer after a call: its result is not known yet."""


@dataclass(frozen=True)
class ParsedCompletion:
    """A completion taken apart; `errors` is empty when the format is right."""

    thought: str | None
    """None when there is no thought; an unclosed thought is kept as far as it goes."""
    calls: tuple[ToolCall, ...]
    answer: str
    """The text outside thought and calls, stripped."""
    errors: tuple[FormatError, ...]
    """Each error once, however often it occurs."""
    broken_calls: int = 0
    """Calls that were begun and cannot be read."""

    @property
    def closed_thought(self) -> str | None:
        """The thought, where there is one that says something and ends."""
        return None if FormatError.UNCLOSED_THOUGHT in self.errors else self.thought or None


def parse_completion(text: str, *, thinking: bool) -> ParsedCompletion:
    """Take a completion apart.

    Args:
        text: The completion as generated, without its stop token.
        thinking: Whether it was generated in thinking mode, and so has to begin with a thought.
    """
    errors: list[FormatError] = []
    thought, rest = _split_thought(text, thinking, errors)
    if thinking and thought == "" and FormatError.UNCLOSED_THOUGHT not in errors:
        errors.append(FormatError.EMPTY_THOUGHT)
    calls, answer, broken_calls = _split_calls(rest, errors)
    if CONTROL_TAG.search(answer) or (thought is not None and CONTROL_TAG.search(thought)):
        errors.append(FormatError.STRAY_TAG)
    if not answer and CALL_OPEN not in rest:
        errors.append(FormatError.EMPTY)
    unique = tuple(dict.fromkeys(errors))
    return ParsedCompletion(thought, tuple(calls), answer, unique, broken_calls)


def _split_thought(text: str, thinking: bool, errors: list[FormatError]) -> tuple[str | None, str]:
    body = text.lstrip()
    if not body.startswith(THINK_OPEN):
        # Templates that open the thought in the generation prompt leave only its end to the model.
        if thinking and THINK_CLOSE in body and THINK_OPEN not in body.split(THINK_CLOSE, 1)[0]:
            thought, _, rest = body.partition(THINK_CLOSE)
            return thought.strip(), rest
        if thinking:
            errors.append(FormatError.MISSING_THOUGHT)
        return None, text
    if not thinking:
        errors.append(FormatError.UNEXPECTED_THOUGHT)
    body = body.removeprefix(THINK_OPEN)
    if THINK_CLOSE not in body:
        errors.append(FormatError.UNCLOSED_THOUGHT)
        return body.strip(), ""
    thought, _, rest = body.partition(THINK_CLOSE)
    return thought.strip(), rest


def _split_calls(text: str, errors: list[FormatError]) -> tuple[list[ToolCall], str, int]:
    calls: list[ToolCall] = []
    outside = []
    before, *blocks = text.split(CALL_OPEN)
    outside.append(before)
    for block in blocks:
        body, closed, after = block.partition(CALL_CLOSE)
        if not closed:
            errors.append(FormatError.UNCLOSED_CALL)
            continue
        outside.append(after)
        if after.strip():
            errors.append(FormatError.TEXT_AFTER_CALL)
        call = _parse_call(body)
        if isinstance(call, FormatError):
            errors.append(call)
        else:
            calls.append(call)
    answer = "\n".join(part.strip() for part in outside if part.strip())
    return calls, answer, len(blocks) - len(calls)


def _parse_call(body: str) -> ToolCall | FormatError:
    try:
        record = json.loads(body, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return FormatError.BROKEN_JSON
    if not isinstance(record, dict) or not _storable(record, _MAX_DEPTH):
        return FormatError.BROKEN_JSON
    name, arguments = record.get("name"), record.get("arguments", {})
    if not isinstance(name, str) or not name:
        return FormatError.MISSING_NAME
    if not isinstance(arguments, dict):
        return FormatError.ARGUMENTS_NOT_OBJECT
    return ToolCall(name=name, arguments=arguments)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _storable(value: Any, depth: int) -> bool:
    """Whether a parsed value can be walked, written as UTF-8 JSON and read back unchanged."""
    if isinstance(value, str):
        return not _SURROGATE.search(value)
    if isinstance(value, float):
        return math.isfinite(value)  # 1e999 is valid JSON and reads as infinity
    if isinstance(value, dict):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, list):
        parts = value
    else:
        return True
    return depth > 0 and all(_storable(part, depth - 1) for part in parts)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
