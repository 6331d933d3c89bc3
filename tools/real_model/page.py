"""Write the figures of some runs into a page, finished or not.

    python -m tools.real_model.page runs/coffee-0 runs/coffee-1 --to docs/experiments/real-model.md

Everything is read from the run folders; PAGE.json beside the page holds the same figures.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from actwise.experiment.page import write_block
from actwise.report.words import duration, size
from actwise.results.summary import paired, row
from actwise.run.files import read_records, write_json

Record = dict[str, Any]

_MODELS = (
    ("base", "direct"),
    ("base", "thinking"),
    ("sft", "direct"),
    ("think", "thinking"),
    ("rl", "direct"),
    ("rl", "thinking"),
)
_AGAINST = (("sft", "direct"), ("think", "thinking"))
_SLICES = {"all": "all", "call": "calls", "answer": "answers"}
_PART = 10
"""Steps of GRPO at its beginning and its end that are compared."""


def figures(runs: Sequence[Path]) -> list[Record]:
    """Return what runs have measured so far, by seed; runs of a seed have the same decisions."""
    folders: dict[int, list[Path]] = {}
    for run in runs:
        settings = json.loads((run / "run.json").read_text(encoding="utf-8"))
        folders.setdefault(settings["seed"], []).append(run)
    return [{"seed": seed, **_of_seed(of_one)} for seed, of_one in folders.items()]


def _of_seed(runs: Sequence[Path]) -> Record:
    measured = {
        (model, mode): read_records(files[0])
        for model, mode in _MODELS
        if (files := _found(runs, f"evaluations/{model}-{mode}-test.jsonl"))
    }
    differences = [
        difference
        for model in measured
        if model[0] == "rl"
        for against in _AGAINST
        if against in measured and model[1] in ("thinking", against[1])
        for difference in paired(
            "test",
            (", ".join(model), measured[model]),
            (", ".join(against), measured[against]),
        )
    ]
    return {
        "rows": [row(model, mode, "test", of) for (model, mode), of in measured.items()],
        "paired": differences,
        "costs": _by_stage(runs, "checkpoints/{}.cost.json", _json),
        "development": _by_stage(runs, "metrics/{}.jsonl", _development),
        "rl": [part for run in runs for part in _course(run)],
    }


def _by_stage(runs: Sequence[Path], pattern: str, read: Callable[[Path], Any]) -> Record:
    """Return what files of stages hold; stages that runs have taken from each other only once."""
    found: Record = {}
    for run in runs:
        for stage in ("base", "sft", "think", "rl"):
            file = run / pattern.format(stage)
            if file.exists() and (value := read(file)) and value not in found.values():
                found[stage if stage not in found else f"{stage} of {run.name}"] = value
    return found


def _json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _found(runs: Sequence[Path], name: str) -> list[Path]:
    return [run / name for run in runs if (run / name).exists()]


def _development(file: Path) -> list[list[float]]:
    """Return step and development score of each evaluation."""
    steps = read_records(file)
    name = "dev_action_accuracy"
    return [[step["step"], step[name]] for step in steps if name in step]


def _course(run: Path) -> list[Record]:
    """Return what sampled completions were like in the first and the last steps of GRPO."""
    file = run / "metrics" / "rl.jsonl"
    steps = read_records(file) if file.exists() else []
    rollouts = read_records(run / "rollouts" / "rl.jsonl") if steps else []
    return [_part(run, part, rollouts) for part in (steps[:_PART], steps[-_PART:]) if part]


def _part(run: Path, steps: list[Record], rollouts: list[Record]) -> Record:
    first, last = steps[0]["step"], steps[-1]["step"]
    groups: dict[tuple[int, str], list[bool]] = {}
    for rollout in rollouts:
        if first <= rollout["step"] <= last and rollout["right"] is not None:
            groups.setdefault((rollout["step"], rollout["decision"]), []).append(rollout["right"])
    names = ("reward", "live_groups", "closed", "truncated", "entropy", "thought_words")
    return {
        "run": run.name,
        "first": first,
        "last": last,
        "right in one": _mean([sum(right) / len(right) for right in groups.values()]),
        "right in any": _mean([float(any(right)) for right in groups.values()]),
        **{n: _mean([s[n] for s in steps if n in s and s[n] == s[n]]) for n in names},
    }


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def page(runs: list[Record]) -> str:
    """Return the tables in Markdown."""
    return "\n\n".join(part for run in runs for part in _of_run(run))


def _of_run(run: Record) -> list[str]:
    decisions = run["rows"][0]["decisions"] if run["rows"] else 0
    calls = run["rows"][0]["slices"]["call"]["decisions"] if run["rows"] else 0
    title = f"**Seed {run['seed']}**: {decisions} decisions are tested, {calls} of them calls."
    header = ("model", "all", "calls", "answers", "tool names", "arguments", "form", "cut off")
    lines = [
        (
            f"{found['model']}, {found['mode']}",
            *(_interval(_accuracy(found, column)) for column in _SLICES),
            *(_percent(found, name) for name in ("tool_names", "arguments", "format", "truncated")),
        )
        for found in run["rows"]
    ]
    parts = [title, _table(header, lines)]
    if run["paired"]:
        lines = [
            (
                f"{d['model']} over {d['against']}",
                _SLICES[d["slice"]],
                _interval(d["difference"], sign="+"),
            )
            for d in run["paired"]
            if d["slice"] in _SLICES
        ]
        parts.append(_table(("difference", "of", "points"), lines))
    if run["rl"]:
        lines = [
            (
                f"{of['run']} {of['first']} to {of['last']}",
                *(_share(of[name]) for name in _SHARES),
                *(_number(of[name]) for name in ("entropy", "thought_words")),
            )
            for of in run["rl"]
        ]
        parts.append(_table(("GRPO's steps", *_SHARES, "entropy", "words of a thought"), lines))
    costs = "; ".join(
        f"{stage} {duration(cost['seconds'])}, {size(cost['peak_memory'])}"
        for stage, cost in run["costs"].items()
    )
    scores = "; ".join(
        f"{stage} " + ", ".join(f"{100 * score:.1f} ({step:.0f})" for step, score in course)
        for stage, course in run["development"].items()
        if course
    )
    return [*parts, f"Time and peak memory: {costs}.", f"Development score (step): {scores}."]


_SHARES = ("right in one", "right in any", "live_groups", "closed", "truncated")


def _accuracy(found: Record, column: str) -> Record:
    accuracy: Record = (
        found["metrics"]["action_accuracy"]
        if column == "all"
        else found["slices"][column]["action_accuracy"]
    )
    return accuracy


def _interval(found: Record, sign: str = "") -> str:
    if not found:
        return ""
    value, low, high = (format(100 * found[k], f"{sign}.1f") for k in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _percent(found: Record, name: str) -> str:
    return _share(found["metrics"][name]["value"]) if name in found["metrics"] else ""


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _table(header: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    rows = (header, ("---",) * len(header), *lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", "file", required=True, type=click.Path(path_type=Path))
def main(runs: tuple[Path, ...], file: Path) -> None:
    """Write the figures of RUNS between the marks of a page, and beside it as JSON."""
    found = figures(runs)
    write_json(file.with_suffix(".json"), found)
    write_block(file, "runs", page(found))


if __name__ == "__main__":
    main()
