"""The peak memory of an update, each contestant in a process of its own.

What is reported is growth: the highest memory while the update runs, less the memory just before
it, when the model is loaded and an update of a few tokens has been through. Of tensors it is what
the update needs; the resident memory of a process is larger by what its allocator leaves unused
between tensors of different sizes.
"""

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import torch

from actwise.bench import ours, rows
from actwise.bench.peers import TrlUpdate, load_model
from actwise.bench.shapes import Workload
from actwise.config import RunConfig
from actwise.errors import RunError
from actwise.model.memory import peak_memory, restart_peak, tensor_peak
from actwise.model.policy import Policy


@dataclass(frozen=True)
class Task:
    """What one process measures."""

    contestant: str
    """A key of `UPDATES`."""
    folder: Path
    work: Workload
    config: RunConfig
    device: str
    dtype: torch.dtype
    threads: int
    """Threads of torch."""
    workers: int
    """Ours alone has them."""


def _ours(task: Task, policy: Policy, work: Workload) -> Callable[[], object]:
    update = ours.Update(policy, work, task.config, policy.weights())
    policy.workers = min(task.workers, update.num_passes)
    return update


def _rows(task: Task, policy: Policy, work: Workload) -> Callable[[], object]:
    model = load_model(task.folder, torch.device(task.device))
    return rows.Update(model, work, task.config)


def _trl(task: Task, policy: Policy, work: Workload) -> Callable[[], object]:
    return TrlUpdate(task.folder, work, task.config, torch.device(task.device))


UPDATES = {"ours": _ours, "row by row": _rows, "TRL 1.16": _trl}


class Growth(NamedTuple):
    """By how many bytes an update grows memory at its peak."""

    tensors: int
    """On a CPU the peak of one pass for each that is computed at once."""
    resident: int | None
    """Resident memory of the process; None on a GPU."""


def peak_growth(task: Task) -> Growth:
    """Return by how much an update grows memory, measured in a fresh process."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_measure, args=(task, sender))
    process.start()
    sender.close()
    try:
        return Growth(*receiver.recv())
    except EOFError as error:
        raise RunError(
            f"memory: the process of {task.contestant!r} ended early, perhaps for want of memory; "
            "fewer --rows or --dtype bfloat16 take less"
        ) from error
    finally:
        process.join()


def _measure(task: Task, sender: Connection) -> None:
    torch.set_num_threads(task.threads)
    policy = Policy.load(str(task.folder), dtype=task.dtype, device=task.device)
    build = UPDATES[task.contestant]
    build(task, policy, task.work.tiny())()
    update = build(task, policy, task.work)
    device = policy.device
    restart_peak(device)
    before = peak_memory(device)
    update()
    grown = peak_memory(device) - before
    if device.type == "cuda":
        sender.send((grown, None))
        return
    workers, policy.workers = policy.workers, 1  # the profiler sees one thread
    sender.send((workers * tensor_peak(update), grown))
