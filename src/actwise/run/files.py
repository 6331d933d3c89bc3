"""Files that appear whole or not at all: they are written beside their place and moved there."""

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from actwise.errors import ActwiseError, RunError

PARTIAL = ".partial"
"""Ending of the names of files that are being written."""

Write = Callable[[Path], object]
"""Writes a file or a folder at the path it is given."""
ELSEWHERE = "choose another --out"
"""What helps where nothing can be written, unless a caller says what does."""
IN_ITS_RUN = "make the folder of the run writable, or copy it"
"""What helps where a verb writes into a run and has no option to write elsewhere."""


def write_atomically(path: Path, write: Write, *, remedy: str = ELSEWHERE) -> None:
    """Create or replace a file, or create a folder.

    A link at this place is replaced, not followed: a run folder may be somebody else's. What a
    user names is written with `write_named`.

    Args:
        path: The file or folder; its parent is created.
        write: Writes at the path it is given, which lies beside `path`.
        remedy: What helps where it cannot be written.

    Raises:
        RunError: If the disk is full or the folder cannot be written.
    """
    temporary = _beside(path)
    with _said_in_a_line(path, remedy):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(temporary)
            _move(temporary, path)
        finally:
            remove(temporary)


def write_named(path: Path, write: Write, *, remedy: str = ELSEWHERE) -> None:
    """Write to what a user named: the file a link leads to, a device, a pipe, an open descriptor.

    A regular file is replaced when all is written, and keeps its mode and its owner. Into anything
    else the bytes are poured, when all of them are there.

    Args:
        path: As the user typed it.
        write: Writes one file at the path it is given.
        remedy: What helps where it cannot be written.

    Raises:
        RunError: If it cannot be written.
    """
    with _said_in_a_line(path, remedy):
        descriptor = _descriptor(path)
        if descriptor is not None:
            _pour(write, os.dup(descriptor), path.name)
            return
        target = Path(os.path.realpath(path))
        if not os.path.lexists(target):
            write_atomically(target, write, remedy=remedy)
            return
        before = target.stat()
        if not stat.S_ISREG(before.st_mode):
            _pour(write, os.open(target, os.O_WRONLY), path.name)
            return
        os.close(os.open(target, os.O_WRONLY))  # a file that may not be written is not replaced
        temporary = _beside(target)
        try:
            # Nobody may read the new text who could not read the old.
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            write(temporary)
            with contextlib.suppress(PermissionError):
                shutil.chown(temporary, before.st_uid, before.st_gid)
            temporary.chmod(stat.S_IMODE(before.st_mode))
            _move(temporary, target)
        finally:
            remove(temporary)


def check_writable(folder: Path) -> None:
    """Try to write in a folder, or where it would be made, before what is to lie there is computed.

    Raises:
        RunError: Nothing can be written there.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    with _said_in_a_line(folder, ELSEWHERE):
        tempfile.TemporaryFile(dir=there).close()


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}{PARTIAL}")


def _move(temporary: Path, path: Path) -> None:
    """Put what was written in its place once it is on the disk."""
    for part in [temporary, *temporary.rglob("*")]:
        if part.is_file():
            sync(part)
    temporary.replace(path)


def sync(path: Path) -> None:
    """Wait until what was written into a file is on the disk."""
    with path.open("r+b" if sys.platform == "win32" else "rb") as file:
        os.fsync(file.fileno())


def _descriptor(path: Path) -> int | None:
    """Return the open descriptor that a path such as /dev/stdout or /dev/fd/63 stands for.

    Opened by its name a redirected file would begin anew, under whoever else writes to it.
    """
    pattern = rf"/(?:dev|proc/(?:self|{os.getpid()}))/fd/(\d+)"
    for _ in range(40):  # as many links as Linux follows
        found = re.fullmatch(pattern, os.path.abspath(path))
        if found:
            return int(found[1])
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


def _pour(write: Write, descriptor: int, name: str) -> None:
    with open(descriptor, "wb") as target, tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / name
        write(temporary)
        with temporary.open("rb") as whole:
            shutil.copyfileobj(whole, target)


@contextlib.contextmanager
def _said_in_a_line(path: Path, remedy: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read has seen enough
    except Exception as error:
        reason = _system_error(error)
        if reason is None or isinstance(error, ActwiseError):
            raise
        raise unwritable(path, reason, remedy) from error


def write_text(path: Path, text: str) -> None:
    """Create or replace a text file atomically."""
    content = text.encode("utf-8", "backslashreplace")  # names of files may be no UTF-8
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def write_json(path: Path, value: Any) -> None:
    """Create or replace a JSON file atomically; numbers that are not finite become null."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """Return JSON for a file; numbers that are not finite, which JSON has not, become null."""
    return _json(value, indent=1)


def write_records(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Create or replace a file of JSON lines atomically."""
    write_text(path, "".join(json_line(record) for record in records))


def read_records(path: Path, *, growing: bool = False) -> list[dict[str, Any]]:
    """Read a file of JSON lines.

    Args:
        path: The file.
        growing: Whether lines are appended to it, so that its last one may be cut off as yet; that
            one is left out.

    Raises:
        RunError: If a line is no JSON object; names it.
    """
    records = []
    whole = path.read_bytes()
    if growing:
        whole = whole[: whole.rfind(b"\n") + 1]
    # As bytes: str.splitlines would cut at U+2028 and its like, and an interrupted write may end
    # within a character.
    for number, line in enumerate(filter(None, whole.split(b"\n")), start=1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise damaged(path, number) from error
        if not isinstance(record, dict):
            raise damaged(path, number)
        records.append(record)
    return records


def json_line(record: dict[str, Any]) -> str:
    """Return a record as a line of JSON; numbers that are not finite become null."""
    return _json(record)


def _json(value: Any, indent: int | None = None) -> str:
    text = json.dumps(finite(value), indent=indent, ensure_ascii=False, allow_nan=False)
    # Half a surrogate pair, as in the name of a file that is no UTF-8, is JSON as an escape.
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def finite(value: Any) -> Any:
    """Return a value for JSON with None in the place of numbers that are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value


def damaged(path: Path, line: int | None = None) -> RunError:
    """Return the one line that says that a file of a run is not what was written."""
    place = str(path) if line is None else f"{path}:{line}"
    return RunError(
        f"{place}: damaged, for it is not what was written; remove it and run the same command "
        "again, which writes it anew"
    )


def unwritable(path: Path, error: OSError, remedy: str = ELSEWHERE) -> RunError:
    """Return the one line that says why something cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunError(f"{path}: the disk is full; free some space and run the same command again")
    return RunError(f"{path}: cannot be written: {error.strerror}; {remedy}")


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
    """Delete a file or a link, or a folder with all that it holds, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_ordinary(folder: Path) -> None:
    """Refuse a folder that holds what no run writes: links to files, pipes, devices.

    Reading or writing them would read, write or wait for something outside the folder.

    Raises:
        RunError: Names what does not belong there.
    """
    for path in folder.rglob("*"):
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue  # another process has just removed it
        ordinary = stat.S_ISREG(mode) or path.is_dir()
        # Left-overs of a killed process are removed, and never followed.
        if not ordinary and not path.name.endswith(PARTIAL):
            raise RunError(f"{path}: neither a file nor a folder, which no run writes; remove it")
