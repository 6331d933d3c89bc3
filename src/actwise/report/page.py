"""The report as one HTML page that needs nothing beside itself.

The page is a pure function of the run folder: writing it twice gives the same bytes.
"""

import json
import shlex
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from actwise.report import charts, words
from actwise.report.folder import (
    Metrics,
    Paired,
    Range,
    Results,
    Row,
    RunFolder,
    read_run_folder,
)
from actwise.report.judged import Decisions, Measured, read_decisions
from actwise.report.mistakes import failures, mistakes
from actwise.report.payload import packed, payload
from actwise.results.summary import row
from actwise.run.files import write_atomically
from actwise.run.folder import CONVERSATIONS
from actwise.training.stages import BASE, LABELS

KINDS = ("call", "answer")
"""Slices by the kind of decision; the others are labels."""
ARGUMENTS_SHOWN = 12
"""Arguments that are most often wrong, at most."""
_HERE = Path(__file__).parent
_SCRIPT = "".join((_HERE / f"{n}.js").read_text() for n in ("difference", "decisions", "curves"))


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
    write_atomically(path, lambda temporary: temporary.write_bytes(page))
    return path


def render(run: RunFolder, decisions: Decisions | None) -> str:
    """Return the page of a run."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = words.duration
    environment.filters["size"] = words.size
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    environment.globals |= {
        "number": words.number,
        "span": words.span,
        "points": words.points,
        "judgement": words.judgement,
        "metric": words.metric,
        "title": words.model_title,
        "model_and_mode": words.model_and_mode,
        "whisker": charts.whisker,
        "paired_scale": paired_scale,
        "failures": failures,
        "decisions_link": decisions_link,
        "Range": Range,
    }
    results = run.results or Results(rows=rows_so_far(decisions))
    measured = decisions is not None and decisions.evaluations
    return environment.get_template("page.html.j2").render(
        run=run,
        results=results,
        has_results=bool(results.rows),
        finished=run.results is not None,
        tiles=headline(results),
        colours=model_colours(results),
        metrics=metric_names(results),
        glossary={name: words.metric(name) for name in metric_names(results) or words.METRICS},
        kinds=KINDS,
        slices=slice_names(results),
        stages=[(s, words.stage_title(s), run.metrics.get(s)) for s in run.record.stages],
        curves={stage: curves(metrics) for stage, metrics in run.metrics.items()},
        missing=run.missing() + ([] if decisions is not None else [CONVERSATIONS]),
        mistakes=mistakes(decisions) if decisions is not None else {},
        arguments_shown=ARGUMENTS_SHOWN,
        outcomes=words.OUTCOMES,
        splits=words.SPLITS,
        data=packed(payload(decisions, LABELS)) if decisions is not None and measured else None,
        script=Markup(_SCRIPT),
        script_digest="sha256-" + b64encode(sha256(_SCRIPT.encode()).digest()).decode(),
        command=shlex.join(run.record.command),
        settings=flat_settings(run.record.config),
    )


def rows_so_far(decisions: Decisions | None) -> list[Row]:
    """Return the rows of the table as far as the run has measured."""
    measured = {} if decisions is None else decisions.evaluations
    return [
        Row.model_validate(row(m.model, m.mode, m.split, records))
        for m, records in measured.items()
        if records
    ]


def decisions_link(measured: Measured, **filters: str) -> str:
    """Return the address on the page at which decisions of one model are filtered."""
    model = f"{measured.model}-{measured.mode}"
    return "#decisions?" + urlencode({"split": measured.split, "model": model, **filters})


def headline(results: Results) -> list[dict[str, Any]]:
    """Return, for each split, what the promoted model reaches and how it compares."""
    tiles = []
    for split in results.splits():
        row = next((r for r in results.of_split(split) if r.model == results.promoted), None)
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


def model_colours(results: Results) -> dict[str, str]:
    """Return a class of the style sheet for each model, by its place in the run."""
    names = dict.fromkeys([*results.models, *(row.model for row in results.rows)])
    return {name: f"m{index % 6}" for index, name in enumerate(names)}


def metric_names(results: Results) -> list[str]:
    """Return the metrics that some row has, known ones first and in their order."""
    found = dict.fromkeys(name for row in results.rows for name in row.metrics)
    known = [name for name in words.METRICS if name in found]
    return known + [name for name in found if name not in words.METRICS]


def slice_names(results: Results) -> dict[str, list[tuple[str, list[Row]]]]:
    """Return, for each split, its slices and the rows that have them."""
    found = {}
    for split in results.splits():
        rows = results.of_split(split)
        names = dict.fromkeys(name for row in rows for name in row.slices)
        found[split] = [(name, [row for row in rows if name in row.slices]) for name in names]
    return found


def paired_scale(paired: list[Paired]) -> float:
    """Return how far the scale of differences reaches to both sides; whole tenths."""
    ends = [
        abs(end)
        for pair in paired
        for end in (pair.difference.value, pair.difference.low, pair.difference.high)
        if end is not None
    ]
    reach = int(max(ends, default=0.0) * 10 - 1e-9) + 1
    return reach / 10


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
