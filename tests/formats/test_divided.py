"""Logs read by several processes are those that one reads."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from actwise.config import RunConfig
from actwise.conversation import Conversation
from actwise.data.load import read_logs
from actwise.doctor import examine_files
from actwise.errors import ActwiseError
from actwise.formats import Rejected, convert_files, files, read_each, read_files
from actwise.run.cores import num_cores
from formats.samples import SAMPLES, SGD_TOOLS

Item = Conversation | Rejected


def as_read() -> Callable[[Item], Item]:
    return lambda item: item


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes take part from the first batch on, and batches are small."""
    monkeypatch.setattr(files, "_HERE", 0)
    monkeypatch.setattr(files, "_BATCH", 700)
    monkeypatch.setattr("actwise.data.load.num_cores", lambda: 3)


def write_all(folder: Path) -> list[Path]:
    """Write logs with records of all formats, and with everything that can be wrong with one."""
    draw = random.Random(0)
    good = [json.dumps(sample).encode() for sample in SAMPLES.values()]
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Bye"}]
    same = json.dumps({"id": "same", "messages": said}).encode()
    bad = [b"{", b'{"x": "\xff"}', b"", b"  ", b'{"unknown": 1}', b"[]", b"17", b'{"messages": []}']
    whole = json.dumps({"data": [json.loads(same)] * 3}, indent=1).encode()
    mixed = (good + bad + [same] * 5) * 3
    draw.shuffle(mixed)
    plain = [same] * 40 + bad + [same] * 40
    texts = {
        "mixed.jsonl": b"\n".join([*bad, *mixed]),  # the last line has no end
        "plain.jsonl": b"\r\n".join(plain) + b"\n",
        "array.json": b"[" + b",\n".join(good) + b"]",
        "whole.json": whole,
        "few.jsonl": same,
    }
    for name, text in texts.items():
        (folder / name).write_bytes(text)
    (folder / "tools.json").write_text(json.dumps(SGD_TOOLS))
    return [folder / name for name in texts]


def test_windows_reads_all_in_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SHARES", False)
    monkeypatch.setattr("actwise.run.cores._Worker", lambda begin: pytest.fail("was started"))
    paths, tools = write_all(tmp_path), tmp_path / "tools.json"
    alone = list(read_each(paths, as_read, tools=tools))
    assert list(read_each(paths, as_read, tools=tools, processes=3)) == alone


def test_the_same_items_come_in_the_same_order(tmp_path: Path) -> None:
    paths = write_all(tmp_path)
    tools = tmp_path / "tools.json"
    told_alone: list[int] = []
    alone = list(read_each(paths, as_read, tools=tools, told=told_alone.append))
    assert {type(item) for item in alone} == {Conversation, Rejected}
    assert len({item.reason for item in alone if isinstance(item, Rejected)}) > 3
    for processes in (2, 3):
        told: list[int] = []
        several = list(
            read_each(paths, as_read, tools=tools, told=told.append, processes=processes)
        )
        assert several == alone
        assert sum(told) == sum(told_alone) > 0
    with_ids = list(read_files(paths, tools=tools))
    assert [without_id(item) for item in with_ids] == [without_id(item) for item in alone]


def without_id(item: Item) -> Item:
    return item if isinstance(item, Rejected) else item.model_copy(update={"id": ""})


def test_a_format_that_is_given_holds_for_all(tmp_path: Path) -> None:
    paths = write_all(tmp_path)[:1]
    alone, several = (list(read_each(paths, as_read, format="openai", processes=n)) for n in (1, 2))
    assert several == alone


def test_answers_that_stand_beside_are_joined(tmp_path: Path) -> None:
    beside = tmp_path / "possible_answer"
    beside.mkdir()
    records = [{**SAMPLES["bfcl"], "id": f"r{number}"} for number in range(30)]
    path = tmp_path / "BFCL_v4_simple.json"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    answers = [{"id": r["id"], "ground_truth": []} for r in records]
    (beside / path.name).write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    alone, several = (list(read_each([path], as_read, processes=n)) for n in (1, 2))
    assert several == alone


def test_everything_made_of_them_is_the_same(tmp_path: Path) -> None:
    paths = write_all(tmp_path)
    tools = tmp_path / "tools.json"

    def made(processes: int) -> list[Any]:
        out, fixed = tmp_path / f"{processes}.jsonl", tmp_path / f"{processes}.fixed.jsonl"
        written = convert_files(paths, out, tools=tools, processes=processes)
        given = {"held_out": paths[1:2], "tools": tools, "processes": processes}
        diagnosis, _ = examine_files(paths[:1], **given)
        again, mending = examine_files(paths[:1], fix=fixed, **given)
        assert again == diagnosis
        return [written, out.read_bytes(), diagnosis, str(mending), fixed.read_bytes()]

    alone = made(1)
    assert alone == made(2)
    ids = [json.loads(line)["id"] for line in alone[1].splitlines()]
    assert len(set(ids)) == len(ids)
    assert ids == [i.id for i in read_files(paths, tools=tools) if isinstance(i, Conversation)]


def test_a_run_begins_with_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write_all(tmp_path)
    data = {"bad_records": "skip", "tools": tmp_path / "tools.json"}
    config = RunConfig.model_validate({"data": data})
    several = read_logs(paths, config)
    monkeypatch.setattr("actwise.data.load.num_cores", lambda: 1)
    alone = read_logs(paths, config)
    assert list(several.conversations) == list(alone.conversations)
    assert (several.skipped, several.fingerprints) == (alone.skipped, alone.fingerprints)


@pytest.mark.parametrize("name", ["absent.jsonl", "damaged.jsonl.gz"])
def test_a_file_that_cannot_be_read_is_told_alike(tmp_path: Path, name: str) -> None:
    paths = [*write_all(tmp_path), tmp_path / name]
    if name.startswith("damaged"):
        paths[-1].write_bytes(b"\x1f\x8b" + bytes(20))
    said = []
    for processes in (1, 2):
        with pytest.raises(ActwiseError) as caught:
            list(read_each(paths, as_read, tools=tmp_path / "tools.json", processes=processes))
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert said[0].startswith(str(paths[-1]))


@pytest.mark.slow
def test_a_template_refuses_alike(tmp_path: Path, tiny_model_dir: Path) -> None:
    path = write_all(tmp_path)[1]
    one, two = (
        examine_files([path], model=str(tiny_model_dir), processes=number)[0] for number in (1, 2)
    )
    assert one == two


@pytest.mark.skipif(num_cores() < 2, reason="one core reads alone")
@pytest.mark.parametrize("verb", [["check"], ["convert", "--out", "out.jsonl"]])
def test_control_c_ends_all_with_a_line(tmp_path: Path, verb: list[str]) -> None:
    said = [{"role": "user", "content": "word " * 300}, {"role": "assistant", "content": "Bye"}]
    line = json.dumps({"messages": said}) + "\n"
    (tmp_path / "large.jsonl").write_text(line * 60_000)
    with subprocess.Popen(
        [sys.executable, "-m", "actwise", *verb, "large.jsonl"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        started: list[psutil.Process] = []
        while len(started) < 2:
            assert process.poll() is None
            time.sleep(0.05)
            started = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "actwise: interrupted"
    assert "Traceback" not in err
    assert psutil.wait_procs(started, timeout=60)[1] == []
    assert [path.name for path in tmp_path.iterdir()] == ["large.jsonl"]
