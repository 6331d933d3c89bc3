"""What the run runs on: versions of what it uses, how many threads pay, which device."""

import importlib.metadata
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import torch

from actwise import __version__
from actwise.allocator import keep_freed_memory
from actwise.config import ModelConfig, RunConfig
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


def choose_threads(folder: Path, config: ModelConfig, policy: Policy) -> None:
    """Set torch's number of threads, the policy's workers and how memory is managed.

    The number of threads is measured once in a run and kept in its folder: sums depend on it, and
    a resumed run has to add up as the first did. They do not depend on the number of workers.

    Args:
        folder: The run folder.
        config: Numbers are taken as they are where given.
        policy: What the threads are for; small models are faster with one.
    """
    keep_freed_memory()
    file = folder / "threads.json"
    threads = config.threads
    if threads is None and file.exists():
        threads = int(json.loads(file.read_text()))
    if threads is None:
        threads = fastest_threads(policy, num_cores())
    torch.set_num_threads(threads)
    write_json(file, threads)
    policy.workers = workers_beside(threads, num_cores(), policy)
    if config.workers is not None and policy.device.type == "cpu":
        policy.workers = config.workers


def workers_beside(threads: int, cores: int, policy: Policy) -> int:
    """Return how many passes, each on some threads, can be computed at once: one on a GPU."""
    return max(1, cores // threads) if policy.device.type == "cpu" else 1


def num_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@torch.no_grad()
def fastest_threads(policy: Policy, cores: int) -> int:
    """Return 1 or the number of cores, whichever scores a conversation faster now.

    On a machine that is busy, or whose cores are shared, more threads can be several times slower
    than one, because each product waits for the last of them; with a small model they wait for
    each other most of the time on any machine.
    """
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
