"""How many threads pay, and how many passes are computed at once."""

import time

import torch

from actwise.config import ModelConfig
from actwise.model.kernels.allocator import keep_freed_memory
from actwise.model.policy import Policy
from actwise.run.cores import num_cores
from actwise.run.folder import Run
from actwise.tree.forest import Forest
from actwise.tree.layout import lay_out

_FILE = "threads.json"
_TRUNK, _BRANCHES, _BRANCH = 400, 8, 40
"""Tokens by which the number of threads is measured, a conversation's decision."""
_MEASURED_SECONDS = 3.0
"""After which no further measurement begins."""


def choose_threads(run: Run, config: ModelConfig, policy: Policy) -> None:
    """Set torch's number of threads, the policy's workers and how memory is managed.

    The number of threads is measured once in a run and kept in its folder: sums depend on it, and
    a resumed run has to add up as the first did. They do not depend on the number of workers.

    Args:
        run: The run.
        config: Numbers are taken as they are where given.
        policy: What the threads are for; small models are faster with one.
    """
    keep_freed_memory()
    threads = config.threads
    if threads is None and run.intact(_FILE):
        threads = int(run.read_json(_FILE))
    if threads is None:
        with policy.gathered():
            threads = run.processes.agreed(lambda: fastest_threads(policy, num_cores()))
    torch.set_num_threads(threads)
    run.write_json(_FILE, threads)
    policy.workers = workers_beside(threads, num_cores(), policy)
    if config.workers is not None and policy.device.type == "cpu":
        policy.workers = config.workers
    if policy.sharded:  # the processes compute a pass at the same time
        policy.workers = 1


def workers_beside(threads: int, cores: int, policy: Policy) -> int:
    """Return how many passes, each on some threads, can be computed at once: one on a GPU."""
    return max(1, cores // threads) if policy.device.type == "cpu" else 1


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
    layout = lay_out(forest)
    indices = torch.tensor([index for end in ends for index in layout.indices(end)])
    times = dict.fromkeys((1, cores), float("inf"))
    deadline = time.perf_counter() + _MEASURED_SECONDS
    for turn in range(6):
        for threads in times:
            torch.set_num_threads(threads)
            begin = time.perf_counter()
            policy.score(layout, indices)
            if turn:  # the first one also fills caches
                times[threads] = min(times[threads], time.perf_counter() - begin)
        if turn and time.perf_counter() > deadline:
            break
    # More threads have to earn their place: the measurement is short and the run is long.
    return 1 if times[1] < 1.25 * times[cores] else cores
