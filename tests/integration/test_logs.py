"""Logs on their way through the verbs: what check says is what run does."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from actwise.config import load_config
from actwise.data.prepare import prepare
from actwise.formats import read_files
from data.test_grown import long_talk, requests
from integration.conftest import Actwise
from integration.test_cli import call, good_log, log_of, talk

NAMES = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]


def growing_log(folder: Path) -> Path:
    records = [r for name in NAMES for r in requests(long_talk(name, 2))]
    tool = {"type": "function", "function": {"name": "stock_of"}}
    return log_of(folder, *(json.loads(r.to_json()) | {"tools": [tool]} for r in records))


def test_a_log_of_requests_is_split_by_conversation(tmp_path: Path) -> None:
    log = growing_log(tmp_path)
    prepared = prepare([log], load_config(None, ["data.dev_fraction=0.2"]))
    splits = prepared.splits
    parts = [splits.train, splits.dev, splits.tests["test"]]
    assert sum(map(len, parts)) == len(NAMES)
    assert sum(len(c.decisions()) for part in parts for c in part) == 4 * len(NAMES)
    (skipped,) = prepared.skipped
    assert (skipped["count"], skipped["reason"]) == (
        18,
        "the beginning of a longer record, which is used",
    )
    assert prepared.sides is not None
    for name, part in zip(("train", "dev", "test"), parts, strict=True):
        assert {prepared.sides.side_of(c) for c in part} == {name}


def test_a_log_of_requests_is_mended_to_its_conversations(tmp_path: Path, actwise: Actwise) -> None:
    out = tmp_path / "mended.jsonl"
    done = actwise("check", growing_log(tmp_path), "--fix", out)
    assert "18 records joined to the longer ones that hold their conversation" in done.err
    assert "growing_record" in done.out
    assert len(list(read_files([out]))) == len(NAMES)
    assert "growing_record" not in actwise("check", out).out


def test_a_model_knows_what_it_was_trained_on(
    tmp_path: Path, actwise: Actwise, tiny_model_dir: Path
) -> None:
    log = log_of(tmp_path, *(talk(f"Where is my order, {name} speaking?") for name in NAMES))
    short = [
        "sft.steps=1",
        "think.steps=0",
        "rl.steps=0",
        "evaluate.max_completion_tokens=4",
        "data.dev_fraction=0.2",
        "data.test_fraction=0.2",
    ]
    settings = [part for setting in short for part in ("--set", setting)]
    run = tmp_path / "run"
    done = actwise("run", "--data", log, "--model", tiny_model_dir, "--out", run, *settings)
    assert done.code == 0, done.err
    model = run / "models" / "sft"
    again = ("--set", "evaluate.max_completion_tokens=4", "--mode", "direct")
    warned = actwise("eval", log, "--model", model, *again)
    assert warned.code == 0, warned.err
    assert "warning: 4 of 6 conversations (67%) are among those that the model was trained on" in (
        " ".join(warned.err.split())
    )
    held_out = actwise("eval", log, "--model", model, "--split", "test", *again)
    assert held_out.code == 0, held_out.err
    assert "warning" not in held_out.err
    other = log_of(tmp_path, talk("When do you open on Sundays, please?"))
    assert "warning" not in actwise("eval", other, "--model", model, *again).err
    refused = actwise("eval", other, "--model", model, "--split", "test", *again)
    assert "on the side 'test' of the split" in refused.complaint
    unknown = actwise("eval", other, "--model", tiny_model_dir, "--split", "test", *again)
    assert "does not know its data" in unknown.complaint


@pytest.fixture
def picky_model(tiny_model_dir: Path, tmp_path: Path) -> Path:
    """A model whose template renders no two user messages in a row, as Mistral's does not."""
    import shutil

    folder = tmp_path / "picky"
    shutil.copytree(tiny_model_dir, folder)
    template = folder / "chat_template.jinja"
    check = (
        "{%- for m in messages %}{%- if loop.index0 > 0 and m.role == 'user' and "
        "messages[loop.index0 - 1].role == 'user' %}{{- raise_exception('two turns of the user') "
        "}}{%- endif %}{%- endfor %}"
    )
    template.write_text(check + template.read_text())
    return folder


def test_check_and_run_agree_on_what_a_template_cannot_render(
    tmp_path: Path, actwise: Actwise, picky_model: Path
) -> None:
    twice = talk("Where is it?")
    twice["messages"].insert(0, {"role": "user", "content": "Hello?"})
    records = [talk(f"Where is my order, {name} speaking?") for name in NAMES]
    log = log_of(tmp_path, *records[:2], twice, *records[2:])
    checked = actwise("check", log, "--model", picky_model)
    assert checked.code == 2
    assert "not_rendered: 1 record(s)" in checked.out
    assert f"{log}:3: the chat template cannot render it: two turns of the user" in checked.out
    assert "not_rendered" not in actwise("check", log).out
    short = [
        "sft.steps=1",
        "think.steps=0",
        "rl.steps=0",
        "evaluate.max_completion_tokens=4",
        "data.dev_fraction=0.2",
        "data.test_fraction=0.2",
    ]
    settings = [part for setting in short for part in ("--set", setting)]
    target = ("--model", picky_model, "--out", tmp_path / "run", *settings)
    stopped = actwise("run", "--data", log, *target).complaint
    assert stopped.startswith(f"{log}:3: the chat template cannot render it")
    assert stopped.endswith("leave such out with --set data.bad_records=skip")
    skipping = actwise("run", "--data", log, *target, "--set", "data.bad_records=skip")
    assert skipping.code == 0, skipping.err
    assert f"left out: 1 (not rendered by the chat template), such as {log}:3" in skipping.out
    looked = actwise(
        "preflight", "--data", log, *target, "--no-model", "--set", "data.bad_records=skip"
    )
    assert "1 records are left out: not rendered by the chat template" in looked.out


def test_preflight_says_that_a_log_grows(
    tmp_path: Path, actwise: Actwise, tiny_model_dir: Path
) -> None:
    found = actwise(
        "preflight",
        "--data",
        growing_log(tmp_path),
        "--model",
        tiny_model_dir,
        "--no-model",
        "--set",
        "data.dev_fraction=0.2",
    )
    assert "18 records are left out: the beginning of a longer record, which is used" in found.out


def test_a_pipe_is_checked_and_mended_in_one_pass(tmp_path: Path, actwise: Actwise) -> None:
    raw = good_log(tmp_path).read_bytes()
    pipe, out = tmp_path / "pipe", tmp_path / "mended.jsonl"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(raw,))
    writer.start()
    done = actwise("check", pipe, "--fix", out)
    writer.join()
    assert done.code == 0, done.err
    assert len(out.read_text().splitlines()) == 10


def test_complaints_do_not_steer_the_terminal(tmp_path: Path, actwise: Actwise) -> None:
    bad: dict[str, Any] = call("\x1b[2Jrefund", {})
    assert "\\x1b[2Jrefund" in actwise("eval", log_of(tmp_path, bad), "--model", "base").complaint
