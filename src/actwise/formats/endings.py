"""Why an answer ended, as the many interfaces name it."""

from typing import Any

_NAMES = ("finish_reason", "stop_reason", "finishReason", "stopReason", "done_reason", "status")
_ABOUT = ("response_metadata", "generation_info", "metadata", "details")
"""Members of an answer that tell about it."""
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
    """Return the member `finish_reason` of an answer that was cut off, else nothing.

    Args:
        answers: The answer, and whatever else may tell how it ended; what is no object says
            nothing.
    """
    known = [answer for answer in answers if isinstance(answer, dict)]
    known += [inner for a in known for key in _ABOUT if isinstance(inner := a.get(key), dict)]
    for holder in known:
        for reason in map(holder.get, _NAMES):
            if isinstance(reason, str) and _plain(reason) in _CUT_OFF:
                return {"finish_reason": reason}
    return {}


def _plain(reason: str) -> str:
    """Return a reason without the name of its enumeration, in one spelling."""
    return reason.rpartition(".")[2].lower().replace("-", "_")
