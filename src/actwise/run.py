"""The run folder: everything a run was told, did and found, so that it can be read and resumed.

    run.json            what was asked: configuration, versions, seed, fingerprints of the data
    metrics/*.jsonl     one line per training step, by stage
    rollouts/*.jsonl    completions sampled in training, with their verdicts
    evaluations/*.jsonl one line per decision, by model, mode and split
    checkpoints/        state from which an interrupted stage goes on
    models/*/           weights after each stage, as folders that transformers loads
    results.json, examples.json, report.html

Files appear whole or not at all: they are written beside their place and moved there.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from actwise.errors import RunError
from actwise.progress import Progress


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Create or replace a file.

    Args:
        path: The file; its folder is created.
        write: Writes the content to the path it is given, which lies beside `path`.

    Raises:
        RunError: If the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Create or replace a text file atomically."""
    write_atomically(path, lambda temporary: _write_text(temporary, text))


def write_json(path: Path, value: Any) -> None:
    """Create or replace a JSON file atomically."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def unwritable(path: Path, error: OSError) -> RunError:
    """Return the one line that says why something cannot be written."""
    if error.errno == errno.ENOSPC:
        return RunError(f"{path}: the disk is full; free some space and run the same command again")
    return RunError(f"{path}: cannot be written: {error.strerror}; choose another --out")


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class JsonLines:
    """A file to which steps are appended; lines after a resumed step are taken back."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, *records: dict[str, Any]) -> None:
        """Add records, each with its number under "step"."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                for record in records:
                    file.write(json.dumps(record, ensure_ascii=False) + "\n")
        except OSError as error:
            raise unwritable(self._path, error) from error

    def keep_up_to(self, step: int) -> None:
        """Drop the records of later steps, and a last line that was cut off."""
        if not self._path.exists():
            return
        kept = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
        write_text(self._path, "".join(kept))


class Run:
    """An open run folder; only one process at a time has it."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self.folder = folder
        self.progress = progress
        self._lock: IO[str] | None = None

    @classmethod
    @contextlib.contextmanager
    def open(cls, folder: Path, request: dict[str, Any], progress: Progress) -> Iterator["Run"]:
        """Begin a run, or go on with the same one.

        Args:
            folder: Created where it does not exist.
            request: What identifies the run; compared with that of the run in the folder.
            progress: Where the stages show how far they are.

        Raises:
            RunError: If the folder holds another run, or something else, or cannot be written.
        """
        run = cls(folder, progress)
        record = folder / "run.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not record.exists() and any(p.name != ".lock" for p in folder.iterdir()):
                raise RunError(f"{folder}: not empty and no run of actwise; choose another --out")
            run._lock = (folder / ".lock").open("w")
            fcntl.flock(run._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"{folder}: another process is working on this run") from error
        except OSError as error:
            raise unwritable(folder, error) from error
        try:
            if record.exists():
                run._check_same(json.loads(record.read_text(encoding="utf-8")), request)
            else:
                created = time.strftime("%Y-%m-%dT%H:%M:%S%z")
                write_json(record, {**request, "created": created})
            yield run
        finally:
            run._lock.close()

    def _check_same(self, recorded: dict[str, Any], request: dict[str, Any]) -> None:
        request = json.loads(json.dumps(request))
        for key in ("model", "config", "data"):
            if recorded.get(key) != request.get(key):
                raise RunError(
                    f"{self.folder}: holds a run with other {key}; choose another --out, or "
                    "repeat that run's command to go on with it"
                )

    def lines(self, name: str) -> JsonLines:
        """Return a file of steps, such as "metrics/sft.jsonl"."""
        return JsonLines(self.folder / name)
