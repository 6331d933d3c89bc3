"""Every recipe against its control: what the arms share, what they cost, what the page says."""

import json
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import actwise
from actwise.config import load_config, validated
from actwise.desk import PAPER as PAPER_SETTINGS
from actwise.desk import RECIPES
from actwise.errors import ConfigError
from actwise.experiment.ablations import ablations
from actwise.experiment.collect import collect
from actwise.experiment.design import Experiment, Model
from actwise.experiment.measures import MEASURES, Place, late_slope
from actwise.experiment.page import page
from actwise.experiment.paper import PAPER
from actwise.experiment.recipes import recipes, with_controls
from actwise.experiment.runs import Task, run_experiment
from actwise.recipes import Recipe, names, read_recipe
from actwise.run.files import read_records
from actwise.run.progress import Progress

BASE = str(Path(actwise.__file__).parent / "desk" / "model")
TINY = (
    "desk.train=3",
    "desk.dev=1",
    "desk.test=2",
    "desk.shifted=1",
    "think.steps=1",
    "think.conversations=2",
    "think.conversations_per_step=1",
    "rl.steps=2",
    "rl.conversations_per_step=1",
    "rl.num_generations=2",
    "evaluate.thought_tokens=8",
)


def recipe(**given: object) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "mine",
            "work": "Mine",
            "arxiv": "2501.00001",
            "ported": "",
            "left_out": "",
            "claims": [{"metric": "action_accuracy", "sign": "+"}],
            "settings": {"rl": {"temperature": 0.5}},
            "control": {"rl": {"temperature": 1.0}},
            **given,
        }
    )


def test_a_control_has_steps_that_cost_as_much_and_both_the_settings_of_the_trial() -> None:
    own = recipe(control_steps=2.5, trial={"rl": {"steps": 10, "evaluate_every": 5}})
    design = recipes(load_config(RECIPES), [own])
    settings = {
        arm.name: load_config(RECIPES, arm.settings).rl
        for arm in design.arms
        if arm.name != "start"
    }
    assert {name: (c.steps, c.temperature) for name, c in settings.items()} == {
        "mine": (10, 0.5),
        "mine-control": (25, 1.0),
    }
    assert {c.evaluate_every for c in settings.values()} == {5}
    assert design.comparisons == (("mine", "mine-control"),)


class Immediately(Executor):
    """Takes tasks for done, and remembers them; each has sampled 30 tokens in two steps."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def submit(self, function: Any, /, *given: Any, **named: Any) -> Future[Any]:
        """Take a task for done."""
        (task,) = given
        self.tasks.append(task)
        steps: list[dict[str, object]] = [{"step": 1, "sampled_tokens": 12.0}]
        write_lines(task.folder / "metrics/rl.jsonl", [*steps, {"step": 2, "sampled_tokens": 18.0}])
        done: Future[Any] = Future()
        done.set_result(None)
        return done


def tasks_of(
    design: Experiment, out: Path, seeds: int = 1, arms: Sequence[str] = (), jobs: int = 1
) -> list[Task]:
    """Return tasks in the order in which they are run."""
    executor = Immediately()
    run_experiment(
        design,
        out,
        range(seeds),
        BASE,
        (),
        arms=arms,
        executor=executor,
        jobs=jobs,
        command=["actwise"],
        progress=Progress(Console(file=StringIO())),
    )
    return executor.tasks


@pytest.mark.parametrize("design", [PAPER, ablations(load_config(PAPER_SETTINGS))])
def test_every_arm_of_an_experiment_is_run_once(design: Experiment, tmp_path: Path) -> None:
    names = [task.arm.name for task in tasks_of(design, tmp_path)]
    assert names == [arm.name for arm in design.arms]


def test_a_control_of_equal_tokens_is_run_after_its_recipe_and_samples_as_many(
    tmp_path: Path,
) -> None:
    design = recipes(load_config(RECIPES), [recipe(name="other"), recipe(equal_tokens=True)])
    tasks = tasks_of(design, tmp_path)
    limits = {task.arm.name: task.config().rl.sampled_tokens for task in tasks}
    assert limits == {
        "start": None,
        "other": None,
        "other-control": None,
        "mine": None,
        "mine-control": 30,
    }
    names = [task.arm.name for task in tasks]
    assert names.index("mine-control") > names.index("mine")


def test_one_seed_is_whole_before_the_next_goes_on(tmp_path: Path) -> None:
    design = recipes(load_config(RECIPES), [recipe(equal_tokens=True), recipe(name="other")])
    tasks = [(task.seed, task.arm.name) for task in tasks_of(design, tmp_path, 2, jobs=2)]
    assert tasks[:2] == [(0, "start"), (1, "start")]
    assert [seed for seed, _ in tasks[2:]] == [0] * 4 + [1] * 4
    assert len(set(tasks)) == 10


def test_a_control_alone_brings_the_arm_that_it_samples_as_much_as(tmp_path: Path) -> None:
    design = recipes(load_config(RECIPES), [recipe(equal_tokens=True), recipe(name="other")])
    tasks = tasks_of(design, tmp_path, arms=["mine-control"])
    assert [task.arm.name for task in tasks] == ["start", "mine", "mine-control"]


@pytest.mark.parametrize(
    ("settings", "shared"),
    [
        ({"rl": {"temperature": 0.5}}, ("base", "think")),
        ({"reward": {"combine": "all"}}, ("base", "think")),
        ({"rounds": {"number": 2}, "think": {"pick": "next_longest"}}, ("base", "think")),
        ({"think": {"steps": 7}}, ("base",)),
        ({"evaluate": {"episodes": True, "attempts": 8, "budgets": [0, 4]}}, ("base", "think")),
        ({"evaluate": {"thought_tokens": 8}}, ()),
        ({"sft": {"steps": 7}}, ()),
        ({"data": {"renamed": 0.1}}, ()),
        ({"reward": {"text_match": "exact"}}, ()),
    ],
)
def test_only_what_comes_out_the_same_is_shared(
    settings: dict[str, object], shared: tuple[str, ...]
) -> None:
    design = recipes(load_config(RECIPES), [recipe(settings=settings)])
    assert {arm.name: arm.shares for arm in design.arms}["mine"] == shared


@pytest.mark.parametrize("name", names())
def test_a_shipped_recipe_is_compared_by_metrics_that_there_are(name: str) -> None:
    found = read_recipe(name)
    assert {claim.metric for claim in found.claims} <= MEASURES.keys()
    design = recipes(load_config(RECIPES), [found])
    for arm in design.arms:
        validated(load_config(RECIPES, arm.settings).model_dump())


def test_a_recipe_of_rounds_is_measured_at_its_end() -> None:
    design = recipes(load_config(RECIPES), [recipe(settings={"rounds": {"number": 2}})])
    assert {m.name: m.stage for m in design.models}["mine"] == "rl_2"


def test_a_recipe_is_named_together_with_its_control() -> None:
    found = [read_recipe("t1"), recipe(controls={"hot": {"rl": {"temperature": 2.0}}})]
    arms = ["mine", "mine-control", "mine-hot", "t1", "t1-control", "none"]
    assert with_controls(["mine", "t1", "none"], found) == arms
    settings = {
        a.name: load_config(RECIPES, a.settings) for a in recipes(load_config(RECIPES), found).arms
    }
    assert [settings[name].rl.temperature for name in arms[:3]] == [0.5, 1.0, 2.0]


def run(out: Path, found: list[Recipe], arms: list[str]) -> None:
    design = recipes(load_config(RECIPES, TINY), found)
    with ThreadPoolExecutor(1) as executor:
        run_experiment(
            design,
            out,
            range(1),
            BASE,
            TINY,
            arms=arms,
            executor=executor,
            jobs=1,
            command=["actwise"],
            progress=Progress(Console(file=StringIO())),
        )


@pytest.mark.slow
def test_recipes_run_from_one_start_and_stand_in_a_table(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    found = [
        recipe(
            claims=[
                {"metric": "action_accuracy", "sign": "-", "than": 1.5},
                {"metric": "thought_words", "sign": "-"},
                {"metric": "turn_success", "sign": "+"},
                {"metric": "once_failed", "sign": "+"},
            ],
            trial={"evaluate": {"episodes": True, "budgets": [0, 2], "diagnose": True}},
        ),
        recipe(name="other"),
    ]
    run(tmp_path, found, with_controls(["mine"], found))
    torch.set_num_threads(threads)
    design = recipes(load_config(RECIPES, TINY), found)
    figures = collect(design, tmp_path, range(1))
    assert [arm for arm, seeds in figures["finished"].items() if not seeds] == [
        "other",
        "other-control",
    ]
    start = tmp_path / "seed-0" / "start"
    for arm in ("mine", "mine-control"):
        folder = tmp_path / "seed-0" / arm
        name = "evaluations/think-thinking-test.jsonl"
        assert (folder / name).read_bytes() == (start / name).read_bytes()
        (training,) = (r["trainings"]["rl"] for r in figures["runs"] if r["arm"] == arm)
        rollouts = read_records(folder / "metrics/rl.jsonl")
        assert training["sampled_tokens"] == sum(step["sampled_tokens"] for step in rollouts) > 0
        for part in ("turn", "conversation"):  # of the start, measured once
            name = f"measurements/think-thinking-test-{part}.jsonl"
            assert (folder / name).read_bytes() == (start / name).read_bytes()
        results = json.loads((folder / "results.json").read_text())
        assert [(r["model"], r["split"], r["unit"]) for r in results["episodes"]] == [
            (model, split, unit)
            for model in ("think", "rl")
            for split in ("test", "shifted")
            for unit in ("turn", "conversation")
        ]
        assert {r["given"] for r in results["given"]} > {"thought of 0", "thought of 2"}
        shown = (folder / "report.html").read_text()
        assert "On its own history" in shown and "By budget of thought" in shown
    text = page(figures)
    assert "| mine | Mine (2501.00001) | thought words | - |" in text
    (pair,) = (
        p for p in figures["paired"] if p["metric"] == "turn_success" and p["split"] == "test"
    )
    turns = [
        read_records(tmp_path / "seed-0" / arm / "measurements/rl-thinking-test-turn.jsonl")
        for arm in ("mine", "mine-control")
    ]
    found_both = [
        (own["success"], other["success"])
        for own, other in zip(*turns, strict=True)
        if None not in (own["success"], other["success"])
    ]
    assert pair["means"] == [sum(side) / len(side) for side in zip(*found_both, strict=True)]
    assert "| other | Mine (2501.00001) | action accuracy | + |  | not run |" in text
    assert "| - than 150 |" in text
    assert "| too few seeds |" in text
    with pytest.raises(ConfigError, match="there is no nothing"):
        run(tmp_path, found, ["nothing"])


def write_lines(file: Path, records: list[dict[str, object]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


def decided(key: str, right: bool | None) -> dict[str, object]:
    return {"decision": key, "conversation": key[0], "verdict": {"right": right}}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a model of which the start and the attempts at it are known."""
    own, first = tmp_path / "mine", tmp_path / "start"
    keys = ("a1", "a2", "b1", "b2")
    for stage, rights in (("think", (True, False, False, None)), ("rl", (True, True, False, True))):
        records = [decided(key, right) for key, right in zip(keys, rights, strict=True)]
        write_lines(own / f"evaluations/{stage}-thinking-test.jsonl", records)
    attempts: list[dict[str, object]] = [
        {"decision": key, "attempts": 4, "checked": checked, "right": right}
        for key, checked, right in (("a1", 4, 1), ("a2", 4, 0), ("b1", 3, 0), ("b2", 0, 0))
    ]
    write_lines(first / "measurements/think-thinking-test-attempts.jsonl", attempts)
    turns: list[dict[str, object]] = [
        {
            "turn": turn,
            "conversation": turn[0],
            "success": success,
            "tokens_before_act": act,
            "tokens_before_answer": answer,
        }
        for turn, success, act, answer in (
            ("a1", True, [3], [12]),
            ("a3", False, [], []),
            ("b1", None, [4], []),
        )
    ]
    write_lines(own / "measurements/rl-thinking-test-turn.jsonl", turns)
    searched = [{**turn, "success": True} for turn in turns]
    write_lines(own / "measurements/rl-thinking-test-turn-search.jsonl", searched)
    scores = {2: 0.9, 4: 0.1, 6: 0.2, 8: 0.204}
    write_lines(
        own / "metrics/rl.jsonl",
        [
            {"step": step} | ({"dev_action_accuracy": scores[step]} if step in scores else {})
            for step in range(1, 9)
        ],
    )
    return Place(own, first, Model("mine", "mine", "rl", "thinking"), "test")


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("action_accuracy", {"a1": True, "a2": True, "b1": False, "b2": True}),
        ("once_failed", {"a2": True, "b1": False}),
        ("start_accuracy", {"a1": True, "a2": False, "b1": False, "b2": None}),
        ("rl_gain", {"a1": 0, "a2": 1, "b1": 0, "b2": None}),
        ("turn_success", {"a1": True, "a3": False, "b1": None}),
        ("tokens_before_act", {"a1": 3, "a3": None, "b1": 4}),
        ("act_share", {"a1": 0.25, "a3": None, "b1": None}),
        ("search_gain", {"a1": 0, "a3": 1, "b1": None}),
        ("pass_at_k", {}),  # of this model there are no attempts
        ("development_slope", {"": pytest.approx(0.2)}),  # 0.004 in 2 steps
    ],
)
def test_a_measure_has_a_value_for_each_of_its_records(
    place: Place, metric: str, expected: dict[str, object]
) -> None:
    measure = MEASURES[metric]
    assert {r["decision"]: measure.value(r) for r in measure.read(place)} == expected


def test_a_slope_is_that_of_the_second_half() -> None:
    assert late_slope({0: 0.9, 10: 0.1, 20: 0.2, 30: 0.3, 40: 0.4}) == pytest.approx(1.0)
    assert late_slope({0: 0.1, 10: 0.2}) is None
