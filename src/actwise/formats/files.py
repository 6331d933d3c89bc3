"""Files of any known format in, conversations and rejections out: one for every record."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

from actwise.conversation import Conversation, Tool
from actwise.errors import ConfigError, InputError
from actwise.formats.columnar import files_of
from actwise.formats.read import FORMATS, RecordFile, answers_beside, recognise
from actwise.formats.record import Rejected
from actwise.formats.source import Text, read_texts
from actwise.formats.tool_files import load_tools
from actwise.run.cores import SHARES, divided

R = TypeVar("R")

_BATCH = 2**18
"""Characters that go to another process at a time."""
_LARGE = 2**24
_HERE = 8
"""Batches that are read before another process is started, which takes a second."""


def read_files(
    paths: Sequence[Path],
    *,
    format: str | None = None,
    tools: Path | None = None,
    told: Callable[[int], None] = lambda count: None,
) -> Iterator[Conversation | Rejected]:
    """Read conversation logs, one file after the other.

    Every record yields exactly one item, in order; where the format puts several conversations
    into one record, one for each of them. Ids are made unique over all files: the second
    conversation called "x" becomes "x~2".

    Args:
        paths: Files of JSON lines, JSON arrays or rows, or folders of data sets; see `read_texts`.
        format: A key of `FORMATS`; by default each record tells by itself.
        tools: A file of tools, as `load_tools` takes it, for records that declare none.
        told: See `read_texts`.

    Raises:
        ConfigError: When `format` is unknown.
        InputError: When a file as a whole cannot be used; raised when its turn comes.
    """
    return _with_unique_ids(read_each(paths, _itself, format=format, tools=tools, told=told))


def read_each(
    paths: Sequence[Path],
    begin: Callable[[], Callable[[Conversation | Rejected], R]],
    *,
    format: str | None = None,
    tools: Path | None = None,
    told: Callable[[int], None] = lambda count: None,
    processes: int = 1,
) -> Iterator[R]:
    """Read conversation logs, and yield what a function makes of each item, in order.

    Where logs are large, other processes read most of the records and call the function on them.
    What is yielded does not depend on how many there are.

    Args:
        paths: See `read_files`.
        begin: Makes the function, once in each process; pickled, as is what the function returns.
            It is given conversations with the ids that they have: these need not be unique.
        format: See `read_files`.
        tools: See `read_files`.
        told: See `read_texts`.
        processes: How many may read beside this one; 1 is none.

    Raises:
        ConfigError: When `format` is unknown.
        InputError: When a file as a whole cannot be used; raised when its turn comes.
        RunError: When another process is killed.
    """
    if format is not None and format not in FORMATS:
        raise ConfigError(f"unknown format {format!r}; choose one of {', '.join(FORMATS)}")
    given = load_tools(tools) if tools is not None else ()
    processes = processes if SHARES else 1
    return _read_all(_batches(paths, format, given, told, processes > 1), begin, processes)


class UniqueIds:
    """The ids that are taken."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}
        """Id -> how often it was asked for."""

    def take(self, wanted: str) -> str:
        """Return an id that no other conversation has: the one that is wanted, or one like it."""
        name = wanted
        while name in self._taken:
            self._taken[wanted] += 1
            name = f"{wanted}~{self._taken[wanted]}"
        self._taken[name] = 1
        return name


def _itself() -> Callable[[Conversation | Rejected], Conversation | Rejected]:
    return lambda item: item


def _with_unique_ids(
    items: Iterable[Conversation | Rejected],
) -> Iterator[Conversation | Rejected]:
    ids = UniqueIds()
    for item in items:
        if isinstance(item, Conversation):
            name = ids.take(item.id)
            item = item if name == item.id else item.model_copy(update={"id": name})
        yield item


@dataclass
class _Batch:
    """Some records of a file that follow each other."""

    file: RecordFile
    texts: list[Text]
    format: str
    """What was known of the file's format when the batch was made."""

    @property
    def goes(self) -> bool:
        """Whether another process may read it."""
        # What is larger is one export of many records, which are read one after the other.
        return not self.file.answers and sum(map(_length, self.texts)) < _LARGE


def _read_all(
    batches: Iterable[_Batch],
    begin: Callable[[], Callable[[Conversation | Rejected], R]],
    processes: int,
) -> Iterator[R]:
    make = begin()

    def tasks() -> Iterator[tuple[_Batch, tuple[RecordFile, list[Text]] | None]]:
        for number, batch in enumerate(batches):
            goes = processes > 1 and number >= _HERE and batch.goes
            yield batch, (batch.file, batch.texts) if goes else None

    for batch, found in divided(partial(_reading, begin), tasks(), processes):
        file = batch.file
        # Another process has begun with the format that was the last one known.
        if found is not None and batch.format == file.format:
            made, file.format = found
            yield from made
        else:
            yield from map(make, file.read(batch.texts))


def _reading(
    begin: Callable[[], Callable[[Conversation | Rejected], R]],
) -> Callable[[tuple[RecordFile, list[Text]]], tuple[list[R], str]]:
    make = begin()

    def read(task: tuple[RecordFile, list[Text]]) -> tuple[list[R], str]:
        file, texts = task
        return [make(item) for item in file.read(texts)], file.format

    return read


def _batches(
    paths: Sequence[Path],
    format: str | None,
    tools: tuple[Tool, ...],
    told: Callable[[int], None],
    several: bool,
) -> Iterator[_Batch]:
    for path in chain.from_iterable(map(files_of, paths)):
        texts = read_texts(path, told)
        head: list[Text] = []
        name = format or recognise(path, texts, head)
        if FORMATS[name].needs_tools and not tools:
            raise InputError(
                f"records of format {name} carry no tools",
                file=str(path),
                remedy="give the file with the tools' schemas (--tools)",
            )
        answers = answers_beside(path) if FORMATS[name].answers_beside else {}
        file = RecordFile(path, name, format is not None, tools, answers)
        for batch in _cut(chain(head, texts), _BATCH if several else 0):
            yield _Batch(file, batch, file.format)


def _cut(texts: Iterable[Text], size: int) -> Iterator[list[Text]]:
    """Yield texts in lists of at least so many characters, but for the last."""
    batch: list[Text] = []
    held = 0
    for text in texts:
        batch.append(text)
        held += _length(text)
        if held >= size:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _length(text: Text) -> int:
    return len(text.detail if isinstance(text, Rejected) else text[1])
