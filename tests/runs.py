"""Runs of the command line in processes of their own, and what they leave behind."""

import json
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from actwise.cli import main

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


def actwise(arguments: list[str], log: str, first: Callable[[], object]) -> None:
    """Run the command line in this process, with its output in a file."""
    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    first()
    sys.argv = ["actwise", *arguments]
    main()


def nothing() -> None:
    """Do nothing."""


def die_at_rename(number: int, after: bool) -> None:
    """See to it that this process is killed before or after it renames a file for the nth time."""
    rename, left = os.replace, [number]

    def replace(source: Any, target: Any) -> None:
        left[0] -= 1
        if left[0] == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace


class Runner:
    """Starts `actwise run` in processes of its own, into one folder."""

    def __init__(
        self,
        context: ForkServerContext,
        model: Path,
        logs: Path,
        folder: Path,
        changes: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._context = context
        self._given = (model, logs, changes)
        self.folder = folder
        settings = [f"--set={key}={value}" for key, value in {**SETTINGS, **changes}.items()]
        self.arguments = [
            "run",
            "--data",
            str(logs),
            "--model",
            str(model),
            "--out",
            str(folder),
            *settings,
        ]

    def elsewhere(self, name: str) -> "Runner":
        """Return a runner of the same run in another folder."""
        model, logs, changes = self._given
        return Runner(self._context, model, logs, self.folder.with_name(name), changes)

    @property
    def log(self) -> Path:
        """What the last process printed."""
        return self.folder.with_suffix(".log")

    def __call__(
        self,
        moment: Callable[[], bool] | None = None,
        *,
        first: Callable[[], object] = nothing,
        codes: tuple[int, ...] = (0, -signal.SIGKILL),
    ) -> int | None:
        """Run, and kill the process when the moment comes; return its exit code.

        Args:
            moment: Whether it has come.
            first: Done in the process before it begins.
            codes: Those that are right.
        """
        process = self._context.Process(target=actwise, args=(self.arguments, str(self.log), first))
        process.start()
        if moment is not None:
            while process.is_alive() and not moment():
                time.sleep(0.0005)
            process.kill()
        process.join()
        assert process.exitcode in codes, self.log.read_text()
        return process.exitcode

    def together(
        self,
        count: int,
        moment: Callable[[], bool] | None = None,
        *,
        victim: int = 0,
        first: Callable[[], object] = nothing,
        each: Callable[[], object] = nothing,
        strike: Callable[[BaseProcess], object] = BaseProcess.kill,
    ) -> list[int | None]:
        """Run in several processes, as `torchrun` starts them; return their exit codes.

        Args:
            count: How many.
            moment: Whether one of them is to be struck now.
            victim: The one that is struck, and that does `first`.
            first: Done in it before it begins.
            each: Done in the others.
            strike: What is done to it; it is killed where not given.
        """
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        processes = [
            self._context.Process(
                target=actwise,
                args=(
                    self.arguments,
                    str(self.log_of(rank)),
                    partial(join, rank, count, port, first if rank == victim else each),
                ),
            )
            for rank in range(count)
        ]
        for process in processes:
            process.start()
        if moment is not None:
            while processes[victim].is_alive() and not moment():
                time.sleep(0.001)
            strike(processes[victim])
        for process in processes:
            process.join()
        return [process.exitcode for process in processes]

    def log_of(self, rank: int) -> Path:
        """What one of several processes printed."""
        return self.folder.with_suffix(f".{rank}.log")


def join(rank: int, count: int, port: int, first: Callable[[], object]) -> None:
    """Set what `torchrun` sets in a process."""
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    local = {"LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": count}
    given = {"RANK": rank, "WORLD_SIZE": count, **local, **address}
    os.environ.update({name: str(value) for name, value in given.items()})
    first()


def fork_server() -> ForkServerContext:
    # Each process begins as a fork of one that has imported torch: that saves seconds every time.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["actwise.pipeline"])
    return context


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


def check_same_end(one: Path, other: Path) -> None:
    """Check that two run folders hold the same models, figures and records, bit for bit."""
    assert files(one) == files(other)
    for name in files(one):
        if name.startswith(("models/", "metrics/", "rollouts/", "evaluations/", "thoughts/")):
            assert (one / name).read_bytes() == (other / name).read_bytes(), name
        if name.endswith(".pt"):
            first, second = (torch.load(f / name, weights_only=True) for f in (one, other))
            assert same(first, second), name
    assert results(one) == results(other)
