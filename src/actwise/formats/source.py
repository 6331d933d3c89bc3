"""Files as numbered texts, one per record.

JSON lines, one JSON array, objects that are printed over several lines, one after the other; plain
or gzip, UTF-8 or UTF-16. A file is opened once and read from its beginning to its end, so that it
may be a pipe.
"""

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from actwise.errors import InputError
from actwise.formats.columnar import is_columnar, read_rows
from actwise.formats.record import Rejected

_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_PACKED = {b"PK\x03\x04": "zip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
Text = tuple[int, str] | Rejected
"""A record before it is parsed: the line on which it begins, and its JSON; or why it is none."""
MAX_RECORD = 64 * 2**20
"""Bytes of one line; a conversation of a thousand long messages has one."""
MAX_WHOLE = 512 * 2**20
"""Bytes of an array, which has to be held as a whole."""


def read_texts(path: Path, told: Callable[[int], None] = lambda count: None) -> Iterator[Text]:
    """Yield (line, text) of every record of a file or a data set's folder; blank lines are none.

    JSON lines are streamed, and so are the rows of a columnar file, which count as lines. Anything
    else is read whole; the line of its records is the one on which each begins.

    Args:
        path: The file.
        told: Called with the number of bytes that were read, now and then; not for columnar files.

    Raises:
        InputError: When the file cannot be opened, is empty, is no text, is a damaged gzip file,
            or is an array that is too large or no JSON.
    """
    empty = True
    try:
        for record in _records(path, told):
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
            return _whole(path, stream, b"").removeprefix(_BOM).decode()
    except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(
            f"is damaged or not UTF-8 text ({error})", file=str(path), remedy="write it anew"
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror or error}", file=str(path), remedy="check the path"
        ) from error


def _records(path: Path, told: Callable[[int], None]) -> Iterator[Text]:
    if is_columnar(path):
        yield from read_rows(path)
        return
    if Path(path.name.removesuffix(".gz")).suffix in (".csv", ".tsv"):
        raise InputError(
            "is a table of values, not of JSON", file=str(path), remedy="export it as JSON lines"
        )
    with _open(path, told) as stream:
        yield from _split(path, stream)


class _PutBack(io.RawIOBase):
    """A stream with bytes put back at its head."""

    def __init__(self, head: bytes, rest: io.RawIOBase | io.BufferedIOBase) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        if not self._head:
            return self._rest.readinto(buffer)
        count = min(len(buffer), len(self._head))
        buffer[:count], self._head = self._head[:count], self._head[count:]
        return count


class _Watched(io.FileIO):
    """A file that tells how much is read of it."""

    def __init__(self, path: Path, told: Callable[[int], None]) -> None:
        super().__init__(path, "rb")
        self._told = told

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        count = super().readinto(buffer)
        self._told(count or 0)
        return count


@contextmanager
def _open(
    path: Path, told: Callable[[int], None] = lambda count: None
) -> Iterator[io.BufferedIOBase]:
    if path.is_dir():
        raise InputError("is a directory", file=str(path), remedy="name the files in it")
    with _Watched(path, told) as raw:
        head = b""
        # A pipe may give a byte at a time.
        while len(head) < 6 and (more := raw.read(6 - len(head))):
            head += more
        for magic, name in _PACKED.items():
            if head.startswith(magic):
                raise InputError(f"is packed with {name}", file=str(path), remedy="unpack it")
        stream = _joined(head, raw)
        zipped = path.suffix == ".gz" or head.startswith(_GZIP_MAGIC)
        yield gzip.GzipFile(fileobj=stream) if zipped else stream


def _split(path: Path, stream: io.BufferedIOBase) -> Iterator[Text]:
    """Find out how records are laid out, from the first line that is not blank."""
    line, first = 0, b"\n"
    while first and not first.strip():
        line, first = line + 1, stream.readline(MAX_RECORD + 1)
        first = first.removeprefix(_BOM) if line == 1 else first
    if line == 1 and first.startswith(_UTF16):
        text = _decoded(path, _whole(path, stream, first), "utf-16")
        yield from _split(path, io.BytesIO(text.encode()))
        return
    if b"\0" in first[:4096]:
        raise InputError("is not UTF-8 text", file=str(path), remedy="convert it to JSON lines")
    if first.lstrip().startswith(b"[") and ".jsonl" not in path.suffixes:
        text = _decoded(path, _whole(path, stream, first), "utf-8")
        yield from _array(path, text, line)
        return
    if _goes_on(first):
        whole, left = _as_much_as_fits(stream, first)
        spans = None if left else _values(whole)
        if spans is not None:
            yield from _numbered(*spans, line)
            return
        # Whatever it is, it is no sequence of values: then each line is judged by itself.
        stream, first = _joined(whole, stream if left else io.BytesIO()), b""
        line -= 1
    yield from _lines(path, stream, first, line)


def _goes_on(line: bytes) -> bool:
    """Return whether a line begins a value that it does not end."""
    try:
        text = line.decode().strip()
        if text.startswith(("{", "[")):
            json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(text) or len(text) == 1
    except (UnicodeDecodeError, RecursionError):
        pass
    return False


def _as_much_as_fits(stream: io.BufferedIOBase, head: bytes) -> tuple[bytes, bool]:
    whole = head + stream.read(max(0, MAX_WHOLE - len(head)))
    return whole, len(whole) >= MAX_WHOLE


def _joined(head: bytes, rest: io.RawIOBase | io.BufferedIOBase) -> io.BufferedIOBase:
    return io.BufferedReader(_PutBack(head, rest), 2**16)


def _whole(path: Path, stream: io.BufferedIOBase, head: bytes) -> bytes:
    whole, left = _as_much_as_fits(stream, head)
    if left:
        raise InputError(
            f"is one value of more than {MAX_WHOLE >> 20} MB",
            file=str(path),
            remedy="write one record per line as .jsonl",
        )
    return whole


def _decoded(path: Path, raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"is not {encoding.upper()} (byte {error.start})",
            file=str(path),
            remedy="write it as UTF-8",
        ) from error


def _lines(path: Path, stream: io.BufferedIOBase, raw: bytes, line: int) -> Iterator[Text]:
    """Yield a line that was read already, and those that follow it."""
    while True:
        if len(raw) > MAX_RECORD and not raw.endswith(b"\n"):
            while raw and not raw.endswith(b"\n"):
                raw = stream.readline(MAX_RECORD)
            detail = f"the line has more than {MAX_RECORD >> 20} MB; cut the conversation"
            yield Rejected(str(path), line, "too_large", detail)
        # A line of an array may end with its comma.
        elif text := raw.strip().removesuffix(b","):
            try:
                yield line, text.decode()
            except UnicodeDecodeError as error:
                detail = f"the line is not UTF-8 (byte {error.start}); write the file as UTF-8"
                yield Rejected(str(path), line, "not_utf8", detail)
        line, raw = line + 1, stream.readline(MAX_RECORD + 1)
        if not raw:
            return


def _array(path: Path, text: str, line: int) -> Iterator[tuple[int, str]]:
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
    if spans and _is_message(text[slice(*spans[0])]):
        yield line, text
        return
    yield from _numbered(text, spans, line)


def _is_message(text: str) -> bool:
    """Return whether a text is a message: then the array around it is a conversation."""
    value = json.loads(text)
    return isinstance(value, dict) and "role" in value and "messages" not in value


def _numbered(text: str, spans: list[tuple[int, int]], line: int) -> Iterator[tuple[int, str]]:
    counted = 0
    for start, end in spans:
        line += text.count("\n", counted, start)
        counted = start
        yield line, text[start:end]


def _values(raw: bytes) -> tuple[str, list[tuple[int, int]]] | None:
    """Return where values that follow each other begin and end, or None if it is not that."""
    decoder = json.JSONDecoder()
    spans: list[tuple[int, int]] = []
    try:
        text = raw.decode()
        at = _skip_space(text, 0)
        while at < len(text):
            _, end = decoder.raw_decode(text, at)
            spans.append((at, end))
            at = _skip_space(text, end)
    except (ValueError, RecursionError):
        return None
    if len(spans) == 1 and text[spans[0][0]] == "[":
        spans = _element_spans(text)
    return text, spans


def _element_spans(text: str) -> list[tuple[int, int]]:
    """Return where the elements of a JSON array begin and end, having checked all of it."""
    decoder = json.JSONDecoder()
    spans: list[tuple[int, int]] = []
    at = _skip_space(text, _skip_space(text, 0) + 1)
    while text[at : at + 1] != "]":
        _, end = decoder.raw_decode(text, at)
        spans.append((at, end))
        at = _skip_space(text, end)
        if text[at : at + 1] == ",":  # also after the last one, where programs leave it
            at = _skip_space(text, at + 1)
        elif text[at : at + 1] != "]":
            raise json.JSONDecodeError("Expecting ',' or ']'", text, at)
    rest = _skip_space(text, at + 1)
    if rest < len(text):
        raise json.JSONDecodeError("Extra data", text, rest)
    return spans


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at
