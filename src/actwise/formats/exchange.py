"""A request and its response, joined to one body with the turn that followed at its end."""

import re
from typing import Any

from actwise.formats.endings import cut_off
from actwise.formats.fields import decoded
from actwise.formats.keys import ANY, BOOKKEEPING, SETTINGS, Keys, known, remark_unread
from actwise.formats.record import Unusable, clip, kind_of

_CALLED = ("automaticFunctionCallingHistory", "automatic_function_calling_history")
"""Keys of what was said before the answer, where Google's SDK calls the functions itself."""
_CHOICE = known("index text finish_reason logprobs message stop_reason native_finish_reason delta")
_RESPONSE: Keys = (
    BOOKKEEPING
    | SETTINGS
    | known(
        "message done done_reason total_duration load_duration prompt_eval_count "
        "prompt_eval_duration eval_count eval_duration completion answer generated_text "
        "error output_text output instructions tools text reasoning incomplete_details "
        "previous_response_id completed_at billing prompt_feedback promptFeedback usageMetadata "
        "usage_metadata modelVersion model_version responseId response_id createTime "
        "prompt_filter_results request_id provider_specific_fields _hidden_params hidden_params "
        "messages input outputs guardrails moderation conversation background "
        "finish_reason stop_reason stopReason details metrics trace performanceConfig "
        "additionalModelResponseFields ResponseMetadata " + " ".join(_CALLED),
        choices=[_CHOICE],
        candidates=ANY,
    )
)
_GIVEN = ("input", "messages", "prompt")
"""Keys of what was asked of OpenAI's Responses, in the request itself and in logs of it."""
_PIECES = {"choices", "delta", "contentBlockDelta"}
"""Keys of the pieces of a stream."""
_TEXTS = ("completion", "text", "output", "output_text", "generated_text", "answer")
"""Keys of an object that is nothing but a text."""
_ABOUT = known("type id model usage stop_sequence stop_details container")
"""Keys of an Anthropic response that are no part of its message."""
_STREAMED = re.compile(r"\s*(event:[^\n]*\n\s*)?data:\s*\{")
"""How a response begins that was logged as it was streamed."""


def joined(request: dict[str, Any], response: Any) -> dict[str, Any]:
    """Return the request with the response as its last turn.

    Args:
        request: The body of the request.
        response: That of the response, as the interface of the request answers; a text or a
            message will do.

    Raises:
        Unusable: When the response is none that can be learned from.
    """
    response = decoded(response)
    if isinstance(response, str):
        if _STREAMED.match(response):
            raise _in_pieces("the text of a stream")
        return _said(request, {"role": "assistant", "content": response})
    if isinstance(response, list):
        if any(isinstance(part, dict) and part.keys() & _PIECES for part in response):
            raise _in_pieces("a list of the pieces that were streamed")
        if response and all(isinstance(part, dict) and "message" in part for part in response):
            return _said(request, *_choice(response))  # choices alone
        return _said(request, *response)
    if not isinstance(response, dict):
        raise Unusable(
            "no_response",
            f"the response is {kind_of(response)}, so what was answered is not in the record; "
            "log it, or leave the record out",
        )
    for key in ("body", "outputBodyJson"):
        if key in response:
            return joined(request, response[key])
    if not response.keys() & {"role", "content"}:
        remark_unread(response, _RESPONSE, "response")  # a message is looked through as one
    if "choices" in response:
        return _said(request, *_choice(response["choices"]))
    if "candidates" in response:
        return _candidate(request, response)
    if isinstance(response.get("output"), list):
        given = next((request[key] for key in _GIVEN if request.get(key)), None)
        given = [{"role": "user", "content": given}] if isinstance(given, str) else given
        kept = {k: response[k] for k in ("incomplete_details", "status") if response.get(k)}
        request = {key: value for key, value in request.items() if key not in _GIVEN}
        return {**request, **kept, "input": given, "output": response["output"]}
    if isinstance(response.get("outputs"), list):
        return {**request, "outputs": response["outputs"]}
    if isinstance(response.get("messages"), list):
        return _said(request, *response["messages"])
    ended = cut_off(response)
    for holder in (response, response.get("output")):  # `output` is of Bedrock's Converse
        if isinstance(holder, dict) and isinstance(holder.get("message"), dict):
            return _said(request, {"role": "assistant", **holder["message"], **ended})
    text = next((response[key] for key in _TEXTS if isinstance(response.get(key), str)), None)
    if text is not None and "content" not in response:
        return _said(request, {"role": "assistant", "content": text, **ended})
    if "role" in response or "content" in response:
        message = {key: value for key, value in response.items() if key not in _ABOUT}
        return _said(request, {"role": "assistant", **message, **ended})
    problem = decoded(response.get("error")) or response
    raise Unusable(
        "no_response",
        f"`response.choices` holds no choices ({clip(str(problem), 80)}): the request failed, or "
        "the response is not in the record; leave it out, or log an answer that is JSON as the "
        "`content` of a message",
    )


def _in_pieces(seen: str) -> Unusable:
    return Unusable(
        "no_response",
        f"`response.choices` holds no choices: the response is {seen}; "
        "log the response as it was put together",
    )


def _said(request: dict[str, Any], *messages: Any) -> dict[str, Any]:
    """Return a request with messages added, under the name that its interface has for them."""
    history = request.get("messages")
    if history is None and isinstance(request.get("input"), list | str):
        given = request["input"]
        given = [{"role": "user", "content": given}] if isinstance(given, str) else given
        return {**request, "input": given, "output": list(messages)}
    if history is None and isinstance(request.get("prompt"), str | list):
        prompt = request["prompt"]
        history = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        request = {key: value for key, value in request.items() if key != "prompt"}
    if not isinstance(history, list):
        raise Unusable(
            "no_messages",
            f"`request.messages` is {kind_of(history)}; write an array of messages",
        )
    return {**request, "messages": [*history, *messages]}


def _choice(choices: Any) -> list[Any]:
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        found = len(choices) if isinstance(choices, list) else "no"
        raise Unusable(
            "no_response",
            f"`response.choices` holds {found} choices; leave exactly the one that was used",
        )
    (choice,) = choices
    message = choice.get("message")
    if message is None and isinstance(choice.get("text"), str):
        message = {"role": "assistant", "content": choice["text"]}
    if not isinstance(message, dict):
        raise Unusable(
            "no_response", f"the choice's message is {kind_of(message)}; log the whole response"
        )
    return [{"role": "assistant", **message, **cut_off(choice)}]


def _candidate(request: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    candidates = response["candidates"]
    if not isinstance(candidates, list) or len(candidates) != 1:
        found = len(candidates) if isinstance(candidates, list) else "no"
        raise Unusable(
            "no_response",
            f"`response.candidates` holds {found} candidates; leave exactly the one that was used",
        )
    content = candidates[0].get("content") if isinstance(candidates[0], dict) else None
    contents = request.get("contents")
    contents = (
        [{"role": "user", "parts": [{"text": contents}]}] if isinstance(contents, str) else contents
    )
    called = next((response[key] for key in _CALLED if response.get(key)), None)
    if isinstance(called, list) and isinstance(contents, list) and len(called) > len(contents):
        contents = called
    if not isinstance(content, dict) or not isinstance(contents, list):
        raise Unusable(
            "no_response",
            "the candidate of Gemini's has no content, or the request no `contents`; leave it out",
        )
    answer = {"role": "model", **content, **cut_off(candidates[0])}
    return {**request, "contents": [*contents, answer]}
