"""Files of lines that grow with the steps of a stage."""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actwise.run.checksums import Mark
from actwise.run.files import json_line, sync, unwritable, write_atomically
from actwise.run.processes import ALONE, Processes


class JsonLines:
    """A file to which steps are appended; lines after a resumed step are taken back."""

    def __init__(self, path: Path, processes: Processes = ALONE) -> None:
        """Take up the file, which the first of several processes writes."""
        self.path = path
        self._processes = processes
        self._size, self._digest = 0, hashlib.sha256()
        if processes.first and path.exists():
            self._count(path.read_bytes())

    def append(self, *records: dict[str, Any]) -> None:
        """Add records, each with its number under "step"."""
        self._processes.agreed(lambda: self._append(records))

    def _append(self, records: Sequence[dict[str, Any]]) -> None:
        text = "".join(json_line(record) for record in records).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(text)
        except OSError as error:
            raise unwritable(self.path, error) from error
        self._count(text)

    def keep_up_to(self, step: int) -> None:
        """Drop the records of later steps, and a last line that was cut off."""
        self._processes.agreed(lambda: self._keep_up_to(step))

    def _keep_up_to(self, step: int) -> None:
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_bytes().splitlines(keepends=True):
            # Not JSON, not even UTF-8, or no step.
            with contextlib.suppress(ValueError, TypeError, LookupError, RecursionError):
                if json.loads(line)["step"] <= step and line.endswith(b"\n"):
                    kept.append(line)
        text = b"".join(kept)
        write_atomically(self.path, lambda temporary: temporary.write_bytes(text))
        self._size, self._digest = 0, hashlib.sha256()
        self._count(text)

    def mark(self) -> Mark:
        """Return what the file holds now, which is on the disk then."""
        if self.path.exists():
            sync(self.path)
        return Mark(bytes=self._size, sha256=self._digest.hexdigest())

    def _count(self, text: bytes) -> None:
        self._size += len(text)
        self._digest.update(text)
