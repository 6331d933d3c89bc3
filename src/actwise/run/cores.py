"""Work divided among the cores of one machine, by processes of Python.

They are interpreters of their own: nothing of the program that starts them is imported or copied,
so a script needs no guard around its main part, and no thread can have left a lock behind.
"""

import contextlib
import multiprocessing
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from actwise.errors import RunError

SHARES = sys.platform != "win32"
"""Whether work can be divided: Windows hands no open pipe to a process that is started so."""

K = TypeVar("K")
T = TypeVar("T")
R = TypeVar("R")

_MOST = 16
"""Processes from which on more gain nothing: one alone reads, and takes in what they found."""


def num_cores() -> int:
    """Return the number of cores that this process may use beside the others of its run."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def divided(
    begin: Callable[[], Callable[[T], R]],
    tasks: Iterable[tuple[K, T | None]],
    processes: int,
) -> Iterator[tuple[K, R | None]]:
    """Yield what a function makes of each task, in the order of the tasks.

    At any time as many tasks are held as there are processes. A process is started when one is
    needed; when this one ends, however it does, so do they.

    Args:
        begin: Makes the function, once in each process; it and all it gives is pickled.
        tasks: Each with a key, which stays here; None is no task, and has no result.
        processes: How many there may be; of a great many, 16 are taken.

    Raises:
        RunError: If a process has been killed, as a machine does that runs out of memory.
    """
    processes = min(processes, _MOST)
    free: deque[_Worker] = deque()
    busy: deque[tuple[K, _Worker]] = deque()
    try:
        for key, task in tasks:
            done = None
            if task is None:
                while busy:
                    yield _taken(busy, free)
                done = key, None
            else:
                if len(busy) == processes:
                    done = _taken(busy, free)
                worker = free.popleft() if free else _Worker(begin)
                worker.send(task)
                busy.append((key, worker))
            if done is not None:
                yield done
        while busy:
            yield _taken(busy, free)
    finally:
        for worker in [*free, *(worker for _, worker in busy)]:
            worker.end()


def _taken(busy: "deque[tuple[K, _Worker]]", free: "deque[_Worker]") -> tuple[K, Any]:
    key, worker = busy[0]
    found = worker.receive()
    free.append(busy.popleft()[1])
    return key, found


class _Worker:
    """A process that does one task after the other."""

    def __init__(self, begin: Callable[[], object]) -> None:
        self._connection, theirs = multiprocessing.Pipe()
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            f"from actwise.run.cores import serve; serve({theirs.fileno()})"
        )
        with theirs:
            # In a group of its own, for Ctrl-C is heard by whoever started it.
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        self.send(begin)

    def send(self, task: object) -> None:
        with self._alive():
            self._connection.send(task)

    def receive(self) -> Any:
        with self._alive():
            return self._connection.recv()

    def end(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait()

    @contextlib.contextmanager
    def _alive(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as error:
            raise RunError(
                f"a process that shared the work has ended (exit code {self._process.wait()}); "
                "if memory ran out, free some"
            ) from error


def serve(descriptor: int) -> None:
    """Do what comes through a connection until its other end is closed."""
    connection = Connection(descriptor)
    tasks = _received(connection)
    for begin in tasks:
        work = begin()
        for task in tasks:
            found = work(task)
            with contextlib.suppress(ConnectionError):
                connection.send(found)


def _received(connection: Connection) -> Iterator[Any]:
    while True:
        try:
            message = connection.recv()
        except (EOFError, OSError):  # an end within a message is no EOFError
            return
        yield message
