"""Checksums of a run's files, by which damage is noticed: bytes that were lost, changed, exchanged.

They guard against accidents. Who can write into a run folder can write checksums, too.

A checksum is noted before its file is moved into place, so that a process which is killed between
the two leaves a file that is still known: of each file the last two are kept.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from actwise.errors import RunError
from actwise.run.files import fingerprint, remove, write_json

FILE = "checksums.json"
_LINES = ("metrics/", "rollouts/")
"""Folders of files that grow; what they hold is known by the files they belong to."""


class Mark(BaseModel):
    """The beginning of a file to which lines are appended."""

    bytes: int
    sha256: str


class Checksum(BaseModel):
    """What was written at a place."""

    sha256: str
    lines: dict[str, Mark] = {}
    """Files of lines that belong to it, by name, as far as they were written then."""


class _Record(BaseModel):
    files: dict[str, list[Checksum]]
    sha256: str
    """Checksum of `files` as JSON: this file can be damaged, too."""


class Damage(NamedTuple):
    """A file that is not what was written."""

    name: str
    what: str
    """Such as "damaged" or "not there"."""


class Checksums:
    """The checksums of one folder."""

    def __init__(self, folder: Path) -> None:
        """Read them.

        Raises:
            RunError: If their own file is damaged.
        """
        self._folder = folder
        self._path = folder / FILE
        self.known = self._path.exists()
        """Whether there are any; older runs have none, and their files are taken as they are."""
        self._files: dict[str, list[Checksum]] = self._read() if self.known else {}

    def note(self, name: str, written: Path, lines: Mapping[str, Mark] | None = None) -> None:
        """Remember what is about to be moved into place.

        Args:
            name: Name of the file or folder, inside the run folder.
            written: Where it lies until it is moved.
            lines: Files of lines that belong to it.
        """
        inside = [written, *sorted(written.rglob("*"))] if written.is_dir() else [written]
        for part in (part for part in inside if part.is_file()):
            full = name if part == written else f"{name}/{part.relative_to(written).as_posix()}"
            new = Checksum(sha256=fingerprint(part), lines=dict(lines or {}))
            self._files[full] = [*self._files.get(full, [])[-1:], new]
        self._write()

    def adopt(self) -> None:
        """Take all files as they are: those of a run that has no checksums."""
        for path in sorted(self._folder.rglob("*")):
            name = path.relative_to(self._folder).as_posix()
            if path.is_file() and not name.startswith((".", *_LINES)):
                self.note(name, path)

    def copy(self, name: str, other: "Checksums") -> None:
        """Remember for a file what another folder's checksums say of it."""
        if name in other._files:
            self._files[name] = other._files[name]
            self._write()
        elif not name.startswith(_LINES):
            self.note(name, other._folder / name)

    def damage(self, name: str) -> Damage | None:
        """Return what is wrong with a file or folder and with the lines that belong to it, if any.

        One that was never written is not damaged, but it is not there; see `Run.intact`.
        """
        if not self.known:
            return None
        if name.startswith(_LINES):
            return self._damaged_lines(name)
        inside = [n for n in self._files if n == name or n.startswith(f"{name}/")]
        if not inside:
            return Damage(name, "not what was written") if (self._folder / name).exists() else None
        return next((damage for n in inside if (damage := self._damage(n))), None)

    def _damage(self, name: str) -> Damage | None:
        path = self._folder / name
        if not path.is_file():
            return Damage(name, "not there")
        found = fingerprint(path)
        checksum = next((c for c in self._files[name] if c.sha256 == found), None)
        if checksum is None:
            return Damage(name, "damaged")
        for lines, mark in checksum.lines.items():
            if not _begins_with(self._folder / lines, mark):
                there = (self._folder / lines).exists()
                return Damage(lines, "damaged" if there else "not there")
        return None

    def forget(self, name: str) -> None:
        """Delete a file or folder with its checksums."""
        remove(self._folder / name)
        self.drop(name)

    def drop(self, name: str) -> None:
        """Take back what is known of a file or folder, which is no longer there."""
        for full in [n for n in self._files if n == name or n.startswith(f"{name}/")]:
            del self._files[full]
        self._write()

    def _damaged_lines(self, name: str) -> Damage | None:
        """Find out whether a file of lines lacks what those it belongs to know of it."""
        known = (checksum for of_one in self._files.values() for checksum in of_one)
        marks = [checksum.lines[name] for checksum in known if name in checksum.lines]
        path = self._folder / name
        if not marks or any(_begins_with(path, mark) for mark in marks):
            return None
        return Damage(name, "damaged" if path.exists() else "not there")

    def _read(self) -> dict[str, list[Checksum]]:
        try:
            record = _Record.model_validate_json(self._path.read_bytes())
        except (ValidationError, OSError) as error:
            raise self._unusable() from error
        if _digest(record.files) != record.sha256:
            raise self._unusable()
        return record.files

    def _unusable(self) -> RunError:
        return RunError(
            f"{self._path}: damaged; remove it to take the run's files as they are, or choose "
            "another --out"
        )

    def _write(self) -> None:
        files = dict(sorted(self._files.items()))
        record = _Record(files=files, sha256=_digest(files))
        write_json(self._path, record.model_dump())
        self.known = True


def _digest(files: Mapping[str, Iterable[Checksum]]) -> str:
    plain = {name: [c.model_dump() for c in of_one] for name, of_one in files.items()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _begins_with(path: Path, mark: Mark) -> bool:
    digest, left = hashlib.sha256(), mark.bytes
    if not path.is_file():
        return not left
    with path.open("rb") as file:
        while left and (part := file.read(min(left, 1 << 20))):
            digest.update(part)
            left -= len(part)
    return not left and digest.hexdigest() == mark.sha256
