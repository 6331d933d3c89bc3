"""How much memory a process has used at most."""

import contextlib
import re
import resource
import sys
from pathlib import Path

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
    if not _STATUS.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
    # What getrusage tells on Linux can be the peak of the process that started this one.
    found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
    assert found is not None, "every Linux tells it"
    return int(found[1]) * 1024
