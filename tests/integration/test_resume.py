"""`kill -9` at any moment, the same command again: the end is that of an uninterrupted run."""

import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch

from actwise.run.files import read_records
from runs import STAGES, Runner, check_same_end, die_at_rename, fork_server, same, write_logs


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    return fork_server()


def moments(folder: Path, draw: random.Random) -> Iterator[Callable[[], bool]]:
    """Yield when to kill: in each stage, while files are being written, and at random."""

    def has_lines(name: str, count: int) -> Callable[[], bool]:
        path = folder / name
        return lambda: path.exists() and path.read_bytes().count(b"\n") >= count

    def is_writing(place: str) -> Callable[[], bool]:
        return lambda: any((folder / place).glob(".*.partial"))

    def after(seconds: float) -> Callable[[], bool]:
        end = time.monotonic() + seconds
        return lambda: time.monotonic() > end

    yield (folder / "run.json").exists
    yield has_lines("metrics/sft.jsonl", 3)
    yield is_writing("checkpoints")
    yield after(draw.uniform(0.1, 0.6))
    yield has_lines("metrics/sft.jsonl", 18)
    yield is_writing("models")
    yield has_lines("metrics/think.jsonl", 7)
    yield after(draw.uniform(0.1, 0.6))
    yield (folder / "models" / "think").exists
    yield has_lines("metrics/rl.jsonl", 1)
    yield is_writing("checkpoints")
    yield has_lines("metrics/rl.jsonl", 4)
    yield after(draw.uniform(0.1, 0.6))
    yield has_lines("rollouts/rl.jsonl", 350)  # of 8 * 48
    yield is_writing("models")
    yield (folder / "evaluations" / "rl-thinking-test.jsonl").exists


@pytest.mark.slow
def test_a_killed_run_ends_like_an_uninterrupted_one(
    processes: ForkServerContext, tiny_model_dir: Path, tmp_path: Path
) -> None:
    logs = tmp_path / "logs.jsonl"
    write_logs(logs)
    straight = Runner(processes, tiny_model_dir, logs, tmp_path / "straight")
    assert straight() == 0
    killed = Runner(processes, tiny_model_dir, logs, tmp_path / "killed")
    kills = 0
    for moment in moments(killed.folder, random.Random(0)):
        if killed(moment) == 0:
            break
        kills += 1
    assert killed() == 0
    assert kills >= 8

    check_that_every_stage_learned(straight.folder)
    check_same_end(killed.folder, straight.folder)


def check_that_every_stage_learned(folder: Path) -> None:
    states = {
        stage: torch.load(folder / "checkpoints" / f"{stage}.pt", weights_only=True)
        for stage in STAGES
    }
    for stage, steps in STAGES.items():
        assert [r["step"] for r in read_records(folder / "metrics" / f"{stage}.jsonl")] == list(
            range(1, steps + 1)
        )
    for before, after in (("sft", "think"), ("think", "rl")):
        assert not same(states[before]["best_weights"], states[after]["weights"])


SHORT = {
    "sft.steps": 4,
    "sft.evaluate_every": 2,
    "think.steps": 4,
    "think.evaluate_every": 2,
    "rl.steps": 3,
    "rl.evaluate_every": 1,
}


@pytest.fixture(scope="module")
def short(
    processes: ForkServerContext, tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Runner]:
    """Makes runners of one short run, which has been made once without interruption."""
    folder = tmp_path_factory.mktemp("short")
    write_logs(folder / "logs.jsonl")

    def runner(name: str) -> Runner:
        return Runner(processes, tiny_model_dir, folder / "logs.jsonl", folder / name, SHORT)

    assert runner("straight")() == 0
    return runner


def check_kills(short: Callable[[str], Runner], kills: Sequence[tuple[int, bool]]) -> None:
    for number, after in kills:
        killed = short(f"killed-{number}-{after}")
        code = killed(first=partial(die_at_rename, number, after))
        assert killed() == 0
        check_same_end(killed.folder, short("straight").folder)
        if code == 0:  # it has fewer renames
            return


@pytest.mark.slow
def test_a_process_killed_around_a_rename_loses_nothing(short: Callable[[str], Runner]) -> None:
    draw = random.Random(0)
    check_kills(short, [(draw.randint(1, 60), draw.random() < 0.5) for _ in range(4)])


@pytest.mark.exhaustive
def test_a_process_killed_around_any_rename_loses_nothing(short: Callable[[str], Runner]) -> None:
    kills = ((number, after) for number in itertools.count(1) for after in (False, True))
    check_kills(short, [*itertools.islice(kills, 150)])
