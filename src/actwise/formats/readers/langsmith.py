"""Runs of LangSmith, exported one by one or in bulk: what went in, what came out.

Requests of LangChain hold its messages, those of wrapped clients the interface's own. A run of a
graph is read as well where its messages went in and came out.
"""

from typing import Any

from actwise.conversation import Conversation, Tool
from actwise.formats.bodies import read_body
from actwise.formats.endings import cut_off
from actwise.formats.exchange import joined
from actwise.formats.fields import decoded, word
from actwise.formats.keys import Keys, family_of, known
from actwise.formats.readers import mistral
from actwise.formats.readers.langchain import is_message
from actwise.formats.record import Unusable, clip, kind_of

_NO_REQUESTS = {"tool", "retriever", "embedding", "parser", "prompt"}
KEYS: Keys = known(
    "inputs outputs extra run_type name id trace_id session_id session_name start_time "
    "end_time dotted_order parent_run_id parent_run_ids child_run_ids child_runs tags error "
    "events metadata feedback_stats feedback reference_example_id reference_dataset_id "
    "serialized status total_tokens prompt_tokens completion_tokens total_cost prompt_cost "
    "completion_cost first_token_time inputs_preview outputs_preview manifest_id app_path "
    "share_token in_dataset last_queued_at inputs_s3_urls outputs_s3_urls s3_urls "
    "execution_order price_model_id trace_tier trace_first_received_at ttl_seconds "
    "trace_upgrade tenant_id is_root created_at modified_at dataset_id source_run_id "
    "attachments split group thread_id latency prompt_token_details completion_token_details "
    "messages"
)


def recognises(record: Any) -> bool:
    """Return whether a record looks like a run of LangSmith."""
    return (
        isinstance(record, dict)
        and ({"inputs", "outputs"} <= record.keys() or {"inputs", "run_type"} <= record.keys())
        and not mistral.recognises(record)
    )


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one run. See `openai.read`."""
    if not isinstance(record, dict):
        raise Unusable("no_messages", f"the run is {kind_of(record)}; write an object")
    kind = record.get("run_type")
    if isinstance(kind, str) and kind in _NO_REQUESTS:
        raise Unusable(
            "not_a_generation",
            f"the run of LangSmith is of type {kind}, no request to a model; "
            "export those of type llm",
        )
    if record.get("error"):
        raise Unusable(
            "no_response",
            f"the run of LangSmith failed ({clip(str(record['error']), 80)}); leave it out",
        )
    given, answered = decoded(record.get("inputs")), decoded(record.get("outputs"))
    if not isinstance(given, dict) or not given or not answered:
        missing = "inputs" if not isinstance(given, dict) or not given else "outputs"
        raise Unusable(
            "no_messages", f"the run of LangSmith has no `{missing}`; export it with them"
        )
    name = word(record, "id", "the record") or default_id
    conversation = read_body(
        _joined(_request(given, decoded(record.get("extra"))), answered),
        default_id=name,
        tools=tools,
    )
    return conversation.model_copy(update={"id": name, "group": _family(record)})


def _request(given: dict[str, Any], extra: Any) -> dict[str, Any]:
    request = dict(given)
    for key in ("input", "question", "prompt", "prompts"):
        if "messages" not in request and isinstance(request.get(key), str | list):
            request["messages"] = request.pop(key)
    messages = request.get("messages")
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    # One batch of requests; a run is one of them.
    if isinstance(messages, list) and len(messages) == 1 and isinstance(messages[0], list):
        messages = messages[0]
    request["messages"] = messages
    parameters = extra.get("invocation_params") if isinstance(extra, dict) else None
    if isinstance(parameters, dict) and parameters.get("tools"):
        request["tools"] = request.get("tools") or parameters["tools"]
    return request


def _joined(request: dict[str, Any], answered: Any) -> dict[str, Any]:
    history = request.get("messages")
    history = history if isinstance(history, list) else []
    if isinstance(answered, dict):
        generations = answered.get("generations")
        while isinstance(generations, list) and len(generations) == 1:
            (generations,) = generations
        if isinstance(generations, dict):
            answered = _generated(generations)
        elif isinstance(generations, list):
            raise Unusable(
                "no_response",
                f"`outputs` holds {len(generations)} generations; leave the one that was used",
            )
        else:
            answered = next(
                (answered[k] for k in ("messages", "output", "answer", "text") if k in answered),
                answered,
            )
    if isinstance(answered, list):
        # A graph's state repeats what went in.
        repeats = len(answered) > len(history) and _same(answered[: len(history)], history)
        return {**request, "messages": answered if repeats else [*history, *answered]}
    if is_message(answered):
        return {**request, "messages": [*history, answered]}
    return joined(request, answered)


def _generated(generation: dict[str, Any]) -> Any:
    """Return the message of a generation, which may tell beside it how it ended."""
    message = generation.get("message", generation.get("text"))
    if isinstance(message, str):
        message = {"role": "assistant", "content": message}
    return {**message, **cut_off(generation)} if isinstance(message, dict) else message


def _same(some: list[Any], others: list[Any]) -> bool:
    return [_content(m) for m in some] == [_content(m) for m in others]


def _content(message: Any) -> Any:
    for key in ("kwargs", "data"):
        if isinstance(message, dict) and isinstance(message.get(key), dict):
            message = message[key]
    return message.get("content") if isinstance(message, dict) else message


def _family(record: dict[str, Any]) -> str | None:
    """Return the thread or trace; `session_id` is the project, which all runs share."""
    own = {key: record.get(key) for key in ("group", "thread_id", "metadata", "extra", "trace_id")}
    return family_of({key: decoded(value) for key, value in own.items()})
