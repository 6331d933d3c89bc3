"""Figures reach each tracker's own files, and no failure of one stops a run."""

import json
import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest

import actwise
from actwise.config import RunConfig, TrackerName
from actwise.errors import ConfigError
from actwise.trackers import Tracking, begin_tracking, check_installed, final_figures

STEPS = {"sft": [1.5, 1.25], "rl": [0.5, 0.25, float("nan")]}
"""Losses by stage; the steps of each are counted from 1."""
RESULTS: dict[str, Any] = {
    "rows": [
        {
            "model": "rl",
            "mode": "thinking",
            "split": "test",
            "metrics": {"action_accuracy": {"value": 0.75, "low": 0.5, "high": 1.0}},
        }
    ]
}
FINAL = "test/rl-thinking/action_accuracy"


class Failing:
    """A tracker that works for one step."""

    def __init__(self) -> None:
        self.calls = 0

    def log(self, stage: str, step: int, figures: Mapping[str, float]) -> None:
        self.calls += 1
        if self.calls > 1:
            raise ConnectionError("no\nroute")

    def finish(self, figures: Mapping[str, float]) -> None:
        raise AssertionError("is not asked again")


def tracked(name: TrackerName, folder: Path) -> list[str]:
    """Track a run of two stages; return what was said."""
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text("{}")
    said: list[str] = []
    tracking = begin_tracking(name, folder, RunConfig().model_dump(mode="json"), said.append)
    for stage, losses in STEPS.items():
        for step, loss in enumerate(losses, start=1):
            tracking.log(stage, step, {"loss": loss, "kl": 0.0})
    tracking.finish(RESULTS)
    return said


def test_a_tracker_that_fails_is_said_once_and_left_out() -> None:
    said: list[str] = []
    failing = Failing()
    tracking = Tracking("wandb", failing, said.append)
    for step in range(1, 5):
        tracking.log("sft", step, {"loss": 1.0})
    tracking.finish(RESULTS)
    assert failing.calls == 2
    assert said == [
        "tracker wandb failed and is left out from here, the run goes on: ConnectionError: no route"
    ]


def test_a_tracker_that_cannot_begin_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    (said,) = tracked("wandb", tmp_path)
    assert said.startswith("tracker wandb failed") and "\n" not in said


@pytest.mark.parametrize("name", get_args(TrackerName))
def test_a_library_that_is_missing_is_named_before_the_run(
    name: TrackerName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf"pip install 'actwise\[{name}\]'"):
        check_installed(name)


def test_nothing_is_tracked_where_nothing_is_asked_for(tmp_path: Path) -> None:
    assert RunConfig().tracker is None
    check_installed(None)
    tracking = begin_tracking(None, tmp_path, {}, pytest.fail)
    tracking.log("sft", 1, {"loss": 1.0})
    tracking.finish(RESULTS)
    assert list(tmp_path.iterdir()) == []


def test_final_figures_by_hand() -> None:
    assert final_figures(RESULTS) == {FINAL: 0.75}


def test_tensorboard_reads_its_files_back(tmp_path: Path) -> None:
    accumulators = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard"
    )
    assert tracked("tensorboard", tmp_path / "run") == []
    events = accumulators.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    found = {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }
    assert found == {
        "sft/loss": [(1, 1.5), (2, 1.25)],
        "sft/kl": [(1, 0.0), (2, 0.0)],
        "rl/loss": [(1, 0.5), (2, 0.25)],  # what is no number is left out
        "rl/kl": [(1, 0.0), (2, 0.0), (3, 0.0)],
        f"final/{FINAL}": [(0, 0.75)],
    }


def test_wandb_offline_writes_its_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="needs wandb")
    for key, value in {"MODE": "offline", "DIR": str(tmp_path), "SILENT": "true"}.items():
        monkeypatch.setenv(f"WANDB_{key}", value)
    assert tracked("wandb", tmp_path / "run") == []
    wandb.teardown()  # its service writes the rest, as at the end of a process
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    records = wandb_records(file)
    histories = [dict(items) for kind, items in records if kind == "history"]
    losses = [(h["sft/step"], h["sft/loss"]) for h in histories if "sft/loss" in h]
    assert losses == [(1, 1.5), (2, 1.25)]
    losses = [(h["rl/step"], h["rl/loss"]) for h in histories if "rl/loss" in h]
    assert losses == [(1, 0.5), (2, 0.25)]
    summary = dict(item for kind, items in records if kind == "summary" for item in items)
    assert summary[f"final/{FINAL}"] == 0.75


def wandb_records(path: Path) -> list[tuple[str, list[tuple[str, Any]]]]:
    """Return the histories and summaries of wandb's file."""
    from wandb.proto import wandb_internal_pb2

    records = []
    for data in leveldb_log(path.read_bytes(), begin=7):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind in ("history", "summary"):
            part = record.history.item if kind == "history" else record.summary.update
            named = [(i.key or "/".join(i.nested_key), json.loads(i.value_json)) for i in part]
            records.append((kind, named))
    return records


def leveldb_log(data: bytes, begin: int) -> Iterator[bytes]:
    """Yield the records of a log as LevelDB writes it: in blocks, with a header for each piece."""
    block, header, whole = 32768, 7, b""
    while begin + header <= len(data):
        left = block - begin % block
        if left < header:
            begin += left
            continue
        length, kind = int.from_bytes(data[begin + 4 : begin + 6], "little"), data[begin + 6]
        whole += data[begin + header : begin + header + length]
        begin += header + length
        if kind in (1, 4):  # a whole record, or its last piece
            yield whole
            whole = b""


def test_runs_whose_folders_have_one_name_are_not_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    fake = SimpleNamespace(init=lambda *, name, **_: begun.append(name))
    monkeypatch.setitem(sys.modules, "trackio", fake)  # type: ignore[arg-type]
    for arm, record in (("a", '{"seed": 0}'), ("b", '{"seed": 1}'), ("a", '{"seed": 0}')):
        folder = tmp_path / arm / "run"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.json").write_text(record)
        begin_tracking("trackio", folder, {}, pytest.fail)
    first, second, again = begun
    assert first == again != second and first.startswith("run-")


def test_trackio_keeps_the_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio", reason="needs trackio")
    from trackio.sqlite_storage import SQLiteStorage

    assert tracked("trackio", tmp_path / "run") == []
    logs = SQLiteStorage.get_logs("actwise", f"run-{sha256(b'{}').hexdigest()[:8]}")
    losses = [(log["step"], log["sft/loss"]) for log in logs if "sft/loss" in log]
    assert losses == [(1, 1.5), (2, 1.25)]
    losses = [(log["step"], log["rl/loss"]) for log in logs if "rl/loss" in log]
    assert losses == [(1, 0.5), (2, 0.25)]
    assert [log[f"final/{FINAL}"] for log in logs if f"final/{FINAL}" in log] == [0.75]


@pytest.mark.slow
def test_a_run_sends_what_it_writes_down(tiny_model_dir: Path, tmp_path: Path) -> None:
    from finding import conversation  # needs torch, which a tracker's own environment may lack

    accumulators = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard"
    )
    names = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibex", "jay", "kiwi", "lynx"]
    log = tmp_path / "log.jsonl"
    log.write_text("".join(conversation(name).to_json() + "\n" for name in names))
    settings = {
        "tracker": "tensorboard",
        "max_batch_tokens": 4096,
        "sft": {"steps": 2},
        "think": {"steps": 0},
        "rl": {"steps": 0},
        "evaluate": {"thought_tokens": 8},
    }
    run = actwise.train(log, tmp_path / "run", model=str(tiny_model_dir), config=settings)
    events = accumulators.EventAccumulator(str(run.folder / "tensorboard"))
    events.Reload()
    written = [
        json.loads(line) for line in (run.folder / "metrics/sft.jsonl").read_text().splitlines()
    ]
    for step, event in zip(written, events.Scalars("sft/loss"), strict=True):
        assert event.step == step["step"]
        assert event.value == pytest.approx(step["loss"], rel=1e-6)
    (row,) = (row for row in run.results["rows"] if row["model"] == "sft")
    name = f"final/{row['split']}/sft-direct/action_accuracy"
    (final,) = events.Scalars(name)
    assert final.value == pytest.approx(row["metrics"]["action_accuracy"]["value"])
    assert {line["split"] for line in run.conversations} == {"test"}
