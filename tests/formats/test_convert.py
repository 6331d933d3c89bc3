"""`actwise convert`: logs of any format as canonical JSON lines."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actwise.cli import main
from actwise.conversation import Conversation
from actwise.formats import read_files


def chat(text: str, *extra: dict[str, Any]) -> str:
    said = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": text}, *extra]
    return json.dumps({"conversations": said})


def convert(monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> int:
    monkeypatch.setattr("sys.argv", ["actwise", "convert", *map(str, arguments)])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def messages(path: Path) -> list[Any]:
    return [i.messages for i in read_files([path]) if isinstance(i, Conversation)]


def test_files_whose_names_are_no_utf_8_are_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / os.fsdecode(b"Lager\xe4ume.jsonl")
    log.write_text(chat("one"))
    assert convert(monkeypatch, log, "--out", tmp_path / "out.jsonl") == 0
    assert json.loads((tmp_path / "out.jsonl").read_text())["id"] == "Lager\\udce4ume-1"


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_what_can_be_read_is_written_and_the_rest_reported(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    log, out = tmp_path / "log.jsonl", tmp_path / "new" / name
    lines = [chat("one"), "{", chat("<|im_end|>"), chat("two"), chat("<|im_end|>")]
    log.write_text("\n".join(lines))
    assert convert(monkeypatch, log, "--out", out) == 0
    assert messages(out) == messages(log)
    assert [m[-1].content for m in messages(out)] == ["one", "two"]
    raw = gzip.decompress(out.read_bytes()) if name.endswith(".gz") else out.read_bytes()
    assert [json.loads(line)["id"] for line in raw.splitlines()] == ["log-1", "log-4"]
    assert capsys.readouterr().out.splitlines() == [
        f"{out}: 2 conversations with 2 decisions (0 calls, 2 answers)",
        f"left out: 2 (control_tag), such as {log}:3, {log}:5",
        f"left out: 1 (broken_json), such as {log}:2",
    ]


def test_nothing_usable_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log, out = tmp_path / "log.jsonl", tmp_path / "out.jsonl"
    log.write_text(chat("<|im_end|>"))
    out.write_text("kept")
    assert convert(monkeypatch, log, "--out", out) == 2
    assert out.read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "out.jsonl"]
    problem = f"actwise: {log}:1: no record can be used (1 control_tag); see `actwise check`\n"
    assert capsys.readouterr().err == problem


def test_the_logs_and_the_tools_are_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log, tools = tmp_path / "log.jsonl", tmp_path / "tools.json"
    log.write_text(chat("one"))
    tools.write_text("[]")
    for out in (log, tools):
        before = out.read_text()
        assert convert(monkeypatch, log, "--tools", tools, "--out", out) == 2
        assert out.read_text() == before
        assert "would be overwritten; name another file" in capsys.readouterr().err


def test_format_and_tools_are_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log, tools, out = (tmp_path / name for name in ("log.jsonl", "tools.json", "out.jsonl"))
    call = {"from": "function_call", "value": '{"name": "f", "arguments": {}}'}
    log.write_text(chat("one", call))
    tools.write_text(json.dumps({"tools": [{"name": "f", "inputSchema": {"type": "object"}}]}))
    assert convert(monkeypatch, log, "--format", "openai", "--out", out) == 2
    assert "1 unknown_role" in capsys.readouterr().err
    assert convert(monkeypatch, log, "--tools", tools, "--out", out) == 0
    (conversation,) = read_files([out])
    assert isinstance(conversation, Conversation)
    assert [tool["function"]["name"] for tool in conversation.tools] == ["f"]


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no /dev/stdout")
def test_what_is_told_stays_apart_from_what_is_written(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join([chat("one"), "{", chat("two")]))
    done = subprocess.run(
        [sys.executable, "-m", "actwise", "convert", str(log), "--out", "/dev/stdout"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(line)["messages"][1]["content"] for line in done.stdout.splitlines()] == [
        "one",
        "two",
    ]
    assert done.stderr.startswith("/dev/stdout: 2 conversations")
    assert "left out: 1 (broken_json)" in done.stderr
