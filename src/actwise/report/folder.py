"""What a report reads from a run folder, and the shape of each file.

    run.json             how the run was made; the only file that must be there
    results.json         the table, what was skipped, how long each stage took
    metrics/STAGE.jsonl  one JSON object of numbers per training step, with "step" in it

Unknown fields are ignored, so that a report can be written for a run of a newer version.
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from actwise.config import RunConfig
from actwise.errors import RunError
from actwise.report.files import Files
from actwise.training.stages import STAGES


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


class EpisodesRow(BaseModel):
    """One model on its own history: its turns, or its whole conversations, on one split."""

    model: str
    mode: Literal["direct", "thinking"]
    split: str
    unit: Literal["turn", "conversation"]
    search: int = 0
    """Completions of each step among which one was chosen; 0 where it acted greedily."""
    episodes: int
    conversations: int
    metrics: dict[str, Range]
    """By the names in `results.episodes`."""
    ends: dict[str, int] = {}
    """How many episodes ended for each reason."""
    problems: dict[str, int] = {}
    """What environments said, and how often."""


class AttemptsRow(BaseModel):
    """One model, sampled several times for each decision of one split."""

    model: str
    mode: Literal["direct", "thinking"]
    split: str
    decisions: int
    attempts: int
    metrics: dict[str, Range]
    """By the names in `results.attempts`."""


class GivenRow(Row):
    """One model that goes on from a thought cut short, or from a part of the recorded one."""

    given: str
    """Such as "thought of 8" (tokens) or "given plan"."""

    @property
    def budget(self) -> int | None:
        """Tokens to which thoughts were cut, if that is what was done."""
        found = re.fullmatch(r"thought of (\d+)", self.given)
        return int(found[1]) if found else None


class Paired(BaseModel):
    """How much better one model is than another on the same decisions."""

    split: str
    model: str
    """Its name, with the mode in brackets where it has rows in both: "rl (thinking)"."""
    against: str
    slice: str = "all"
    conversations: int | None = None
    """With decisions that can be checked of both; older runs do not say it."""
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
    episodes: list[EpisodesRow] = []
    attempts: list[AttemptsRow] = []
    given: list[GivenRow] = []
    floors: dict[str, dict[str, float]] = {}
    """Action accuracy of trivial policies, by split."""
    paired: list[Paired] = []
    promoted: str | None = None
    promoted_mode: Literal["direct", "thinking"] | None = None
    """In which it was best on the development split; older runs do not say it."""
    verdict: str = ""
    stages: list[StageTime] = []
    skipped: list[Skipped] = []

    def splits(self) -> list[str]:
        """Return the splits in the order of the rows."""
        return list(dict.fromkeys(row.split for row in self.rows))

    def promoted_row(self, split: str) -> Row | None:
        """Return what the promoted model reaches on a split, in the mode in which it is best."""
        return next((row for row in self.of_split(split) if self.is_promoted(row)), None)

    def is_promoted(self, row: Row) -> bool:
        """Whether a row is of the promoted model in that mode, or in any where none is known."""
        return row.model == self.promoted and self.promoted_mode in (None, row.mode)

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

    def steps_of(self, stage: str) -> int | None:
        """Return how many steps a stage has; None where nobody knows, as where tokens decide."""
        section = self.record.config.get(stage)
        if not isinstance(section, dict) or section.get("sampled_tokens"):
            return None
        return section.get("steps")

    def missing(self) -> list[str]:
        """Return the files that are not there, as paths inside the folder."""
        files = [] if self.results is not None else ["results.json"]
        return files + [
            f"metrics/{stage}.jsonl" for stage in self.record.stages if stage not in self.metrics
        ]


def read_run_folder(run_dir: Path) -> RunFolder:
    """Read what a run was told and found; its decisions are read by `judged.read_decisions`.

    Raises:
        RunError: If there is no run.json, so this is no run folder; if it holds links, pipes or
            devices; if its checksums are damaged.
        InputError: If a file is not what its writer made.
    """
    files = Files(run_dir)
    record = files.json("run.json", RunRecord)
    if record is None:
        raise RunError(
            f"{run_dir}: no run folder, for it holds no run.json; name the folder of a run"
        )
    metrics = {
        stage: read_metrics(files.whole(name))
        for stage in record.stages
        if (name := f"metrics/{stage}.jsonl") in files.names
    }
    return RunFolder(
        name=run_dir.resolve().name,
        record=record,
        results=files.json("results.json", Results),
        metrics=metrics,
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
