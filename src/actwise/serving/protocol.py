"""OpenAI's chat completions: what is asked, what is answered, and its errors.

What would change a completion and cannot be done is refused by name, never ignored; fields that
concern a provider's accounts and stores alone are let pass.
"""

import json
import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from actwise.conversation import Tool, ToolCall, tool_name
from actwise.engine.batch import Token
from actwise.engine.grammar import Form
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


class JsonSchema(_Part):
    """The schema of an answer."""

    name: str
    description: str | None = None
    schema_: dict[str, Any] = Field({}, alias="schema")
    strict: bool | None = None
    """Kept to in any case."""


class ResponseFormat(_Part):
    """The form of an answer."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> "ResponseFormat":
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("a json_schema belongs to the type json_schema")
        return self

    @property
    def answer(self) -> dict[str, Any] | None:
        """The schema of what is said to the user, where it is JSON."""
        if self.json_schema is not None:
            return self.json_schema.schema_
        return None if self.type == "text" else {"type": "object"}


class FunctionName(_Part):
    """A tool."""

    name: str


class ToolChoice(_Part):
    """Whether a tool has to be called, and which."""

    type: Literal["auto", "none", "required", "function"] = "auto"
    function: FunctionName | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_word(cls, value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_its_name(self) -> "ToolChoice":
        if (self.type == "function") != (self.function is not None):
            raise ValueError("a function belongs to the type function")
        return self


class ChatRequest(_Part):
    """A request for chat completions."""

    model: str
    messages: list[dict[str, Any]] = Field(min_length=1)
    tools: list[dict[str, Any]] = []
    tool_choice: ToolChoice = ToolChoice()
    parallel_tool_calls: bool = True
    response_format: ResponseFormat = ResponseFormat()
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

    def form(self, offered: Sequence[Tool]) -> Form | None:
        """Return what the completion is held to, if anything.

        Args:
            offered: The tools that the model is shown.

        Raises:
            ApiError: A tool is demanded that is not on offer.
        """
        wanted, several = self.tool_choice, self.parallel_tool_calls
        if wanted.type in ("auto", "none"):
            answer = self.response_format.answer
            return None if answer is None else Form(offered, several, answer)
        name = wanted.function and wanted.function.name
        tools = [tool for tool in offered if name in (None, tool_name(tool))]
        if not tools:
            missing = "no tool" if name is None else f"no tool {name!r}"
            raise ApiError(400, f"tool_choice: {missing} is on offer", param="tool_choice")
        return Form(tools, several)

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


def written_logprobs(template: Template, tokens: Sequence[Token], first: int) -> dict[str, Any]:
    """Return tokens one by one, the marks of thoughts and calls and the stop token, too.

    Args:
        template: The model's.
        tokens: All of the completion so far.
        first: From which on they are returned.
    """
    content = []
    for number, token in enumerate(tokens[first:], first):
        text = _own_text(template, [t.id for t in tokens[max(0, number - 1) : number + 1]])
        # A token of some bytes of a character is no text.
        whole = None if "\ufffd" in text else list(text.encode())
        content.append(
            {"token": text, "logprob": token.logprob, "bytes": whole, "top_logprobs": []}
        )
    return {"content": content, "refusal": None}


def _own_text(template: Template, ids: Sequence[int]) -> str:
    """Return what the last token adds to the text of the one before it."""
    how = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
    decode = partial(template.tokenizer.decode, **how)
    before, both = str(decode(ids[:-1])), str(decode(ids))
    # Decoders that mark where words begin leave the space before the first one out.
    follows = both.startswith(before) and "\ufffd" not in before
    return both.removeprefix(before) if follows else str(decode(ids[-1:]))
