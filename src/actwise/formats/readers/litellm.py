"""Logs of LiteLLM: its standard payload, and the rows of its table of spending."""

from typing import Any

from actwise.conversation import Conversation, Tool
from actwise.formats.bodies import read_body
from actwise.formats.exchange import joined
from actwise.formats.fields import decoded, word
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.record import Unusable, clip

_PARAMETERS = ("model_parameters", "optional_params")
KEYS: Keys = BOOKKEEPING | known(
    "messages response model_parameters optional_params proxy_server_request stream "
    "response_cost response_cost_failure_debug_info cost_breakdown status_fields total_tokens "
    "prompt_tokens completion_tokens response_time model_map_information cache_hit cache_key "
    "saved_cache_cost requester_ip_address error_str error_information hidden_params "
    "guardrail_information standard_built_in_tools_params standard_logging_object spend "
    "api_key team_id organization_id agent_id mcp_namespaced_tool_name request_duration_ms "
    "call_id litellm_call_id api_version"
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like one of LiteLLM's."""
    return isinstance(record, dict) and bool(
        record.keys() & {"call_type", "model_parameters", "proxy_server_request"}
        or ("standard_logging_object" in record)
    )


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one record. See `openai.read`."""
    inner = decoded(record.get("standard_logging_object")) if isinstance(record, dict) else None
    record = inner if isinstance(inner, dict) else record
    if not isinstance(record, dict):
        raise Unusable("no_messages", "the record is no object; export LiteLLM's payload whole")
    if record.get("status") == "failure" or record.get("error_str"):
        problem = clip(str(record.get("error_str") or "status failure"), 80)
        raise Unusable("no_response", f"LiteLLM's request failed ({problem}); leave it out")
    request: dict[str, Any] = {}
    for key in _PARAMETERS:
        given = decoded(record.get(key))
        request |= given if isinstance(given, dict) else {}
    sent = decoded(record.get("proxy_server_request"))
    sent = sent.get("body", sent) if isinstance(sent, dict) else None
    request |= sent if isinstance(sent, dict) else {}
    messages = decoded(record.get("messages"))
    if messages:
        key = "messages" if isinstance(messages, list) else "prompt"
        request |= messages if isinstance(messages, dict) else {key: messages}
    if not request.keys() & {"messages", "contents", "input", "prompt"}:
        raise Unusable(
            "no_messages",
            "LiteLLM did not keep what was said; have it do so "
            "(`store_prompts_in_spend_logs: true`) and leave this record out",
        )
    name = word(record, "id", "the record") or word(record, "request_id", "the record")
    body = {key: value for key, value in request.items() if key != "id"}
    conversation = read_body(joined(body, record.get("response")), default_id="", tools=tools)
    return conversation.model_copy(update={"id": name or default_id})
