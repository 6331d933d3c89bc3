"""Logs as a run reads them."""

import json
from pathlib import Path
from typing import Any

import pytest

from actwise.config import RunConfig
from actwise.data.load import on_side, read_logs
from actwise.doctor.mend import write_mended
from actwise.errors import ConfigError, InputError
from actwise.formats import read_files

SKIP = RunConfig.model_validate({"data": {"bad_records": "skip"}})
ASKED = {"role": "user", "content": "Where is the parcel of order 17 by now?"}
CUT = {"role": "assistant", "content": "It is on its"}
MORE = {"role": "user", "content": "Go on."}
WHOLE = {"role": "assistant", "content": "It is on its way to Bonn."}
ENDED = {"messages": [ASKED, CUT | {"finish_reason": "length"}]}
LONGER = {"messages": [ASKED, CUT, MORE, WHOLE]}
OTHER = {"messages": [MORE, WHOLE]}


def log(folder: Path, *records: dict[str, Any]) -> Path:
    path = folder / "log.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_an_answer_that_was_cut_off_is_not_learned_from_a_longer_record(tmp_path: Path) -> None:
    """The server says so in the record of the request alone, of which nothing else is left."""
    path = log(tmp_path, ENDED, LONGER)
    found = read_logs([path], SKIP)
    assert [[d.index for d in c.decisions()] for c in found.conversations] == [[3]]
    assert [(s["reason"], s["count"]) for s in found.skipped] == [("no_assistant", 1)]
    mending = write_mended(read_files([path]), tmp_path / "mended.jsonl")
    assert (mending.written, mending.mends, mending.left_out) == (1, {}, {"no_assistant": 1})
    (mended,) = read_logs([tmp_path / "mended.jsonl"], RunConfig()).conversations
    assert [d.index for d in mended.decisions()] == [3]


def test_a_record_of_which_nothing_is_learned_is_no_conversation(tmp_path: Path) -> None:
    path = log(tmp_path, ENDED, OTHER)
    assert [len(c.messages) for c in read_logs([path], SKIP).conversations] == [2]
    write_mended(read_files([path]), tmp_path / "mended.jsonl")
    assert len((tmp_path / "mended.jsonl").read_text().splitlines()) == 1
    with pytest.raises(InputError, match="no usable conversation"):
        read_logs([log(tmp_path, ENDED)], SKIP)


def test_a_side_is_left_out_of_the_question_where_a_model_knows_none(tmp_path: Path) -> None:
    logs = read_logs([log(tmp_path, OTHER)], RunConfig())
    with pytest.raises(ConfigError, match=r"no --split test; leave it out$"):
        on_side(logs, str(tmp_path), "test")
