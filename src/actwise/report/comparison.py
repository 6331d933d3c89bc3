"""Models of several runs on the same decisions.

Each run stands for one of its models, the promoted one unless another is named. All are held
against the first, decision by decision, with the intervals that a run's own table has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actwise import __version__
from actwise.errors import RunError
from actwise.report.folder import Range, Results, RunFolder, read_run_folder
from actwise.report.judged import Decisions, Measured, Record, Tested, read_decisions
from actwise.report.sections import environment, sections
from actwise.report.words import judgement, model_title, number, points, span
from actwise.results.columns import FoldedTable, as_text
from actwise.results.summary import paired, row
from actwise.training.stages import BASE


@dataclass(frozen=True)
class _Side:
    """A run with the model that stands for it."""

    folder: Path
    name: str
    """By which tables call it."""
    model: str
    mode: str
    conversations: list[Tested]
    records: dict[str, list[Record]]
    """Judged decisions by split."""


@dataclass(frozen=True)
class RunComparison:
    """Several runs, measured on the same decisions."""

    results: dict[str, Any]
    """"runs" (name, folder, model, mode), and "models", "rows" and "paired" as in `results.json`,
    with the names of runs in the place of models."""
    decisions: Decisions


def write_comparison(comparison: RunComparison, width: int) -> str:
    """Return the table of a comparison as text without colours.

    Args:
        comparison: From `compare_runs`.
        width: Characters of a line; columns for which there is no room follow below.
    """
    results = Results.model_validate(comparison.results)
    models = {run["name"]: run for run in comparison.results["runs"]}
    first = results.models[0]
    titles = ["run", "split", "model", "mode", "action\naccuracy", "range"]
    titles += [f"points over\n{first}", "from", "to", "so it is"]
    table = FoldedTable(titles, lead=2, left=("model", "mode", "so it is"))
    overall = {(p.model, p.split): p for p in results.paired if p.slice == "all"}
    for split in results.splits():
        for found in results.of_split(split):
            run, accuracy = models[found.model], found.metrics.get("action_accuracy", Range())
            cells = [run["name"], split, model_title(run["model"]), run["mode"]]
            cells += [number(accuracy.value, share=True, unit=False), span(accuracy, share=True)]
            if (pair := overall.get((found.model, split))) is not None:
                difference = pair.difference
                cells += map(points, (difference.value, difference.low, difference.high))
                cells.append(judgement(pair))
            table.add_row(*cells)
        table.add_section()
    return as_text(table, width) + (
        "\nAction accuracy in per cent with its 95 % interval; differences are paired, on the same "
        f"decisions, against {first}.\n"
    )


def write_page(comparison: RunComparison) -> bytes:
    """Return the page of a comparison: its tables, and every decision side by side."""
    results = Results.model_validate(comparison.results)
    page = (
        environment()
        .get_template("comparison.html.j2")
        .render(
            sections(results, comparison.decisions),
            runs=comparison.results["runs"],
            version=__version__,
        )
    )
    # What a model wrote can hold half a surrogate pair, which UTF-8 cannot.
    return page.encode("utf-8", errors="replace")


def compare_runs(folders: Sequence[Path], *, model: str | None = None) -> RunComparison:
    """Hold runs against the first one of them.

    Args:
        folders: At least two run folders, finished or not.
        model: Name of the model to compare, such as "sft"; the promoted one of each where None.

    Raises:
        RunError: A folder is no run, or has not measured that model yet; the runs were not
            measured on the same conversations.
        InputError: A file is not what its writer made.
    """
    if len(folders) < 2:
        raise RunError("compare takes at least two run folders")
    resolved = [folder.resolve() for folder in folders]
    distinct = len({path.name for path in resolved}) == len(folders)
    names = [path.name if distinct else str(f) for path, f in zip(resolved, folders, strict=True)]
    sides = [_side(folder, name, model) for folder, name in zip(folders, names, strict=True)]
    for side in sides[1:]:
        _check_same(sides[0], side)
    splits = list(sides[0].records)
    return RunComparison(
        {
            "runs": [
                {"name": s.name, "folder": str(s.folder), "model": s.model, "mode": s.mode}
                for s in sides
            ],
            "models": names,
            "rows": [
                row(s.name, s.mode, split, s.records[split]) for split in splits for s in sides
            ],
            "paired": [
                difference
                for split in splits
                for side in sides[1:]
                for difference in paired(
                    split,
                    (side.name, side.records[split]),
                    (sides[0].name, sides[0].records[split]),
                )
            ],
        },
        Decisions(
            sides[0].conversations,
            {Measured(s.name, s.mode, split): s.records[split] for split in splits for s in sides},
        ),
    )


def _side(folder: Path, name: str, model: str | None) -> _Side:
    run = read_run_folder(folder)
    decisions = read_decisions(folder, [BASE, *run.record.stages])
    if decisions is None:
        raise RunError(
            f"{folder}: does not say what it was measured on; run its command again, which writes "
            "conversations.jsonl"
        )
    chosen = model or (run.results.promoted if run.results is not None else None)
    if chosen is None:
        raise RunError(f"{folder}: not finished; name the model to compare, such as --model sft")
    mode = _mode(run, chosen)
    splits = dict.fromkeys(conversation.split for conversation in decisions.conversations)
    keys = [Measured(chosen, mode, split) for split in splits]
    if not decisions.evaluations.keys() >= set(keys):
        known = ", ".join(dict.fromkeys(m.model for m in decisions.evaluations)) or "none"
        raise RunError(
            f"{folder}: has not measured {chosen} ({mode}) on all of its test data; it has "
            f"measured: {known}"
        )
    records = {key.split: decisions.evaluations[key] for key in keys}
    return _Side(folder, name, chosen, mode, decisions.conversations, records)


def _mode(run: RunFolder, model: str) -> str:
    """Return the mode in which a model is compared.

    That of its stage; for the base the one in which it was promoted, or the last stage's.
    """
    results, modes = run.results, run.record.stages
    if results is not None and results.promoted == model and results.promoted_mode is not None:
        return results.promoted_mode
    return modes.get(model) or next(reversed(modes.values()), "direct")


def _check_same(one: _Side, other: _Side) -> None:
    """Refuse runs whose decisions cannot be paired.

    Raises:
        RunError: Says how their test data differ.
    """
    ours, theirs = ({(c.split, c.id): c for c in s.conversations} for s in (one, other))
    if ours == theirs:
        return
    both = [key for key in ours if key in theirs]
    changed = sum(ours[key] != theirs[key] for key in both)
    found = [
        f"{count} {what}"
        for count, what in (
            (len(ours) - len(both), f"conversations only in {one.name}"),
            (len(theirs) - len(both), f"only in {other.name}"),
            (changed, "under the same name with other content"),
        )
        if count
    ]
    raise RunError(
        f"{one.folder} and {other.folder}: their test data differ ({', '.join(found)}), so their "
        "decisions cannot be paired; compare runs with the same logs, seed and split"
    )
