"""The runs below a folder: what they are, how far they are, what they found."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actwise.desk import MODEL
from actwise.errors import ActwiseError, RunError, printable
from actwise.report.folder import Range, Results, RunFolder, read_run_folder
from actwise.report.words import model_title, number, span
from actwise.results.columns import FoldedTable, as_text
from actwise.run.folder import going_on
from actwise.training.stages import BASE

_SIGNS = ("checksums.json", ".lock", "metrics", "evaluations")
"""Of a run, in a folder that has no run.json."""


@dataclass(frozen=True)
class ListedRun:
    """One run of the list."""

    name: str
    """Its folder, below the one that was asked for."""
    begun: str
    """Date and time."""
    model: str
    """Folder or hub name of the base model."""
    data: list[str]
    conversations: int
    reached: str
    """Such as "finished", or the stage with its step."""
    going_on: bool
    """Whether a process works on it."""
    promoted: str | None
    accuracy: dict[str, Range]
    """Action accuracy of the promoted model by split."""


@dataclass(frozen=True)
class Listing:
    """The runs below a folder, in the order in which they were begun, and what is broken."""

    runs: list[ListedRun]
    broken: list[str]
    """One line for each folder that cannot be read."""

    def to_dict(self) -> dict[str, Any]:
        """Return the list as a JSON object."""
        runs = [
            asdict(run) | {"accuracy": {s: r.model_dump() for s, r in run.accuracy.items()}}
            for run in self.runs
        ]
        return {"runs": runs, "broken": self.broken}


def list_runs(folder: Path) -> Listing:
    """Return the runs below a folder, at any depth.

    Raises:
        RunError: There is no such folder, or none below it is of a run.
    """
    if not folder.is_dir():
        raise RunError(f"{folder}: no folder; name one that holds runs")
    runs, broken = [], []
    for path in _folders(folder):
        try:
            runs.append(_listed(path, path.relative_to(folder).as_posix()))
        except ActwiseError as error:
            broken.append(str(error))
        except PermissionError as error:
            broken.append(f"{error.filename}: {error.strerror}; ask its owner")
    if not runs and not broken:
        raise RunError(f"{folder}: holds no runs; name a folder that does")
    return Listing(sorted(runs, key=lambda run: (run.begun, run.name)), broken)


def _model_name(path: Path) -> str:
    # The shipped one, in whichever installation.
    return "base" if path.parts[-3:] == MODEL.parts[-3:] else path.name


def write_listing(listing: Listing, width: int) -> str:
    """Return the list as text without colours.

    Args:
        listing: From `list_runs`.
        width: Characters of a line; columns for which there is no room follow below.
    """
    splits = list(dict.fromkeys(split for run in listing.runs for split in run.accuracy))
    titles = ["run", "begun", "reached", "promoted", *(f"{s}\n%, range" for s in splits)]
    table = FoldedTable(
        [*titles, "base model", "data"],
        left=("begun", "reached", "promoted", "base model", "data"),
    )
    for run in listing.runs:
        table.add_row(
            run.name,
            run.begun[:16].replace("T", " "),
            run.reached + (", going on" if run.going_on else ""),
            "–" if run.promoted is None else model_title(run.promoted),
            *(_figure(run.accuracy.get(split, Range())) for split in splits),
            _model_name(Path(run.model)),
            f"{', '.join(Path(file).name for file in run.data)} ({run.conversations})",
        )
    broken = "".join(f"broken: {printable(line)}\n" for line in listing.broken)
    return (as_text(table, width) if listing.runs else "") + broken


def _folders(folder: Path) -> list[Path]:
    records = [path.relative_to(folder) for path in folder.rglob("run.json")]
    found = {(folder / path).parent for path in records if "superseded" not in path.parts}
    return sorted(found | {path for path in folder.iterdir() if _may_be_run(path)})


def _may_be_run(folder: Path) -> bool:
    try:
        return any((folder / sign).exists() for sign in _SIGNS)
    except PermissionError:
        return True


def _listed(path: Path, name: str) -> ListedRun:
    run = read_run_folder(path)
    results, record = run.results or Results(), run.record
    rows = filter(None, map(results.promoted_row, results.splits()))
    accuracy = {row.split: row.metrics.get("action_accuracy", Range()) for row in rows}
    return ListedRun(
        name=name,
        begun=record.created,
        model=record.model,
        data=[data.file for data in record.data],
        conversations=sum(data.conversations for data in record.data),
        reached=_reached(run),
        going_on=going_on(path),
        promoted=results.promoted,
        accuracy=accuracy,
    )


def _reached(run: RunFolder) -> str:
    if run.results is not None:
        return "finished"
    begun = [
        (stage, run.metrics[stage].steps) for stage in run.record.stages if stage in run.metrics
    ]
    if not begun:
        return BASE
    stage, steps = begun[-1]
    of = run.steps_of(stage)
    return f"{stage} {steps[-1]['step'] if steps else 0:g}" + (f" of {of}" if of else "")


def _figure(accuracy: Range) -> str:
    if accuracy.value is None:
        return "–"
    return f"{number(accuracy.value, share=True, unit=False)}, {span(accuracy, share=True)}"
