"""The run folder: everything a run was told, did and found, so that it can be read and resumed.

Of several processes that compute a run together the first alone reads and writes it, and tells the
others what they ask.

run.json            what was asked: configuration, versions, seed, fingerprints of the data
conversations.jsonl what is measured on: the conversations of the test splits, each once
metrics/*.jsonl     one line per training step, by stage
rollouts/*.jsonl    completions sampled in training, with their verdicts
evaluations/*.jsonl one line per decision, by model, mode and split
measurements/*.jsonl what trained models are measured on besides, where settings ask for it
checkpoints/        state from which an interrupted stage goes on
models/*/           weights after each stage, as folders that transformers loads
steering/*.json     vectors by which models are steered, where that is asked for, by stage
engine/              weights as servers that sample were given them last
results.json, report.html
superseded/*/       what was computed with settings that have changed since, with its run.json
checksums.json      by which damage is noticed
"""

import contextlib
import json
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from actwise.errors import RunError
from actwise.run import checksums
from actwise.run.changes import Changes, compare, difference
from actwise.run.checksums import Checksums
from actwise.run.files import (
    PARTIAL,
    Write,
    check_ordinary,
    damaged,
    json_line,
    json_text,
    read_records,
    remove,
    unwritable,
    write_atomically,
)
from actwise.run.lines import JsonLines
from actwise.run.lock import is_locked, take_lock
from actwise.run.processes import ALONE, Processes
from actwise.run.progress import Progress

CONVERSATIONS = "conversations.jsonl"
STEERING = "steering/{}.json"
"""The vector with which a stage's model was measured, if with one."""
_LOCK = ".lock"
_SUPERSEDED = "superseded"
_OUTCOMES = ("results.json", "report.html", "audit.json", "audit.html")
"""What is made of all stages together."""


class Run:
    """An open run folder; only one run at a time has it."""

    def __init__(
        self,
        folder: Path,
        request: dict[str, Any],
        progress: Progress,
        stages: Collection[str],
        processes: Processes,
    ) -> None:
        self.folder = folder
        self.progress = progress
        self.processes = processes
        self._request = request
        self._stages = stages
        self._changes: Changes | None = None
        self._record = folder / "run.json"
        self._recorded: dict[str, Any] | None = None
        self._checksums: Checksums

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        folder: Path,
        request: dict[str, Any],
        progress: Progress,
        stages: Collection[str] = (),
        processes: Processes = ALONE,
    ) -> Iterator["Run"]:
        """Take hold of a folder, to begin a run or to go on with the same one.

        Args:
            folder: Created where it does not exist.
            request: What identifies the run; compared with that of the run in the folder.
            progress: Where the stages show how far they are.
            stages: Names of the sections of the configuration that are a stage's. Where some of
                those differ, the run goes on from the stages before; see `changes.compare`.
            processes: Those that compute the run.

        Raises:
            RunError: If the folder holds another run, or something else, or cannot be written.
        """
        run = cls(folder, request, progress, stages, processes)
        with contextlib.ExitStack() as held:
            processes.agreed(lambda: run._take_hold(held))
            yield run

    def _take_hold(self, held: contextlib.ExitStack) -> None:
        held.enter_context(self._locked())
        self._checksums = Checksums(self.folder)
        self._check_same()
        for left_over in self.folder.rglob(f".*{PARTIAL}"):
            remove(left_over)  # of a process that was killed
        if self._recorded is not None and not self._checksums.known:
            self.progress.say(f"{self.folder}: has no checksums; its files are taken as they are")
            self._checksums.adopt()

    @property
    def goes_on(self) -> bool:
        """Whether the folder held this run before; of several processes the first knows."""
        return self._recorded is not None

    def begin(self, inputs: Mapping[str, str] | None = None) -> None:
        """Write down what was asked; until then, another request may still take the folder.

        What was computed with settings that have changed since is set aside.

        Args:
            inputs: Digests of what else the run depends on, by what a person calls it. Where the
                run is gone on with, they are compared with what it began with.

        Raises:
            RunError: Something else than before goes in; names it.
        """
        self.processes.agreed(lambda: self._begin(dict(inputs or {})))

    def _begin(self, inputs: dict[str, str]) -> None:
        if self._recorded is None:
            self._write_down(inputs)
            return
        before = self._recorded.get("inputs", inputs)
        changed = [name for name in {**before, **inputs} if before.get(name) != inputs.get(name)]
        if changed:
            raise self._other(", ".join(changed))
        versions = self._recorded.get("versions", {}), self._request.get("versions", {})
        for name in versions[1]:
            if versions[0].get(name, versions[1][name]) != versions[1][name]:
                self.progress.say(
                    f"{self.folder}: began with {name} {versions[0][name]}, now it is "
                    f"{versions[1][name]}: what is finished stays, the rest is computed with that"
                )
        if self._changes is not None:
            self._supersede(self._changes)
            self._write_down(inputs)

    def _write_down(self, inputs: Mapping[str, str]) -> None:
        created = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        record = {**self._request, "inputs": inputs, "created": created}
        self._write("run.json", lambda temporary: temporary.write_bytes(_json_bytes(record)))

    def _supersede(self, changes: Changes) -> None:
        """Set aside what no longer holds, so that nothing is lost, and say so."""
        self.progress.say(f"{self.folder}: other settings ({'; '.join(changes.differences)})")
        patterns = [
            pattern
            for stage in changes.redone
            for pattern in (*_files_of(stage), f"models/{stage}")
        ]
        stale = [path for pattern in patterns for path in self.folder.glob(pattern)]
        kept = ", ".join(["base", *changes.kept])
        others = changes.redone or changes.kept != list(self._request["stages"])
        if others:  # the outcome is of other stages than there will be
            stale += [self.folder / name for name in _OUTCOMES if (self.folder / name).exists()]
        if not stale:
            self.progress.say(f"{kept} stay as they are; nothing was computed that does not")
            return
        place = self._aside()
        for path in stale:
            name = path.relative_to(self.folder).as_posix()
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            path.rename(place / name)
            self._checksums.drop(name)
        redone = ", ".join(changes.redone) or "the results"
        self.progress.say(f"{kept} stay as they are; what there was of {redone} is now in {place}")

    def _aside(self) -> Path:
        """Return a folder for what is set aside: a new one, or that of a process that was killed.

        It begins with the run.json that its files were made with, so that it reads as a run.
        """
        aside, record = self.folder / _SUPERSEDED, self._record.read_bytes()
        # A file browser may have left something there, and a person may have deleted some.
        last = max((int(p.name) for p in aside.glob("*") if p.name.isdecimal()), default=0)
        begun = aside / str(last) / "run.json"
        if begun.exists() and begun.read_bytes() == record:
            return begun.parent
        place = aside / str(last + 1)
        write_atomically(place / "run.json", lambda temporary: temporary.write_bytes(record))
        return place

    def _other(self, what: str) -> RunError:
        return RunError(
            f"{self.folder}: holds a run with other {what}; choose another --out, or repeat that "
            "run's command to go on with it"
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            check_ordinary(self.folder)
            names = {p.name for p in self.folder.iterdir() if not p.name.endswith(PARTIAL)}
            if names - {_LOCK, checksums.FILE} and not self._record.exists():
                raise RunError(
                    f"{self.folder}: not empty and no run of actwise; choose another --out"
                )
            lock = (self.folder / _LOCK).open("w")
        except OSError as error:
            raise unwritable(self.folder, error) from error
        with lock:
            try:
                taken = take_lock(lock)
            except OSError as error:
                self.progress.say(
                    f"{self.folder}: locks nothing ({error.strerror}); see to it that no second "
                    "process works on this run"
                )
                taken = True
            if not taken:
                raise RunError(
                    f"{self.folder}: another process is working on this run; wait for it, or "
                    "choose another --out"
                )
            yield

    def _check_same(self) -> None:
        if not self._record.exists():
            return
        if self._checksums.damage("run.json") is not None:
            raise RunError(
                f"{self._record}: damaged, so nobody can tell what the run was asked; choose "
                "another --out"
            )
        try:
            self._recorded = dict(json.loads(self._record.read_bytes()))
        except (ValueError, TypeError, RecursionError) as error:
            raise RunError(f"{self._record}: no run of actwise; choose another --out") from error
        request = json.loads(json.dumps(self._request))
        if self._recorded.get("config") != request.get("config"):
            self._changes = compare(self._recorded, request, self._stages)
        same = {"config"} if self._changes is not None else set()
        for key in ("model", "config", "tools", "data"):  # tools are a part of what data is
            if key not in same and self._recorded.get(key) != request.get(key):
                raise self._other(key + difference(self._recorded.get(key), request.get(key)))

    def write(self, name: str, write: Write, *, lines: Sequence[JsonLines] = ()) -> None:
        """Create or replace a file, or create a folder, and note its checksum.

        Args:
            name: Inside the run folder.
            write: See `write_atomically`.
            lines: Files of lines that belong to it as they are now.
        """
        self.processes.agreed(lambda: self._write(name, write, lines))

    def _write(self, name: str, write: Write, lines: Sequence[JsonLines] = ()) -> None:
        marks = {part.path.relative_to(self.folder).as_posix(): part.mark() for part in lines}

        def write_and_note(temporary: Path) -> None:
            write(temporary)
            self._checksums.note(name, temporary, marks)

        write_atomically(self.folder / name, write_and_note)

    def write_json(self, name: str, value: Any) -> None:
        """Create or replace a JSON file."""
        text = _json_bytes(value)
        self.write(name, lambda temporary: temporary.write_bytes(text))

    def write_records(self, name: str, records: Sequence[dict[str, Any]]) -> None:
        """Create or replace a file of JSON lines."""
        text = "".join(map(json_line, records)).encode()
        self.write(name, lambda temporary: temporary.write_bytes(text))

    def intact(self, name: str) -> bool:
        """Whether a file or folder is there as it was written, with the lines that belong to it.

        What is damaged, or was written and is not there, is named and deleted, to be made again.
        """
        return self.processes.agreed(lambda: self._intact(name))

    def _intact(self, name: str) -> bool:
        damage = self._checksums.damage(name)
        if damage is not None:
            place = self.folder / damage.name
            self.progress.say(f"{place}: {damage.what}; what it comes from is computed again")
            self._checksums.forget(name)
        return (self.folder / name).exists()

    def read_json(self, name: str) -> Any:
        """Return what a JSON file holds.

        Raises:
            RunError: If it is no JSON.
        """

        def read() -> Any:
            try:
                return json.loads((self.folder / name).read_bytes())
            except (ValueError, RecursionError) as error:
                raise damaged(self.folder / name) from error

        return self.processes.agreed(read)

    def read_records(self, name: str) -> list[dict[str, Any]]:
        """Return the records of a file of JSON lines; see `actwise.run.files.read_records`."""
        return self.processes.agreed(lambda: read_records(self.folder / name))

    def take_over(self, source: Path, stages: Sequence[str]) -> None:
        """Copy what finished stages left in another run's folder, and this one has not yet.

        The settings those stages depend on have to be the same in both runs.

        Raises:
            RunError: The other run began with another model, data or seed.
        """
        self.processes.agreed(lambda: self._take_over(source, stages))

    def _take_over(self, source: Path, stages: Sequence[str]) -> None:
        other = json.loads((source / "run.json").read_bytes())
        request = json.loads(json.dumps(self._request))
        for key in ("model", "data", "seed"):
            if other.get(key) != request.get(key):
                raise RunError(f"{source}: has other {key} than {self.folder}; remove one of them")
        theirs = Checksums(source)
        for stage in stages:
            found = [source.glob(pattern) for pattern in _files_of(stage)]
            for file in (file for of_pattern in found for file in of_pattern):
                name = file.relative_to(source).as_posix()
                damage = theirs.damage(name)
                if damage is not None:
                    self.progress.say(f"{source / damage.name}: {damage.what}; not taken over")
                elif not (self.folder / name).exists():
                    self._checksums.copy(name, theirs)
                    write_atomically(self.folder / name, partial(shutil.copyfile, file))

    def lines(self, name: str) -> JsonLines:
        """Return a file of steps, such as "metrics/sft.jsonl"."""
        path = self.folder / name
        if self.processes.first and path.is_dir():
            self.progress.say(f"{path}: a folder in the place of a file; it is removed")
            remove(path)
        return JsonLines(path, self.processes)


def _files_of(stage: str) -> tuple[str, ...]:
    """Return patterns of the files that a stage leaves, besides its model."""
    return f"*/{stage}.*", f"evaluations/{stage}-*", f"measurements/{stage}-*"


def _json_bytes(value: Any) -> bytes:
    return json_text(value).encode()


def going_on(folder: Path) -> bool:
    """Return whether a process works on the run in a folder."""
    return is_locked(folder / _LOCK)
