"""Files as numbered texts, one per record: JSON lines or one JSON array, plain or gzip."""

import gzip
import json
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from actwise.errors import InputError
from actwise.formats.record import Rejected

_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


def read_texts(path: Path) -> Iterator[tuple[int, str] | Rejected]:
    """Yield (line, text) of every record of a file; blank lines are no records.

    JSON lines are streamed. A file that begins with "[" and is not called .jsonl is one JSON
    array and is read whole; the line of its records is the one on which each begins.

    Raises:
        InputError: When the file cannot be opened, is empty, is not UTF-8 text, is a damaged
            gzip file, or is an array that is not JSON.
    """
    empty = True
    try:
        with _open(path) as stream:
            head = stream.peek(4096)[:4096]
            if b"\0" in head:
                raise InputError(
                    "is not UTF-8 text", file=str(path), remedy="convert it to JSON lines"
                )
            if _is_array(path, head):
                records: Iterator[tuple[int, str] | Rejected] = _array(path, stream.read())
            else:
                records = _lines(path, stream)
            for record in records:
                empty = False
                yield record
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"is a damaged gzip file ({error})", file=str(path), remedy="copy or compress it anew"
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror or error}", file=str(path), remedy="check the path"
        ) from error
    if empty:
        raise InputError("holds no record", file=str(path), remedy="leave it out")


def read_text(path: Path) -> str:
    """Return the whole text of a file, plain or gzip.

    Raises:
        InputError: As `read_texts`.
    """
    try:
        with _open(path) as stream:
            return stream.read().removeprefix(_BOM).decode()
    except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(
            f"is damaged or not UTF-8 text ({error})", file=str(path), remedy="write it anew"
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror or error}", file=str(path), remedy="check the path"
        ) from error


def _open(path: Path) -> BufferedReader | gzip.GzipFile:
    if path.is_dir():
        raise InputError("is a directory", file=str(path), remedy="name the files in it")
    with open(path, "rb") as probe:
        zipped = path.suffix == ".gz" or probe.read(2) == _GZIP_MAGIC
    return gzip.open(path, "rb") if zipped else open(path, "rb")


def _is_array(path: Path, head: bytes) -> bool:
    is_lines = ".jsonl" in path.suffixes
    return not is_lines and head.removeprefix(_BOM).lstrip().startswith(b"[")


def _lines(
    path: Path, stream: BufferedReader | gzip.GzipFile
) -> Iterator[tuple[int, str] | Rejected]:
    for line, raw in enumerate(stream, start=1):
        if line == 1:
            raw = raw.removeprefix(_BOM)
        if not raw.strip():
            continue
        try:
            yield line, raw.decode()
        except UnicodeDecodeError as error:
            detail = f"the line is not UTF-8 (byte {error.start}); write the file as UTF-8"
            yield Rejected(str(path), line, "not_utf8", detail)


def _array(path: Path, raw: bytes) -> Iterator[tuple[int, str]]:
    try:
        text = raw.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"is not UTF-8 (byte {error.start})", file=str(path), remedy="write it as UTF-8"
        ) from error
    try:
        spans = _element_spans(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"is not a JSON array: {error.msg} (column {error.colno})",
            file=str(path),
            line=error.lineno,
            remedy="mend it there, or write one record per line as .jsonl",
        ) from error
    except RecursionError as error:
        raise InputError(
            "is nested too deeply", file=str(path), remedy="write one record per line as .jsonl"
        ) from error
    line, counted = 1, 0
    for start, end in spans:
        line += text.count("\n", counted, start)
        counted = start
        yield line, text[start:end]


def _element_spans(text: str) -> list[tuple[int, int]]:
    """Return where the elements of a JSON array begin and end, having checked all of it."""
    decoder = json.JSONDecoder()
    spans: list[tuple[int, int]] = []
    at = _skip_space(text, _skip_space(text, 0) + 1)
    if text[at : at + 1] == "]":
        _check_end(text, at)
        return spans
    while True:
        _, end = decoder.raw_decode(text, at)
        spans.append((at, end))
        at = _skip_space(text, end)
        if text[at : at + 1] == "]":
            _check_end(text, at)
            return spans
        if text[at : at + 1] != ",":
            raise json.JSONDecodeError("Expecting ',' or ']'", text, at)
        at = _skip_space(text, at + 1)


def _check_end(text: str, bracket: int) -> None:
    rest = _skip_space(text, bracket + 1)
    if rest < len(text):
        raise json.JSONDecodeError("Extra data", text, rest)


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at
