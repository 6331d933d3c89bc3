"""vLLM's servers: what they are asked over HTTP, and what becomes of one that fails.

A server that cannot be reached, takes too long, answers with an error or with what is no completion
is dropped and named, and the others do its work. Nothing that a server sends is trusted.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from actwise.config import EngineConfig
from actwise.engine import SamplingParams
from actwise.engine.rollouts import Sample
from actwise.errors import ConfigError, RunError, printable
from actwise.rewards.secret import read_key, redacted
from actwise.run.background import in_background

T = TypeVar("T")

_SHOWN = 300
"""Letters of a server's own words that are shown."""


class ServerError(Exception):
    """Why a server is not asked again, in a few words."""


@dataclass(frozen=True)
class Request:
    """Some completions of one prompt."""

    prompt: tuple[int, ...]
    num_generations: int
    params: SamplingParams
    seed: int
    """Of all of them; each draws with one that follows from it."""


class _Logprobs(BaseModel):
    token_logprobs: list[float]


class _Choice(BaseModel):
    index: int
    token_ids: list[int]
    logprobs: _Logprobs
    finish_reason: Literal["stop", "length"]


class _Completions(BaseModel):
    choices: list[_Choice]


class _Model(BaseModel):
    id: str
    parent: str | None = None


class _Models(BaseModel):
    data: list[_Model]


@dataclass(eq=False)
class Server:
    """One server, as long as it can be used."""

    url: str
    client: httpx2.AsyncClient
    seconds: float
    """What it may take to answer."""
    key: str | None
    vocabulary: int
    """Tokens that the model has."""
    model: str = ""
    """Name under which it serves the weights that it was given."""
    given: str | None = field(default=None, repr=False)
    """Name of the adapters that it holds."""

    async def complete(self, request: Request) -> list[Sample]:
        """Return the completions of a prompt.

        Raises:
            ServerError: It does not answer, or with something else.
        """
        params = request.params
        body = {
            "model": self.model,
            "prompt": list(request.prompt),
            "n": request.num_generations,
            "max_tokens": params.max_tokens,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "seed": request.seed,
            "stop_token_ids": list(params.stop_token_ids),
            "logprobs": 0,
            "return_token_ids": True,
            # What it would take from the model's generation_config.json otherwise.
            "ignore_eos": True,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
        }
        content = await self.post("/v1/completions", body)
        try:
            choices = _Completions.model_validate_json(content).choices
            if sorted(c.index for c in choices) != list(range(request.num_generations)):
                raise ValueError(f"not the {request.num_generations} completions asked for")
            choices = sorted(choices, key=lambda choice: choice.index)
            return [_sample(choice, params, self.vocabulary) for choice in choices]
        except ValueError as error:
            raise ServerError(f"answers with no completion: {_reason(error)}") from error

    async def served(self) -> str:
        """Return the name of the model that it serves, adapters aside."""
        content = await self._request("GET", "/v1/models", None)
        try:
            models = _Models.model_validate_json(content).data
        except ValueError as error:
            raise ServerError(f"answers with no list of models: {_reason(error)}") from error
        for model in models:
            if model.parent is None:
                return model.id
        raise ServerError("serves no model")

    async def post(self, path: str, body: dict[str, Any]) -> bytes:
        """Return what it answers."""
        return await self._request("POST", path, json.dumps(body).encode())

    async def _request(self, method: str, path: str, content: bytes | None) -> bytes:
        try:
            # A timeout of our own: httpx2's begin anew with every byte.
            async with asyncio.timeout(self.seconds):
                response = await self.client.request(method, self.url + path, content=content)
        except TimeoutError as error:
            raise ServerError(f"no answer within {self.seconds:g} s") from error
        except (httpx2.TransportError, httpx2.DecodingError, UnicodeError) as error:
            raise ServerError(self._shown(f"{type(error).__name__}: {error}")) from error
        if response.status_code != 200:
            said = self._shown(response.content[:4000].decode(errors="replace"))
            raise ServerError(f"{path}: HTTP {response.status_code}: {said}")
        return response.content

    def _shown(self, text: str) -> str:
        line = printable(" ".join(redacted(text, self.key).split()))
        return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."


class Servers:
    """All servers of a run."""

    def __init__(self, config: EngineConfig, vocabulary: int, say: Callable[[str], None]) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            config: Names them.
            vocabulary: Tokens that the model has.
            say: Tells the user that one is dropped.

        Raises:
            ConfigError: An address is none, or the key is not there.
        """
        self._config = config
        self._say = say
        self._reasons: dict[str, str] = {}
        key = None if config.api_key_env is None else read_key(config.api_key_env)
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=config.concurrency)
        client = httpx2.AsyncClient(headers=headers, timeout=None, limits=limits)
        self._alive: list[Server] = []
        for url in config.urls:
            try:
                parsed = httpx2.URL(url)
            except (httpx2.InvalidURL, ValueError) as error:
                raise ConfigError(f"engine.urls: {url}: {error}") from error
            named = parsed.scheme in ("http", "https") and parsed.host
            if not named or (parsed.port or 0) > 65535:
                raise ConfigError(f"engine.urls: {url}: write it as http://HOST:PORT")
            base = url.rstrip("/").removesuffix("/v1")
            self._alive.append(Server(base, client, config.timeout, key, vocabulary))

    @property
    def models(self) -> dict[str, str]:
        """The servers that can be used, and the name under which each serves the weights."""
        return {server.url: server.model for server in self._alive}

    def keep(self, models: dict[str, str]) -> None:
        """Use those servers alone, under these names: what another process has found."""
        self._alive = [server for server in self._alive if server.url in models]
        for server in self._alive:
            server.model = models[server.url]

    def complete(self, requests: Sequence[Request]) -> list[list[Sample]]:
        """Return the completions of each request, whichever server makes them.

        Raises:
            RunError: No server is left.
        """
        return in_background(self._complete(requests))

    def each(self, ask: Callable[[Server], Awaitable[None]]) -> None:
        """Ask something of every server.

        Raises:
            RunError: No server is left.
        """

        async def ask_all() -> None:
            await asyncio.gather(*(self._asked(ask(server), server) for server in self._alive))
            self._check_any()

        in_background(ask_all())

    async def _complete(self, requests: Sequence[Request]) -> list[list[Sample]]:
        found: dict[int, list[Sample]] = {}

        async def work(server: Server, waiting: deque[int]) -> None:
            while waiting and server in self._alive:
                number = waiting.popleft()
                samples = await self._asked(server.complete(requests[number]), server)
                if samples is None:
                    waiting.append(number)  # for another
                else:
                    found[number] = samples

        # A server may fail when the others have no more to do, and then they begin again.
        while len(found) < len(requests):
            self._check_any()
            waiting = deque(number for number in range(len(requests)) if number not in found)
            workers = self._alive * self._config.concurrency
            await asyncio.gather(*(work(server, waiting) for server in workers))
        return [found[number] for number in range(len(requests))]

    async def _asked(self, asking: Awaitable[T], server: Server) -> T | None:
        """Return what a server answers; drop it where it fails."""
        try:
            return await asking
        except ServerError as error:
            if server in self._alive:
                self._alive.remove(server)
                self._reasons[server.url] = str(error)
                if self._alive:
                    left = len(self._alive)
                    self._say(f"{server.url}: {error}; goes on without it, {left} left")
            return None

    def _check_any(self) -> None:
        if not self._alive:
            reasons = "; ".join(f"{url}: {reason}" for url, reason in self._reasons.items())
            raise RunError(
                f"no vLLM server is left: {reasons}; start them as docs/engines.md says, and the "
                "same command goes on from the last checkpoint"
            )


def _sample(choice: _Choice, params: SamplingParams, vocabulary: int) -> Sample:
    ids, logprobs = choice.token_ids, choice.logprobs.token_logprobs
    if not ids or len(ids) != len(logprobs):
        raise ValueError(f"{len(ids)} tokens with {len(logprobs)} log-probs")
    if min(ids) < 0 or max(ids) >= vocabulary:
        raise ValueError("a token that the model does not have")
    if not all(-float("inf") < logprob <= 1e-3 for logprob in logprobs):
        raise ValueError("a log-prob that is none")
    stops = [token in params.stop_token_ids for token in ids]
    if any(stops[:-1]) or stops[-1] != (choice.finish_reason == "stop"):
        raise ValueError("a completion that ends elsewhere than where it was to stop")
    if choice.finish_reason == "length" and len(ids) != params.max_tokens:
        raise ValueError(
            f"cut after {len(ids)} tokens of {params.max_tokens}: start it with a larger "
            "--max-model-len"
        )
    return Sample(tuple(ids), tuple(logprobs), choice.finish_reason)


def _reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
