"""Locks on file systems that have them otherwise, or not at all."""

import errno
import fcntl
import io
import os
from pathlib import Path
from typing import IO

import pytest
from rich.console import Console

from actwise.run.folder import Run, going_on
from actwise.run.lock import is_locked, take_lock
from actwise.run.progress import Progress

FLOCK = fcntl.flock


def of_nfs(file: IO[str], operation: int) -> None:
    """Lock as Linux does on NFS: by fcntl(2), which asks for the access that a lock means."""
    access = fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE
    if access == (os.O_RDONLY if operation & fcntl.LOCK_EX else os.O_WRONLY):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    FLOCK(file, operation)


def test_a_lock_is_looked_at_on_nfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", of_nfs)
    path = tmp_path / ".lock"
    with path.open("w") as lock:
        assert take_lock(lock)
        assert is_locked(path)
    assert not is_locked(path)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_run_goes_on_where_there_are_no_locks_and_says_so(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: IO[str], operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    told = io.StringIO()
    for _ in range(2):
        with Run.open(tmp_path, {"seed": 1}, Progress(Console(file=told, width=1000))) as run:
            run.begin()
            assert not going_on(tmp_path)
    said = f"{tmp_path}: locks nothing ({os.strerror(number)})"
    assert told.getvalue().count(said) == 2
