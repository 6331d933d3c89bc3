"""The peak memory of an update, each contestant in a process of its own.

What is reported is growth: the highest resident memory while the update runs, less the resident
memory just before it, when the model is loaded and an update of a few tokens has been through. On a
GPU it is the same of the allocator's memory.
"""

import multiprocessing
import re
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from actwise.bench import ours, rows
from actwise.bench.peers import TrlUpdate, load_model
from actwise.bench.shapes import Workload
from actwise.config import RunConfig
from actwise.errors import RunError
from actwise.policy import Policy


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


def _ours(task: Task, policy: Policy, work: Workload) -> Callable[[], object]:
    return ours.Update(policy, work, task.config, policy.weights())


def _rows(task: Task, policy: Policy, work: Workload) -> Callable[[], object]:
    model = load_model(task.folder, torch.device(task.device))
    return rows.Update(model, policy, work, task.config)


def _trl(task: Task, policy: Policy, work: Workload) -> Callable[[], object]:
    return TrlUpdate(task.folder, policy, work, task.config, torch.device(task.device))


UPDATES = {"ours": _ours, "row by row": _rows, "TRL 1.16": _trl}


def peak_growth(task: Task) -> int:
    """Return by how many bytes an update grows memory, measured in a fresh process."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_measure, args=(task, sender))
    process.start()
    sender.close()
    try:
        return int(receiver.recv())
    except EOFError as error:
        raise RunError(
            f"memory: the process of {task.contestant!r} ended early, perhaps for want of memory; "
            "use fewer --conversations"
        ) from error
    finally:
        process.join()


def _measure(task: Task, sender: Connection) -> None:
    torch.set_num_threads(task.threads)
    policy = Policy.load(str(task.folder), dtype=task.dtype, device=task.device)
    build = UPDATES[task.contestant]
    build(task, policy, task.work.tiny())()
    update = build(task, policy, task.work)
    read = _cuda_peak if task.device.startswith("cuda") else _resident_peak
    before = read(True)
    update()
    sender.send(read(False) - before)


def _cuda_peak(reset: bool) -> int:
    if reset:
        torch.cuda.reset_peak_memory_stats()
    return torch.cuda.max_memory_allocated()


def _resident_peak(reset: bool) -> int:
    """Return the highest resident memory in bytes, perhaps from now on only.

    Elsewhere than on Linux the peak cannot be taken back, so growth may come out too small.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    assert found is not None, "every Linux tells it"
    return int(found[1]) * 1024
