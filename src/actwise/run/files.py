"""Files that appear whole or not at all: they are written beside their place and moved there."""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from actwise.errors import RunError

PARTIAL = ".partial"
"""Ending of the names of files that are being written."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Create or replace a file, or create a folder.

    Args:
        path: The file or folder; its parent is created.
        write: Writes a file or folder at the path it is given, which lies beside `path`.

    Raises:
        RunError: If the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
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
        remove(temporary)


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


def remove(path: Path) -> None:
    """Delete a file, or a folder with all that it holds, if it is there."""
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
