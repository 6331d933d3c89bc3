"""Repeated experiments: runs that share their beginning, resuming, collecting, the page."""

import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import actwise
from actwise.config import load_config
from actwise.conversation import Conversation, Decision, Message, ToolCall
from actwise.desk import PAPER as PAPER_SETTINGS
from actwise.desk import generate
from actwise.engine.scripted import ScriptedEngine
from actwise.errors import ConfigError, InputError, RunError
from actwise.experiment.ablations import ablations
from actwise.experiment.collect import collect, mean_over_seeds
from actwise.experiment.design import Arm, Experiment
from actwise.experiment.interventions import corrupt, intervene
from actwise.experiment.page import page, readme_block, write_block
from actwise.experiment.paper import (
    BASE_DIRECT,
    CEILING_MODEL,
    PAPER,
    RL,
    SFT,
    after_rl,
    start_of,
)
from actwise.experiment.runs import Task, run_experiment, run_task
from actwise.experiment.trainings import on_the_way
from actwise.rewards.judge import judge
from actwise.run.files import read_records
from actwise.run.progress import Progress
from actwise.template.parse import ParsedCompletion
from actwise.template.render import Template

BASE = str(Path(actwise.__file__).parent / "desk" / "model")
TINY = (
    "desk.train=3",
    "desk.dev=1",
    "desk.test=2",
    "desk.shifted=1",
    "sft.steps=2",
    "sft.evaluate_every=1",
    "sft.conversations_per_step=1",
    "think.steps=1",
    "think.conversations=2",
    "think.conversations_per_step=1",
    "rl.steps=1",
    "rl.conversations_per_step=1",
    "rl.num_generations=2",
    "evaluate.thought_tokens=8",
)


ARMS = ("annotated-40", "direct", "rejection")
"""That are run here."""


def run_paper(out: Path, seeds: int, arms: Sequence[str] = ARMS) -> str:
    """Run arms of the paper's experiment in this process; return what was shown."""
    shown = StringIO()
    with ThreadPoolExecutor(1) as executor:
        run_experiment(
            PAPER,
            out,
            seeds,
            BASE,
            TINY,
            arms=arms,
            executor=executor,
            command=["actwise"],
            progress=Progress(Console(file=shown, width=200)),
        )
    return shown.getvalue()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished experiment with two seeds, whose second was interrupted and gone on with."""
    threads = torch.get_num_threads()
    out = tmp_path_factory.mktemp("paper")
    run_paper(out, 1)
    run_paper(out, 2)
    yield out
    torch.set_num_threads(threads)


def written(folder: Path) -> dict[str, int]:
    return {
        str(file.relative_to(folder)): file.stat().st_mtime_ns
        for file in folder.rglob("*")
        if file.is_file() and file.suffix not in (".log", ".lock") and file.name != ".lock"
    }


@pytest.mark.slow
def test_what_is_finished_is_not_run_again(finished: Path) -> None:
    before = written(finished)
    shown = run_paper(finished, 2)
    assert written(finished) == before
    assert shown.count("done") == 6


@pytest.mark.slow
def test_an_arm_that_takes_its_beginning_from_another_is_the_run_it_would_have_been(
    finished: Path, tmp_path: Path
) -> None:
    (alone,) = (Arm("direct", arm.settings) for arm in PAPER.arms if arm.name == "direct")
    shared = finished / "seed-0" / "direct"
    run_task(Task(tmp_path, 0, alone, PAPER, BASE, TINY, ("actwise",)))
    fresh = tmp_path / "seed-0" / "direct"
    for stage in ("sft", "rl"):
        one, other = (
            torch.load(f / "checkpoints" / f"{stage}.pt", weights_only=True)
            for f in (shared, fresh)
        )
        for part in ("weights", "best_weights"):
            assert all(torch.equal(one[part][name], other[part][name]) for name in one[part])
    names = [str(f.relative_to(fresh)) for f in fresh.rglob("*.jsonl")]
    assert "evaluations/base-thinking-test.jsonl" in names
    assert "rollouts/rl.jsonl" in names
    for name in names:
        assert (shared / name).read_bytes() == (fresh / name).read_bytes(), name


@pytest.mark.slow
def test_a_lost_run_is_made_again_and_comes_out_the_same(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "paper"
    shutil.copytree(finished, out)
    lost = out / "seed-1" / "direct"
    expected = {f.name: f.read_bytes() for f in (lost / "evaluations").iterdir()}
    # Killed before GRPO was through: of its checkpoint and what follows nothing is there.
    for file in (lost / "results.json", lost / "checkpoints" / "rl.pt"):
        file.unlink()
    for file in (lost / "evaluations").glob("rl-*"):
        file.unlink()
    shutil.rmtree(lost / "models" / "rl")
    run_paper(out, 2)
    assert {f.name: f.read_bytes() for f in (lost / "evaluations").iterdir()} == expected
    assert collect(PAPER, out, 2)["rows"] == collect(PAPER, finished, 2)["rows"]


@pytest.mark.slow
def test_figures_are_those_of_the_records(finished: Path) -> None:
    figures = collect(PAPER, finished, 2)
    (row,) = (r for r in figures["rows"] if r["model"] == RL and r["split"] == "test")
    by_seed = [
        [
            r["verdict"]["right"]
            for r in read_records(
                finished / f"seed-{seed}" / ARMS[0] / "evaluations" / "rl-thinking-test.jsonl"
            )
        ]
        for seed in range(2)
    ]
    assert row["per_seed"] == pytest.approx([sum(r) / len(r) for r in by_seed])
    assert row["conversations"] == 4
    assert row["decisions"] == sum(map(len, by_seed))
    assert [run["arm"] for run in figures["runs"][:3]] == list(ARMS)
    # What an arm takes from the first costs nothing.
    assert [sorted(r["seconds"]) for r in figures["runs"][:3]] == [
        ["base", "rl", "think"],
        ["rl", "sft"],
        ["rl"],
    ]
    assert {arm for arm, seeds in figures["finished"].items() if seeds} == set(ARMS)
    text = page(figures)
    assert RL in text and "+1.5 %" in text and "+40.0 %" in text
    assert SFT in readme_block(figures)
    json.dumps(figures)


def test_a_run_that_fails_is_reported_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "seed-0" / ARMS[0]).mkdir(parents=True)
    (tmp_path / "seed-0" / ARMS[0] / "letter.txt").write_text("not a run")
    with pytest.raises(RunError, match=r"1 runs failed.*seed-0/annotated-40.log"):
        run_paper(tmp_path, 1)
    assert "RunError" in (tmp_path / "seed-0" / f"{ARMS[0]}.log").read_text()


def test_an_arm_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no ceilling; the arms are annotated-40, .*ceiling"):
        run_paper(tmp_path, 1, arms=["direct", "ceilling"])


# --- collecting -----------------------------------------------------------------------------------


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
    figures = collect(PAPER, tmp_path, 2)
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
    assert "| over SFT (direct) | +1.5 % | +200.0 %" in text
    assert "| 1 | annotated-40 | rl | 2 (1) | 60.0 | 30.0 | 0.2 to 0.7 | 0.5 to 0 |" in text
    assert "| 40 | – | – |" in text  # the ceiling is no better than the start
    # Scores of 0.4 after one of two steps and 0.3 after both; 0.5 before.
    assert f"| annotated-40 | 2 | 2 | 50.0 |{' 40.0 |' * 7} 30.0 | – |" in text
    assert "| +10.00 |" in on_the_way(rising(figures))
    for row in figures["rows"]:
        if row["model"] == CEILING_MODEL:
            row["per_seed"] = [1.0, 1.0]
    # From 0.5 to 0.75 on a way that ends at 1.
    assert "| 40 | 0.50 | 0.50 |" in page(figures)
    assert "| (neutral answer) | 25.0 |" in text
    assert "75.0 (50.0 to 100.0)" in readme_block(figures)


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
    figures = collect(PAPER, tmp_path, 2)
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
    assert "direct (1 of 2 seeds), rejection (1 of 2 seeds), ceiling (0 of 2 seeds)" in text
    assert "| 40 |  |  |" in text  # no way without its end


def test_models_that_no_seed_has_both_of_are_not_compared(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    for lost in ("seed-1/direct", "seed-0/annotated-0"):
        (tmp_path / lost / "results.json").unlink()
    pairs = {(p["model"], p["against"]) for p in collect(PAPER, tmp_path, 2)["paired"]}
    assert (after_rl(0), SFT) not in pairs
    assert {(after_rl(0), start_of(0)), (RL, SFT)} <= pairs


def test_nothing_is_put_together_before_the_first_arm_is_finished(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no seed has finished annotated-40 yet"):
        collect(PAPER, tmp_path, 2)


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
    text = page(collect(design, tmp_path, 2))
    assert "* divergence term of 0.02: **worse**, -75.0 (-100.0 to -50.0)" in text
    # Held against the arm that differs in the upper bound alone.
    clip = "two steps a batch, clip 0.2 both ways"
    assert f"(against {clip}): **not told apart**, +0.0" in text
    assert text.count("**not told apart**") == len(design.comparisons) - 1
    course = "50.0 | 40.0 | 30.0 | 0.2 to 0.7 | 0.5 to 0 | 0.04 to none | 8 to 6 |"
    assert f"| (nothing) | {course}" in text
    assert f"| divergence term of 0.02 | {course}" in text


# --- means over seeds ----------------------------------------------------------------------------


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


# --- arms ----------------------------------------------------------------------------------------

MAY_CHANGE = {
    "think": (
        "rl.",
        "sft.",
        "reward.require_thought",
        "reward.tool_accuracy",
        "reward.answer_weight",
        "reward.combine",
        "reward.thought_length",
    ),
    "base": ("rl.", "sft.", "think."),
}
"""What the result of a stage, and whether its decisions are right, does not depend on."""


def test_arms_share_only_what_their_settings_leave_alone() -> None:
    for arm in (*PAPER.arms[1:], *ablations(load_config(PAPER_SETTINGS)).arms[1:]):
        for setting in arm.settings:
            last = arm.shares[-1]
            assert setting.startswith(MAY_CHANGE[last]), (arm.name, setting)
        load_config(PAPER_SETTINGS, arm.settings)


def test_the_ablations_are_those_of_the_plan_and_each_has_its_counterpart() -> None:
    config = load_config(PAPER_SETTINGS, ["think.conversations=100"])
    design = ablations(config)
    changed = {arm.name: load_config(PAPER_SETTINGS, arm.settings) for arm in design.arms}
    assert design.arms[0] == PAPER.arms[0]
    assert changed["half-traces"].think.conversations == 50
    assert changed["double-traces"].think.conversations == 200
    assert {c.rl.num_generations for c in changed.values()} == {4, 8, 16}
    assert changed["clip-higher"].rl.clip_high > changed["clip-equal"].rl.clip_high
    names = {model.name for model in design.models}
    assert {name for pair in design.comparisons for name in pair} == names


def test_without_the_answer_reward_what_is_said_does_not_count() -> None:
    settings = load_config(PAPER_SETTINGS, ["reward.answer_weight=0"]).reward
    gold = Message(role="assistant", content="It costs 40 dollars.")
    call = (ToolCall(name="pay", arguments={}),)
    rewards = [
        judge(completion, gold, (), thinking=False, settings=settings).reward
        for completion in (
            ParsedCompletion(None, (), "It costs 50 dollars.", ()),
            ParsedCompletion(None, call, "", ()),
        )
    ]
    assert rewards == [1.0, 0.0]
    with pytest.raises(ConfigError, match="cannot both be 0"):
        load_config(PAPER_SETTINGS, ["reward.answer_weight=0", "reward.format_weight=0"])


# --- thoughts put in the place of others ---------------------------------------------------------


@pytest.mark.parametrize(
    ("thought", "known", "expected"),
    [
        ("43 - 4 = 39.", {"43", "4"}, ("43 - 4 = 40.", "40")),
        # 16 and 14 stand in the conversation; the day before the sum is another fact.
        (
            "Day 15: 27 - 12 = 15. 15 > 14: too late.",
            {"27", "12", "14", "16"},
            ("Day 15: 27 - 12 = 17. 17 > 14: too late.", "17"),
        ),
        ("Pay 99.", set(), ("Pay 98.", "98")),
        ("It is done.", set(), None),
    ],
)
def test_one_number_is_corrupted(
    thought: str, known: set[str], expected: tuple[str, str] | None
) -> None:
    assert corrupt(thought, known) == expected


def paying(name: str, owed: int) -> Conversation:
    pay = ToolCall(name="pay", arguments={"amount": owed + 4}, id="c1")
    return Conversation(
        id=name,
        tools=({"type": "function", "function": {"name": "pay"}},),
        messages=(
            Message(role="system", content="The fee is 4."),
            Message(role="user", content=f"I owe {owed}."),
            Message(role="assistant", tool_calls=(pay,), labels=("reasoning",)),
        ),
    )


def text(thought: str, amount: str) -> str:
    call = f'<tool_call>\n{{"name": "pay", "arguments": {{"amount": {amount}}}}}\n</tool_call>'
    return f"<think>\n{thought}\n</think>\n\n{call}"


def judged(name: str, owed: int) -> dict[str, Any]:
    thought = f"Pay {owed} + 4 = {owed + 4}."
    return {
        "decision": f"{name}#2",
        "conversation": name,
        "kind": "call",
        "labels": ["reasoning"],
        "thought": thought,
        "text": text(thought, str(owed + 4)),
        "stop": "stop",
    }


@pytest.mark.parametrize(("obeys", "outcome"), [(True, "follows"), (False, "keeps")])
def test_an_act_follows_its_thought_or_not(
    tiny_tokenizer_dir: Path, obeys: bool, outcome: str
) -> None:
    template = Template.load(str(tiny_tokenizer_dir))
    owed = {"A": 20, "B": 50}

    def act(prompt: str, _: int) -> str:
        thought = prompt.rpartition("<think>")[2]
        said = thought.partition("= ")[2].partition(".")[0]
        own = next(amount + 4 for amount in owed.values() if f"I owe {amount}." in prompt)
        return text("", said if obeys else str(own)).partition("</think>")[2]

    found = intervene(
        ScriptedEngine(template.tokenizer, act),
        template,
        [paying(*item) for item in owed.items()],
        [judged(*item) for item in owed.items()],
        limit=5,
        max_tokens=200,
    )
    assert found == [
        {
            "decision": f"{name}#2",
            "conversation": name,
            "own": "keeps",
            "swapped": outcome,
            "corrupted": outcome,
        }
        for name in owed
    ]


# --- blocks of a page ----------------------------------------------------------------------------


def test_a_block_is_replaced_and_what_stands_around_it_stays(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    write_block(file, "figures", "one", heading="Title")
    file.write_text(file.read_text() + "\nNotes.\n")
    write_block(file, "figures", "two")
    assert file.read_text() == (
        "# Title\n\n<!-- figures:begin -->\ntwo\n<!-- figures:end -->\n\nNotes.\n"
    )


@pytest.mark.parametrize("content", [None, "no marks", "<!-- x:end --> <!-- x:begin -->"])
def test_a_file_without_marks_is_left_alone(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "page.md"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError):
        write_block(file, "x", "text")
    assert content is None or file.read_text() == content
