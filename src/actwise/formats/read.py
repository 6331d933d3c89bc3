"""Files of any known format in, conversations and rejections out: one for every record."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from actwise.conversation import Conversation, Tool
from actwise.errors import ConfigError, InputError
from actwise.formats.readers import (
    acebench,
    api_bank,
    bfcl,
    functionchat,
    openai,
    sgd,
    sharegpt,
    star,
    taskmaster4,
    tau_bench,
    toolalpaca,
    toolrl,
    when2call,
)
from actwise.formats.record import Rejected, Unusable, clip, kind_of, strict_json
from actwise.formats.source import read_texts
from actwise.formats.tool_files import load_tools
from actwise.formats.validate import first_problem

_PATIENCE = 100
"""How many records at the head of a file may be no JSON before its format counts as unknown."""


class ReadRecord(Protocol):
    """Turns the parsed JSON of one record into a conversation, or raises `Unusable`."""

    def __call__(self, record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
        """Read one record."""


@dataclass(frozen=True)
class Reader:
    """One format."""

    recognises: Callable[[Any], bool]
    read: ReadRecord
    needs_tools: bool = False
    """Whether its records never carry their tools, so that the caller has to give them."""
    answers_beside: bool = False
    """Whether the recorded actions stand in `possible_answer/NAME` beside the file NAME."""
    parts: Callable[[Any], list[Any]] | None = None
    """Splits a record that holds several conversations; `read` takes each of its parts."""


FORMATS: dict[str, Reader] = {
    "openai": Reader(openai.recognises, openai.read),
    "taskmaster4": Reader(taskmaster4.recognises, taskmaster4.read),
    "tau_bench": Reader(tau_bench.recognises, tau_bench.read, needs_tools=True),
    "sharegpt": Reader(sharegpt.recognises, sharegpt.read),
    "toolrl": Reader(toolrl.recognises, toolrl.read),
    "sgd": Reader(sgd.recognises, sgd.read, needs_tools=True),
    "star": Reader(star.recognises, star.read, needs_tools=True),
    "api_bank": Reader(api_bank.recognises, api_bank.read),
    "functionchat": Reader(functionchat.recognises, functionchat.read, parts=functionchat.parts),
    "bfcl": Reader(bfcl.recognises, bfcl.read, answers_beside=True),
    "acebench": Reader(acebench.recognises, acebench.read, answers_beside=True),
    "when2call": Reader(when2call.recognises, when2call.read),
    "toolalpaca": Reader(toolalpaca.recognises, toolalpaca.read, parts=toolalpaca.parts),
}


def read_files(
    paths: Sequence[Path], *, format: str | None = None, tools: Path | None = None
) -> Iterator[Conversation | Rejected]:
    """Read conversation logs, one file after the other.

    Every record yields exactly one item, in order; where the format puts several conversations
    into one record, one for each of them. Ids are made unique over all files: the second
    conversation called "x" becomes "x~2".

    Args:
        paths: Files of JSON lines, or JSON arrays; plain or gzip.
        format: A key of `FORMATS`; by default each file's first readable record tells.
        tools: A file of tools, as `load_tools` takes it, for records that declare none.

    Raises:
        ConfigError: When `format` is unknown.
        InputError: When a file as a whole cannot be used; raised when its turn comes.
    """
    if format is not None and format not in FORMATS:
        raise ConfigError(f"unknown format {format!r}; choose one of {', '.join(FORMATS)}")
    given = load_tools(tools) if tools is not None else ()
    return _read_all(paths, format, given)


def _read_all(
    paths: Sequence[Path], format: str | None, tools: tuple[Tool, ...]
) -> Iterator[Conversation | Rejected]:
    taken: dict[str, int] = {}
    for path in paths:
        for item in _read_file(path, format, tools):
            yield item if isinstance(item, Rejected) else _with_unique_id(item, taken)


def _with_unique_id(conversation: Conversation, taken: dict[str, int]) -> Conversation:
    """Rename a conversation whose id is in `taken` (id -> how often it was asked for)."""
    name = conversation.id
    while name in taken:
        taken[conversation.id] += 1
        name = f"{conversation.id}~{taken[conversation.id]}"
    taken[name] = 1
    return conversation if name == conversation.id else conversation.model_copy(update={"id": name})


def _read_file(
    path: Path, format: str | None, tools: tuple[Tool, ...]
) -> Iterator[Conversation | Rejected]:
    records = _parsed(path)
    early: list[tuple[int, Any] | Rejected] = []
    if format is None:
        format = _recognise(path, records, early)
    reader = FORMATS[format]
    if reader.needs_tools and not tools:
        raise InputError(
            f"records of format {format} carry no tools",
            file=str(path),
            remedy="give the file with the tools' schemas (--tools)",
        )
    answers = _answers(path) if reader.answers_beside else {}
    for queue in (early, records):
        for item in queue:
            if isinstance(item, Rejected):
                yield item
            else:
                yield from _read_parts(path, item, reader, tools, answers)


def _answers(path: Path) -> dict[str, Any]:
    """Return the recorded actions of a file by the ids of its records."""
    beside = path.parent / "possible_answer" / path.name
    if not beside.exists():
        return {}
    records = [item[1] for item in _parsed(beside) if not isinstance(item, Rejected)]
    return {
        str(record["id"]): record.get("ground_truth")
        for record in records
        if isinstance(record, dict) and "id" in record
    }


def _read_parts(
    path: Path,
    record: tuple[int, Any],
    reader: Reader,
    tools: tuple[Tool, ...],
    answers: Mapping[str, Any],
) -> Iterator[Conversation | Rejected]:
    """Read every conversation of one record."""
    line, value = record
    if isinstance(value, dict) and str(value.get("id")) in answers:
        value = {**value, "ground_truth": answers[str(value["id"])]}
    stem = path.name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(".json")
    name = f"{stem}-{line}"
    if reader.parts is None:
        yield _read_record(path, line, value, name, reader, tools)
        return
    try:
        found = reader.parts(value)
    except Unusable as error:
        yield Rejected(str(path), line, error.reason, error.detail, error.count)
        return
    for number, part in enumerate(found, start=1):
        yield _read_record(path, line, part, f"{name}.{number}", reader, tools)


def _parsed(path: Path) -> Iterator[tuple[int, Any] | Rejected]:
    for item in read_texts(path):
        if isinstance(item, Rejected):
            yield item
            continue
        line, text = item
        try:
            yield line, strict_json(text)
        except ValueError as error:
            detail = f"the record is not JSON: {clip(str(error))}; mend or remove the line"
            yield Rejected(str(path), line, "broken_json", detail)


def _recognise(
    path: Path,
    records: Iterator[tuple[int, Any] | Rejected],
    early: list[tuple[int, Any] | Rejected],
) -> str:
    """Tell the format from the first readable record; what it took from `records` is in `early`."""
    tried = f"tried {', '.join(FORMATS)}"
    for item in records:
        early.append(item)
        if isinstance(item, Rejected):
            if len(early) < _PATIENCE:
                continue
            break
        for name, reader in FORMATS.items():
            if reader.recognises(item[1]):
                return name
        raise InputError(
            f"the format is not recognised: {tried}; the first record is {_outline(item[1])}",
            file=str(path),
            line=item[0],
            remedy="convert the records to OpenAI chat messages, or name the format (--format)",
        )
    first = early[0]
    problem = first.detail.partition(";")[0] if isinstance(first, Rejected) else "no record"
    raise InputError(
        f"the format is not recognised: {tried}; none of the first {len(early)} records can be "
        f"read ({problem})",
        file=str(path),
        line=first.line if isinstance(first, Rejected) else None,
        remedy="write one JSON object per line, or one JSON array",
    )


def _outline(record: Any) -> str:
    if not isinstance(record, Mapping):
        return kind_of(record)
    keys = ", ".join(sorted(str(key) for key in record))
    return f"an object with the keys {clip(keys, 120)}" if keys else "an empty object"


def _read_record(
    path: Path, line: int, value: Any, name: str, reader: Reader, tools: tuple[Tool, ...]
) -> Conversation | Rejected:
    try:
        conversation = reader.read(value, default_id=name, tools=tools)
    except Unusable as error:
        return Rejected(str(path), line, error.reason, error.detail, error.count)
    conversation = conversation.model_copy(update={"source": f"{path}:{line}"})
    problem = first_problem(conversation)
    if problem:
        return Rejected(str(path), line, problem.reason, problem.detail, conversation=conversation)
    return conversation
