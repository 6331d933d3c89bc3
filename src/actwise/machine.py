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
from actwise.tree import Forest

_TRUNK, _BRANCHES, _BRANCH = 400, 8, 40
"""Tokens by which the number of threads is measured, a conversation's decision."""
_MEASURED_SECONDS = 3.0
"""After which no further measurement begins."""


def versions() -> dict[str, Any]:
    """Return the versions that results may depend on."""
    packages = ("torch", "transformers", "tokenizers", "numpy")
    return {
        "actwise": __version__,
        "versions": {name: importlib.metadata.version(name) for name in packages}
        | {"python": platform.python_version()},
    }


def choose_threads(folder: Path, configured: int | None, policy: Policy) -> int:
    """Set torch's number of threads and how its memory is managed.

    The number is measured once in a run and kept in its folder: sums depend on it, and a resumed
    run has to add up as the first did.

    Args:
        folder: The run folder.
        configured: Taken as it is where given.
        policy: What the threads are for; small models are faster with one.
    """
    keep_freed_memory()
    file = folder / "threads.json"
    if configured is None and file.exists():
        configured = int(json.loads(file.read_text()))
    threads = configured or _fastest_threads(policy)
    torch.set_num_threads(threads)
    write_json(file, threads)
    return threads


@torch.no_grad()
def _fastest_threads(policy: Policy) -> int:
    """Return 1 or the number of cores, whichever scores a conversation faster now.

    On a machine that is busy, or whose cores are shared, more threads can be several times slower
    than one, because each product waits for the last of them; with a small model they wait for
    each other most of the time on any machine.
    """
    cores = os.cpu_count() or 1
    if cores == 1 or policy.device.type != "cpu":
        return 1 if cores == 1 else torch.get_num_threads()
    forest = Forest()
    trunk = forest.insert([i % 100 for i in range(_TRUNK)])
    ends = [forest.attach(trunk, [i + 1] * _BRANCH) for i in range(_BRANCHES)]
    layout = forest.layout()
    places = torch.tensor([place for end in ends for place in layout.places(end)])
    times = dict.fromkeys((1, cores), float("inf"))
    deadline = time.perf_counter() + _MEASURED_SECONDS
    for turn in range(6):
        for threads in times:
            torch.set_num_threads(threads)
            begin = time.perf_counter()
            policy.score(layout, places)
            if turn:  # the first one also fills caches
                times[threads] = min(times[threads], time.perf_counter() - begin)
        if turn and time.perf_counter() > deadline:
            break
    # More threads have to earn their place: the measurement is short and the run is long.
    return 1 if times[1] < 1.25 * times[cores] else cores


def load_policy(model: str, config: RunConfig) -> Policy:
    """Load a model as the section `model` says; see `Policy.load`."""
    torch.manual_seed(config.seed)  # LoRA's adapters begin at random
    return Policy.load(
        model,
        shipped_template=config.model.template == "actwise",
        dtype=getattr(torch, config.model.dtype),
        lora_rank=config.model.lora_rank,
        train_embeddings=config.model.train_embeddings,
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
