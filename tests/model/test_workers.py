"""Passes at once: results in order, few of them waiting."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from rich.console import Console

from actwise.config import ModelConfig
from actwise.model import threads as threads_module
from actwise.model.policy import Policy
from actwise.model.threads import choose_threads
from actwise.model.workers import in_order
from actwise.run.folder import Run
from actwise.run.progress import Progress


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_results_come_in_the_order_of_the_items(workers: int, count: int) -> None:
    assert list(in_order(lambda x: x * x, range(count), workers)) == [0, 1, 4, 9, 16][:count]


def test_calls_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=60)  # passed only if three calls are inside at once
    assert sorted(in_order(lambda _: meeting.wait(), range(3), 3)) == [0, 1, 2]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_items_are_taken_only_as_workers_get_to_them(workers: int) -> None:
    taken = []

    def items() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    results = in_order(lambda x: x, items(), workers)
    for i in range(10):
        assert next(results) == i
        assert len(taken) <= i + 1 + workers


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_reaches_the_caller_and_nothing_further_is_begun(workers: int) -> None:
    begun = []

    def fail_at_two(x: int) -> int:
        begun.append(x)
        if x == 2:
            raise ValueError("two")
        return x

    results = in_order(fail_at_two, range(100), workers)
    with pytest.raises(ValueError, match="two"):
        list(results)
    assert len(begun) <= 3 + workers  # those under way, and one that waited


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Policy]:
    """A policy on a machine of six cores, where one thread is fastest."""
    monkeypatch.setattr(threads_module, "num_cores", lambda: 6)
    monkeypatch.setattr(threads_module, "fastest_threads", lambda policy, cores: 1)
    threads = torch.get_num_threads()
    yield Policy(torch.nn.Linear(1, 1), None)  # type: ignore[arg-type]
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    "settings, threads, workers",
    [
        ({}, 1, 6),
        ({"threads": 2}, 2, 3),
        ({"threads": 4}, 4, 1),
        ({"threads": 12}, 12, 1),
        ({"threads": 1, "workers": 2}, 1, 2),
    ],
)
def test_cores_that_threads_leave_free_compute_further_passes(
    policy: Policy, tmp_path: Path, settings: dict[str, int], threads: int, workers: int
) -> None:
    with Run.open(tmp_path, {}, Progress(Console(quiet=True))) as run:
        choose_threads(run, ModelConfig(**settings), policy)
    assert (torch.get_num_threads(), policy.workers) == (threads, workers)


def test_a_resumed_run_has_the_threads_of_the_first(policy: Policy, tmp_path: Path) -> None:
    with Run.open(tmp_path, {}, Progress(Console(quiet=True))) as run:
        choose_threads(run, ModelConfig(threads=3), policy)
        choose_threads(run, ModelConfig(), policy)
    assert (torch.get_num_threads(), policy.workers) == (3, 2)
