"""Exports of Langfuse: observations of type GENERATION, alone or within their trace.

`input` and `output` are what the instrumentation put there: a request's body or its messages, and a
message, a response's body or a text, as JSON or as its text.
"""

from typing import Any

from actwise.conversation import Conversation, Tool
from actwise.formats.bodies import read_body
from actwise.formats.exchange import joined
from actwise.formats.fields import decoded, word
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.readers.langchain import is_message
from actwise.formats.record import Unusable, clip, kind_of

_KINDS = {
    "GENERATION",
    "SPAN",
    "EVENT",
    "TOOL",
    "AGENT",
    "CHAIN",
    "RETRIEVER",
    "EMBEDDING",
    "EVALUATOR",
    "GUARDRAIL",
}
_IDS = {"traceId", "trace_id", "observations", "parentObservationId", "parent_observation_id"}
KEYS: Keys = BOOKKEEPING | known(
    "input output observations scores name level statusMessage status_message modelId "
    "modelParameters model_parameters promptId prompt_id promptName prompt_name promptVersion "
    "prompt_version parentObservationId parent_observation_id projectId project_id unit "
    "inputPrice outputPrice totalPrice input_price output_price total_price usageDetails "
    "usage_details costDetails cost_details calculatedInputCost calculatedOutputCost "
    "calculatedTotalCost calculated_input_cost calculated_output_cost calculated_total_cost "
    "timeToFirstToken time_to_first_token totalCost total_cost latency promptTokens "
    "completionTokens totalTokens inputUsage outputUsage totalUsage provided_model_name "
    "internalModelId internal_model_id public bookmarked release htmlPath trace_name "
    "traceName tool_definitions toolDefinitions tool_calls toolCalls toolCallNames "
    "tool_call_names comments isDeleted event_ts"
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like an observation or a trace of Langfuse."""
    if not isinstance(record, dict) or "attributes" in record:
        return False
    if isinstance(record.get("observations"), list):
        return True
    return {"input", "output"} <= record.keys() and (
        str(record.get("type")) in _KINDS or bool(record.keys() & _IDS)
    )


def parts(record: Any) -> list[Any]:
    """Return the generations of a trace, or the observation itself."""
    found = record.get("observations") if isinstance(record, dict) else None
    if not isinstance(found, list):
        return [record]
    about = {key: record[key] for key in ("sessionId", "session_id") if record.get(key)}
    trace = record.get("id")
    generations = [
        {"traceId": trace, **about, **item}
        for item in map(decoded, found)
        if isinstance(item, dict) and item.get("type") == "GENERATION"
    ]
    if not generations:
        raise Unusable(
            "not_a_generation",
            "the trace of Langfuse holds no observation of type GENERATION, so no request to a "
            "model; leave it out, or export its observations",
        )
    return generations


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one observation. See `openai.read`."""
    if not isinstance(record, dict):
        raise Unusable("no_messages", f"the observation is {kind_of(record)}; write an object")
    kind = record.get("type", "GENERATION")
    if kind != "GENERATION":
        raise Unusable(
            "not_a_generation",
            f"the observation of Langfuse is of type {clip(str(kind), 40)}, no request to a model; "
            "export those of type GENERATION",
        )
    given, answered = decoded(record.get("input")), decoded(record.get("output"))
    if given in (None, "", [], {}) or answered in (None, "", [], {}):
        missing = "input" if given in (None, "", [], {}) else "output"
        raise Unusable(
            "no_messages",
            f"the observation of Langfuse has no `{missing}`; export observations with their "
            "input and output",
        )
    declared = decoded(record.get("tool_definitions", record.get("toolDefinitions")))
    request = _request(given, declared)
    name = word(record, "id", "the record") or default_id
    conversation = read_body(_joined(request, answered), default_id=name, tools=tools)
    return conversation.model_copy(update={"id": name})


def _request(given: Any, declared: Any) -> dict[str, Any]:
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], list):
        given = given[0]
    request = dict(given) if isinstance(given, dict) else {"messages": given}
    if isinstance(request.get("messages"), list):
        # The integration for LangChain writes tools on offer among the messages.
        offered = [tool for m in request["messages"] if (tool := _declaration(m)) is not None]
        request["messages"] = [m for m in request["messages"] if _declaration(m) is None]
        request["tools"] = request.get("tools") or offered or None
    if declared:
        request["tools"] = request.get("tools") or declared
    return request


def _declaration(message: Any) -> Any:
    """Return the tool that a message declares, if it does."""
    if not isinstance(message, dict) or message.get("role") != "tool":
        return None
    content = message.get("content")
    is_tool = isinstance(content, dict) and content.get("type") == "function"
    return content if is_tool else None


def _joined(request: dict[str, Any], answered: Any) -> dict[str, Any]:
    """Return the request with its output; LangChain's messages have no role to go by."""
    if is_message(answered):
        return {**request, "messages": [*(request.get("messages") or []), answered]}
    if isinstance(answered, dict) and isinstance(answered.get("additional_kwargs"), dict):
        kept = {key: value for key, value in answered.items() if key != "additional_kwargs"}
        answered = {**answered["additional_kwargs"], **kept}
    return joined(request, answered)
