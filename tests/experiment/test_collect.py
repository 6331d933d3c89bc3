"""Figures and pages of experiments, worked out by hand."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from actwise.config import load_config
from actwise.conversation import Decision
from actwise.desk import PAPER as PAPER_SETTINGS
from actwise.desk import generate
from actwise.errors import RunError
from actwise.experiment.ablations import ablations
from actwise.experiment.collect import collect
from actwise.experiment.design import Experiment
from actwise.experiment.measures import mean_over_seeds
from actwise.experiment.page import page, readme_block
from actwise.experiment.paper import (
    BASE_DIRECT,
    CEILING_MODEL,
    PAPER,
    RL,
    SFT,
    after_rl,
    start_of,
)
from actwise.experiment.trainings import on_the_way


def write_lines(file: Path, records: Sequence[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


def decided(decision: Decision, text: str, right: bool) -> dict[str, Any]:
    return {
        "decision": decision.key,
        "conversation": decision.conversation.id,
        "kind": decision.kind,
        "labels": ["reasoning"],
        "text": text,
        "stop": "stop",
        "thought_tokens": 3,
        "thought": text.removeprefix("<think>").rpartition("</think>")[0],
        "verdict": {
            "right": right,
            "tool_names": True,
            "arguments": 0.5,
            "recall": 0.0,
            "format": 1.0,
            "answer_correctness": None,
            "missed_call": not right,
            "needless_call": False,
        },
    }


RIGHT = {"base": (0, 0), "sft": (1, 0), "think": (1, 1), "rl": (2, 1)}
"""How many of a seed's two decisions each model has right, by seed."""


def write_experiment(out: Path, experiment: Experiment = PAPER) -> None:
    """Write what two seeds of two decisions leave; thoughts hold one right and one wrong sum."""
    config = load_config(PAPER_SETTINGS, ["desk.test=1", "desk.shifted=1"])
    for seed in range(2):
        for arm in experiment.arms:
            folder = out / f"seed-{seed}" / arm.name
            request = {"config": config.model_dump(mode="json") | {"seed": seed}}
            write_lines(folder / "run.json", [request | {"actwise": "1", "versions": {}}])
            stages = [{"name": name, "seconds": 10.0} for name in ("base", "sft", "think", "rl")]
            scores = {"sft": 0.4, "think": 0.5, "rl": 0.6}
            floors = {split: {"neutral_answer": seed / 2} for split in ("test", "shifted")}
            results = {"stages": stages, "development": scores, "floors": floors}
            write_lines(folder / "results.json", [results])
            for stage in ("sft", "think", "rl"):
                steps = [
                    {
                        "step": 1,
                        "dev_action_accuracy": 0.4,
                        "reward": 0.2,
                        "live_groups": 0.5,
                        "entropy": 0.04,
                        "thought_words": 8.0,
                    },
                    {
                        "step": 2,
                        "dev_action_accuracy": 0.3,
                        "reward": 0.7,
                        "live_groups": 0.0,
                        "thought_words": 6.0,
                    },
                ]
                write_lines(folder / "metrics" / f"{stage}.jsonl", steps)
            for split in ("test", "shifted"):
                decisions = generate(split, 1, seed)[0].decisions()[:2]
                for model in PAPER.models:
                    thought = "<think>1 + 1 = {}</think>" if model.mode == "thinking" else "{}"
                    write_lines(
                        folder / model.evaluation(split),
                        [
                            decided(d, f"{thought.format(2 + i)}Yes.", i < RIGHT[model.stage][seed])
                            for i, d in enumerate(decisions)
                        ],
                    )
            for stage in ("think", "rl"):
                found = [
                    {"conversation": "a", "own": "keeps", "swapped": "follows"},
                    {"conversation": "b", "own": "keeps", "corrupted": "other"},
                ]
                write_lines(folder / "interventions" / f"{stage}.jsonl", found)


def test_figures_worked_out_by_hand(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    figures = collect(PAPER, tmp_path, range(2))
    rows = {(row["model"], row["split"]): row for row in figures["rows"]}
    row = rows[RL, "test"]
    assert (row["decisions"], row["conversations"]) == (4, 2)
    assert figures["floors"]["test"] == {"neutral_answer": 0.25}
    # Two of two and one of two; both seeds drawn alike give the ends.
    assert row["per_seed"] == [1.0, 0.5]
    assert row["metrics"]["action_accuracy"] == {"value": 0.75, "low": 0.5, "high": 1.0}
    assert row["slices"]["reasoning"]["action_accuracy"]["value"] == 0.75
    assert row["metrics"]["thought_words"]["value"] == 5
    assert "thought_words" not in rows[SFT, "test"]["metrics"]
    paired = {
        (p["model"], p["against"]): p
        for p in figures["paired"]
        if p["split"] == "test" and p["slice"] == "all"
    }
    over_sft = paired[RL, SFT]
    # 3 of 4 against 1 of 4: by 1/2 in either seed, and three times as many.
    assert over_sft["difference"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert over_sft["per_seed"] == [0.5, 0.5]
    assert over_sft["relative"]["value"] == pytest.approx(2.0)
    assert paired[RL, BASE_DIRECT]["relative"] is None
    # Of the two thoughts of a seed one adds up.
    (of_rl,) = (
        t
        for t in figures["thoughts"]
        if (t["model"], t["split"], t["slice"]) == (RL, "test", "all")
    )
    assert of_rl["sums"]["value"] == 0.5
    assert of_rl["comparisons"] is None
    by_thought = {i["thought"]: i for i in figures["interventions"] if i["stage"] == "rl"}
    assert by_thought["own"]["keeps"]["value"] == 1.0
    assert by_thought["swapped"]["follows"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert [by_thought[name]["decisions"] for name in ("own", "swapped", "corrupted")] == [4, 2, 2]
    trainings = figures["runs"][0]["trainings"]
    assert trainings["sft"]["best_step"] == 1
    assert trainings["sft"]["stopped"]  # after two steps of hundreds
    assert (trainings["rl"]["best"], trainings["rl"]["last"]) == (0.4, 0.3)
    assert (trainings["rl"]["first_reward"], trainings["rl"]["last_reward"]) == (0.2, 0.7)
    # Four stages of the first arm, three of six that take the base from there, and two of the two
    # that take the start, too.
    assert figures["seconds"] == 2 * (40 + 6 * 30 + 2 * 20)
    text = page(figures)
    assert "| 40 annotated, GRPO, over SFT (direct) | +1.5 % | +200.0 %" in text
    assert "| 1 | annotated-40 | rl | 2 (1) | 60.0 | 30.0 | 0.2 to 0.7 | 0.5 to 0 |" in text
    assert "| 40 | – (– –) | – (– –) |" in text  # the ceiling is no better than the start
    # Scores of 0.4 after one of two steps and 0.3 after both; 0.5 before.
    assert f"| annotated-40 | 2 | 2 | 50.0 |{' 40.0 |' * 7} 30.0 | – |" in text
    assert "| +10.00 |" in on_the_way(rising(figures))
    for row in figures["rows"]:
        if row["model"] == CEILING_MODEL:
            row["per_seed"] = [1.0, 1.0]
    # One seed goes from 0.5 to 1 on a way that ends at 1, the other stays at 0.5.
    assert "| 40 | 0.50 (1.00 0.00) | 0.50 (1.00 0.00) |" in page(figures)
    assert "| (neutral answer) | 25.0 |" in text
    block = readme_block(figures)
    assert "75.0 (50.0 to 100.0)" in block
    assert "| 75.0 (50.0 to 100.0) | +200.0 %" in block


def rising(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the same with scores that rise by 2 and by 0 points in 10 steps of the second half."""
    rise = ({10: 0.9, 30: 0.1, 40: 0.12}, {10: 0.1, 30: 0.5, 40: 0.5})
    runs = [
        {**run, "trainings": {"rl": run["trainings"]["rl"] | {"scores": rise[run["seed"]]}}}
        for run in figures["runs"]
    ]
    return {"runs": runs}


def test_an_arm_counts_with_the_seeds_that_have_finished_it(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    for lost in ("seed-1/direct", "seed-0/rejection", "seed-0/ceiling", "seed-1/ceiling"):
        (tmp_path / lost / "results.json").unlink()
    figures = collect(PAPER, tmp_path, range(2))
    rows = {row["model"]: row for row in figures["rows"] if row["split"] == "test"}
    assert CEILING_MODEL not in rows
    assert (rows[SFT]["seeds"], rows[SFT]["per_seed"]) == ([0], [0.5])
    assert rows[RL]["seeds"] == [0, 1]
    (over_sft,) = (
        p
        for p in figures["paired"]
        if (p["model"], p["against"], p["split"], p["slice"]) == (RL, SFT, "test", "all")
    )
    assert (over_sft["seeds"], over_sft["per_seed"]) == ([0], [0.5])
    text = page(figures)
    assert f"| {SFT} (1 seed) |" in readme_block(figures) and f"| {RL} |" in readme_block(figures)
    assert "direct (1 of 2 seeds), rejection (1 of 2 seeds), ceiling (0 of 2 seeds)" in text
    assert "| 40 |  |  |" in text  # no way without its end


def test_models_that_no_seed_has_both_of_are_not_compared(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    for lost in ("seed-1/direct", "seed-0/annotated-0"):
        (tmp_path / lost / "results.json").unlink()
    pairs = {(p["model"], p["against"]) for p in collect(PAPER, tmp_path, range(2))["paired"]}
    assert (after_rl(0), SFT) not in pairs
    assert {(after_rl(0), start_of(0)), (RL, SFT)} <= pairs


def test_nothing_is_put_together_before_the_first_arm_is_finished(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no seed has finished annotated-40 yet"):
        collect(PAPER, tmp_path, range(2))


def test_the_page_of_the_ablations_says_what_mattered(tmp_path: Path) -> None:
    design = ablations(load_config(PAPER_SETTINGS))
    write_experiment(tmp_path, design)
    for split in ("test", "shifted"):
        for seed in range(2):
            file = tmp_path / f"seed-{seed}" / "kl" / f"evaluations/rl-thinking-{split}.jsonl"
            lines = [json.loads(line) for line in file.read_text().splitlines()]
            for line in lines:
                line["verdict"]["right"] = False
            write_lines(file, lines)
    figures = collect(design, tmp_path, range(2))
    # Two seeds tell next to nothing of others, however far from zero an interval is.
    assert page(figures).count("**too few seeds**") == len(design.comparisons)
    assert "* divergence term of 0.02: **too few seeds**, -75.0" in page(figures)
    for pair in figures["paired"]:
        pair["seeds"] = [0, 1, 2]
    text = page(figures)
    assert "* divergence term of 0.02: **worse**, -75.0 (-100.0 to -50.0)" in text
    # Held against the arm that differs in the upper bound alone.
    clip = "two steps a batch, clip 0.2 both ways"
    assert f"(against {clip}): **not told apart**, +0.0" in text
    assert text.count("**not told apart**") == len(design.comparisons) - 1
    course = "50.0 | 40.0 | 30.0 | 0.2 to 0.7 | 0.5 to 0 | 0.04 to none | 8 to 6 |"
    assert f"| (nothing) | {course}" in text
    assert f"| divergence term of 0.02 | {course}" in text


def record(conversation: str, value: float | None) -> dict[str, Any]:
    return {"conversation": conversation, "value": value}


def test_means_leave_out_where_a_measure_does_not_apply() -> None:
    of_seeds = [
        [record("a", 1.0), record("a", None), record("b", 0.0)],
        [record("c", None)],
        [record("d", 1.0), record("e", 1.0)],
    ]
    found = mean_over_seeds(of_seeds, lambda r: r["value"])
    assert found is not None
    assert found["value"] == pytest.approx(3 / 4)
    assert mean_over_seeds(of_seeds[1:2], lambda r: r["value"]) is None
