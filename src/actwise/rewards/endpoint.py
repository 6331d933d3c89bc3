"""A client for model endpoints that speak OpenAI's protocol, for judging.

Requests of a batch go out concurrently, each distinct one once. Every reply is kept on disk under
the hash of its request, so a run that is resumed or repeated asks nothing twice and finds the same
verdicts. A request that fails for good yields a `NoVerdict`, never a score; an endpoint that
refuses the key or does not exist stops the run. What is spent is counted.
"""

import hashlib
import json
import os
import random
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx2

from actwise.errors import ConfigError, RunError
from actwise.rewards.judge import NoVerdict
from actwise.rewards.settings import EndpointSettings

Body = Mapping[str, Any]

_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_MISCONFIGURED = frozenset({401, 402, 403, 404, 405})
_MAX_WAIT = 60.0


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


class Endpoint:
    """One model behind one address."""

    def __init__(self, settings: EndpointSettings) -> None:
        """Prepare to ask; nothing is sent yet.

        Raises:
            ConfigError: The key's environment variable is not set.
        """
        self.spend = Spend()
        self._settings = settings
        self._base = settings.url.rstrip("/")
        headers = {}
        if settings.api_key_env is not None:
            key = os.environ.get(settings.api_key_env)
            if not key:
                raise ConfigError(
                    f"api_key_env: set the environment variable {settings.api_key_env}"
                )
            headers["Authorization"] = f"Bearer {key}"
        limits = httpx2.Limits(max_connections=settings.concurrency)
        self._client = httpx2.Client(headers=headers, timeout=settings.timeout, limits=limits)

    def ask(
        self, path: str, bodies: Sequence[Body], read: Callable[[Any], Any]
    ) -> list[Any | NoVerdict]:
        """Send requests, and return what is read from their replies, in order.

        Args:
            path: Such as "/chat/completions".
            bodies: Of the requests; the model's name is added.
            read: Takes a reply apart and returns a JSON value; it raises a ValueError, TypeError
                or LookupError where the reply is not what was asked for.

        Raises:
            RunError: The endpoint does not know the address, the model or the key, or the cache
                cannot be used.
        """
        full = [{"model": self._settings.model, **body} for body in bodies]
        keys = [self._key(path, body) for body in full]
        distinct = dict(zip(keys, full, strict=True))
        try:
            with closing(self._open_cache()) as store:
                found = self._look_up(store, distinct)
                self.spend.cached += len(found)
                missing = {key: body for key, body in distinct.items() if key not in found}
                found |= self._send(path, missing, read, store)
        except (sqlite3.Error, OSError) as error:
            raise RunError(
                f"{self._settings.cache}: {error}; choose another file for the endpoint's cache"
            ) from error
        return [found[key] for key in keys]

    def cost(self) -> float:
        """Return the price of what was spent, in the currency of the settings."""
        prices = self._settings.price_per_million_input, self._settings.price_per_million_output
        return (
            self.spend.input_tokens * prices[0] + self.spend.output_tokens * prices[1]
        ) / 1_000_000

    def _key(self, path: str, body: Body) -> str:
        text = json.dumps([self._base, path, body], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _open_cache(self) -> sqlite3.Connection:
        self._settings.cache.parent.mkdir(parents=True, exist_ok=True)
        store = sqlite3.connect(self._settings.cache, timeout=60, isolation_level=None)
        store.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, value TEXT)")
        return store

    def _look_up(self, store: sqlite3.Connection, distinct: Mapping[str, Body]) -> dict[str, Any]:
        query = "SELECT value FROM replies WHERE key = ?"
        rows = {key: store.execute(query, (key,)).fetchone() for key in distinct}
        return {key: json.loads(row[0]) for key, row in rows.items() if row is not None}

    def _send(
        self,
        path: str,
        bodies: Mapping[str, Body],
        read: Callable[[Any], Any],
        store: sqlite3.Connection,
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        pool = ThreadPoolExecutor(self._settings.concurrency)
        try:
            asked = {pool.submit(self._reply, path, body): key for key, body in bodies.items()}
            for done in as_completed(asked):
                value = self._value(done.result(), read)
                found[asked[done]] = value
                if not isinstance(value, NoVerdict):
                    store.execute(
                        "INSERT OR REPLACE INTO replies VALUES (?, ?)",
                        (asked[done], json.dumps(value)),
                    )
        finally:
            pool.shutdown(cancel_futures=True)
        return found

    def _value(self, reply: Any, read: Callable[[Any], Any]) -> Any | NoVerdict:
        """Count a reply and read it."""
        self.spend.requests += 1
        if not isinstance(reply, NoVerdict):
            usage = reply.get("usage") if isinstance(reply, dict) else None
            if isinstance(usage, dict):
                self.spend.input_tokens += int(usage.get("prompt_tokens") or 0)
                self.spend.output_tokens += int(usage.get("completion_tokens") or 0)
            try:
                return read(reply)
            except (ValueError, TypeError, LookupError) as error:
                reply = NoVerdict(f"unusable reply: {error}")
        self.spend.failed += 1
        return reply

    def _reply(self, path: str, body: Body) -> Any | NoVerdict:
        """Send one request, again where that may help."""
        reason, wait = "", 0.0
        for attempt in range(self._settings.retries + 1):
            if attempt:
                # Jitter, so that requests that failed together do not come back together.
                time.sleep(max(wait, random.uniform(0.5, 1) * min(_MAX_WAIT, 2 ** (attempt - 1))))
            try:
                response = self._client.post(self._base + path, json=body)
            except (httpx2.TransportError, httpx2.DecodingError) as error:
                reason, wait = f"{type(error).__name__}: {error}", 0.0
                continue
            if response.status_code in _MISCONFIGURED:
                raise RunError(
                    f"{self._base}{path}: HTTP {response.status_code}: {_clip(response.text)}; "
                    "check url, model and api_key_env of the endpoint"
                )
            if response.is_success:
                return _decoded(response)
            reason = f"HTTP {response.status_code}: {_clip(response.text)}"
            if response.status_code not in _TRANSIENT:
                break
            wait = _wait_asked_for(response)
        return NoVerdict(reason)


@cache
def endpoint(settings: EndpointSettings) -> Endpoint:
    """Return the one client of a process for these settings."""
    return Endpoint(settings)


def _decoded(response: httpx2.Response) -> Any | NoVerdict:
    try:
        return response.json()
    except ValueError:
        return NoVerdict(f"not JSON: {_clip(response.text)}")


def _wait_asked_for(response: httpx2.Response) -> float:
    seconds = response.headers.get("retry-after", "")
    return min(_MAX_WAIT, float(seconds)) if seconds.isdigit() else 0.0


def _clip(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:197] + "..."
