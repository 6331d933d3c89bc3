"""OpenAI's chat completions: what is asked, what is answered, and its errors.

What would change a completion and cannot be done is refused by name, never ignored; fields that
concern a provider's accounts and stores alone are let pass.
"""

import json
import secrets
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from actwise.conversation import ToolCall
from actwise.engine.batch import Token
from actwise.errors import ActwiseError
from actwise.formats.record import strict_json
from actwise.template.render import Template
from actwise.template.streaming import Delta


class ApiError(ActwiseError):
    """An answer that is an error, in OpenAI's shape."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code

    def to_dict(self) -> dict[str, Any]:
        """Return the body of the answer."""
        kinds = {401: "authentication_error", 429: "rate_limit_error", 500: "server_error"}
        error = {
            "message": str(self),
            "type": kinds.get(self.status, "invalid_request_error"),
            "param": self.param,
            "code": self.code,
        }
        return {"error": error}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_asks_for_nothing(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: part for key, part in value.items() if part is not None}


class StreamOptions(_Part):
    """What a stream holds beside the completion."""

    include_usage: bool = False
    include_obfuscation: Literal[False] | None = None


class TemplateOptions(_Part):
    """Options of the chat template."""

    enable_thinking: bool | None = None


class ResponseFormat(_Part):
    """The only form of an answer that can be asked for."""

    type: Literal["text"]


class ChatRequest(_Part):
    """A request for chat completions."""

    model: str
    messages: list[dict[str, Any]] = Field(min_length=1)
    tools: list[dict[str, Any]] = []
    tool_choice: Literal["auto", "none"] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float = Field(0.0, ge=0, le=2)
    """0 unless given: so the model was measured."""
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int | None = None
    stop: list[str] = Field([], max_length=16)
    n: int = Field(1, ge=1)
    logprobs: bool = False
    chat_template_kwargs: TemplateOptions = TemplateOptions()
    reasoning_effort: Literal["none"] | None = None
    thinking_token_budget: int | None = Field(None, ge=0)
    """As vLLM has it: the thought is cut to so many tokens, and the model has to act."""
    steering: bool | None = None
    """Whether the model's vector, where it has one, is added inside of the thought."""

    # Can only be asked for as it is anyway.
    top_logprobs: Literal[0] | None = None
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    parallel_tool_calls: Literal[True] | None = None
    response_format: ResponseFormat | None = None
    modalities: list[Literal["text"]] | None = None
    logit_bias: dict[str, float] = Field({}, max_length=0)
    functions: list[Any] = Field([], max_length=0)

    # Of a provider's accounts and stores.
    user: Any = None
    metadata: Any = None
    store: Any = None
    service_tier: Any = None
    safety_identifier: Any = None
    prompt_cache_key: Any = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Any = None

    @field_validator("stop", mode="before")
    @classmethod
    def _one_stop(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("stop")
    @classmethod
    def _not_empty(cls, value: list[str]) -> list[str]:
        if "" in value:
            raise ValueError("an empty stop would end everything")
        return value

    @property
    def thinking(self) -> bool | None:
        """Whether the model thinks, where it was said."""
        if self.reasoning_effort == "none":
            return False
        return self.chat_template_kwargs.enable_thinking

    @property
    def limit(self) -> int | None:
        """Tokens that a completion may have, where it was said."""
        return self.max_completion_tokens or self.max_tokens


def read_request(body: bytes) -> ChatRequest:
    """Read the body of a request.

    Raises:
        ApiError: It is no request, or asks for something that cannot be done.
    """
    try:
        value = strict_json(body.decode())
    except ValueError as error:
        raise ApiError(400, f"the body is not JSON: {error}") from error
    try:
        return ChatRequest.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        param = ".".join(map(str, first["loc"]))
        problem = {
            "extra_forbidden": "is not supported here",
            "literal_error": f"has to be {first.get('ctx', {}).get('expected', '')} here",
            "missing": "is missing",
        }.get(first["type"], first["msg"])
        if first.get("ctx", {}).get("max_length") == 0:  # it may be asked for where it is empty
            problem = "is not supported here"
        raise ApiError(400, f"{param}: {problem}" if param else problem, param=param) from error


def completion_id() -> str:
    """Return a name for a completion that no other has."""
    return f"chatcmpl-{secrets.token_hex(12)}"


def written_event(value: dict[str, Any]) -> str:
    """Return an event of a stream, in ASCII: some clients take U+2028, too, for a line's end."""
    return f"data: {json.dumps(value)}\n\n"


def written_call(call: ToolCall) -> dict[str, Any]:
    """Return a call in OpenAI's shape."""
    return {
        # Nine letters and digits, as the templates of Mistral's models demand in a history.
        "id": secrets.token_hex(5)[:9],
        "type": "function",
        "function": {
            "name": call.name,
            "arguments": json.dumps(call.arguments, ensure_ascii=False),
        },
    }


def written_delta(delta: Delta, first_call: int) -> dict[str, Any]:
    """Return what has been added to a message.

    Args:
        delta: What it is.
        first_call: Calls that have been told before.
    """
    written: dict[str, Any] = {}
    if delta.thought:
        written["reasoning_content"] = delta.thought
    if delta.answer:
        written["content"] = delta.answer
    if delta.calls:
        written["tool_calls"] = [
            {"index": index, **written_call(call)}
            for index, call in enumerate(delta.calls, first_call)
        ]
    return written


def written_logprobs(template: Template, tokens: list[Token]) -> dict[str, Any]:
    """Return tokens one by one, the marks of thoughts and calls and the stop token, too."""
    content = []
    for token in tokens:
        text = template.tokenizer.decode([token.id], skip_special_tokens=False)
        # A token of some bytes of a character is no text.
        whole = None if "\ufffd" in text else list(text.encode())
        content.append(
            {"token": text, "logprob": token.logprob, "bytes": whole, "top_logprobs": []}
        )
    return {"content": content, "refusal": None}
