"""Where records come from: pipes, packed files, long lines, deep values, columns, folders."""

import gzip
import json
import os
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actwise.conversation import Conversation
from actwise.errors import InputError
from actwise.formats import Rejected, read_files, source
from actwise.formats.record import MAX_DEPTH, strict_json
from formats.samples import ASKED, CALLING, TOOLS

GOOD = {"messages": [*ASKED, {"role": "assistant", "content": "Rain."}]}


@contextmanager
def fifo(folder: Path, chunks: list[bytes]) -> Iterator[Path]:
    """A named pipe into which somebody writes, a piece at a time."""
    path = folder / "pipe.jsonl"
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb", buffering=0) as pipe:
            for chunk in chunks:
                pipe.write(chunk)

    writer = threading.Thread(target=write)
    writer.start()
    yield path
    writer.join()
    path.unlink()


def lines(count: int) -> bytes:
    return b"".join(
        json.dumps(GOOD | {"id": f"r{number}"}).encode() + b"\n" for number in range(count)
    )


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("size", [1, 7, 2**20])
def test_a_pipe_is_read_once_and_whole(tmp_path: Path, pack: Any, size: int) -> None:
    raw = pack(lines(60 if size > 1 else 3))
    chunks = [raw[start : start + size] for start in range(0, len(raw), size)]
    with fifo(tmp_path, chunks) as path:
        ids = [i.id for i in read_files([path]) if isinstance(i, Conversation)]
    assert ids == [f"r{number}" for number in range(60 if size > 1 else 3)]


@pytest.mark.parametrize(
    ("head", "name"), [(b"PK\x03\x04", "zip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh9", "bzip2")]
)
def test_what_is_packed_otherwise_is_named(tmp_path: Path, head: bytes, name: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(head + b"xxxx")
    with pytest.raises(InputError, match=f"is packed with {name}; unpack it"):
        list(read_files([path]))


def test_a_line_that_is_too_long_is_rejected_and_takes_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_RECORD", 2**16)
    path = tmp_path / "log.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(lines(1))
        for _ in range(2**8):
            file.write(b"x" * 2**16)
        file.write(b"\n" + lines(1))
    tracemalloc.start()
    first, rejected, last = read_files([path])
    assert tracemalloc.get_traced_memory()[1] < 2**22  # of the 16 MB that the line has
    tracemalloc.stop()
    assert isinstance(first, Conversation)
    assert isinstance(last, Conversation)
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.line) == ("too_large", 2)


def test_an_array_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_WHOLE", 2**12)
    path = tmp_path / "log.json"
    path.write_text("[" + ", ".join([json.dumps(GOOD)] * 100) + "]")
    with pytest.raises(InputError, match=r"one value of more than 0 MB; write one record per line"):
        list(read_files([path]))


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def test_values_may_be_so_deep_and_no_deeper() -> None:
    assert strict_json(json.dumps(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    for depth in (MAX_DEPTH + 1, 900, 5000):
        text = "[" * depth + "]" * depth
        with pytest.raises(ValueError, match="nested too deeply"):
            strict_json(text)


@pytest.mark.parametrize("place", ["record", "arguments", "schema"])
def test_a_value_that_is_too_deep_costs_its_record_alone(tmp_path: Path, place: str) -> None:
    deep = nested(MAX_DEPTH + 1)
    function: dict[str, Any] = {"name": "weather", "arguments": {"city": "Bonn"}}
    tools = json.loads(json.dumps(TOOLS))
    if place == "arguments":
        function["arguments"] = json.dumps({"city": deep})
    if place == "schema":
        tools[0]["function"]["parameters"]["properties"]["x"] = deep
    bad = {
        "messages": [*ASKED, {"role": "assistant", "tool_calls": [{"function": function}]}],
        "tools": tools,
    } | ({"extra": deep} if place == "record" else {})
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in (GOOD, bad, GOOD)))
    assert [type(item) for item in read_files([path])] == [Conversation, Rejected, Conversation]


# --- Columns and folders ------------------------------------------------------------------------


def rows() -> list[dict[str, Any]]:
    """Two calls of tools with different arguments, which a column pads with nulls."""
    other = {"name": "sun", "parameters": {"type": "object", "properties": {"day": {}}}}
    tools = [TOOLS[0], {"type": "function", "function": other}]
    out = []
    for name, arguments in (("weather", {"city": "Bonn"}), ("sun", {"day": "today"})):
        function = {"name": name, "arguments": arguments}
        calling = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": function}],
        }
        out.append({"messages": [ASKED[1], calling], "tools": json.dumps(tools)})
    return out


@pytest.mark.parametrize("name", ["rows.parquet", "rows.arrow"])
def test_rows_of_columns_have_no_padding(tmp_path: Path, name: str) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import ipc, parquet

    table = pyarrow.Table.from_pylist(rows())
    padded = table.to_pylist()[0]["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert padded == {"city": "Bonn", "day": None}  # as every reader of the file would have it
    path = tmp_path / name
    if name.endswith("parquet"):
        parquet.write_table(table, path)
    else:
        with ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table)
    items = [item for item in read_files([path]) if isinstance(item, Conversation)]
    assert [item.messages[1].tool_calls[0].arguments for item in items] == [
        {"city": "Bonn"},
        {"day": "today"},
    ]
    assert [item.id for item in items] == ["rows-1", "rows-2"]
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="damaged columnar file"):
        list(read_files([path]))


def test_the_folder_of_a_data_set(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    data = tmp_path / "set" / "data"
    data.mkdir(parents=True)
    (tmp_path / "set" / "dataset_infos.json").write_text("{}")
    (tmp_path / "set" / "README.md").write_text("about")
    parquet.write_table(pyarrow.Table.from_pylist(rows()), data / "train-00000-of-00001.parquet")
    (data / "train-extra.jsonl").write_bytes(lines(2))
    items = list(read_files([tmp_path / "set"]))
    assert [type(item) for item in items] == [Conversation] * 4
    (data / "test-00000-of-00001.jsonl").write_bytes(lines(1))
    with pytest.raises(InputError, match="holds the splits test, train; name the files"):
        list(read_files([tmp_path / "set"]))


def test_calls_in_json_texts_of_columns(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    record = {"prompt": json.dumps(ASKED), "messages": [*ASKED, CALLING], "tools": TOOLS}
    parquet.write_table(pyarrow.Table.from_pylist([record]), tmp_path / "x.parquet")
    (item,) = read_files([tmp_path / "x.parquet"])
    assert isinstance(item, Conversation)
    assert item.messages[-1].tool_calls[0].arguments == {"city": "Bonn"}
