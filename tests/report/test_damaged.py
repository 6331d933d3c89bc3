"""Reports and audits of run folders that are damaged, or somebody else's."""

import json
import os
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from actwise.audit import audit_run
from actwise.errors import ActwiseError
from actwise.report import write_report
from actwise.run.folder import Run
from actwise.run.progress import Progress

ROLLOUT = {
    "step": 1,
    "decision": "a#1",
    "text": "Yes.",
    "stop": "stop",
    "reward": 1.0,
    "right": True,
    "advantage": 0.0,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of one stage, as far as reports read it."""
    request = {"actwise": "0.1.0", "stages": {"rl": "thinking"}, "seed": 0}
    with Run.open(tmp_path / "run", request, Progress(Console(file=StringIO()))) as run:
        run.begin()
        metrics, rollouts = run.lines("metrics/rl.jsonl"), run.lines("rollouts/rl.jsonl")
        for step in (1, 2, 3):
            metrics.append({"step": step, "reward": 0.5, "loss": float("nan")})
            rollouts.append({**ROLLOUT, "step": step})
        run.write("checkpoints/rl.pt", lambda path: path.write_text("x"), lines=(metrics, rollouts))
        results = {"models": [], "rows": [], "verdict": "On test.", "floors": {}}
        run.write_json("results.json", results)
        run.write_records("conversations.jsonl", [{"split": "test", "id": "a", "messages": []}])
    return tmp_path / "run"


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_what_is_whole_is_read(folder: Path) -> None:
    assert "On test." in write_report(folder).read_text("utf-8")
    assert audit_run(folder).stage == "rl"
    for line in (folder / "metrics" / "rl.jsonl").read_text().splitlines():
        assert json.loads(line, parse_constant=pytest.fail)["loss"] is None


@pytest.mark.parametrize(
    "name",
    ["run.json", "results.json", "conversations.jsonl", "metrics/rl.jsonl", "checksums.json"],
)
@pytest.mark.parametrize("damage", [flipped, lambda path: path.write_bytes(b"")])
def test_a_report_of_damaged_files_is_refused(folder: Path, name: str, damage: object) -> None:
    assert callable(damage)
    damage(folder / name)
    with pytest.raises(ActwiseError, match=name) as caught:
        write_report(folder)
    assert "damaged" in str(caught.value)


def test_an_audit_of_damaged_rollouts_is_refused(folder: Path) -> None:
    (folder / "rollouts" / "rl.jsonl").write_text(json.dumps(ROLLOUT) + "\n")
    with pytest.raises(ActwiseError, match=r"rollouts/rl\.jsonl: damaged"):
        audit_run(folder)


def test_lines_after_the_last_checkpoint_are_no_damage(folder: Path) -> None:
    with (folder / "metrics" / "rl.jsonl").open("a") as file:
        file.write('{"step": 4, "reward": 0.5}\n{"step": 5, "rew')
    write_report(folder)


@pytest.mark.parametrize("name", ["run.json", "results.json", "metrics/rl.jsonl", "extra"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_links_and_pipes_in_a_folder_of_somebody_elses_are_not_read(
    folder: Path, tmp_path: Path, name: str, kind: str
) -> None:
    (folder / name).unlink(missing_ok=True)
    if kind == "link":
        (folder / name).symlink_to(tmp_path / "private")
    else:
        os.mkfifo(folder / name)
    with pytest.raises(ActwiseError, match="neither a file nor a folder, which no run writes"):
        write_report(folder)


def test_a_link_in_the_place_of_the_report_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (folder / "report.html").symlink_to(tmp_path / "mine")
    with pytest.raises(ActwiseError):
        write_report(folder)
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "7",
        "[]",
        "null",
        '{"actwise": 7}',
        '{"a":' * 9999,
        "\xff",
        '{"stages": 1}',
        '{"actwise": "1", "stages": {"../../private": "direct"}}',
        '{"actwise": "1", "seed": 1e999}',
    ],
)
def test_a_record_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text, encoding="latin-1")
    with pytest.raises(ActwiseError):
        write_report(tmp_path)


@pytest.mark.parametrize("line", ["[" * 9999, '{"step": 1' + "0" * 400 + "}", "\xff", "null", "7"])
def test_lines_that_are_no_numbers_are_passed_over(tmp_path: Path, line: str) -> None:
    (tmp_path / "run.json").write_text('{"actwise": "1"}')
    (tmp_path / "metrics").mkdir()
    lines = f'{line}\n{{"step": 2, "reward": 1}}\n'
    (tmp_path / "metrics" / "rl.jsonl").write_text(lines, "latin-1")
    write_report(tmp_path)
