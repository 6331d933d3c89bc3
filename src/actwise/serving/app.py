"""The application: routes, keys, limits, and what becomes of a request."""

import asyncio
import contextlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from actwise.engine import SamplingParams
from actwise.engine.batch import Request
from actwise.engine.grammar import Grammar, Grammars
from actwise.engine.prompt import Prompt, read_prompt
from actwise.engine.steering import Steering
from actwise.errors import InputError
from actwise.model.policy import Policy
from actwise.serving.job import Job
from actwise.serving.metrics import Metrics
from actwise.serving.protocol import ApiError, ChatRequest, read_request, written_event
from actwise.serving.scheduler import Full, Scheduler

_PAGE = Path(__file__).with_name("page.html")
_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_NOBODY = Response(status_code=499)
"""For a client that has gone away."""


@dataclass(frozen=True)
class Served:
    """A model under the name by which it is asked for."""

    name: str
    policy: Policy
    thinking: bool
    """Whether it thinks where a request does not say."""
    budget: int | None = None
    """Tokens that a thought may have where a request does not say; as many as it has where None."""
    steering: Steering | None = None
    """What is added inside of thoughts where a request does not say otherwise, if anything."""


@dataclass(frozen=True)
class Limits:
    """What is refused."""

    max_tokens: int = 2048
    """Longest completion, thought included; also where a request does not say."""
    max_body: int = 4 << 20
    """Bytes of a request."""
    max_running: int = 32
    """Completions decoded at once."""
    max_waiting: int = 128
    """Completions that wait for their turn; those beyond are refused."""
    max_kept: int = 1 << 30
    """Bytes of what was computed for prompts that are kept for those that begin like them."""


class Server:
    """Models, the scheduler that decodes for them, and the application that asks it."""

    def __init__(
        self,
        models: Sequence[Served],
        *,
        limits: Limits = Limits(),
        api_key: str | None = None,
        hosts: Sequence[str] = ("*",),
    ) -> None:
        """Start the scheduler.

        Args:
            models: At least one; the first is the page's own.
            limits: What is refused.
            api_key: Demanded of whoever asks for more than the page or the health, where given.
            hosts: Names by which the server may be called; "*" for any. Others are refused, or a
                page of the web could call a server on its reader's machine by a name of its own.
        """
        self._models = {model.name: model for model in models}
        self._grammars = {model.name: Grammars(model.policy.template) for model in models}
        self._limits = limits
        self._api_key = api_key
        self._created = int(time.time())
        self._metrics = Metrics()
        self.scheduler = Scheduler(
            max_running=limits.max_running,
            max_waiting=limits.max_waiting,
            max_kept=limits.max_kept,
            observe=self._metrics.rows.observe,
        )
        self._metrics.watch(self.scheduler)
        self.app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/health", self._health),
                Route("/metrics", self._show_metrics),
                Route("/v1/models", self._list_models),
                Route("/v1/models/{name:path}", self._show_model),
                Route("/v1/chat/completions", self._complete, methods=["POST"]),
            ],
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
            exception_handlers={
                ApiError: _answer_error,
                ClientDisconnect: _answer_nobody,
                HTTPException: _answer_http_error,
            },
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        yield
        self.scheduler.close()

    async def _page(self, request: HttpRequest) -> Response:
        return HTMLResponse(_PAGE.read_text(encoding="utf-8"), headers=_SECURITY)

    async def _health(self, request: HttpRequest) -> Response:
        alive = self.scheduler.alive
        return JSONResponse({"status": "ok" if alive else "dead"}, 200 if alive else 503)

    async def _show_metrics(self, request: HttpRequest) -> Response:
        self._authorize(request)
        return Response(self._metrics.render(), media_type="text/plain; version=0.0.4")

    async def _list_models(self, request: HttpRequest) -> Response:
        self._authorize(request)
        models = [self._described(model) for model in self._models.values()]
        return JSONResponse({"object": "list", "data": models})

    async def _show_model(self, request: HttpRequest) -> Response:
        self._authorize(request)
        return JSONResponse(self._described(self._model(request.path_params["name"])))

    def _described(self, model: Served) -> dict[str, Any]:
        return {
            "id": model.name,
            "object": "model",
            "created": self._created,
            "owned_by": "actwise",
            "max_model_len": model.policy.context_length,
            "enable_thinking": model.thinking,
            "thinking_token_budget": model.budget,
            "steering": model.steering is not None,
        }

    async def _complete(self, request: HttpRequest) -> Response:
        self._authorize(request)
        model: Served | None = None
        begin = time.monotonic()
        try:
            ask = read_request(await self._body(request))
            model = self._model(ask.model)
            job = await self._submit(model, ask)
        except ApiError as error:
            self._count(model, error.status)
            raise
        self._metrics.prompt_tokens.labels(model.name).observe(len(job.prompt.token_ids))
        if ask.stream:
            chunks = self._stream(model, ask, job, begin)
            return StreamingResponse(
                chunks, media_type="text/event-stream", headers={"Cache-Control": "no-store"}
            )
        return await self._whole(request, model, job, begin)

    async def _whole(self, request: HttpRequest, model: Served, job: Job, begin: float) -> Response:
        with self._accounted(model, job, begin):
            finished = asyncio.ensure_future(job.finished())
            gone = asyncio.ensure_future(_disconnected(request))
            try:
                await asyncio.wait((finished, gone), return_when=asyncio.FIRST_COMPLETED)
                if not finished.done():
                    return _NOBODY
                finished.result()
            finally:
                for task in (finished, gone):
                    task.cancel()
        return JSONResponse(job.completion())

    async def _stream(
        self, model: Served, ask: ChatRequest, job: Job, begin: float
    ) -> AsyncIterator[str]:
        usage = ask.stream_options is not None and ask.stream_options.include_usage
        try:
            with self._accounted(model, job, begin):
                async for chunk in job.chunks(usage=usage):
                    yield written_event(chunk)
        except ApiError as error:
            yield written_event(error.to_dict())
        yield "data: [DONE]\n\n"

    @contextlib.contextmanager
    def _accounted(self, model: Served, job: Job, begin: float) -> Any:
        """Count how a request ends, and see to it that nothing more is computed for it."""
        status = 200
        try:
            yield
        except ApiError as error:
            status = error.status
            raise
        finally:
            job.close()
            if status == 200 and not job.complete:
                self._metrics.dropped.labels(model.name).inc()
            else:
                self._count(model, status)
            self._metrics.completion_tokens.labels(model.name).observe(job.completion_tokens)
            self._metrics.duration.labels(model.name).observe(time.monotonic() - begin)
            if job.first_token is not None:
                self._metrics.first_token.labels(model.name).observe(job.first_token - begin)
                self._metrics.reused_tokens.labels(model.name).inc(job.reused_tokens)

    def _count(self, model: Served | None, status: int) -> None:
        self._metrics.requests.labels("" if model is None else model.name, str(status)).inc()

    async def _submit(self, model: Served, ask: ChatRequest) -> Job:
        if ask.n > self._limits.max_running:
            raise ApiError(400, f"n: at most {self._limits.max_running} here", param="n")
        most = self._limits.max_tokens
        if ask.limit is not None and ask.limit > most:
            field = "max_completion_tokens" if ask.max_completion_tokens else "max_tokens"
            raise ApiError(400, f"{field}: at most {most} here", param=field)
        # In a thread: a long conversation takes longer to read than others' streams can wait.
        prompt = await asyncio.to_thread(_prompt, model, ask)
        grammar = await self._grammar(model, ask, prompt)
        params = SamplingParams(
            min(ask.limit or most, prompt.room),
            model.policy.template.stop_token_ids,
            ask.temperature,
            ask.top_p,
        )
        seed = secrets.randbits(32) if ask.seed is None else ask.seed % 2**62
        steering = _steering(model, ask)
        requests = [
            Request(prompt.token_ids, params, seed + number, steering, grammar)
            for number in range(ask.n)
        ]
        budget = ask.thinking_token_budget
        job = Job(
            ask,
            prompt,
            requests,
            budget=model.budget if budget is None else budget,
            on_stop=self.scheduler.drop,
            on_cut=lambda job, old, new: self.scheduler.go_on(model.policy, old, new, job.deliver),
        )
        try:
            self.scheduler.submit(model.policy, requests, job.deliver)
        except Full as error:
            raise ApiError(
                429, "too many requests wait already; try again in a moment", code="overloaded"
            ) from error
        return job

    async def _grammar(self, model: Served, ask: ChatRequest, prompt: Prompt) -> Grammar | None:
        form = ask.form(prompt.decision.conversation.tools)
        if form is None:
            return None
        make = self._grammars[model.name].make
        try:
            # In a thread: a schema may be large, and a tokenizer is read when first needed.
            return await asyncio.to_thread(make, form, thinking=prompt.thinking)
        except InputError as error:
            raise ApiError(400, str(error), param=error.file) from error

    def _model(self, name: str) -> Served:
        if name not in self._models:
            known = ", ".join(self._models)
            raise ApiError(
                404, f"there is no model {name!r}; there are {known}", code="model_not_found"
            )
        return self._models[name]

    def _authorize(self, request: HttpRequest) -> None:
        if self._api_key is None:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode(), self._api_key.encode())
        if scheme.lower() != "bearer" or not right:
            raise ApiError(401, "the API key is missing or wrong", code="invalid_api_key")

    async def _body(self, request: HttpRequest) -> bytes:
        # A page of the web cannot send this type to another server without asking it first.
        media_type, _, _ = request.headers.get("content-type", "").partition(";")
        if media_type.strip().lower() != "application/json":
            raise ApiError(400, "the content type has to be application/json")
        most = self._limits.max_body
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > most:
                raise ApiError(413, f"the request has more than {most} bytes")
        return bytes(body)


def _steering(model: Served, ask: ChatRequest) -> Steering | None:
    if ask.steering and model.steering is None:
        raise ApiError(400, f"steering: {model.name} has no vector", param="steering")
    return None if ask.steering is False else model.steering


def _prompt(model: Served, ask: ChatRequest) -> Prompt:
    thinking = ask.thinking
    tools = [] if ask.tool_choice.type == "none" else ask.tools
    try:
        return read_prompt(
            model.policy,
            ask.messages,
            tools,
            thinking=model.thinking if thinking is None else thinking,
        )
    except InputError as error:
        code = "context_length_exceeded" if "the model holds" in error.problem else None
        param = "tools" if error.file == "tools" else "messages"
        raise ApiError(400, str(error), param=param, code=code) from error


async def _disconnected(request: HttpRequest) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _answer_error(request: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    headers = {"Retry-After": "1"} if error.status == 429 else {}
    return JSONResponse(error.to_dict(), error.status, headers)


async def _answer_nobody(request: HttpRequest, error: Exception) -> Response:
    return _NOBODY


async def _answer_http_error(request: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = ApiError(error.status_code, error.detail)
    return JSONResponse(answer.to_dict(), error.status_code, error.headers)
