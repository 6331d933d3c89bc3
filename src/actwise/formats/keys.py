"""Which keys of a record a reader knows, so that no other is dropped in silence.

A reader describes its records by nested keys: an object by the keys it may have, an array by the
description of its members, in a list of one. `ANY` stands for a value that is read as a whole, or
on whose meaning nothing depends.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from actwise.formats.remarks import remark

Keys: TypeAlias = "Mapping[str, Keys] | list[Keys] | None"
ANY: Keys = None

_FAMILY = (
    "group",
    "session_id",
    "sessionId",
    "session.id",
    "Helicone-Session-Id",
    "langfuse.session.id",
    "ai.telemetry.metadata.sessionId",
    "traceloop.association.properties.session_id",
    "conversation_id",
    "conversationId",
    "gen_ai.conversation.id",
    "conversation_uuid",
    "thread_id",
    "threadId",
    "chat_id",
    "chatId",
    "litellm_trace_id",
    "trace_id",
    "traceId",
    "root_span_id",
)
"""Keys by which records of one conversation know each other, the widest first."""
_ABOUT = (
    "metadata",
    "attributes",
    "request",
    "response",
    "body",
    "extra",
    "context",
    "properties",
    "request_properties",
)
"""Members of a record that may hold such a key."""


def known(names: str, **inner: Keys) -> dict[str, Keys]:
    """Return the description of an object.

    Args:
        names: Keys whose values are read as a whole, separated by spaces.
        inner: Descriptions of the values of other keys.
    """
    return dict.fromkeys(names.split(), ANY) | inner


BOOKKEEPING = known(
    "id uuid custom_id request_id run_id span_id spanId object type call_type created "
    "created_at createdAt updated_at updatedAt timestamp time date start_time startTime "
    "end_time endTime completionStartTime completion_start_time latency latency_ms duration "
    "duration_ms metadata tags request_tags labels usage cost user user_id userId end_user "
    "model model_id modelId model_group provider custom_llm_provider api_base source dataset split "
    "language lang version status system_fingerprint service_tier status_code environment "
    "index license finish_reason stop_reason finishReason stopReason"
) | dict.fromkeys(_FAMILY, ANY)
"""Keys about a record, which say nothing of what was said in it."""

SETTINGS = known(
    "model temperature top_p top_k min_p n stream stream_options stop stop_sequences "
    "max_tokens max_completion_tokens max_output_tokens max_tool_calls presence_penalty "
    "frequency_penalty repetition_penalty logit_bias logprobs top_logprobs user seed "
    "service_tier store metadata response_format tool_choice parallel_tool_calls "
    "reasoning_effort verbosity modalities timeout safety_identifier prompt_cache_key "
    "prompt_cache_retention extra_body extra_headers truncation chat_template_kwargs include "
    "background context_management cache_control betas anthropic_version anthropic_beta"
)
"""Settings of a request, which the model does not see."""


def unread(value: Any, keys: Keys, place: str = "") -> Iterator[str]:
    """Yield the paths of the keys that a description does not know and that hold something."""
    if isinstance(keys, list):
        for item in value if isinstance(value, list) else [value]:
            yield from unread(item, keys[0], f"{place}[]")
    elif isinstance(keys, Mapping) and isinstance(value, dict):
        for key, inner in value.items():
            path = f"{place}.{key}" if place else str(key)
            if key in keys:
                yield from unread(inner, keys[key], path)
            elif inner not in (None, "", [], {}):
                yield path


def remark_unread(value: Any, keys: Keys, place: str = "") -> None:
    """Make a remark for each key that a description does not know."""
    for path in dict.fromkeys(unread(value, keys, place)):
        remark("unread_key", path)


def family_of(record: Any) -> str | None:
    """Return what a record says of the conversation it is a part of, if anything.

    Looked for beside the messages, in `metadata`, `context`, properties and the attributes of a
    span; a session goes before a conversation, a conversation before a thread, a thread before a
    trace.
    """
    holders = [record] if isinstance(record, dict) else []
    for holder in holders[:]:
        holders += _inside(holder, *_ABOUT)
    holders += [inner for holder in holders[1:] for inner in _inside(holder, "metadata")]
    for name in _FAMILY:
        for holder in holders:
            value = holder.get(name)
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                return str(value)
    return None


def _inside(holder: dict[str, Any], *names: str) -> list[dict[str, Any]]:
    return [inner for name in names if isinstance(inner := holder.get(name), dict)]
