"""What a person sees of a run, from its first line to its last."""

import json
import re
import shlex
from pathlib import Path

import pytest

from actwise.results.failures import KINDS
from integration.conftest import Actwise
from runs import SETTINGS, write_logs

QUICK = {**SETTINGS, "sft.steps": 4, "think.steps": 2, "rl.steps": 3, "sft.evaluate_every": 3}


@pytest.fixture
def asked(tmp_path: Path, tiny_model_dir: Path) -> list[str]:
    """A run in a folder with a space in its name."""
    write_logs(tmp_path / "log.jsonl")
    settings = [f"--set={key}={value}" for key, value in QUICK.items()]
    given = ["--data", str(tmp_path / "log.jsonl"), "--model", str(tiny_model_dir)]
    return ["run", *given, "--out", str(tmp_path / "my run"), *settings]


def test_what_a_run_says(
    actwise: Actwise, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    asked = [*asked, "--set=rl.evaluate_every=2"]
    done = actwise(*asked)
    assert done.code == 0, done.err
    said = done.err.splitlines()
    assert said[0] == f"reading {tmp_path}/log.jsonl"
    assert said[1] == "loading torch and transformers"
    assert said[2].startswith("loading /")
    first = "\n".join(said[3:7])
    assert " parameters, of which " in first and "in float32 on cpu, threads: 1" in first
    # 16 conversations of two decisions each: 20 %, rounded up, to measure on, 25 % to choose by.
    assert "data: 8 conversations to train on, with 16 decisions, 100% of them with a " in first
    assert "plan: base, then sft (4 steps, direct), then think (2 steps, thinking), then" in first
    assert said[6] == "time: not estimated, for so few steps"
    # Until something is measured there is no best.
    assert [line for line in said if line.startswith("sft ") and "best" in line]
    # What was sampled is cut; lines of progress are whole where nobody watches.
    sampled = [line for line in said if re.match(r"rl \d+, ", line)]
    assert sampled
    assert max(len(line) for line in sampled) <= 80

    table = done.out.partition("Shares in per cent")[0]
    assert max(map(len, table.splitlines())) <= 80
    last = dict(line.split(": ", 1) for line in done.out.splitlines()[-5:])
    assert Path(last["report"]).is_file()
    assert Path(last["model"]).is_dir() or "stays" in last["model"]
    wrong = last["wrong on test"]
    assert wrong == "nothing" or all(
        part.split(" ", 1)[1] in KINDS for part in wrong.partition(": ")[2].split(", ")
    )
    command = shlex.split(last["next"])
    assert command[0] == "actwise"
    followed = actwise(*command[1:])
    assert followed.code == 0, followed.err

    again = actwise(*asked, "--quiet", "--json")
    assert (again.code, again.err) == (0, "")
    assert json.loads(again.out)["models"] == ["base", "sft", "think", "rl"]
    shown = actwise("report", tmp_path / "my run", "--json")
    assert json.loads(shown.out) == json.loads(again.out)
    short = actwise("report", tmp_path / "my run", "--quiet")
    assert "report" not in short.out and "action" in short.out
    assert "done already: base, sft, think, rl" in actwise(*asked).err


def test_what_eval_says(
    actwise: Actwise, tmp_path: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_logs(tmp_path / "log.jsonl")
    given = ["--model", str(tiny_model_dir), "--set", "evaluate.max_completion_tokens=4"]
    done = actwise("eval", tmp_path / "log.jsonl", *given, "--mode", "direct")
    assert "loading torch and transformers" in done.err
    # Four tokens of a random model: all 32 decisions are cut off.
    assert "wrong direct: 32 decisions: 32 cut off" in done.out
    quiet = actwise("eval", tmp_path / "log.jsonl", *given, "--quiet", "--json")
    assert quiet.err == ""
    assert {row["decisions"] for row in json.loads(quiet.out)["rows"]} == {32}


@pytest.mark.parametrize("verb", ["", "run", "demo", "eval", "check", "settings", "experiment"])
def test_h_is_help(actwise: Actwise, verb: str) -> None:
    done = actwise(*verb.split(), "-h")
    assert done.code == 0
    assert done.out.startswith("Usage: actwise")
