"""A run whose settings change goes on from what still holds."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from actwise.errors import RunError
from actwise.run.changes import compare
from actwise.run.folder import Run
from actwise.run.progress import Progress

STAGES = ("sft", "think", "rl")
CONFIG = {
    "seed": 0,
    "checkpoint_every": 20,
    "model": {"workers": None, "dtype": "float32"},
    "reward": {"tool_weight": 1.0},
    "sft": {"steps": 3},
    "think": {"steps": 2, "begin": "base"},
    "rl": {"steps": 4, "mode": "thinking"},
}
MODES = {"sft": "direct", "think": "thinking", "rl": "thinking"}


def request(stages: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a request whose settings are changed; `sft__steps` is sft.steps."""
    config: dict[str, Any] = json.loads(json.dumps(CONFIG))
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            config[section][name] = value
        else:
            config[section] = value
    return {"model": "m", "data": [], "config": config, "stages": stages or MODES}


@pytest.mark.parametrize(
    ("changes", "kept", "redone"),
    [
        ({"rl__steps": 9}, ["sft", "think"], ["rl"]),
        ({"think__begin": "previous"}, ["sft"], ["think", "rl"]),
        ({"sft__steps": 9}, [], ["sft", "think", "rl"]),
        ({"checkpoint_every": 5, "model__workers": 2}, ["sft", "think", "rl"], []),
        # Without a stage in between the last one begins elsewhere.
        ({"stages": {"sft": "direct", "rl": "thinking"}}, ["sft"], ["think", "rl"]),
        # A mode that is no setting of the stage's own counts, too.
        ({"stages": MODES | {"rl": "direct"}}, ["sft", "think"], ["rl"]),
    ],
)
def test_a_stage_is_kept_where_it_and_all_before_it_are_as_before(
    changes: dict[str, Any], kept: list[str], redone: list[str]
) -> None:
    found = compare(request(), request(**changes), STAGES)
    assert found is not None
    assert (found.kept, found.redone) == (kept, redone)


def test_a_stage_that_is_new_supersedes_nothing() -> None:
    short = request({"sft": "direct"}, rl__steps=0)
    found = compare(short, request(), STAGES)
    assert found is not None
    assert (found.kept, found.redone) == (["sft"], [])
    assert found.differences == ["rl.steps: 0, now 4"]


@pytest.mark.parametrize(("ahead", "counts"), [(0, False), (1, True)])
def test_where_steps_are_sampled_ahead_it_counts_how_often_a_checkpoint_is_made(
    ahead: int, counts: bool
) -> None:
    """At a checkpoint nothing is sampled ahead, so other weights sample the next step."""
    before, now = (request(engine={"ahead": ahead}, checkpoint_every=n) for n in (20, 1))
    assert (compare(before, now, STAGES) is None) is counts


@pytest.mark.parametrize(
    "changes", [{"seed": 1}, {"reward__tool_weight": 2.0}, {"model__dtype": "bfloat16"}]
)
def test_what_every_stage_depends_on_leaves_nothing(changes: dict[str, Any]) -> None:
    assert compare(request(), request(**changes), STAGES) is None
    assert compare(request(), request(**changes, rl__steps=9), STAGES) is None


# The folder


def begin(
    folder: Path, asked: dict[str, Any], work: Callable[[Run], object] = lambda run: None
) -> str:
    """Open a run as the pipeline does; return what it said."""
    said = io.StringIO()
    progress = Progress(Console(file=said, width=1000))
    with Run.open(folder, asked, progress, stages=STAGES) as run:
        run.begin({"weights": "w"})
        work(run)
    return said.getvalue()


def everything(run: Run) -> None:
    """Write what a finished run holds."""
    for stage in STAGES:
        run.lines(f"metrics/{stage}.jsonl").append({"step": 1, "of": stage})
        run.write(
            f"checkpoints/{stage}.pt",
            lambda file, stage=stage: file.write_text(stage),
            lines=[run.lines(f"metrics/{stage}.jsonl")],
        )
        run.write_json(f"checkpoints/{stage}.cost.json", {})
        run.write_records(f"evaluations/{stage}-thinking-test.jsonl", [{"of": stage}])

        def model(folder: Path, stage: str = stage) -> None:
            folder.mkdir()
            (folder / "config.json").write_text(stage)

        if not (run.folder / "models" / stage).exists():
            run.write(f"models/{stage}", model)
    run.write_records("evaluations/base-direct-test.jsonl", [])
    run.write_json("results.json", {"of": "the first"})


def names(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {
        ".lock",
        "checksums.json",
    }


def test_what_no_longer_holds_is_set_aside_and_nothing_else(tmp_path: Path) -> None:
    begin(tmp_path, request(), everything)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    said = begin(tmp_path, request(rl__steps=9))
    assert "other settings (rl.steps: 4, now 9)" in said
    place = tmp_path / "superseded" / "1"
    assert f"base, sft, think stay as they are; what there was of rl is now in {place}" in said
    moved = {"results.json", "metrics/rl.jsonl", "checkpoints/rl.pt", "checkpoints/rl.cost.json"}
    moved |= {"evaluations/rl-thinking-test.jsonl", "models/rl/config.json"}
    assert names(place) == moved | {"run.json"}
    for name in [*moved, "run.json"]:
        assert (place / name).read_bytes() == before[name]
    assert {n for n in names(tmp_path) if not n.startswith("superseded/")} == (
        before.keys() - moved
    )
    assert json.loads((tmp_path / "run.json").read_text())["config"]["rl"]["steps"] == 9

    def nothing_is_missing(run: Run) -> None:
        for name in (*before, "models/rl", "models/sft"):
            run.intact(name)

    # Nobody takes what was set aside for lost.
    assert begin(tmp_path, request(rl__steps=9), nothing_is_missing) == ""
    begin(tmp_path, request(rl__steps=5))
    assert not (tmp_path / "superseded" / "2").exists()  # nothing had been computed


def test_each_change_has_a_folder_of_its_own(tmp_path: Path) -> None:
    begin(tmp_path, request(), everything)
    begin(tmp_path, request(rl__steps=9), everything)
    begin(tmp_path, request(sft__steps=9), everything)
    first, second = tmp_path / "superseded" / "1", tmp_path / "superseded" / "2"
    assert not (first / "models" / "sft").exists()
    assert (first / "models" / "rl").is_dir() and (second / "models" / "rl").is_dir()
    assert (second / "models" / "sft").is_dir()
    assert json.loads((second / "run.json").read_text())["config"]["rl"]["steps"] == 9


def test_what_was_set_aside_is_not_written_over(tmp_path: Path) -> None:
    begin(tmp_path, request(), everything)
    begin(tmp_path, request(rl__steps=9), everything)
    begin(tmp_path, request(rl__steps=8), everything)
    aside = tmp_path / "superseded"
    shutil.rmtree(aside / "1")  # its owner needs it no more
    (aside / ".DS_Store").write_text("of a file browser")
    (aside / "3").mkdir()  # of a process that was killed before it had moved anything
    second = names(aside / "2")
    begin(tmp_path, request(rl__steps=7))
    assert names(aside / "2") == second
    assert json.loads((aside / "4" / "run.json").read_text())["config"]["rl"]["steps"] == 8


def test_results_without_a_stage_that_was_added_are_set_aside(tmp_path: Path) -> None:
    first = {"sft": "direct", "think": "thinking"}
    begin(tmp_path, request(first, rl__steps=0), everything)
    for stage in ("metrics/rl.jsonl", "checkpoints/rl.pt", "checkpoints/rl.cost.json"):
        (tmp_path / stage).unlink()
    shutil.rmtree(tmp_path / "models" / "rl")
    (tmp_path / "evaluations" / "rl-thinking-test.jsonl").unlink()
    said = begin(tmp_path, request())
    assert not (tmp_path / "results.json").exists()
    assert names(tmp_path / "superseded" / "1") == {"run.json", "results.json"}
    assert "base, sft, think stay as they are; what there was of the results is now in" in said


def test_results_stay_where_no_figure_depends_on_what_changed(tmp_path: Path) -> None:
    begin(tmp_path, request(), everything)
    begin(tmp_path, request(checkpoint_every=5))
    assert (tmp_path / "results.json").exists()


def test_a_process_killed_while_it_set_aside_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path, request(), everything)
    whole = names(tmp_path)
    rename, left = Path.rename, [3]

    def killed(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            begin(tmp_path, request(rl__steps=9))
    said = begin(tmp_path, request(rl__steps=9))
    place = tmp_path / "superseded" / "1"
    assert str(place) in said and not (tmp_path / "superseded" / "2").exists()
    here = {n for n in names(tmp_path) if not n.startswith("superseded/")}
    assert here | names(place) == whole
    assert here & names(place) == {"run.json"}


def test_other_inputs_are_refused_before_anything_is_moved(tmp_path: Path) -> None:
    begin(tmp_path, request(), everything)
    before = names(tmp_path)
    quiet = Progress(Console(quiet=True))
    with (
        Run.open(tmp_path, request(rl__steps=9), quiet, stages=STAGES) as run,
        pytest.raises(RunError, match="holds a run with other weights"),
    ):
        run.begin({"weights": "others"})
    assert names(tmp_path) == before
    data = request(rl__steps=9) | {"data": [{"file": "other.jsonl"}]}
    with (
        pytest.raises(RunError, match=r"holds a run with other data \(other.jsonl\)"),
        Run.open(tmp_path, data, quiet, stages=STAGES),
    ):
        pass
    assert names(tmp_path) == before
