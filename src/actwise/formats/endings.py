"""Why an answer ended, as the many interfaces name it."""

from collections.abc import Iterator
from typing import Any

NAMES = ("finish_reason", "stop_reason", "finishReason", "stopReason", "done_reason")
_ABOUT = {
    "response_metadata": (*NAMES, "status"),
    "generation_info": NAMES,
    "metadata": NAMES,  # whose status may be that of anything
    "details": NAMES,
}
"""Members of an answer that tell about it, and what of them does."""
_CUT_OFF = {
    "length",
    "incomplete",
    "model_length",
    "max_tokens",
    "max_output_tokens",
    "model_context_window_exceeded",
    "pause_turn",
    "content_filter",
    "content_filtered",
    "guardrail_intervened",
    "safety",
    "recitation",
    "refusal",  # of Anthropic's classifiers, in the middle of an answer
    "insufficient_system_resource",
    "prohibited_content",
    "blocklist",
    "spii",
    "malformed_function_call",
    "malformed_model_output",
    "malformed_tool_use",
    "error",
    "failed",
    "abort",
    "cancelled",
}
"""Reasons of an answer that had more to say, in small letters and with underscores."""


def cut_off(*answers: Any) -> dict[str, str]:
    """Return the member `finish_reason` of an answer that was cut off or failed, else nothing.

    Args:
        answers: The answer, and whatever else may tell how it ended; what is no object says
            nothing.
    """
    for answer in answers:
        for reason in _told(answer):
            if isinstance(reason, str) and _plain(reason) in _CUT_OFF:
                return {"finish_reason": reason}
    return {}


def _told(answer: Any) -> Iterator[Any]:
    if isinstance(answer, dict):
        yield from map(answer.get, (*NAMES, "status"))
        for key, names in _ABOUT.items():
            yield from map(answer[key].get, names) if isinstance(answer.get(key), dict) else ()


def _plain(reason: str) -> str:
    """Return a reason without the name of its enumeration, in one spelling."""
    return reason.rpartition(".")[2].lower().replace("-", "_")
