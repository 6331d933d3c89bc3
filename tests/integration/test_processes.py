"""Two processes compute what one does, and go on from whatever happens to one of them."""

import json
import random
import resource
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from actwise.run.files import read_records
from runs import Runner, check_same_end, fork_server, results, write_logs

SHORT = {
    "sft.steps": 4,
    "sft.evaluate_every": 2,
    "think.steps": 2,
    "think.evaluate_every": 2,
    "rl.steps": 3,
    "rl.evaluate_every": 3,
    "checkpoint_every": 1,
}


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    return fork_server()


@pytest.fixture(scope="module")
def runner(
    processes: ForkServerContext, tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Runner]:
    """Makes runners of one short run, which two processes have made without interruption."""
    folder = tmp_path_factory.mktemp("processes")
    write_logs(folder / "logs.jsonl")

    def make(name: str) -> Runner:
        return Runner(processes, tiny_model_dir, folder / "logs.jsonl", folder / name, SHORT)

    both = make("both")
    assert both.together(2) == [0, 0], both.log_of(0).read_text() + both.log_of(1).read_text()
    return make


def close(one: Any, other: Any) -> bool:
    """Whether two records say the same, numbers within what rounding does to them."""
    if isinstance(one, float):
        return one == pytest.approx(other, rel=1e-3, abs=1e-5, nan_ok=True)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return bool(one == other)


def stages_of(folder: Path) -> list[dict[str, Any]]:
    stages: list[dict[str, Any]] = json.loads((folder / "results.json").read_text())["stages"]
    return stages


def check_equal_figures(one: Path, other: Path) -> None:
    for name in ("metrics/sft", "metrics/think", "metrics/rl", "rollouts/rl"):
        first, second = (read_records(folder / f"{name}.jsonl") for folder in (one, other))
        assert close(first, second), name
    assert close(results(one), results(other))


def jump() -> None:
    """Let the clock of this process jump to and fro, by up to a day."""
    begin = time.time()
    time.time = lambda: begin + random.uniform(-86_400, 86_400)


@pytest.mark.slow
def test_two_processes_find_what_one_does(runner: Callable[[str], Runner]) -> None:
    alone = runner("alone")
    assert alone(first=jump) == 0
    assert all(0 <= stage["seconds"] < 3600 for stage in stages_of(alone.folder))
    check_equal_figures(alone.folder, runner("both").folder)
    assert "results" in runner("both").log_of(0).read_text()
    assert runner("both").log_of(1).read_text() == ""


@pytest.mark.slow
def test_a_run_ends_alike_whichever_process_is_killed(runner: Callable[[str], Runner]) -> None:
    draw = random.Random(0)
    killed = runner("killed")
    metrics = killed.folder / "metrics"

    def has_begun(stage: str) -> Callable[[], bool]:
        waited = draw.uniform(0, 0.5)
        file = metrics / f"{stage}.jsonl"
        before = file.stat().st_size if file.exists() else 0  # from before the last kill

        def moment() -> bool:
            # Killed before they have met, one would be waited for by the other.
            if not file.exists() or file.stat().st_size <= before:
                return False
            time.sleep(waited)
            return True

        return moment

    for number, stage in enumerate(("sft", "think", "rl")):
        codes = killed.together(2, has_begun(stage), victim=number % 2)
        assert codes[number % 2] in (0, -signal.SIGKILL)
        if codes == [0, 0]:
            break
        (said,) = killed.log_of(1 - number % 2).read_text().splitlines()[-1:]
        assert said.startswith("actwise: another process of this run has ended")
    assert killed.together(2) == [0, 0]
    check_same_end(killed.folder, runner("both").folder)


@pytest.mark.slow
def test_another_number_of_processes_goes_on_with_a_run(runner: Callable[[str], Runner]) -> None:
    changed = runner("changed")
    begun = changed.folder / "metrics" / "think.jsonl"
    changed.together(2, begun.exists, victim=1)
    assert not (changed.folder / "results.json").exists()
    assert changed.together(3) == [0, 0, 0]
    check_equal_figures(changed.folder, runner("both").folder)


def fill_disk() -> None:
    """See to it that no file of this process grows beyond what a checkpoint takes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


@pytest.mark.slow
def test_a_full_disk_stops_all_processes_with_one_line(runner: Callable[[str], Runner]) -> None:
    full = runner("full")
    assert full.together(2, first=fill_disk, victim=0) == [2, 2]
    said = [line for line in full.log_of(0).read_text().splitlines() if "actwise: " in line]
    assert len(said) == 1
    assert "cannot be written: File too large" in said[0]
    assert full.log_of(1).read_text() == ""
    assert full.together(2) == [0, 0]
    check_same_end(full.folder, runner("both").folder)


@pytest.mark.slow
def test_a_refused_run_is_refused_in_one_line(runner: Callable[[str], Runner]) -> None:
    taken = runner("taken")
    taken.folder.mkdir()
    (taken.folder / "notes.txt").write_text("mine")
    assert taken.together(2) == [2, 2]
    said = taken.log_of(0).read_text().splitlines()[-1]
    assert said == f"actwise: {taken.folder}: not empty and no run of actwise; choose another --out"
    assert taken.log_of(1).read_text() == ""
    assert json.dumps(sorted(p.name for p in taken.folder.iterdir())) == '["notes.txt"]'
