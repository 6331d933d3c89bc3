"""Rows of Parquet and Arrow files, and the folders in which data sets come from a hub.

A columnar file gives all structs of a column the same members, and those that a row does not have
are null. Such a null says nothing, so it is left out wherever it is a member of a struct.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from actwise.errors import InputError
from actwise.formats.record import Rejected

_PARQUET, _ARROW = (".parquet",), (".arrow", ".feather")
_DATA = (*_PARQUET, *_ARROW, ".jsonl", ".json", ".gz")
_ABOUT = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}
"""Files that describe a data set."""


def is_columnar(path: Path) -> bool:
    """Return whether a file is read by rows; its name tells."""
    return path.suffix in (*_PARQUET, *_ARROW)


def files_of(path: Path) -> list[Path]:
    """Return the files of a data set's folder, or the file itself.

    Raises:
        InputError: When a folder holds no data, or several splits.
    """
    if not path.is_dir():
        return [path]
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix in _DATA
        and file.name not in _ABOUT
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    splits = sorted({name for file in found if (name := _split_of(file.relative_to(path)))})
    if not found or len(splits) > 1:
        held = f"holds the splits {', '.join(splits)}" if found else "is a directory without data"
        raise InputError(held, file=str(path), remedy="name the files that are meant")
    return found


def _split_of(file: Path) -> str | None:
    """Return the split that a file of a data set's folder belongs to, as a hub names it."""
    for part in reversed(file.parts):
        for name in ("train", "validation", "valid", "dev", "test"):
            if part.lower().replace("_", "-").replace(".", "-").split("-")[0] == name:
                return name
    return None


def read_rows(path: Path) -> Iterator[tuple[int, str] | Rejected]:
    """Yield (number, JSON) of every row, from 1.

    Raises:
        InputError: When pyarrow is not installed, or the file is damaged.
    """
    try:
        import pyarrow
        from pyarrow import ipc, parquet
    except ImportError as error:
        raise InputError(
            "is a columnar file, for which pyarrow is needed",
            file=str(path),
            remedy="pip install 'actwise[parquet]', or write it as JSON lines",
        ) from error
    number = 0
    try:
        with path.open("rb") as file:
            if path.suffix in _PARQUET:
                batches = parquet.ParquetFile(file).iter_batches(batch_size=256)
            else:
                batches = _arrow_batches(ipc, file)
            for batch in batches:
                for row in batch.to_pylist():
                    number += 1
                    yield _as_json(path, number, row)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise InputError(
            f"is a damaged columnar file ({str(error).splitlines()[0]})",
            file=str(path),
            remedy="write it anew",
        ) from error


def _arrow_batches(ipc: Any, file: Any) -> Iterator[Any]:
    magic = file.read(6)
    file.seek(0)
    if magic == b"ARROW1":
        reader = ipc.open_file(file)
        return (reader.get_batch(index) for index in range(reader.num_record_batches))
    return iter(ipc.open_stream(file))


def _as_json(path: Path, number: int, row: dict[str, Any]) -> tuple[int, str] | Rejected:
    try:
        return number, json.dumps(_without_padding(row), ensure_ascii=False)
    except TypeError as error:
        detail = f"the row holds what JSON cannot express ({error}); leave that column out"
        return Rejected(str(path), number, "not_json", detail)


def _without_padding(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_padding(inner) for k, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_padding(inner) for inner in value]
    # Dates and times of a column are written as in ISO 8601.
    return value.isoformat() if hasattr(value, "isoformat") else value
