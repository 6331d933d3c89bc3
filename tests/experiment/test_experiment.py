"""Repeated runs: what is finished, shared, lost or failed."""

import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

import actwise
from actwise.errors import ConfigError, RunError
from actwise.experiment.collect import collect
from actwise.experiment.design import Arm
from actwise.experiment.page import page, readme_block
from actwise.experiment.paper import (
    PAPER,
    RL,
    SFT,
)
from actwise.experiment.runs import Task, run_experiment, run_task
from actwise.run.files import read_records
from actwise.run.progress import Progress

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
            range(seeds),
            BASE,
            TINY,
            arms=arms,
            executor=executor,
            jobs=1,
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
    assert collect(PAPER, out, range(2))["rows"] == collect(PAPER, finished, range(2))["rows"]


@pytest.mark.slow
def test_figures_are_those_of_the_records(finished: Path) -> None:
    figures = collect(PAPER, finished, range(2))
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
