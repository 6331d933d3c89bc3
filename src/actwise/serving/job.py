"""A request on its way: its choices, and the answer or the chunks that they become."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from actwise.engine.batch import Request, Token
from actwise.engine.prompt import Prompt
from actwise.serving.choice import Choice
from actwise.serving.protocol import (
    ApiError,
    ChatRequest,
    completion_id,
    written_call,
    written_delta,
    written_logprobs,
)


class Job:
    """What is computed for one request; belongs to the event loop in which it is made."""

    def __init__(
        self,
        ask: ChatRequest,
        prompt: Prompt,
        requests: Sequence[Request],
        *,
        budget: int | None,
        on_stop: Callable[[Sequence[Request]], None],
        on_cut: Callable[["Job", Request, Request], None],
    ) -> None:
        """Begin.

        Args:
            ask: What was asked.
            prompt: What is completed.
            requests: One for each choice.
            budget: Tokens that each thought may have; as many as it has where None.
            on_stop: Is told of requests that are complete before their decoding is.
            on_cut: Is told of a request whose thought was cut, and of the one that goes on.
        """
        self.prompt = prompt
        self.reused_tokens = 0
        """Tokens of the prompt that were kept from an earlier one."""
        self.first_token: float | None = None
        """When it came, by the monotonic clock."""
        self._ask = ask
        most_calls = None if ask.parallel_tool_calls else 1
        self._choices = [
            Choice(prompt, request, ask.stop, budget, most_calls) for request in requests
        ]
        self._by_request = dict(zip(requests, self._choices, strict=True))
        self._on_stop, self._on_cut = on_stop, on_cut
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._error: Exception | None = None
        self._closed = False
        self._shared = {
            "id": completion_id(),
            "created": int(time.time()),
            "model": ask.model,
            "system_fingerprint": None,
        }

    def deliver(self, token: Token | Exception) -> None:
        """Take a token, or what went wrong; called in any thread."""
        self._loop.call_soon_threadsafe(self._take, token)

    def _take(self, token: Token | Exception) -> None:
        if self._closed:
            return
        if isinstance(token, Exception):
            self._error = token
        else:
            if self.first_token is None:
                self.first_token, self.reused_tokens = time.monotonic(), token.reused
            choice = self._by_request[token.request]
            if token.request is not choice.request:
                return  # of a thought that has been cut
            instead = choice.add(token)
            if choice.complete and token.stop_reason is None:
                self._on_stop([token.request])
            elif instead is not None:
                self._by_request[instead] = choice
                self._on_cut(self, token.request, instead)
        self._news.set()

    @property
    def requests(self) -> list[Request]:
        """Those that are decoded now, one for each choice."""
        return [choice.request for choice in self._choices]

    def close(self) -> None:
        """Have nothing more computed."""
        self._closed = True
        self._on_stop(self.requests)

    @property
    def complete(self) -> bool:
        """Whether all choices are."""
        return all(choice.complete for choice in self._choices)

    @property
    def completion_tokens(self) -> int:
        """Tokens of all choices so far."""
        return sum(len(choice.tokens) for choice in self._choices)

    async def finished(self) -> None:
        """Wait until all choices are complete.

        Raises:
            ApiError: They will never be.
        """
        while not self.complete:
            await self._wait()

    async def _wait(self) -> None:
        await self._news.wait()
        self._news.clear()
        if self._error is not None:
            raise ApiError(500, "the model failed; the server's log says how") from self._error

    def completion(self) -> dict[str, Any]:
        """Return the whole answer, once all choices are complete."""
        choices = [self._whole(index, choice) for index, choice in enumerate(self._choices)]
        return {
            **self._shared,
            "object": "chat.completion",
            "choices": choices,
            "usage": self._usage(),
        }

    def _whole(self, index: int, choice: Choice) -> dict[str, Any]:
        choice.read()
        parsed = choice.parsed
        assert parsed is not None
        message: dict[str, Any] = {"role": "assistant", "content": parsed.answer, "refusal": None}
        if parsed.thought:
            message["reasoning_content"] = parsed.thought
        if parsed.calls:
            message["content"] = parsed.answer or None
            message["tool_calls"] = [written_call(call) for call in parsed.calls]
        return {
            "index": index,
            "message": message,
            "logprobs": self._logprobs(choice, 0),
            "finish_reason": choice.finish_reason,
            "format_errors": [error.value for error in parsed.errors],
        }

    async def chunks(self, *, usage: bool) -> AsyncIterator[dict[str, Any]]:
        """Yield the answer piece by piece.

        Args:
            usage: Whether the last piece says how many tokens there were.

        Raises:
            ApiError: Nothing more will come.
        """
        for index in range(len(self._choices)):
            yield self._chunk(index, {"role": "assistant", "content": ""})
        going = dict(enumerate(self._choices))
        seen, told = dict.fromkeys(going, 0), dict.fromkeys(going, 0)
        calls = dict.fromkeys(going, 0)
        while going:
            await self._wait()
            for index, choice in list(going.items()):
                if choice.num_taken == seen[index]:
                    continue
                # While a piece is sent more tokens may come; they are for the next round.
                seen[index], done, delta = choice.num_taken, choice.complete, choice.read()
                logprobs = None
                if choice.num_settled > told[index]:
                    logprobs = self._logprobs(choice, told[index])
                    told[index] = choice.num_settled
                if delta or logprobs:
                    yield self._chunk(index, written_delta(delta, calls[index]), logprobs=logprobs)
                calls[index] += len(delta.calls)
                if done:
                    assert choice.parsed is not None
                    yield self._chunk(
                        index,
                        {},
                        finish_reason=choice.finish_reason,
                        format_errors=[error.value for error in choice.parsed.errors],
                    )
                    del going[index]
        if usage:
            yield {**self._chunk(0, {}), "choices": [], "usage": self._usage()}

    def _chunk(self, index: int, delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None, **more}
        return {**self._shared, "object": "chat.completion.chunk", "choices": [choice]}

    def _logprobs(self, choice: Choice, first: int) -> dict[str, Any] | None:
        if not self._ask.logprobs:
            return None
        return written_logprobs(self.prompt.template, choice.tokens, first)

    def _usage(self) -> dict[str, Any]:
        template = self.prompt.template
        thoughts = [choice.parsed.thought for choice in self._choices if choice.parsed is not None]
        prompt, completion = len(self.prompt.token_ids), self.completion_tokens
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": self.reused_tokens},
            "completion_tokens_details": {
                "reasoning_tokens": sum(len(template.encode(t)) for t in thoughts if t)
            },
        }
