"""What pages about measured models have in common: their look, tables and decisions."""

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from actwise.report import charts, words
from actwise.report.folder import GivenRow, Paired, Range, Results, Row
from actwise.report.judged import Decisions, Measured
from actwise.report.mistakes import failures, mistakes
from actwise.report.payload import packed, payload
from actwise.report.table import ATTEMPTS
from actwise.results.summary import FEWEST
from actwise.training.stages import label_of

KINDS = ("call", "answer")
"""Slices by the kind of decision; the others are labels."""
ARGUMENTS_SHOWN = 12
"""Arguments that are most often wrong, at most."""
_HERE = Path(__file__).parent


def environment() -> Environment:
    """Return the templates, with the functions that they call."""
    found = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["duration"] = words.duration
    found.filters["size"] = words.size
    found.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    found.globals |= {
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
        "outcome_link": outcome_link,
        "Range": Range,
    }
    return found


def sections(results: Results, decisions: Decisions | None) -> dict[str, Any]:
    """Return what the templates of results, mistakes and decisions show."""
    measured = decisions is not None and decisions.evaluations
    titles = {m.model: label_of(m.model) for m in decisions.evaluations} if decisions else {}
    return {
        "results": results,
        "has_results": bool(results.rows),
        "colours": model_colours(results),
        "metrics": metric_names(results),
        "glossary": {name: words.metric(name) for name in metric_names(results) or words.METRICS},
        "attempts": ATTEMPTS,
        "budgets": budget_charts(results),
        "kinds": KINDS,
        "slices": slice_names(results),
        "mistakes": mistakes(decisions) if decisions is not None else {},
        "arguments_shown": ARGUMENTS_SHOWN,
        "fewest": FEWEST,
        "outcomes": words.OUTCOMES,
        "splits": words.SPLITS,
        "data": packed(payload(decisions, titles)) if decisions is not None and measured else None,
    } | script("difference", "decisions", "curves")


def script(*names: str) -> dict[str, Any]:
    """Return the page's one script, made of files of this folder, and the digest that allows it."""
    text = "".join((_HERE / f"{name}.js").read_text("utf-8") for name in names)
    digest = b64encode(sha256(text.encode()).digest()).decode()
    return {"script": Markup(text), "script_digest": f"sha256-{digest}"}


def decisions_link(measured: Measured, **filters: str) -> str:
    """Return the address on the page at which decisions of one model are filtered."""
    model = f"{measured.model}-{measured.mode}"
    return "#decisions?" + urlencode({"split": measured.split, "model": model, **filters})


def outcome_link(measured: Measured, outcome: str) -> str:
    """Return the address on the page of the decisions with one outcome, as its filters call it."""
    verdict = {"right": "right", "not checkable": "open"}.get(outcome)
    if verdict is None:
        return decisions_link(measured, failure=outcome)
    return decisions_link(measured, verdict=verdict)


def model_colours(results: Results) -> dict[str, str]:
    """Return a class of the style sheet for each model, by its place in the run."""
    names = dict.fromkeys([*results.models, *(row.model for row in results.rows)])
    return {name: f"m{index % 6}" for index, name in enumerate(names)}


def budget_charts(results: Results) -> list[dict[str, Any]]:
    """Return for each model and split action accuracy by budget of thought, with a row of it."""
    points: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    rows: dict[tuple[str, str, str], GivenRow] = {}
    for row in results.given:
        accuracy = row.metrics.get("action_accuracy", Range()).value
        if row.budget is not None and accuracy is not None:
            key = row.model, row.mode, row.split
            points.setdefault(key, []).append((row.budget, accuracy))
            rows[key] = row
    title = "action accuracy by tokens of thought"
    return [
        {
            "row": rows[key],
            "svg": charts.curve(line, title=title, share=True, best=True, along="budget"),
        }
        for key, line in points.items()
    ]


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
