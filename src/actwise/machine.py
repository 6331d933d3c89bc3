"""What the run runs on: versions of what it uses, how many threads pay, which device."""

import importlib.metadata
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import torch

from actwise import __version__
from actwise.allocator import keep_freed_memory
from actwise.config import RunConfig
from actwise.errors import ConfigError
from actwise.policy import Policy
from actwise.run import write_json


def versions() -> dict[str, Any]:
    """Return the versions that results may depend on."""
    packages = ("torch", "transformers", "tokenizers", "numpy")
    return {
        "actwise": __version__,
        "versions": {name: importlib.metadata.version(name) for name in packages}
        | {"python": platform.python_version()},
    }


def choose_threads(folder: Path, configured: int | None) -> int:
    """Set torch's number of threads and how its memory is managed.

    The number is measured once in a run and kept in its folder: sums depend on it, and a resumed
    run has to add up as the first did.

    Args:
        folder: The run folder.
        configured: Taken as it is where given.
    """
    keep_freed_memory()
    file = folder / "threads.json"
    if configured is None and file.exists():
        configured = int(json.loads(file.read_text()))
    threads = configured or _fastest_threads()
    torch.set_num_threads(threads)
    write_json(file, threads)
    return threads


def _fastest_threads() -> int:
    """Return 1 or the number of cores, whichever is faster now.

    On a machine that is busy, or whose cores are shared, more threads can be several times slower
    than one, because each matrix product waits for the last of them.
    """
    choices = sorted({1, os.cpu_count() or 1})
    weights = torch.randn(256, 768)
    rows = torch.randn(2048, 256)
    times = dict.fromkeys(choices, float("inf"))
    for _ in range(5):
        for threads in choices:
            torch.set_num_threads(threads)
            begin = time.perf_counter()
            for _ in range(8):
                torch.softmax(rows @ weights, -1)
            times[threads] = min(times[threads], time.perf_counter() - begin)
    # A second thread has to earn its place: the measurement is short and the run is long.
    return min(choices, key=lambda n: times[n] * (1.0 if n == 1 else 1.25))


def load_policy(model: str, config: RunConfig) -> Policy:
    """Load a model as the section `model` says; see `Policy.load`."""
    torch.manual_seed(config.seed)  # LoRA's adapters begin at random
    return Policy.load(
        model,
        shipped_template=config.model.template == "actwise",
        dtype=getattr(torch, config.model.dtype),
        lora_rank=config.model.lora_rank,
        device=_device(config.model.device),
    )


def _device(name: str | None) -> str:
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # asserted: torch was built without it
        problem = str(error).partition("\n")[0]
        raise ConfigError(f"model.device: {name} cannot be used: {problem}") from error
    return name
