"""A file of settings to begin with."""

import random
import shlex
import string
import tomllib
from pathlib import Path
from typing import Any

import pytest

from actwise.config import RunConfig, load_config
from integration.conftest import Actwise
from integration.test_cli import log_of, talk


def words(number: int) -> str:
    """Return words that no other number has."""
    letters = random.Random(number).choices(string.ascii_lowercase, k=18)
    return " ".join("".join(letters[i : i + 6]) for i in (0, 6, 12))


def logs(folder: Path, number: int, *more: Any, thoughts: bool = True) -> Path:
    records = [talk(f"Where is {words(i)}?", f"At {words(-i - 1)}.") for i in range(number)]
    if not thoughts:
        for record in records:
            del record["messages"][1]["reasoning_content"]
    return log_of(folder, *records, *more)


@pytest.mark.parametrize("thoughts", [True, False])
def test_the_file_fits_the_logs_and_the_next_command_works(
    actwise: Actwise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thoughts: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    file = logs(tmp_path, 20, "{", thoughts=thoughts)
    done = actwise("init", file.name)
    assert done.code == 0, done.err
    config = load_config(Path("actwise.toml"))
    assert config.think.source == ("both" if thoughts else "derived")
    assert config.data.bad_records == "skip"  # one record is broken
    # 30 of 20 cannot be kept back: twice the usual share is.
    assert (config.data.test_fraction, config.data.dev_fraction) == (0.3, 0.1)
    assert config.sft.patience == 3  # 300 steps of 8 would be 120 passes over 20
    said = dict(line.split(": ", 1) for line in done.out.splitlines())
    share = "100%" if thoughts else "0%"
    assert said["actwise.toml"] == (
        "settings to begin with, for 20 conversations with 0 calls and 20 answers to learn, "
        f"{share} with a thought"
    )
    next_command = shlex.split(said["next"])
    checked = actwise(*next_command[1:], "--no-model")
    assert checked.code == 0, checked.err


def test_many_good_logs_leave_the_defaults(
    actwise: Actwise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert actwise("init", logs(tmp_path, 600), "--out", "mine.toml").code == 0
    config = load_config(Path("mine.toml"))
    expected = RunConfig()
    assert config.data == expected.data
    assert config.sft == expected.sft  # 300 steps of 8 are 4 passes
    assert config.rl == expected.rl


def test_a_conversation_logged_at_each_request_counts_once(
    actwise: Actwise, tmp_path: Path
) -> None:
    first = [talk(f"Where is {words(i)}?", f"At {words(-i - 1)}.") for i in range(100)]
    more = [{"role": "user", "content": "Thanks"}, {"role": "assistant", "content": "Bye."}]
    grown = [{**record, "messages": [*record["messages"], *more]} for record in first]
    out = tmp_path / "mine.toml"
    done = actwise("init", log_of(tmp_path, *first, *grown), "--out", out)
    assert "for 100 conversations with 0 calls and 200 answers" in done.out
    # So that 30 are kept back; of 200 the usual share would do.
    assert load_config(out).data.test_fraction == 0.3


def test_logs_without_a_conversation_are_refused(actwise: Actwise, tmp_path: Path) -> None:
    file, out = log_of(tmp_path, {"messages": []}), tmp_path / "mine.toml"
    said = actwise("init", file, "--out", out).complaint
    assert said == f"{file}: no usable conversation; see `actwise check`"
    assert not out.exists()


def test_without_logs_and_with_another_model(
    actwise: Actwise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = actwise("init", "--model", "some/model")
    assert "--model some/model --config actwise.toml --out runs/first" in done.out
    record = tomllib.loads(Path("actwise.toml").read_text())
    assert record["model"] == {"lora_rank": 16}
    again = actwise("init")
    assert again.complaint.startswith("actwise.toml: exists already; name another --out")
    assert tomllib.loads(Path("actwise.toml").read_text()) == record


def test_a_key_of_the_file_can_be_taken_in(tmp_path: Path, actwise: Actwise) -> None:
    out = tmp_path / "mine.toml"
    actwise("init", logs(tmp_path, 3), "--out", out)
    lines = out.read_text().splitlines()
    taken = [
        line.removeprefix("# ") if " = " in line and "`" not in line else line for line in lines
    ]
    out.write_text("\n".join(taken))
    config = load_config(out)
    assert config.reward.tools["NAME"].arguments["ARGUMENT"].ignore
    assert (config.data.renamed, config.model.lora_rank) == (0.5, 16)
