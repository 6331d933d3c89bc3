"""Put the runs of an experiment together: means over seeds, differences, what thoughts are worth.

All intervals are 95 % bootstrap intervals that resample seeds and, within each, conversations.
Models are compared on the same decisions of the same seeds.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

from actwise.config import RunConfig
from actwise.errors import RunError
from actwise.experiment.cells import Figures
from actwise.experiment.design import Arm, Experiment, Model
from actwise.experiment.examined import of_interventions, of_thoughts
from actwise.experiment.measures import (
    MEASURES,
    OF_DECISIONS,
    SPLITS,
    Measure,
    Place,
    in_slice,
    mean_over_seeds,
)
from actwise.experiment.runs import run_folder
from actwise.results.stats import paired_bootstrap_seeds
from actwise.results.summary import Record, both_known, share_right, slices_of
from actwise.run.files import read_records
from actwise.training.stages import stages_of

BySeed = dict[int, list[Record]]
Read = Callable[[Model, str, Measure], BySeed]
"""Returns the records of a model on a split by which it is measured."""

_PARTS = ("all", "call", "answer", "reasoning")

WATCHED = ("reward", "live_groups", "entropy", "thought_words")
"""Figures of GRPO's steps whose course tells whether it is stable."""


def collect(experiment: Experiment, out: Path, seeds: Sequence[int]) -> Figures:
    """Read the runs of an experiment.

    Args:
        experiment: What was run; an arm counts with the seeds that have finished it.
        out: Its folder.
        seeds: The repetitions.

    Returns:
        "experiment", "seeds" (their number), "config" (what the runs share), "versions",
        "finished" (seeds of each arm), "claims" (what is expected), "rows" (the table: one model
        on one split, as in `results.json`, with its "seeds" and their action accuracies,
        "per_seed"), "floors" (means over the seeds of what trivial policies reach, by split),
        "paired" (differences by slice and of what is claimed, on the seeds that both have),
        "thoughts" and "interventions" (see `examined`), "runs" (what each
        training was like), "seconds" (of all stages that were computed).

    Raises:
        RunError: No seed has finished the first arm.
    """
    finished = {arm.name: finished_seeds(arm, out, seeds) for arm in experiment.arms}
    arms = [arm for arm in experiment.arms if finished[arm.name]]
    if experiment.arms[0] not in arms:
        raise RunError(f"{out}: no seed has finished {experiment.arms[0].name} yet")
    models = [model for model in experiment.models if finished[model.arm]]
    named = {model.name: model for model in models}

    @cache
    def read(model: Model, split: str, measure: Measure) -> BySeed:
        return {
            seed: measure.read(
                Place(
                    run_folder(out, seed, model.arm),
                    run_folder(out, seed, experiment.arms[0].name),
                    model,
                    split,
                )
            )
            for seed in finished[model.arm]
        }

    right = MEASURES["action_accuracy"]
    records = {(m.name, split): read(m, split, right) for m in models for split in SPLITS}
    runs = [_run(out, seed, arm) for seed in seeds for arm in arms if seed in finished[arm.name]]
    begun = finished[experiment.arms[0].name]
    first = _read(run_folder(out, begun[0], experiment.arms[0].name) / "run.json")
    return {
        "experiment": experiment.name,
        "seeds": len(seeds),
        "config": {k: v for k, v in first["config"].items() if k != "seed"},
        "versions": {"actwise": first["actwise"], **first["versions"]},
        "finished": finished,
        "changed": {arm.name: arm.changed for arm in arms if arm.changed},
        "claims": [asdict(claim) for claim in experiment.claims],
        "floors": _floors(out, begun, experiment.arms[0]),
        "rows": [_row(name, split, found) for (name, split), found in records.items()],
        "paired": [
            difference
            for split in SPLITS
            for ours, theirs, metric, part in _compared(experiment)
            if ours in named and (isinstance(theirs, float) or theirs in named)
            if (
                difference := _paired(
                    named[ours],
                    theirs if isinstance(theirs, float) else named[theirs],
                    split,
                    part,
                    metric,
                    read,
                )
            )
        ],
        "thoughts": of_thoughts(
            out, [m for m in models if m.stage in experiment.examined], records
        ),
        "interventions": of_interventions(out, begun, experiment.arms[0], experiment.examined),
        "runs": runs,
        "seconds": sum(sum(run["seconds"].values()) for run in runs),
    }


def finished_seeds(arm: Arm, out: Path, seeds: Sequence[int]) -> list[int]:
    """Return the seeds of which an arm is finished."""
    return [s for s in seeds if (run_folder(out, s, arm.name) / "results.json").exists()]


def _floors(out: Path, seeds: Sequence[int], arm: Arm) -> Figures:
    found = [_read(run_folder(out, seed, arm.name) / "results.json")["floors"] for seed in seeds]
    return {
        split: {name: _mean([f[split][name] for f in found]) for name in found[0][split]}
        for split in SPLITS
    }


def _compared(experiment: Experiment) -> list[tuple[str, str | float, str, str]]:
    """Return each model, the other or the number that it is held against, by what, and where."""
    found: list[tuple[str, str | float, str, str]] = [
        (*pair, "action_accuracy", part) for pair in experiment.comparisons for part in _PARTS
    ]
    found += [
        (c.model, c.against if c.than is None else c.than, c.metric, "all")
        for c in experiment.claims
    ]
    return list(dict.fromkeys(found))


def _row(model: str, split: str, by_seed: BySeed) -> Figures:
    of_seeds = list(by_seed.values())
    every = [record for records in of_seeds for record in records]
    names = sorted({name for record in every for name in slices_of(record)})
    right = OF_DECISIONS["action_accuracy"]
    return {
        "model": model,
        "split": split,
        "decisions": len(every),
        "conversations": len({record["conversation"] for record in every}),
        "metrics": {
            name: interval
            for name, value in OF_DECISIONS.items()
            if (interval := mean_over_seeds(of_seeds, value)) is not None
        },
        "slices": {
            name: {
                "decisions": sum(len(in_slice(records, name)) for records in of_seeds),
                "action_accuracy": mean_over_seeds([in_slice(r, name) for r in of_seeds], right),
            }
            for name in names
        },
        "seeds": list(by_seed),
        "per_seed": [share_right(records) for records in of_seeds],
    }


def _paired(
    ours: Model, theirs: Model | float, split: str, part: str, metric: str, read: Read
) -> Figures | None:
    """Hold a model against another, or a number, on the seeds that have something to compare."""
    measure = MEASURES[metric]
    a: list[list[float]] = []
    b: list[list[float]] = []
    clusters: list[list[str]] = []
    seeds: list[int] = []
    one = read(ours, split, measure)
    other = one if isinstance(theirs, float) else read(theirs, split, measure)
    for seed in (s for s in one if s in other):
        of_part = in_slice(one[seed], part)
        of_one, of_other, conversations = both_known(of_part, other[seed], measure.value)
        if isinstance(theirs, float):
            of_other = [theirs] * len(of_one)
        if conversations:
            seeds.append(seed)
            a.append(of_one)
            b.append(of_other)
            clusters.append(conversations)
    if not seeds:
        return None
    found = paired_bootstrap_seeds(a, b, clusters, seed=0)
    return {
        "split": split,
        "model": ours.name,
        "against": "" if isinstance(theirs, float) else theirs.name,
        "than": theirs if isinstance(theirs, float) else None,
        "slice": part,
        "metric": metric,
        "means": [_mean([v for of_seed in values for v in of_seed]) for values in (a, b)],
        "difference": found.difference._asdict(),
        "relative": None if found.relative is None else found.relative._asdict(),
        "seeds": seeds,
        "per_seed": [_mean(x) - _mean(y) for x, y in zip(a, b, strict=True)],
    }


def _run(out: Path, seed: int, arm: Arm) -> Figures:
    """Return how the trainings of one arm of one seed went."""
    folder = run_folder(out, seed, arm.name)
    results = _read(folder / "results.json")
    config = RunConfig.model_validate(_read(folder / "run.json")["config"])
    seconds = {
        stage["name"]: stage["seconds"]
        for stage in results["stages"]
        if stage["name"] not in arm.shares
    }
    return {
        "seed": seed,
        "arm": arm.name,
        "seconds": seconds,
        "development": results["development"],
        "trainings": {
            stage.name: _training(
                folder / f"metrics/{stage.name}.jsonl", stage.section(config).steps
            )
            for stage in stages_of(config)
        },
    }


def _training(file: Path, limit: int) -> Figures:
    """Return a stage's beginning and end: development scores, and what is watched of GRPO.

    Args:
        file: File of its metrics.
        limit: The most steps that it could have.
    """
    steps = read_records(file)
    scores = {s["step"]: s["dev_action_accuracy"] for s in steps if "dev_action_accuracy" in s}
    best = max(scores, key=lambda step: scores[step])
    tenth = max(1, len(steps) // 10)
    found = {
        "steps": len(steps),
        "stopped": len(steps) < limit,
        "sampled_tokens": sum(step.get("sampled_tokens", 0.0) for step in steps),
        "scores": scores,
        "best_step": best,
        "best": scores[best],
        "last": scores[max(scores)],
    }
    for name in WATCHED:
        for when, part in (("first", steps[:tenth]), ("last", steps[-tenth:])):
            # A step of which no group is live has no entropy.
            values = [step[name] for step in part if name in step]
            if values:
                found[f"{when}_{name}"] = _mean(values)
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _read(file: Path) -> Figures:
    found: Figures = json.loads(file.read_text(encoding="utf-8"))
    return found
