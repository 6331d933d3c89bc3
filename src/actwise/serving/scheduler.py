"""One thread that decodes what everybody waits for.

Whoever arrives joins those that are being decoded, after their next token: nobody waits for the end
of another's completion. Who arrives meanwhile begins together, on what their prompts share, and
what was computed for prompts is kept for those that begin like them. Models take turns, a token
each.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

from actwise.engine.batch import Batch, Request, Token
from actwise.engine.prefixes import KeptPrefixes
from actwise.model.policy import Policy

_GATHER_SECONDS = 0.005
"""An idle scheduler waits so long for more to come: requests of one client come in a row."""

Deliver = Callable[[Token | Exception], None]
"""Is told each token of a request, or why there will be no more; in the scheduler's thread."""


class Full(Exception):
    """As many requests wait as may."""


@dataclass(frozen=True)
class _Waiting:
    policy: Policy
    request: Request
    deliver: Deliver


class Scheduler:
    """Decodes for several policies in a thread of its own, which ends with `close`."""

    def __init__(
        self,
        *,
        max_running: int,
        max_waiting: int,
        max_kept: int = 0,
        observe: Callable[[int], None] = lambda n: None,
    ) -> None:
        """Start the thread.

        Args:
            max_running: Completions decoded at the same time at most.
            max_waiting: Completions that wait for their turn at most, beside those for which there
                is room.
            max_kept: Bytes of what is kept of prompts at most, for all models together.
            observe: Is told the number of completions of each step of a batch.
        """
        self._kept = KeptPrefixes(max_kept) if max_kept else None
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._observe = observe
        self._changed = threading.Condition()
        self._waiting: list[_Waiting] = []
        self._dropped: set[Request] = set()
        self._running: dict[Policy, Batch] = {}
        self._deliver: dict[Request, Deliver] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="scheduler", daemon=True)
        self._thread.start()

    def submit(self, policy: Policy, requests: Sequence[Request], deliver: Deliver) -> None:
        """Have completions computed as soon as there is room.

        Raises:
            Full: Too many wait already; none of these will be computed.
        """
        with self._changed:
            room = self._max_running - len(self._deliver)
            if len(self._waiting) + len(requests) > room + self._max_waiting:
                raise Full
            self._waiting += [_Waiting(policy, request, deliver) for request in requests]
            self._changed.notify()

    def go_on(self, policy: Policy, old: Request, new: Request, deliver: Deliver) -> None:
        """Compute one completion instead of another, which has had its turn."""
        self.drop([old])
        with self._changed:
            self._waiting.insert(0, _Waiting(policy, new, deliver))
            self._changed.notify()

    def drop(self, requests: Collection[Request]) -> None:
        """Compute no more of some requests, whether they wait, run, or are complete."""
        with self._changed:
            self._waiting = [w for w in self._waiting if w.request not in requests]
            self._dropped |= {request for request in requests if request in self._deliver}

    @property
    def alive(self) -> bool:
        """Whether the thread works."""
        return self._thread.is_alive()

    @property
    def num_waiting(self) -> int:
        """Completions that have not been begun."""
        return len(self._waiting)

    @property
    def num_running(self) -> int:
        """Completions that are being decoded."""
        return len(self._deliver)

    @property
    def kept_bytes(self) -> int:
        """What is kept of prompts takes so much."""
        return 0 if self._kept is None else self._kept.num_bytes

    def close(self) -> None:
        """Stop decoding and wait for the thread to end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                idle = not self._running
                self._changed.wait_for(lambda: self._closed or self._waiting or self._running)
            if idle:
                time.sleep(_GATHER_SECONDS)
            with self._changed:
                if self._closed:
                    return
                room = self._max_running - len(self._deliver)
                begun, self._waiting = self._waiting[:room], self._waiting[room:]
                self._deliver |= {w.request: w.deliver for w in begun}
                dropped, self._dropped = self._dropped, set()
            self._drop(dropped)
            for _, of_one in groupby(sorted(begun, key=_policy), key=_policy):
                self._begin(list(of_one))
            for policy in list(self._running):
                self._step(policy)

    def _drop(self, requests: Collection[Request]) -> None:
        for policy, batch in list(self._running.items()):
            batch.drop(requests)
            self._retire(policy)
        self._forget(requests)

    def _begin(self, waiting: Sequence[_Waiting]) -> None:
        policy, requests = waiting[0].policy, [w.request for w in waiting]
        try:
            batch = Batch(policy, requests, self._kept)
        except Exception as error:  # told to whoever waits; the others go on
            self._fail(requests, error)
            return
        if policy not in self._running:
            self._running[policy] = batch
            return
        everybody = [*self._running[policy].requests, *requests]
        try:
            self._running[policy].join(batch)
        except Exception as error:  # as above
            del self._running[policy]
            self._fail(everybody, error)

    def _step(self, policy: Policy) -> None:
        batch = self._running[policy]
        requests = batch.requests
        self._observe(len(requests))
        try:
            tokens = batch.step()
        except Exception as error:  # told to whoever waits; the others go on
            del self._running[policy]
            self._fail(requests, error)
            return
        for token in tokens:
            self._deliver[token.request](token)
        self._retire(policy)
        self._forget([token.request for token in tokens if token.stop_reason is not None])

    def _retire(self, policy: Policy) -> None:
        if not self._running[policy].requests:
            del self._running[policy]

    def _fail(self, requests: Sequence[Request], error: Exception) -> None:
        logging.getLogger(__name__).exception("decoding failed", exc_info=error)
        for request in requests:
            self._deliver[request](error)
        self._forget(requests)

    def _forget(self, requests: Collection[Request]) -> None:
        with self._changed:
            for request in requests:
                self._deliver.pop(request, None)


def _policy(waiting: _Waiting) -> int:
    return id(waiting.policy)
