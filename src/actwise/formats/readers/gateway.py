"""Requests logged with their responses, as gateways, proxies and batches write them.

The body of the request and that of the response stand under one of several names, as objects or as
their JSON, with or without a `body` in between.
"""

from typing import Any

from actwise.conversation import Conversation, Tool
from actwise.formats.bodies import BODIES, read_body
from actwise.formats.exchange import joined
from actwise.formats.fields import decoded, list_in, word
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.readers import langfuse, responses
from actwise.formats.readers.openai import answer_beside
from actwise.formats.record import Unusable

_REQUESTS = (
    "request",
    "request_body",
    "requestBody",
    "full_request",
    "request_data",
    "req",
    "body",
    "params",
    "payload",
    "data",
)
_RESPONSES = (
    "response",
    "response_body",
    "responseBody",
    "full_response",
    "response_data",
    "resp",
    "result",
    "completion",
    "output",
    "reply",
    "answer",
)
KEYS: Keys = BOOKKEEPING | known(
    "method url path headers error properties choices messages tools request_headers "
    "response_headers requestHeaders responseHeaders host ip country feedback score scores "
    "request_path response_status key_name cached cache_hit retries attempts success input "
    "expected name contents system request_properties schemaType schemaVersion accountId identity "
    "region requestId operation inferenceRegion " + " ".join(("", *_REQUESTS, *_RESPONSES))
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like a logged request."""
    if not isinstance(record, dict) or record.keys() & {"model_parameters", "call_type"}:
        return False
    if any(isinstance(decoded(record.get(key)), dict) for key in _REQUESTS):
        return "attributes" not in record
    if "custom_id" in record or record.get("object") == "chat.completion":
        return True
    if _has_input(record):
        return True
    return answer_beside(record) is not None and bool(
        record.keys() & {"messages", "contents"} or "choices" in record
    )


def _has_input(record: dict[str, Any]) -> bool:
    """Return whether a record has the body of a request as `input`, and its `output`."""
    if "output" not in record or langfuse.recognises(record) or responses.recognises(record):
        return False
    given = _input(record)
    return isinstance(given, dict) and bool(given.keys() & {"messages", "contents"})


def _input(record: dict[str, Any]) -> Any:
    """Return the body of a request that stands in `input`, as in Amazon Bedrock's own log."""
    given = decoded(record.get("input"))
    given = decoded(given["inputBodyJson"]) if _is_logged(given) else given
    return {"messages": given} if isinstance(given, list) else given


def _is_logged(given: Any) -> bool:
    return isinstance(given, dict) and "inputBodyJson" in given


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one logged request. See `openai.read`."""
    if not isinstance(record, dict):
        raise Unusable("no_messages", "the record is no object; write a request and its response")
    request = _under(record, _REQUESTS)
    response = _under(record, _RESPONSES)
    if request is None and _has_input(record):
        request = _input(record)
    if request is None:
        request = _plain(record)
        response = {"choices": record["choices"]} if "choices" in record else response
    if not isinstance(request, dict):
        raise Unusable("no_messages", "the request is no object; log its body whole")
    offered = list_in(decoded(record.get("metadata")), "tools")
    if offered and all(isinstance(tool, dict) for tool in offered):  # as Braintrust logs them
        request = {"tools": offered, **request}
    if isinstance(response, dict) and response.get("type") == "succeeded":
        response = response.get("message")  # a line of Anthropic's batches
    status = record.get("response")
    code = status.get("status_code") if isinstance(status, dict) else None
    if isinstance(code, int) and code >= 400:
        raise Unusable("no_response", f"the request failed (status {code}); leave the record out")
    answered = response is not None or not _ends_with_answer(request)
    body = joined(request, response) if answered else request
    name = word(record, "id", "the record") or word(record, "custom_id", "the record")
    return read_body(body, default_id=name or default_id, tools=tools).model_copy(
        update={"id": name or default_id}
    )


def _under(record: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Return the body under the first of the names that holds one."""
    for name in names:
        value = decoded(record.get(name))
        inner = decoded(value.get("body")) if isinstance(value, dict) else None
        if value is not None:
            return inner if isinstance(inner, dict) else value
    return None


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record that is a request itself, without what is no part of one."""
    request = {key: value for key, value in record.items() if key not in (*_RESPONSES, "choices")}
    if any(body.recognises(request) for body in BODIES):
        return request
    if "custom_id" in record:
        raise Unusable(
            "no_request",
            "the line is of the output of a batch (`custom_id`), which has no request; join it "
            "with the line of the batch's input that has the same `custom_id`, as `request`",
        )
    raise Unusable(
        "no_request",
        "the record is a completion of OpenAI's as it is stored, without the messages before it; "
        "add those that the interface lists for it, as `messages`",
    )


def _ends_with_answer(request: dict[str, Any]) -> bool:
    for key in ("messages", "contents", "input"):
        entries = request.get(key)
        if isinstance(entries, list) and entries and isinstance(entries[-1], dict):
            return entries[-1].get("role") in ("assistant", "model", "tool_call")
    return False
