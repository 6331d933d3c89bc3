"""The run folder: everything a run was told, did and found, so that it can be read and resumed.

run.json            what was asked: configuration, versions, seed, fingerprints of the data
metrics/*.jsonl     one line per training step, by stage
rollouts/*.jsonl    completions sampled in training, with their verdicts
evaluations/*.jsonl one line per decision, by model, mode and split
checkpoints/        state from which an interrupted stage goes on
models/*/           weights after each stage, as folders that transformers loads
results.json, examples.json, report.html
"""

import contextlib
import fcntl
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from actwise.errors import RunError
from actwise.run.files import PARTIAL, JsonLines, remove, unwritable, write_atomically, write_json
from actwise.run.progress import Progress

_LOCK = ".lock"


class Run:
    """An open run folder; only one process at a time has it."""

    def __init__(self, folder: Path, request: dict[str, Any], progress: Progress) -> None:
        self.folder = folder
        self.progress = progress
        self._request = request
        self._record = folder / "run.json"

    @classmethod
    @contextlib.contextmanager
    def open(cls, folder: Path, request: dict[str, Any], progress: Progress) -> Iterator["Run"]:
        """Take hold of a folder, to begin a run or to go on with the same one.

        Args:
            folder: Created where it does not exist.
            request: What identifies the run; compared with that of the run in the folder.
            progress: Where the stages show how far they are.

        Raises:
            RunError: If the folder holds another run, or something else, or cannot be written.
        """
        run = cls(folder, request, progress)
        with run._locked():
            run._check_same()
            for partial in folder.rglob(f".*{PARTIAL}"):
                remove(partial)  # of a process that was killed
            yield run

    def begin(self) -> None:
        """Write down what was asked; until then, another request may still take the folder."""
        if not self._record.exists():
            created = time.strftime("%Y-%m-%dT%H:%M:%S%z")
            write_json(self._record, {**self._request, "created": created})

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            names = {p.name for p in self.folder.iterdir() if not p.name.endswith(PARTIAL)}
            if names - {_LOCK} and not self._record.exists():
                raise RunError(
                    f"{self.folder}: not empty and no run of actwise; choose another --out"
                )
            lock = (self.folder / _LOCK).open("w")
        except OSError as error:
            raise unwritable(self.folder, error) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunError(
                    f"{self.folder}: another process is working on this run; wait for it, or "
                    "choose another --out"
                ) from error
            yield

    def _check_same(self) -> None:
        if not self._record.exists():
            return
        try:
            recorded = dict(json.loads(self._record.read_bytes()))
        except (ValueError, TypeError) as error:
            raise RunError(f"{self._record}: no run of actwise; choose another --out") from error
        request = json.loads(json.dumps(self._request))
        for key in ("model", "config", "data"):
            if recorded.get(key) != request.get(key):
                raise RunError(
                    f"{self.folder}: holds a run with other {key}; choose another --out, or "
                    "repeat that run's command to go on with it"
                )

    def take_over(self, source: Path, stages: Sequence[str]) -> None:
        """Copy what finished stages left in another run's folder, and this one has not yet.

        The settings those stages depend on have to be the same in both runs.

        Raises:
            RunError: The other run began with another model, data or seed.
        """
        other = json.loads((source / "run.json").read_bytes())
        request = json.loads(json.dumps(self._request))
        for key in ("model", "data", "seed"):
            if other.get(key) != request.get(key):
                raise RunError(f"{source}: has other {key} than {self.folder}; remove one of them")
        for stage in stages:
            files = [f"*/{stage}.*", f"evaluations/{stage}-*"]
            for file in (file for pattern in files for file in source.glob(pattern)):
                target = self.folder / file.relative_to(source)
                if not target.exists():
                    write_atomically(target, partial(shutil.copyfile, file))

    def lines(self, name: str) -> JsonLines:
        """Return a file of steps, such as "metrics/sft.jsonl"."""
        return JsonLines(self.folder / name)
