"""Several passes at once, each on a core of its own.

The products of a small model are too short to be divided among cores; whole passes are not. torch
lets go of Python's lock while it computes, so threads suffice, and the weights exist once.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Yield what a function returns for each item, in their order.

    Args:
        function: Called in several threads at once where there is more than one worker.
        items: Taken only as workers get to them, so that few results wait for their turn.
        workers: Calls at once.
    """
    if workers == 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers)
    begun: deque[Future[R]] = deque()
    try:
        for item in items:
            begun.append(pool.submit(function, item))
            if len(begun) > workers:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)  # after an error or Ctrl-C nothing further is begun
