"""What a report reads from a run folder, and the shape of each file.

    run.json             how the run was made; the only file that must be there
    results.json         the table, what was skipped, how long each stage took
    metrics/STAGE.jsonl  one JSON object of numbers per training step, with "step" in it
    examples.json        some decisions with each model's completion

Unknown fields are ignored, so that a report can be written for a run of a newer version.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError

from actwise.config import RunConfig
from actwise.errors import InputError, RunError
from actwise.run.checksums import Checksums
from actwise.run.folder import check_ordinary
from actwise.training.stages import STAGES

Shape = TypeVar("Shape")
_REMEDY = "run the command of the run again, which writes it anew"


def _finite(number: Any) -> Any:
    return None if isinstance(number, float) and not math.isfinite(number) else number


Name = Annotated[str, Field(pattern=r"^\w+$")]
"""Of a stage; it becomes part of a path."""
Number = Annotated[float | None, BeforeValidator(_finite)]
"""A finite number; NaN and infinity are read as absent."""


class Range(BaseModel):
    """A figure and the range it may lie in."""

    value: Number = None
    low: Number = None
    high: Number = None


class Slice(BaseModel):
    """The decisions of one kind or with one label."""

    decisions: int
    action_accuracy: Range


class Row(BaseModel):
    """One model, generating in one mode, on one split."""

    model: str
    mode: Literal["direct", "thinking"]
    split: str
    decisions: int
    conversations: int
    metrics: dict[str, Range]
    """By the names in `words.METRICS`; shares are between 0 and 1."""
    slices: dict[str, Slice] = {}


class Paired(BaseModel):
    """How much better one model is than another on the same decisions."""

    split: str
    model: str
    """Its name, with the mode in brackets where it has rows in both: "rl (thinking)"."""
    against: str
    slice: str = "all"
    difference: Range
    """Difference of action accuracy, between -1 and 1."""
    relative: Number = None


class StageTime(BaseModel):
    """What a stage took."""

    name: str
    seconds: float
    peak_memory: int | None = None
    """In bytes, of the process or of a GPU's tensors; older runs have none."""


class Skipped(BaseModel):
    """What was left out for one reason; `examples` are places as "file:line"."""

    reason: str
    count: int
    examples: list[str] = []


class Results(BaseModel):
    """`results.json`. A model's first row on a split is the one its headline quotes."""

    models: list[str] = []
    """In the order in which they were made."""
    rows: list[Row] = []
    floors: dict[str, dict[str, float]] = {}
    """Action accuracy of trivial policies, by split."""
    paired: list[Paired] = []
    promoted: str | None = None
    verdict: str = ""
    stages: list[StageTime] = []
    skipped: list[Skipped] = []

    def splits(self) -> list[str]:
        """Return the splits in the order of the rows."""
        return list(dict.fromkeys(row.split for row in self.rows))

    def of_split(self, split: str) -> list[Row]:
        """Return the rows of one split."""
        return [row for row in self.rows if row.split == split]


class DataFile(BaseModel):
    """One file of conversations that went in."""

    file: str
    sha256: str
    conversations: int
    rejected: int = 0


class RunRecord(BaseModel):
    """`run.json`."""

    actwise: str
    command: list[str] = []
    model: str = ""
    """Folder or hub name of the base model."""
    seed: int | None = None
    config: dict[str, Any] = {}
    versions: dict[str, str] = {}
    data: list[DataFile] = []
    created: str = ""
    stages: dict[Name, str] = {name: r.mode(RunConfig()) for name, r in STAGES.items()}
    """What it trains, in order, and the mode in which the model of each is measured."""


class ShownMessage(BaseModel):
    """A message of an example's context."""

    role: str
    content: str | None = ""
    tool_calls: list[dict[str, Any]] = []


class ShownCompletion(BaseModel):
    """What one model did; `text` is the completion without its thought."""

    model: str
    mode: str
    text: str
    thought: str | None = None
    right: bool | None
    """None where it cannot be checked."""
    notes: list[str] = []


class Example(BaseModel):
    """One decision, the recorded action, and what the models did."""

    decision: str
    split: str
    kind: str
    labels: list[str] = []
    context: list[ShownMessage]
    gold: str
    completions: list[ShownCompletion]


@dataclass(frozen=True)
class Metrics:
    """The steps of one stage, in order; a step that was repeated after a restart counts once."""

    steps: list[dict[str, float]]
    unreadable: int
    """Lines before the last that are no JSON object with a step."""


@dataclass(frozen=True)
class RunFolder:
    """A run folder as far as it is filled; None for a file that is not there."""

    name: str
    record: RunRecord
    results: Results | None
    metrics: dict[str, Metrics]
    examples: list[Example] | None

    def missing(self) -> list[str]:
        """Return the files that are not there, as paths inside the folder."""
        files = [] if self.results is not None else ["results.json"]
        files += [
            f"metrics/{stage}.jsonl" for stage in self.record.stages if stage not in self.metrics
        ]
        return files + ([] if self.examples is not None else ["examples.json"])


def read_run_folder(run_dir: Path) -> RunFolder:
    """Read everything a report shows.

    Raises:
        RunError: If there is no run.json, so this is no run folder; if it holds links, pipes or
            devices; if its checksums are damaged.
        InputError: If a file is not what its writer made.
    """
    check_ordinary(run_dir)
    checksums = Checksums(run_dir)
    record = _read(run_dir, "run.json", RunRecord, checksums)
    if record is None:
        raise RunError(
            f"{run_dir}: no run folder, for it holds no run.json; name the folder of a run"
        )
    metrics = {}
    for stage in record.stages:
        name = f"metrics/{stage}.jsonl"
        if (run_dir / name).exists():
            check_whole(run_dir, name, checksums)
            metrics[stage] = read_metrics(run_dir / name)
    return RunFolder(
        name=run_dir.resolve().name,
        record=record,
        results=_read(run_dir, "results.json", Results, checksums),
        metrics=metrics,
        examples=_read(run_dir, "examples.json", list[Example], checksums),
    )


def check_whole(run_dir: Path, name: str, checksums: Checksums) -> None:
    """Refuse a file that is not what was written.

    Raises:
        InputError: Names it.
    """
    damage = checksums.damage(name)
    if damage is not None:
        raise InputError(
            f"{damage.what}, for its checksum differs" if damage.what == "damaged" else damage.what,
            file=str(run_dir / damage.name),
            remedy=_REMEDY,
        )


def read_metrics(path: Path) -> Metrics:
    """Read one stage's numbers; a last line that is still being written is ignored."""
    lines = [line for line in path.read_text("utf-8", errors="replace").split("\n") if line.strip()]
    by_step: dict[float, dict[str, float]] = {}
    unreadable = 0
    for index, line in enumerate(lines):
        numbers = _numbers(line)
        if "step" in numbers:
            by_step[numbers["step"]] = numbers
        elif index < len(lines) - 1:
            unreadable += 1
    return Metrics([by_step[step] for step in sorted(by_step)], unreadable)


def _numbers(line: str) -> dict[str, float]:
    try:
        record = json.loads(line)
        items = record.items() if isinstance(record, dict) else ()
        numbers = {key: float(value) for key, value in items if isinstance(value, int | float)}
    except (ValueError, RecursionError, OverflowError):
        return {}
    return {key: value for key, value in numbers.items() if math.isfinite(value)}


def _read(run_dir: Path, name: str, kind: type[Shape], checksums: Checksums) -> Shape | None:
    path = run_dir / name
    if not path.exists():
        return None
    check_whole(run_dir, name, checksums)
    try:
        return TypeAdapter(kind).validate_python(json.loads(path.read_text("utf-8")))
    except json.JSONDecodeError as error:
        raise InputError(
            f"not JSON: {error.msg}", file=str(path), line=error.lineno, remedy=_REMEDY
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{place}: {first['msg']}", file=str(path), remedy=_REMEDY) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, or nested without end
        raise InputError(f"not JSON: {error}", file=str(path), remedy=_REMEDY) from error
