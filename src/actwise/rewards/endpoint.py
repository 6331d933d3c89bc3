"""A client for model endpoints that speak OpenAI's protocol, for judging.

Requests of a batch go out concurrently, each distinct one once. Every reply is kept on disk under
the hash of its request, so a run that is resumed or repeated asks nothing twice and finds the same
verdicts. A request that fails for good yields a `NoVerdict`, never a score; an endpoint that
refuses the key or does not exist, or fails too often, stops the run. What is spent is counted.

Nothing that a server sends is trusted: not its size, its speed, its shape or its words.
"""

import asyncio
import hashlib
import json
import random
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from queue import SimpleQueue
from typing import Any, NamedTuple

import httpx2

from actwise.errors import ConfigError, RunError
from actwise.rewards.judge import NoVerdict
from actwise.rewards.missing import Missing
from actwise.rewards.secret import read_key, redacted
from actwise.rewards.settings import EndpointConfig
from actwise.run.background import background_loop

Body = Mapping[str, Any]

_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_MISCONFIGURED = frozenset({401, 402, 403, 404, 405})
_MAX_WAIT = 60.0
_MAX_REPLY = 10_000_000
"""Bytes; the vector of an embedding takes some ten thousand."""
_UNUSABLE = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError)


@dataclass
class Spend:
    """What was asked of an endpoint since the process began."""

    requests: int = 0
    """Distinct requests that were sent, answered or not."""
    cached: int = 0
    """Distinct requests of a batch that had been answered before."""
    failed: int = 0
    """Requests that got no usable reply."""
    input_tokens: int = 0
    """As the endpoint counts them, for usable and unusable replies alike."""
    output_tokens: int = 0


class Reader(NamedTuple):
    """How replies are read; both functions raise where something is not what was asked for."""

    take: Callable[[Any], Any]
    """Takes a reply apart and returns a JSON value, which is kept."""
    check: Callable[[Any], Any]
    """Returns what is made of such a value, which may come from a file."""


class _Again(NamedTuple):
    """An attempt that another may mend."""

    reason: str
    wait: float = 0.0
    """Seconds to wait, where the server asks for that."""


class Endpoint:
    """One model behind one address."""

    def __init__(self, settings: EndpointConfig) -> None:
        """Prepare to ask; nothing is sent yet.

        Raises:
            ConfigError: The key's environment variable is not set or holds no key, or the address
                is none.
        """
        self.spend = Spend()
        self._settings = settings
        self._base = settings.url.rstrip("/")
        self._key = None if settings.api_key_env is None else read_key(settings.api_key_env)
        self._missing = Missing(f"{settings.model} at {self._base}", settings.max_missing)
        headers = {"Content-Type": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        limits = httpx2.Limits(max_connections=settings.concurrency)
        try:
            # Timeouts are ours: httpx2's begin anew with every byte.
            self._client = httpx2.AsyncClient(
                base_url=self._base, headers=headers, timeout=None, limits=limits
            )
        except (httpx2.InvalidURL, ValueError) as error:
            raise ConfigError(f"url: {self._base}: {error}") from error
        if (self._client.base_url.port or 0) > 65535:
            raise ConfigError(f"url: {self._base}: a port is at most 65535")

    def ask(self, path: str, bodies: Sequence[Body], reader: Reader) -> list[Any | NoVerdict]:
        """Send requests, and return what is read from their replies, in order.

        Args:
            path: Such as "/chat/completions".
            bodies: Bodies of the requests; the model's name is added.
            reader: How replies are read.

        Raises:
            RunError: The endpoint does not know the address, the model or the key, or fails too
                often, or the cache cannot be used.
        """
        full = [{"model": self._settings.model, **body} for body in bodies]
        names = [self._name(path, body) for body in full]
        distinct = dict(zip(names, full, strict=True))
        try:
            with closing(self._open_cache()) as store:
                found = self._look_up(store, distinct, reader)
                self.spend.cached += len(found)
                missing = {name: body for name, body in distinct.items() if name not in found}
                found |= self._send(path, missing, reader, store)
        except (sqlite3.Error, OSError) as error:
            raise RunError(
                f"{self._settings.cache}: {error}; choose another file for the endpoint's cache"
            ) from error
        return [found[name] for name in names]

    def cost(self) -> float:
        """Return the price of what was spent, in the currency of the settings."""
        prices = self._settings.price_per_million_input, self._settings.price_per_million_output
        return (
            self.spend.input_tokens * prices[0] + self.spend.output_tokens * prices[1]
        ) / 1_000_000

    def _name(self, path: str, body: Body) -> str:
        text = json.dumps([self._base, path, body], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _open_cache(self) -> sqlite3.Connection:
        self._settings.cache.parent.mkdir(parents=True, exist_ok=True)
        store = sqlite3.connect(self._settings.cache, timeout=60, isolation_level=None)
        store.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, value TEXT)")
        return store

    def _look_up(
        self, store: sqlite3.Connection, distinct: Mapping[str, Body], reader: Reader
    ) -> dict[str, Any]:
        query = "SELECT value FROM replies WHERE key = ?"
        found = {}
        for name in distinct:
            row = store.execute(query, (name,)).fetchone()
            if row is not None:
                try:
                    found[name] = reader.check(json.loads(row[0]))
                except _UNUSABLE:
                    continue  # not what is kept there; it is asked again and replaced
        return found

    def _send(
        self, path: str, bodies: Mapping[str, Body], reader: Reader, store: sqlite3.Connection
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        replies: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        asking = self._ask_all(path, bodies, replies)
        sending = asyncio.run_coroutine_threadsafe(asking, background_loop())
        try:
            while len(found) < len(bodies):
                name, reply = replies.get()
                if isinstance(reply, Exception):
                    raise reply
                value, kept = self._value(reply, reader)
                found[name] = value
                if not isinstance(value, NoVerdict):
                    store.execute(
                        "INSERT OR REPLACE INTO replies VALUES (?, ?)", (name, json.dumps(kept))
                    )
                self._missing.add(value)
        finally:
            sending.cancel()  # after an error or Ctrl-C nothing is waited for
        return found

    def _value(self, reply: Any, reader: Reader) -> tuple[Any | NoVerdict, Any]:
        """Count a reply; return what is made of it, and what is kept for that."""
        self.spend.requests += 1
        if not isinstance(reply, NoVerdict):
            usage = reply.get("usage") if isinstance(reply, dict) else None
            if isinstance(usage, dict):
                self.spend.input_tokens += _count(usage.get("prompt_tokens"))
                self.spend.output_tokens += _count(usage.get("completion_tokens"))
            try:
                kept = reader.take(reply)
                return reader.check(kept), kept
            except _UNUSABLE as error:
                reply = NoVerdict(self._shown(f"unusable reply: {error}"))
        self.spend.failed += 1
        return reply, None

    async def _ask_all(
        self, path: str, bodies: Mapping[str, Body], replies: SimpleQueue[tuple[str, Any]]
    ) -> None:
        free = asyncio.Semaphore(self._settings.concurrency)

        async def ask_one(name: str, body: Body) -> None:
            async with free:
                try:
                    reply = await self._reply(path, body)
                except Exception as error:  # raised where the replies are awaited
                    reply = error
            replies.put((name, reply))

        async with asyncio.TaskGroup() as group:
            for name, body in bodies.items():
                group.create_task(ask_one(name, body))

    async def _reply(self, path: str, body: Body) -> Any | NoVerdict:
        """Send one request, again where that may help, until its deadline."""
        reason, wait = "", 0.0
        try:
            async with asyncio.timeout(self._settings.deadline):
                for attempt in range(self._settings.retries + 1):
                    if attempt:
                        await _pause(max(wait, _backoff(attempt)))
                    reply = await self._attempt(path, body)
                    if not isinstance(reply, _Again):
                        return reply
                    reason, wait = reply
        except TimeoutError:
            within = f"no reply within {self._settings.deadline:g} s"
            return NoVerdict(f"{within}; {reason}" if reason else within)
        return NoVerdict(reason)

    async def _attempt(self, path: str, body: Body) -> "Any | NoVerdict | _Again":
        try:
            async with asyncio.timeout(self._settings.timeout):
                status, wait, content = await self._post(path, body)
        except TimeoutError:
            return _Again(f"no whole reply within {self._settings.timeout:g} s")
        except (httpx2.TransportError, httpx2.DecodingError, UnicodeError) as error:
            # UnicodeError: the name of a host can be no name
            return _Again(self._shown(f"{type(error).__name__}: {error}"))
        if 200 <= status < 300:
            return self._decoded(content)
        reason = f"HTTP {status}: {self._shown(_text(content))}"
        if status in _MISCONFIGURED:
            raise RunError(
                f"{self._base}{path}: {reason}; check url, model and api_key_env of the endpoint"
            )
        return _Again(reason, wait) if status in _TRANSIENT else NoVerdict(reason)

    async def _post(self, path: str, body: Body) -> tuple[int, float, bytes]:
        """Return status, seconds to wait if one asks again, and body of the reply."""
        # As ASCII: half a surrogate pair is JSON, and no UTF-8.
        content = json.dumps(body).encode()
        async with self._client.stream("POST", path, content=content) as response:
            received = bytearray()
            async for part in response.aiter_bytes():
                received += part
                if len(received) > _MAX_REPLY:
                    raise httpx2.DecodingError(f"the reply has more than {_MAX_REPLY} bytes")
            return response.status_code, _wait_asked_for(response), bytes(received)

    def _decoded(self, content: bytes) -> Any | NoVerdict:
        try:
            return json.loads(content.decode())  # of bytes it would take UTF-16, too
        except (ValueError, RecursionError):
            return NoVerdict(f"not JSON: {self._shown(_text(content))}")

    def _shown(self, text: str) -> str:
        """Return what may be shown and kept of what a server says: a line without the key."""
        printable = "".join(c if c.isprintable() else " " for c in redacted(text, self._key))
        line = " ".join(printable.split())
        return line if len(line) <= 200 else line[:197] + "..."


@cache
def endpoint(settings: EndpointConfig) -> Endpoint:
    """Return the one client of a process for these settings."""
    return Endpoint(settings)


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds)


def _backoff(attempt: int) -> float:
    # Jitter, so that requests that failed together do not come back together.
    return random.uniform(0.5, 1) * min(_MAX_WAIT, 2 ** (attempt - 1))


def _count(number: Any) -> int:
    """Return a number of tokens as an endpoint states it; 0 where it states none."""
    usable = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 10**9
    return number if usable else 0


def _text(content: bytes) -> str:
    return content[:4000].decode(errors="replace")


def _wait_asked_for(response: httpx2.Response) -> float:
    seconds = response.headers.get("retry-after", "")
    return min(_MAX_WAIT, float(seconds)) if seconds.isascii() and seconds.isdigit() else 0.0
