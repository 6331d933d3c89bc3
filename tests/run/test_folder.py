import errno
import hashlib
import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from actwise.errors import RunError
from actwise.run.files import (
    fingerprint,
    read_records,
    write_atomically,
    write_json,
    write_records,
    write_text,
)
from actwise.run.folder import Run
from actwise.run.lines import JsonLines
from actwise.run.progress import Progress

REQUEST: dict[str, Any] = {
    "model": "base",
    "config": {"seed": 0, "sft": {"steps": 3}},
    "data": [{"file": "a.jsonl", "sha256": "12"}],
}


NO_FILES = json.dumps({"files": {}, "sha256": hashlib.sha256(b"{}").hexdigest()})


def quiet() -> Progress:
    return Progress(Console(file=StringIO()))


def begin(folder: Path, **changes: Any) -> None:
    with Run.open(folder, REQUEST | changes, quiet()) as run:
        run.begin()


def refusal(folder: Path, **changes: Any) -> str:
    with pytest.raises(RunError) as caught:
        begin(folder, **changes)
    return str(caught.value)


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# Files


class Full:
    """A writer for which the disk becomes full when half is written."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, path: Path) -> None:
        path.write_text("half")
        raise self.error


def behind(error: Exception, front: Exception) -> Exception:
    front.__context__ = error
    return front


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        behind(FULL, RuntimeError("[enforce fail at inline_container.cc:672]")),
        ValueError("Error while serializing: I/O error: No space left on device (os error 28)"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
    ],
    ids=["system", "torch", "safetensors", "quota"],
)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: Exception
) -> None:
    file = tmp_path / "results.json"
    write_json(file, {"old": True})
    with pytest.raises(RunError, match=r"results\.json: the disk is full; free some space"):
        write_atomically(file, Full(error))
    assert json.loads(file.read_text()) == {"old": True}
    assert everything(tmp_path) == {"results.json"}


def test_a_mistake_of_the_program_is_no_full_disk(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "a", Full(ZeroDivisionError()))
    assert everything(tmp_path) == set()


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    def interrupted(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", interrupted)
    assert everything(tmp_path) == set()


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def model(path: Path) -> None:
        path.mkdir()
        (path / "config.json").write_text("{}")
        (path / "weights").write_text("1")

    def half(path: Path) -> None:
        path.mkdir()
        (path / "config.json").write_text("{}")
        raise FULL

    with pytest.raises(RunError, match="the disk is full"):
        write_atomically(tmp_path / "models" / "sft", half)
    assert everything(tmp_path) == {"models"}
    write_atomically(tmp_path / "models" / "sft", model)
    assert everything(tmp_path / "models" / "sft") == {"config.json", "weights"}


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file/results\.json: cannot be written: "):
        write_json(tmp_path / "file" / "results.json", 1)


def test_the_fingerprint_is_the_sha256_of_the_bytes(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "abc")  # the example of FIPS 180-2
    assert fingerprint(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


# Lines of JSON

UNUSUAL = "a\u2028b\x85c\x1cd\re é \U0001f600"
"""With characters at which str.splitlines would cut."""


@given(st.lists(st.dictionaries(st.text(st.characters(codec="utf-8")), st.text("a\u2028\x85\n"))))
def test_records_are_read_back_as_they_were_written(records: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "records.jsonl"
        write_records(file, records)
        assert read_records(file) == records


def test_names_that_are_no_utf_8_are_written_and_read_back(tmp_path: Path) -> None:
    named = {"file": os.fsdecode(b"Lager\xe4ume.jsonl"), "text": "Läden 道具 😀"}
    write_json(tmp_path / "one.json", named)
    write_records(tmp_path / "many.jsonl", [named])
    JsonLines(tmp_path / "lines.jsonl").append(named)
    assert json.loads((tmp_path / "one.json").read_text("utf-8")) == named
    for file in ("many.jsonl", "lines.jsonl"):
        assert read_records(tmp_path / file) == [named]
    assert "Läden 道具 😀" in (tmp_path / "one.json").read_text("utf-8")


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_line_that_is_being_appended_is_no_record_yet(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "rl.jsonl"
    path.write_bytes(b'{"step":1}\n{"step":2}\n'[:-cut])
    assert read_records(path, growing=True) == [{"step": 1}]


def test_lines_of_later_steps_are_taken_back(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "rollouts" / "rl.jsonl")
    lines.append({"step": 1, "text": UNUSUAL}, {"step": 1, "text": "b"})
    lines.append({"step": 2, "text": "c"})
    lines.append({"step": 3, "text": "d"})
    lines.keep_up_to(2)
    lines.append({"step": 3, "text": "e"})
    assert [(r["step"], r["text"]) for r in read_records(tmp_path / "rollouts" / "rl.jsonl")] == [
        (1, UNUSUAL),
        (1, "b"),
        (2, "c"),
        (3, "e"),
    ]


@pytest.mark.parametrize("cut", [1, 10, 21, 22, 23])
def test_a_line_that_was_cut_off_is_dropped_wherever_it_was_cut(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "rl.jsonl"
    lines = JsonLines(path)
    lines.append({"step": 1, "text": "whole"})
    whole = path.read_bytes()
    lines.append({"step": 2, "text": "\U0001f600\U0001f600"})  # bytes 20 to 27
    path.write_bytes(path.read_bytes()[: len(whole) + cut])
    lines.keep_up_to(2)
    assert path.read_bytes() == whole


def test_a_file_of_lines_that_does_not_exist_stays_away(tmp_path: Path) -> None:
    JsonLines(tmp_path / "sft.jsonl").keep_up_to(0)
    assert everything(tmp_path) == set()


# The run folder


def test_a_run_is_written_down_and_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "first"
    begin(folder)
    written = (folder / "run.json").read_bytes()
    assert json.loads(written) | REQUEST == json.loads(written)
    begin(folder, command=["typed", "otherwise"], versions={"torch": "9"})
    assert (folder / "run.json").read_bytes() == written


@pytest.mark.parametrize(
    ("key", "value", "difference"),
    [
        ("model", "other", ""),
        ("config", {"seed": 0, "sft": {"steps": 4}}, " (sft.steps: 3, now 4)"),
        ("data", [{"file": "a.jsonl", "sha256": "34"}], " (a.jsonl)"),
    ],
)
def test_another_run_is_refused(tmp_path: Path, key: str, value: Any, difference: str) -> None:
    begin(tmp_path)
    before = (tmp_path / "run.json").read_bytes()
    said = refusal(tmp_path, **{key: value})
    assert said.startswith(
        f"{tmp_path}: holds a run with other {key}{difference}; choose another --out"
    )
    assert (tmp_path / "run.json").read_bytes() == before


def test_what_failed_before_it_began_does_not_take_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError), Run.open(tmp_path, REQUEST | {"model": "typo"}, quiet()):
        raise ValueError("no such model")
    begin(tmp_path)
    assert json.loads((tmp_path / "run.json").read_text())["model"] == "base"


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("2nd draft")
    assert refusal(tmp_path) == f"{tmp_path}: not empty and no run of actwise; choose another --out"
    assert everything(tmp_path) == {"thesis.txt"}


@pytest.mark.parametrize("text", ["{", "[1]", "7", "\xff"])
def test_a_record_of_another_program_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text, encoding="latin-1")
    assert "no run of actwise; choose another --out" in refusal(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    assert "cannot be written: File exists; choose another --out" in refusal(tmp_path / "out")
    assert "cannot be written: Not a directory" in refusal(tmp_path / "out" / "deeper")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be written: Permission denied" in refusal(tmp_path / "out")


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    begin(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ".sft.pt.4711.partial").write_text("half")
    (tmp_path / "models" / ".rl.4711.partial").mkdir(parents=True)
    (tmp_path / "models" / ".rl.4711.partial" / "config.json").write_text("half")
    begin(tmp_path)
    assert everything(tmp_path) == {"run.json", "checksums.json", ".lock", "checkpoints", "models"}


def test_a_process_killed_while_it_wrote_its_first_file_leaves_a_usable_folder(
    tmp_path: Path,
) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".run.json.4711.partial").write_text("{")
    (tmp_path / "checksums.json").write_text(NO_FILES)
    begin(tmp_path)
    assert everything(tmp_path) == {"run.json", "checksums.json", ".lock"}


HOLD = """
import sys
from pathlib import Path
from rich.console import Console
from actwise.run.progress import Progress
from actwise.run.folder import Run
with Run.open(Path(sys.argv[1]), {}, Progress(Console())):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_processes_do_not_share_a_run(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert "another process is working on this run" in refusal(tmp_path)
        other.kill()
    begin(tmp_path)  # the lock went with the process
