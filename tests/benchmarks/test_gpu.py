"""The check for GPUs runs on a CPU, and loses nothing of what it has found."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from actwise.bench.shapes import SHAPES
from actwise.desk import MODEL, generate
from actwise.run.files import write_json
from actwise.template.render import Template
from benchmarks import gpu
from benchmarks.check import Check, work_of

ROOT = Path(__file__).parents[2]


@pytest.mark.exhaustive
def test_all_parts_run_on_a_cpu(tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="TRL comes with the extra `bench`")
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--tiny"]
    path = os.pathsep.join([str(ROOT / "src"), *sys.path])
    ended = subprocess.run(
        [*command, "--out", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    parts = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert {name: part["ended"] for name, part in parts.items()} == dict.fromkeys(
        gpu.PARTS, "finished"
    )
    names = {name: [record["name"] for record in part["records"]] for name, part in parts.items()}
    assert names["demo"] == ["straight", "killed", "taken up again", "same weights"]
    assert [parts["demo"]["records"][i]["ended"] for i in (1, 2)] == ["killed", "by itself"]
    assert {"update", "sampling", "step"} <= {*names["ours"]} & {*names["peers"]}
    for dtype in ("torch.float32", "torch.bfloat16"):
        for what in ("all weights", "adapters", "sampler"):
            assert f"{dtype}, {what}" in names["exact"]


def test_what_fails_is_written_down_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gpu.json"
    write_json(file, {"parts": {"exact": {"records": []}}})
    check = Check(file, "exact", torch.device("cpu"), True, tmp_path)
    check.run("breaks", lambda: {"share": 1 / 0})
    check.run("works", lambda: {"share": 0.25})
    broken, works = json.loads(file.read_text())["parts"]["exact"]["records"]
    assert broken["met"] is False and "ZeroDivisionError" in broken["error"]
    assert works["share"] == 0.25 and "error" not in works
    printed = capsys.readouterr().out
    assert "ZeroDivisionError" in printed and "share: 0.25" in printed


@pytest.mark.parametrize(
    ("budget", "ended"), [(0.2, "cut off by its budget of 0.2 s"), (99, "failed with exit code 2")]
)
def test_a_part_that_hangs_or_breaks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: float, ended: str
) -> None:
    monkeypatch.setitem(gpu.PARTS, "exact", (gpu.exact, budget))
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(gpu, "COMMAND", [sys.executable, "-m", "json.tool", "--no-such-option"])
    if budget < 1:
        monkeypatch.setattr(gpu, "COMMAND", ["sh", "-c", "sleep 60"])
    arguments = Namespace(out=tmp_path, device="cpu", tiny=False)
    assert gpu.run_part("exact", arguments, str(tmp_path)) == ended


def test_budgets_leave_room_in_eight_minutes() -> None:
    assert sum(budget for _, budget in gpu.PARTS.values()) <= 470


def test_completions_begin_alike_where_they_are_to() -> None:
    template = Template.load(str(MODEL))
    shape = SHAPES["desk"]
    work = work_of(template, generate("train", 1), shape, alike=10)
    for group in work.groups:
        rows = [rollout.sample.token_ids for rollout in group.rollouts]
        assert [len(row) for row in rows] == [shape.completion_tokens] * shape.num_generations
        assert {row[:10] == rows[0][:10] for row in rows[::2]} == {True}
        assert {row[:10] == rows[0][:10] for row in rows[1::2]} == {False}
        assert len(set(rows)) == len(rows)
