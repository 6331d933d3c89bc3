"""Limits on the time and the memory of code that is not ours, such as a model's template."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType


@contextlib.contextmanager
def limited(seconds: float, memory: int) -> Iterator[None]:
    """Break off what takes longer, and refuse it memory beyond a limit.

    Time is limited where the system has timers (not on Windows), memory on Linux, and both in the
    main thread alone: the limits are the whole process's. Elsewhere there is none.

    Args:
        seconds: Until it is broken off.
        memory: Bytes that the process may take beyond those it has.

    Raises:
        TimeoutError: Within what is done, as soon as it returns to Python's own code.
        MemoryError: Within what is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _time(seconds), _memory(memory):
        yield


@contextlib.contextmanager
def _time(seconds: float) -> Iterator[None]:
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"takes longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _memory(more: int) -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    now = pages * resource.getpagesize() + more
    if before[0] != resource.RLIM_INFINITY:
        now = min(now, before[0])
    resource.setrlimit(resource.RLIMIT_AS, (now, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
