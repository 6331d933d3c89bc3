"""How much memory there is, and how much of it was used at most."""

import contextlib
import re
import sys
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import psutil
import torch

_STATUS = Path("/proc/self/status")


def restart_peak(device: torch.device) -> None:
    """Count the peak from now on; where the system cannot, it stays that since the beginning."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _STATUS.exists():
        with contextlib.suppress(OSError):  # some containers do not allow it
            Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int:
    """Return the highest memory in bytes: of tensors on a GPU, else of the resident process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    if not _STATUS.exists():
        import resource  # not on Windows

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
    # What getrusage tells on Linux can be the peak of the process that started this one.
    found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
    assert found is not None, "every Linux tells it"
    return int(found[1]) * 1024


def device_memory(device: torch.device) -> int:
    """Return the memory of a GPU in bytes, or of this machine."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().total)


def tensor_peak(function: Callable[[], object]) -> int:
    """Return by how many bytes the tensors on the CPU grow at most while a function runs.

    Only what this thread allocates is seen.
    """
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        function()
    # Not public; the public list has added up what each operation allocates and frees.
    events = profile.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    return max(accumulate((size for _, size in changes), initial=0))
