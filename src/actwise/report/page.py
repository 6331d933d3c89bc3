"""The report as one HTML page that needs nothing beside itself.

The page is a pure function of the run folder: writing it twice gives the same bytes.
"""

import json
import shlex
from pathlib import Path
from typing import Any

from actwise.report import charts, words
from actwise.report.folder import Metrics, Range, Results, Row, RunFolder, read_run_folder
from actwise.report.judged import Decisions, read_decisions
from actwise.report.sections import environment, sections
from actwise.results.summary import row
from actwise.run.files import IN_ITS_RUN, write_atomically
from actwise.run.folder import CONVERSATIONS
from actwise.training.stages import BASE


def write_report(run_dir: Path) -> Path:
    """Write `report.html` into a run folder and return its path.

    Files that are not there yet are named in the report, so a run in progress has one too.

    Raises:
        RunError: If the folder holds no run.json, or cannot be written.
        InputError: If a file in it is not what its writer makes.
    """
    # What a model wrote can hold half a surrogate pair, which UTF-8 cannot.
    run = read_run_folder(run_dir)
    decisions = read_decisions(run_dir, [BASE, *run.record.stages])
    page = render(run, decisions).encode("utf-8", errors="replace")
    path = run_dir / "report.html"
    write_atomically(path, lambda temporary: temporary.write_bytes(page), remedy=IN_ITS_RUN)
    return path


def render(run: RunFolder, decisions: Decisions | None) -> str:
    """Return the page of a run."""
    results = run.results or Results(rows=rows_so_far(decisions))
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            sections(results, decisions),
            run=run,
            finished=run.results is not None,
            tiles=headline(results),
            stages=[(s, words.stage_title(s), run.metrics.get(s)) for s in run.record.stages],
            curves={stage: curves(metrics) for stage, metrics in run.metrics.items()},
            missing=run.missing() + ([] if decisions is not None else [CONVERSATIONS]),
            command=shlex.join(run.record.command),
            settings=flat_settings(run.record.config),
        )
    )


def results_so_far(run_dir: Path) -> dict[str, Any]:
    """Return the results of a run: all of them, or the rows of what it has measured so far.

    Raises:
        RunError: If the folder holds no run.json.
        InputError: If a file in it is not what its writer makes.
    """
    run = read_run_folder(run_dir)
    if run.results is not None:
        finished: dict[str, Any] = json.loads((run_dir / "results.json").read_text("utf-8"))
        return finished
    rows = rows_so_far(read_decisions(run_dir, [BASE, *run.record.stages]))
    return {"rows": [row.model_dump() for row in rows]}


def rows_so_far(decisions: Decisions | None) -> list[Row]:
    """Return the rows of the table as far as the run has measured."""
    measured = {} if decisions is None else decisions.evaluations
    return [
        Row.model_validate(row(m.model, m.mode, m.split, records))
        for m, records in measured.items()
        if records
    ]


def headline(results: Results) -> list[dict[str, Any]]:
    """Return, for each split, what the promoted model reaches and how it compares."""
    tiles = []
    for split in results.splits():
        row = results.promoted_row(split)
        if row is None:
            continue
        names = (row.model, f"{row.model} ({row.mode})")
        compared = [
            paired
            for paired in results.paired
            if paired.split == split and paired.model in names and paired.slice == "all"
        ]
        floors = results.floors.get(split, {})
        tiles.append(
            {
                "row": row,
                "figure": row.metrics.get("action_accuracy", Range()),
                "paired": compared,
                "floor": max(floors.items(), key=lambda item: item[1], default=None),
            }
        )
    return tiles


def curves(metrics: Metrics) -> list[dict[str, Any]]:
    """Return a chart for each figure of a stage; one that is 0 throughout has no "svg"."""
    charted: list[dict[str, Any]] = []
    for name, word in words.CURVES.items():
        line = [(step["step"], step[name]) for step in metrics.steps if name in step]
        if not any(value for _, value in line):
            charted += [{"word": word, "svg": None}] if line else []
            continue
        best = name == "dev_action_accuracy"
        charted.append(
            {
                "word": word,
                "svg": charts.curve(line, title=word.title, share=word.share, best=best),
                "first": words.number(line[0][1], share=word.share),
                "last": words.number(line[-1][1], share=word.share),
                "best": max(line, key=lambda point: point[1]) if best else None,
            }
        )
    return charted


def flat_settings(config: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as (dotted key, JSON value)."""
    rows = []
    for key, value in config.items():
        if isinstance(value, dict) and value:
            rows += flat_settings(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", json.dumps(value, ensure_ascii=False)))
    return rows
