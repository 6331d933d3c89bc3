"""`kill -9` at any moment, the same command again: the end is that of an uninterrupted run."""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
import torch

from actwise.cli import main
from actwise.run.files import read_records

TREES = (
    "alder",
    "birch",
    "cedar",
    "elder",
    "fir",
    "gorse",
    "hazel",
    "ivy",
    "juniper",
    "larch",
    "maple",
    "oak",
    "pine",
    "rowan",
    "sorrel",
    "thyme",
)
SETTINGS = {
    "sft.steps": 20,
    "sft.learning_rate": 0.01,
    "sft.evaluate_every": 5,
    "think.steps": 20,
    "think.learning_rate": 0.01,
    "rl.steps": 8,
    "rl.learning_rate": 0.003,
    "rl.evaluate_every": 2,
    "rl.num_generations": 4,
    "rl.optimiser_steps": 2,
    "data.dev_fraction": 0.25,
    "data.test_fraction": 0.2,
    "evaluate.max_completion_tokens": 24,
    "model.train_embeddings": "true",  # a random model has none worth keeping
    "model.threads": 1,
    "checkpoint_every": 2,
}
STAGES = {"sft": 20, "think": 20, "rl": 8}


def write_logs(path: Path) -> None:
    """Write conversations so plain that a random model half learns them within 20 steps.

    Half: some samples of a group are right and others wrong, so that RL has something to teach.
    """
    lines = []
    for tree in TREES:
        action = {"role": "assistant", "content": "yes", "reasoning_content": "hm"}
        messages = [{"role": "user", "content": tree}, action]
        messages += [{"role": "user", "content": "again"}, action]
        lines.append(json.dumps({"id": tree, "messages": messages}) + "\n")
    path.write_text("".join(lines))


def actwise(arguments: list[str], log: str) -> None:
    """Run the command line in this process, with its output in a file."""
    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["actwise", *arguments]
    main()


class Runner:
    """Starts `actwise run` in processes of its own, into one folder."""

    def __init__(self, context: ForkServerContext, model: Path, logs: Path, folder: Path) -> None:
        self._context = context
        self.folder = folder
        settings = [f"--set={key}={value}" for key, value in SETTINGS.items()]
        self._arguments = [
            "run",
            "--data",
            str(logs),
            "--model",
            str(model),
            "--out",
            str(folder),
            *settings,
        ]

    def __call__(self, moment: Callable[[], bool] = lambda: False) -> int | None:
        """Run, and kill the process when the moment comes; return its exit code."""
        log = self.folder.with_suffix(".log")
        process = self._context.Process(target=actwise, args=(self._arguments, str(log)))
        process.start()
        while process.is_alive() and not moment():
            time.sleep(0.0005)
        process.kill()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), log.read_text()
        return process.exitcode


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    # Each process begins as a fork of one that has imported torch: that saves seconds every time.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["actwise.pipeline"])
    return context


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
    assert files(killed.folder) == files(straight.folder)
    for name in files(straight.folder):
        if name.startswith(("models/", "metrics/", "rollouts/", "evaluations/")):
            one, other = (r.folder / name for r in (killed, straight))
            assert one.read_bytes() == other.read_bytes(), name
    for stage in STAGES:
        one, other = (
            torch.load(r.folder / "checkpoints" / f"{stage}.pt", weights_only=True)
            for r in (killed, straight)
        )
        assert same(one, other), stage
    assert results(killed.folder) == results(straight.folder)


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


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def results(folder: Path) -> dict[str, Any]:
    record = json.loads((folder / "results.json").read_text())
    del record["stages"]  # how long they took
    return dict(record)
