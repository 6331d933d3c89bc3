"""Several runs beside each other: paired figures by hand, refusals, the page, the list."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from actwise.cli import cli
from actwise.errors import InputError, RunError
from actwise.report import write_report
from actwise.report.comparison import compare_runs, write_comparison, write_page
from actwise.report.folder import read_run_folder
from actwise.report.listing import list_runs, write_listing
from actwise.report.page import headline
from actwise.run.lock import is_locked, take_lock
from integration.conftest import Actwise, actwise
from reported import judged, row_by_hand, write_lines, write_run

__all__ = ["actwise"]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs on twenty conversations; RL of `b` is right on five that `a` has wrong."""
    for name, right in (("a", range(10)), ("b", range(15))):
        folder = write_run(tmp_path / name)
        measured(folder, "rl-thinking", right)
        measured(folder, "sft-direct", range(3))
    return tmp_path


def measured(folder: Path, model: str, right: range) -> None:
    """Make a run one that was measured on twenty questions."""
    conversations = [
        {
            "split": "test",
            "id": f"c{i}",
            "messages": [
                {"role": "user", "content": f"Question {i}"},
                {"role": "assistant", "content": "Yes."},
            ],
        }
        for i in range(20)
    ]
    write_lines(folder / "conversations.jsonl", conversations)
    for file in (folder / "evaluations").glob("*"):
        if file.name.startswith(("base", model)) or "shifted" in file.name:
            file.unlink()
    records = [judged(f"c{i}#1", i in right, answer="Yes.") | {"kind": "answer"} for i in range(20)]
    write_lines(folder / "evaluations" / f"{model}-test.jsonl", records)


def test_promoted_models_are_paired_decision_by_decision(runs: Path) -> None:
    found = compare_runs([runs / "a", runs / "b"]).results
    accuracies = [row["metrics"]["action_accuracy"]["value"] for row in found["rows"]]
    assert accuracies == [0.5, 0.75]
    (overall,) = (p for p in found["paired"] if p["slice"] == "all")
    assert (overall["model"], overall["against"]) == ("b", "a")
    difference = overall["difference"]
    assert difference["value"] == 0.25 and overall["relative"] == 0.5
    # Five of twenty differ, all in one direction: resampled, between about 0.05 and 0.45.
    assert 0 < difference["low"] < 0.15 and 0.35 < difference["high"] < 0.5
    assert found["runs"][1] == {
        "name": "b",
        "folder": str(runs / "b"),
        "model": "rl",
        "mode": "thinking",
    }


def test_the_table_of_a_comparison(runs: Path) -> None:
    text = write_comparison(compare_runs([runs / "a", runs / "b"]), width=120)
    rows = [line.split() for line in text.splitlines()]
    assert any(row[:5] == ["a", "test", "RL", "thinking", "50.0"] for row in rows)
    (second,) = (row for row in rows if row[:1] == ["b"])
    assert second[:5] == ["b", "test", "RL", "thinking", "75.0"]
    assert second[6] == "+25.0" and second[-1] == "better"


def test_another_model_can_be_named(runs: Path) -> None:
    found = compare_runs([runs / "a", runs / "b"], model="sft").results
    assert [(run["model"], run["mode"]) for run in found["runs"]] == [("sft", "direct")] * 2
    (overall,) = (p for p in found["paired"] if p["slice"] == "all")
    assert overall["difference"] == {"value": 0, "low": 0, "high": 0}
    with pytest.raises(RunError, match=r"has not measured think \(thinking\)"):
        compare_runs([runs / "a", runs / "b"], model="think")


def promote_base(folder: Path, mode: str | None) -> None:
    """Let a base be promoted that is right on 25 % direct and on 40 % thinking."""
    results = json.loads((folder / "results.json").read_text())
    results["rows"].append(row_by_hand("base", "thinking", "test", 0.4))
    results |= {"promoted": "base"} | ({} if mode is None else {"promoted_mode": mode})
    (folder / "results.json").write_text(json.dumps(results))


@pytest.mark.parametrize(
    ("mode", "accuracy"), [("direct", 0.25), ("thinking", 0.4), (None, 0.25)], ids=str
)
def test_a_promoted_base_is_shown_in_the_mode_in_which_it_won(
    tmp_path: Path, mode: str | None, accuracy: float
) -> None:
    folder = write_run(tmp_path / "run")
    promote_base(folder, mode)
    (listed,) = list_runs(tmp_path).runs
    assert listed.accuracy["test"].value == accuracy
    results = read_run_folder(folder).results
    assert results is not None
    (tile,) = headline(results)
    assert tile["figure"].value == accuracy
    page = write_report(folder).read_text("utf-8")
    assert page.count('<tr class="promoted">') == (2 if mode is None else 1)


def test_a_promoted_base_is_compared_in_the_mode_in_which_it_won(tmp_path: Path) -> None:
    for name, right in (("a", range(5)), ("b", range(10))):
        folder = write_run(tmp_path / name)
        shutil.rmtree(folder / "evaluations")
        measured(folder, "base-direct", right)
        promote_base(folder, "direct")
    rows = compare_runs([tmp_path / "a", tmp_path / "b"]).results["rows"]
    assert [(row["mode"], row["metrics"]["action_accuracy"]["value"]) for row in rows] == [
        ("direct", 0.25),
        ("direct", 0.5),
    ]
    results = json.loads((folder / "results.json").read_text())
    results.pop("promoted_mode")
    # Of an older run the mode is not known: the last stage's is taken.
    (folder / "results.json").write_text(json.dumps(results))
    with pytest.raises(RunError, match=r"b: has not measured base \(thinking\)"):
        compare_runs([tmp_path / "a", tmp_path / "b"])


def test_runs_of_one_name_are_told_apart(runs: Path) -> None:
    shutil.copytree(runs / "b", runs / "other" / "a")
    found = compare_runs([runs / "a", runs / "other" / "a"]).results
    assert found["models"] == [str(runs / "a"), str(runs / "other" / "a")]


def test_a_run_that_is_not_finished_needs_a_model(runs: Path) -> None:
    (runs / "b" / "results.json").unlink()
    with pytest.raises(RunError, match=r"b: not finished; name the model"):
        compare_runs([runs / "a", runs / "b"])
    assert len(compare_runs([runs / "a", runs / "b"], model="sft").results["rows"]) == 2


def other_text(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lines[0]["messages"][0]["content"] = "Another question"
    return lines


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[:-2], "2 conversations only in a"),
        (other_text, "1 under the same name with other content"),
        (
            lambda lines: [*lines, {**lines[0], "id": "new"}],
            "1 only in b",
        ),
    ],
)
def test_other_test_data_are_refused_in_a_line(runs: Path, change: Any, said: str) -> None:
    path = runs / "b" / "conversations.jsonl"
    lines = change([json.loads(line) for line in path.read_text().splitlines()])
    write_lines(path, lines)
    known = {f"{line['id']}#1" for line in lines}
    for file in (runs / "b" / "evaluations").glob("*"):
        records = [json.loads(line) for line in file.read_text().splitlines()]
        write_lines(file, [record for record in records if record["decision"] in known])
    done = CliRunner().invoke(cli, ["compare", str(runs / "a"), str(runs / "b")])
    assert isinstance(done.exception, RunError) and "\n" not in str(done.exception)
    assert f"test data differ ({said})" in str(done.exception)


def test_a_run_of_an_older_version_is_refused(runs: Path) -> None:
    (runs / "b" / "conversations.jsonl").unlink()
    with pytest.raises(RunError, match="does not say what it was measured on"):
        compare_runs([runs / "a", runs / "b"])
    with pytest.raises(RunError, match="at least two"):
        compare_runs([runs / "a"])
    with pytest.raises(RunError, match="no run folder"):
        compare_runs([runs / "a", runs])


def test_the_page_of_a_comparison_has_runs_for_models(runs: Path) -> None:
    html = write_page(compare_runs([runs / "a", runs / "b"])).decode()
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))
    assert "actwise comparison of 2 runs" in text
    assert "test b a all +25.0" in text
    assert "test: kinds of failure outcome a thinking b thinking right 10 50.0" in text
    assert "Content-Security-Policy" in html and html.count("<script") == 2


def test_the_command_prints_a_table_or_json_and_writes_a_page(runs: Path) -> None:
    both = [str(runs / "a"), str(runs / "b")]
    page = runs / "page.html"
    done = CliRunner().invoke(cli, ["compare", *both, "--page", str(page)])
    assert done.exit_code == 0, done.output
    assert "better" in done.output and f"page: {page}" in done.output.replace("\n", "")
    assert page.read_text().startswith("<!doctype html>")
    done = CliRunner().invoke(cli, ["compare", *both, "--json"])
    assert json.loads(done.output)["models"] == ["a", "b"]


def test_json_has_null_for_what_no_number_says(runs: Path) -> None:
    # Right once in twenty: some draws have none of it, and are infinitely often better.
    measured(runs / "a", "rl-thinking", range(1))
    both = [str(runs / "a"), str(runs / "b")]
    printed = CliRunner().invoke(cli, ["compare", *both, "--json"]).output
    (overall, *_) = json.loads(printed, parse_constant=pytest.fail)["paired"]
    assert overall["relative_interval"] == {"value": 14.0, "low": pytest.approx(5, 2), "high": None}


# --- the list of runs -----------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Path]:
    """A finished run, one that goes on, two broken folders, and one that is none."""
    write_run(tmp_path / "finished")
    going = write_run(tmp_path / "deep" / "going")
    (going / "results.json").unlink()
    record = json.loads((going / "run.json").read_text()) | {"created": "2026-01-01T00:00:00"}
    (going / "run.json").write_text(json.dumps(record | {"model": "models/Qwen3"}))
    (going / "superseded" / "1").mkdir(parents=True)
    (going / "superseded" / "1" / "run.json").write_text('{"actwise": "0.1.0"}')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    (tmp_path / "nameless" / "metrics").mkdir(parents=True)
    (tmp_path / "holiday").mkdir()
    with (going / ".lock").open("w") as lock:
        assert take_lock(lock)
        yield tmp_path


def test_the_list_of_runs(shelf: Path) -> None:
    listing = list_runs(shelf)
    going, finished = listing.runs
    assert (going.name, going.reached, going.going_on) == ("deep/going", "rl 40 of 50", True)
    assert (going.promoted, going.accuracy, going.model) == (None, {}, "models/Qwen3")
    assert (finished.name, finished.reached, finished.going_on) == ("finished", "finished", False)
    assert finished.promoted == "rl" and finished.accuracy["test"].value == 0.781
    assert (finished.data, finished.conversations) == (["a.jsonl"], 90)
    broken, nameless = listing.broken
    assert "broken/run.json:1: not JSON" in broken
    assert "nameless: no run folder, for it holds no run.json" in nameless


def test_a_stage_that_ends_by_tokens_is_not_told_to_end_by_steps(shelf: Path) -> None:
    file = shelf / "deep" / "going" / "run.json"
    record = json.loads(file.read_text())
    record["config"]["rl"]["sampled_tokens"] = 1_000_000
    file.write_text(json.dumps(record))
    assert list_runs(shelf).runs[0].reached == "rl 40"


def test_the_list_as_text_and_json(shelf: Path) -> None:
    lines = write_listing(list_runs(shelf), width=160).splitlines()
    (going,) = (line.split(None, 3) for line in lines if line.startswith("deep/going"))
    assert going[:3] == ["deep/going", "2026-01-01", "00:00"]
    assert re.sub(" +", " ", going[3]) == "rl 40 of 50, going on – – Qwen3 a.jsonl (90)"
    assert any("finished" in line and "RL" in line and "78.1, 73.1–83.1" in line for line in lines)
    assert sum(line.startswith("broken: ") for line in lines) == 2
    found = json.loads(CliRunner().invoke(cli, ["runs", str(shelf), "--json"]).output)
    assert [run["name"] for run in found["runs"]] == ["deep/going", "finished"]
    assert found["runs"][1]["accuracy"]["test"]["value"] == 0.781


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no runs"):
        list_runs(tmp_path)
    with pytest.raises(RunError, match="no folder"):
        list_runs(tmp_path / "nowhere")


def test_what_was_superseded_is_listed_where_it_is_asked_for(shelf: Path) -> None:
    aside = shelf / "finished" / "superseded"
    shutil.copytree(shelf / "finished", aside / "1")
    assert [run.name for run in list_runs(shelf).runs] == ["deep/going", "finished"]
    assert [run.name for run in list_runs(aside).runs] == ["1"]


def test_folders_that_one_may_not_read_are_told_in_a_line(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, actwise: Actwise
) -> None:
    locked = shelf / "locked"
    locked.mkdir()
    exists = Path.exists

    def refused(path: Path) -> bool:  # tests may run as root, who is refused nothing
        if path.is_relative_to(locked) and path != locked:
            raise PermissionError(13, "Permission denied", str(path))
        return exists(path)

    monkeypatch.setattr(Path, "exists", refused)
    listing = list_runs(shelf)
    assert [run.name for run in listing.runs] == ["deep/going", "finished"]
    assert f"{locked}/checksums.json: Permission denied; ask its owner" in listing.broken
    said = actwise("report", locked).complaint
    assert said == f"{locked}/checksums.json: Permission denied; ask its owner, or name another"


def test_the_name_of_a_folder_does_not_steer_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "a\x1b]0;title\x07" / "metrics").mkdir(parents=True)
    said = CliRunner().invoke(cli, ["runs", str(tmp_path)]).output
    assert "a\\x1b]0;title\\x07: no run folder" in said and "\x1b" not in said


def test_looking_at_a_lock_leaves_it_free(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    assert not is_locked(path) and not path.exists()
    with path.open("w") as lock:
        assert take_lock(lock)
        assert is_locked(path) and is_locked(path)
    assert not is_locked(path)
    with path.open("w") as lock:
        assert take_lock(lock)


def test_a_broken_evaluation_is_named(runs: Path) -> None:
    (runs / "b" / "evaluations" / "rl-thinking-test.jsonl").write_text("{\n")
    with pytest.raises(InputError, match=r"rl-thinking-test\.jsonl:1: not JSON"):
        compare_runs([runs / "a", runs / "b"])
