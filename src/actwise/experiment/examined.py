"""What the thoughts of an experiment's models are like, and what they matter to the actions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from operator import itemgetter
from pathlib import Path

from actwise.config import RunConfig
from actwise.conversation import Decision, all_decisions
from actwise.desk.splits import prepare_desk
from actwise.desk.thoughts import ThoughtCheck, check_thought
from actwise.experiment.cells import Figures
from actwise.experiment.design import Arm, Model
from actwise.experiment.measures import SPLITS, Value, in_slice, mean_over_seeds
from actwise.experiment.runs import run_folder
from actwise.results.summary import Record
from actwise.run.files import read_records
from actwise.template.parse import parse_completion

THOUGHT_MEASURES: dict[str, Value] = {
    name: itemgetter(name) for name in ("grounded", "sums", "comparisons", "sound", "concluded")
}
"""See `desk.thoughts.ThoughtCheck`."""

OUTCOMES = ("keeps", "follows", "other")
"""See `interventions.Outcome`."""


def of_thoughts(
    out: Path,
    models: Sequence[Model],
    records: Mapping[tuple[str, str], Mapping[int, Sequence[Record]]],
) -> list[Figures]:
    """Return what the thoughts of models are like, by split and slice.

    Args:
        out: Folder of the experiment.
        models: Of which those that think are examined.
        records: Greedy decisions by model and split.
    """
    thinking = [model for model in models if model.mode == "thinking"]
    decisions: dict[tuple[int, str], dict[str, Decision]] = {}
    for model in thinking:
        for seed in records[model.name, SPLITS[0]]:
            if (seed, SPLITS[0]) in decisions:
                continue
            file = run_folder(out, seed, model.arm) / "run.json"
            config = json.loads(file.read_text(encoding="utf-8"))["config"]
            tests = prepare_desk(RunConfig.model_validate(config)).splits.tests
            for split in SPLITS:
                decisions[seed, split] = {d.key: d for d in all_decisions(tests[split])}
    found = []
    for model in thinking:
        for split in SPLITS:
            checked = [
                [_checked(r, decisions[seed, split][r["decision"]]) for r in of_seed]
                for seed, of_seed in records[model.name, split].items()
            ]
            found += [
                {"model": model.name, "split": split, "slice": part}
                | {
                    name: mean_over_seeds([in_slice(of_seed, part) for of_seed in checked], value)
                    for name, value in THOUGHT_MEASURES.items()
                }
                for part in ("all", "reasoning")
            ]
    return found


def of_interventions(
    out: Path, seeds: Sequence[int], arm: Arm, examined: Sequence[str]
) -> list[Figures]:
    """Return what becomes of actions when thoughts are replaced; see `interventions`.

    Args:
        out: Folder of the experiment.
        seeds: That have finished the arm.
        arm: Whose models they are.
        examined: The stages that left them.
    """
    folders = [run_folder(out, seed, arm.name) / "interventions" for seed in seeds]
    found = {
        stage: [
            read_records(f / f"{stage}.jsonl") for f in folders if (f / f"{stage}.jsonl").exists()
        ]
        for stage in examined
    }
    return [
        {"stage": stage, "thought": thought, "decisions": _number_of(of_seeds, thought)}
        | {outcome: mean_over_seeds(of_seeds, _has(thought, outcome)) for outcome in OUTCOMES}
        for stage, of_seeds in found.items()
        for thought in ("own", "swapped", "corrupted")
    ]


def _checked(record: Record, decision: Decision) -> Record:
    completion = parse_completion(record["text"], thinking=True)
    check: ThoughtCheck = check_thought(completion, decision.history)
    kept = {key: record[key] for key in ("conversation", "kind", "labels")}
    return kept | asdict(check) | {"sound": check.sound}


def _has(thought: str, outcome: str) -> Value:
    return lambda r: float(r[thought] == outcome) if thought in r else None


def _number_of(of_seeds: Sequence[Sequence[Record]], thought: str) -> int:
    return sum(thought in record for records in of_seeds for record in records)
