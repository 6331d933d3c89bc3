"""The loop in which all requests to servers wait, in a thread that no exit waits for."""

import asyncio
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


@cache
def background_loop() -> asyncio.AbstractEventLoop:
    """Return the one loop of this process."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def in_background(coroutine: Coroutine[Any, Any, T]) -> T:
    """Wait for a coroutine; after an error or Ctrl-C nothing of it goes on."""
    waiting = asyncio.run_coroutine_threadsafe(coroutine, background_loop())
    try:
        return waiting.result()
    finally:
        waiting.cancel()
