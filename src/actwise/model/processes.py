"""Several processes that compute one run together, started by `torchrun` or `accelerate launch`.

Each holds the whole model, or a part of each weight (`actwise.model.sharding`), reads all logs and
knows all that one process alone would know. What takes long is dealt, whole conversations by their
tokens: passes of a training step, whose gradients are added up before the optimiser's step,
completions, and verdicts, which are given to all. The first process alone writes the run folder.

All processes do the same in the same order, so whatever decides what is done next has to be equal
in all of them: it follows from the configuration, from what was dealt, or is `agreed`.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

from actwise.errors import ActwiseError, RunError
from actwise.run.processes import ALONE, Processes

T = TypeVar("T")
R = TypeVar("R")

_PATIENCE = timedelta(hours=4)
"""How long the others wait for one that measures or asks an endpoint; one that has died is known
of at once."""


class Several(Processes):
    """The processes that have met in torch's process group."""

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.count = dist.get_world_size()

    def agreed(self, function: Callable[[], T]) -> T:
        """See `Processes.agreed`."""
        told: list[Any] = [_outcome(function) if self.first else None]
        with company():
            dist.broadcast_object_list(told)
        value: T = self._value(told[0], by=0)
        return value

    def everywhere(self, function: Callable[[], T]) -> T:
        """See `Processes.everywhere`."""
        found, error = _outcome(function)
        told: list[Any] = [None] * self.count
        with company():
            dist.all_gather_object(told, error)
        for rank, other in enumerate(told):
            self._value((None, other), by=rank)
        return found  # type: ignore[return-value]

    def own(self, items: Sequence[T], costs: Sequence[int]) -> list[T]:
        """See `Processes.own`."""
        owners = shares(costs, self.count)
        return [item for item, owner in zip(items, owners, strict=True) if owner == self.rank]

    def dealt(
        self, compute: Callable[[list[T]], list[R]], items: Sequence[T], costs: Sequence[int]
    ) -> list[R]:
        """See `Processes.dealt`."""
        own = self.own(items, costs)
        results = [iter(of_one) for of_one in self._gathered(lambda: compute(own))]
        return [next(results[owner]) for owner in shares(costs, self.count)]

    def summed(self, figures: dict[str, float]) -> dict[str, float]:
        """See `Processes.summed`."""
        sums: dict[str, float] = {}
        for of_one in self._gathered(lambda: figures):
            for name, figure in of_one.items():
                sums[name] = sums.get(name, 0.0) + figure
        return sums

    def _gathered(self, function: Callable[[], T]) -> list[T]:
        told: list[Any] = [None] * self.count
        own = _outcome(function)
        with company():
            dist.all_gather_object(told, own)
        return [self._value(outcome, by=rank) for rank, outcome in enumerate(told)]

    def _value(self, outcome: Any, *, by: int) -> Any:
        value, error = outcome
        if error is not None:
            if by != self.rank:
                error.add_note(TOLD)
            raise error
        return value


TOLD = "told by another process"
"""Note of an error that the process in which it arose tells the user."""


def join() -> Processes:
    """Meet the other processes that the environment speaks of, if it does; return all of them."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        with company():
            dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=_PATIENCE)
    return together()


def together() -> Processes:
    """Return the processes that have met; one alone before `join`."""
    return Several() if dist.is_initialized() else ALONE


def shares(costs: Sequence[int], count: int) -> list[int]:
    """Return for each item the number of the process that takes it.

    The dearest items go first, each to the process that has least to do.
    """
    loads = [0] * count
    owners = [0] * len(costs)
    for item in sorted(range(len(costs)), key=lambda i: -costs[i]):
        owner = min(range(count), key=lambda rank: loads[rank])
        loads[owner] += costs[item]
        owners[item] = owner
    return owners


def sum_gradients(parameters: Sequence[torch.nn.Parameter]) -> None:
    """Add up the gradients of all processes in each of them; one that none has stays None."""
    if not dist.is_initialized() or any(isinstance(p, DTensor) for p in parameters):
        return  # of divided weights torch adds them up in each pass
    has = torch.tensor([p.grad is not None for p in parameters], dtype=torch.uint8)
    with company():
        dist.all_reduce(has, dist.ReduceOp.MAX)
        sums: list[Any] = []
        for parameter, anywhere in zip(parameters, has.tolist(), strict=True):
            if anywhere:
                if parameter.grad is None:
                    dtype = parameter.grad_dtype or parameter.dtype
                    parameter.grad = torch.zeros_like(parameter, dtype=dtype)
                sums.append(dist.all_reduce(parameter.grad, async_op=True))
        for one in sums:
            one.wait()


def _outcome(function: Callable[[], T]) -> tuple[T | None, ActwiseError | None]:
    try:
        return function(), None
    except ActwiseError as error:
        return None, error


@contextmanager
def company() -> Iterator[None]:
    """Say in one line that another process is gone.

    Raises:
        RunError: Where torch fails for that.
    """
    try:
        yield
    except (RuntimeError, dist.DistError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"another process of this run has ended or cannot be reached ({reason}); the same "
            "command goes on from the last checkpoint"
        ) from error
