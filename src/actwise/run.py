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
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from actwise.errors import RunError
from actwise.progress import Progress

_PARTIAL = ".partial"
"""Ending of the names of files that are being written."""
_LOCK = ".lock"


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Create or replace a file, or create a folder.

    Args:
        path: The file or folder; its parent is created.
        write: Writes a file or folder at the path it is given, which lies beside `path`.

    Raises:
        RunError: If the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        for part in [temporary, *temporary.rglob("*")]:
            if part.is_file():
                with part.open("rb") as file:
                    os.fsync(file.fileno())
        temporary.replace(path)
    except Exception as error:
        reason = _system_error(error)
        if reason is None:
            raise
        raise unwritable(path, reason) from error
    finally:
        _remove(temporary)


def write_text(path: Path, text: str) -> None:
    """Create or replace a text file atomically."""
    write_atomically(path, lambda temporary: temporary.write_bytes(text.encode()))


def write_json(path: Path, value: Any) -> None:
    """Create or replace a JSON file atomically."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_records(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Create or replace a file of JSON lines atomically."""
    write_text(path, "".join(_line(record) for record in records))


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines."""
    return [json.loads(line) for line in _lines(path)]


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def _lines(path: Path) -> list[bytes]:
    # As bytes: str.splitlines would cut at U+2028 and its like, and an interrupted write may end
    # within a character.
    return [line for line in path.read_bytes().split(b"\n") if line]


def unwritable(path: Path, error: OSError) -> RunError:
    """Return the one line that says why something cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunError(f"{path}: the disk is full; free some space and run the same command again")
    return RunError(f"{path}: cannot be written: {error.strerror}; choose another --out")


def _system_error(error: BaseException) -> OSError | None:
    """Return what the system said when a write failed, or None where it is not to blame.

    torch hides it behind a RuntimeError; safetensors and tokenizers raise exceptions of their own
    that quote it, the latter a bare Exception.
    """
    chain: BaseException | None = error
    while chain is not None and not isinstance(chain, OSError):
        chain = chain.__context__
    quoted = re.search(r"\(os error (\d+)\)", str(error))
    if chain is None and quoted:
        return OSError(int(quoted[1]), os.strerror(int(quoted[1])))
    return chain


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()


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
                file.writelines(_line(record) for record in records)
        except OSError as error:
            raise unwritable(self._path, error) from error

    def keep_up_to(self, step: int) -> None:
        """Drop the records of later steps, and a last line that was cut off."""
        if not self._path.exists():
            return
        kept = []
        for line in _lines(self._path):
            with contextlib.suppress(ValueError):  # not JSON, or not even UTF-8
                record = json.loads(line)
                if record["step"] <= step:
                    kept.append(record)
        write_records(self._path, kept)


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
            for partial in folder.rglob(f".*{_PARTIAL}"):
                _remove(partial)  # of a process that was killed
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
            names = {p.name for p in self.folder.iterdir() if not p.name.endswith(_PARTIAL)}
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
            files = [f"checkpoints/{stage}.*", f"metrics/{stage}.*", f"evaluations/{stage}-*"]
            if stage == "think":
                files.append("thoughts.jsonl")
            for file in (file for pattern in files for file in source.glob(pattern)):
                target = self.folder / file.relative_to(source)
                if not target.exists():
                    write_atomically(target, partial(shutil.copyfile, file))

    def lines(self, name: str) -> JsonLines:
        """Return a file of steps, such as "metrics/sft.jsonl"."""
        return JsonLines(self.folder / name)
