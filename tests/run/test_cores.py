"""Work divided among processes: in order, bounded, and nothing is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psutil
import pytest

from actwise.errors import RunError
from actwise.run.cores import divided

# Functions that make functions, known to any process.
POWERS: Any = partial(partial, pow, 2)
SLEEPS: Any = partial(partial, time.sleep)
ENDS: Any = partial(partial, os._exit)


@pytest.mark.parametrize("processes", [1, 3])
def test_results_come_in_the_order_of_the_tasks(processes: int) -> None:
    tasks = [(str(number), None if number % 5 == 2 else number) for number in range(20)]
    found = list(divided(POWERS, tasks, processes))
    assert found == [(key, None if task is None else 2**task) for key, task in tasks]


def test_a_slow_task_is_waited_for() -> None:
    begin = time.monotonic()
    keys = [key for key, _ in divided(SLEEPS, [("slow", 0.5), ("quick", 0)], 2)]
    assert keys == ["slow", "quick"]
    assert time.monotonic() - begin >= 0.5


def test_no_more_tasks_are_drawn_than_there_are_processes() -> None:
    drawn = 0

    def tasks() -> Iterator[tuple[int, int]]:
        nonlocal drawn
        for number in range(30):
            drawn += 1
            yield number, number

    for taken, _ in enumerate(divided(POWERS, tasks(), 2)):
        assert drawn - taken <= 3


def test_nobody_is_started_for_no_task() -> None:
    before = set(psutil.Process().children())
    for _ in divided(POWERS, [("a", None), ("b", None)], 2):
        assert set(psutil.Process().children()) == before


@pytest.mark.parametrize("leave", [list, next])
def test_nobody_is_left_behind(leave: Callable[[Any], Any]) -> None:
    before = set(psutil.Process().children())
    results = divided(POWERS, ((n, n) for n in range(9)), 2)
    leave(results)
    results.close()  # type: ignore[attr-defined]
    assert set(psutil.Process().children()) == before


def test_a_process_that_ends_is_told_in_a_line() -> None:
    with pytest.raises(RunError, match=r"shared the work has ended \(exit code 7\)"):
        list(divided(ENDS, [("a", 7), ("b", 7), ("c", 7)], 2))


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_they_end_with_the_one_that_started_them(end: signal.Signals) -> None:
    code = (
        "import signal, time; from functools import partial\n"
        "from actwise.run.cores import divided\n"
        # A shell starts what runs in the background with Ctrl-C ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "tasks = [(n, 0.3) for n in range(1000)]\n"
        "for _ in divided(partial(partial, time.sleep), tasks, 2): print(flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        started = psutil.Process(process.pid).children()
        assert len(started) == 2
        process.send_signal(end)
        _, err = process.communicate(timeout=60)
    _, alive = psutil.wait_procs(started, timeout=60)
    assert alive == []
    assert err.count("Traceback") == (1 if end == signal.SIGINT else 0)
