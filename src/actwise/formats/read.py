"""Files of any known format in, conversations and rejections out: one for every record."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from actwise.conversation import Conversation, Tool
from actwise.errors import ConfigError, InputError
from actwise.formats.bodies import Body
from actwise.formats.columnar import files_of
from actwise.formats.keys import Keys, family_of, remark_unread
from actwise.formats.layout import unwrapped
from actwise.formats.readers import (
    acebench,
    anthropic,
    api_bank,
    bedrock,
    bfcl,
    functionchat,
    gateway,
    gemini,
    langchain,
    langfuse,
    langsmith,
    litellm,
    openai,
    otel,
    responses,
    sgd,
    sharegpt,
    star,
    swift,
    taskmaster4,
    tau_bench,
    toolalpaca,
    toolrl,
    trl,
    vercel,
    when2call,
    xlam,
)
from actwise.formats.record import Rejected, Unusable, clip, kind_of, strict_json
from actwise.formats.remarks import collected
from actwise.formats.settle import settled
from actwise.formats.source import read_texts
from actwise.formats.tool_files import load_tools
from actwise.formats.validate import first_problem

_STEM = re.compile(r"(\.(jsonl|json|parquet|arrow|gz))+$")
_PATIENCE = 100
"""How many records at the head of a file may be of no format before it counts as unknown."""


class ReadRecord(Protocol):
    """Turns the parsed JSON of one record into a conversation, or raises `Unusable`."""

    def __call__(self, record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
        """Read one record."""


@dataclass(frozen=True)
class Reader:
    """One format."""

    recognises: Callable[[Any], bool]
    read: ReadRecord
    keys: Keys
    """What its records consist of; any other key is remarked."""
    needs_tools: bool = False
    """Whether its records never carry their tools, so that the caller has to give them."""
    answers_beside: bool = False
    """Whether the recorded actions stand in `possible_answer/NAME` beside the file NAME."""
    parts: Callable[[Any], list[Any]] | None = None
    """Splits a record that holds several conversations; `read` takes each of its parts."""


def _reader(module: Body, **options: Any) -> Reader:
    return Reader(module.recognises, module.read, module.KEYS, **options)


FORMATS: dict[str, Reader] = {
    "openai": _reader(openai),
    "anthropic": _reader(anthropic),
    "responses": _reader(responses),
    "gemini": _reader(gemini),
    "bedrock": _reader(bedrock),
    "vercel": _reader(vercel),
    "langchain": _reader(langchain),
    "swift": _reader(swift),
    "gateway": _reader(gateway),
    "litellm": _reader(litellm),
    "langfuse": _reader(langfuse, parts=langfuse.parts),
    "langsmith": _reader(langsmith),
    "otel": _reader(otel, parts=otel.parts),
    "trl": _reader(trl),
    "xlam": _reader(xlam),
    "sharegpt": _reader(sharegpt),
    "taskmaster4": _reader(taskmaster4),
    "tau_bench": _reader(tau_bench, needs_tools=True),
    "toolrl": _reader(toolrl),
    "sgd": _reader(sgd, needs_tools=True),
    "star": _reader(star, needs_tools=True),
    "api_bank": _reader(api_bank),
    "functionchat": _reader(functionchat, parts=functionchat.parts),
    "bfcl": _reader(bfcl, answers_beside=True),
    "acebench": _reader(acebench, answers_beside=True),
    "when2call": _reader(when2call),
    "toolalpaca": _reader(toolalpaca, parts=toolalpaca.parts),
}


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
    if format is not None and format not in FORMATS:
        raise ConfigError(f"unknown format {format!r}; choose one of {', '.join(FORMATS)}")
    given = load_tools(tools) if tools is not None else ()
    return _read_all(paths, format, given, told)


def _read_all(
    paths: Sequence[Path],
    format: str | None,
    tools: tuple[Tool, ...],
    told: Callable[[int], None],
) -> Iterator[Conversation | Rejected]:
    taken: dict[str, int] = {}
    for path in paths:
        for file in files_of(path):
            for item in _read_file(file, format, tools, told):
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
    path: Path, format: str | None, tools: tuple[Tool, ...], told: Callable[[int], None]
) -> Iterator[Conversation | Rejected]:
    records = _parsed(path, told)
    early: list[tuple[int, Any] | Rejected] = []
    name = format or _recognise(path, records, early)
    if FORMATS[name].needs_tools and not tools:
        raise InputError(
            f"records of format {name} carry no tools",
            file=str(path),
            remedy="give the file with the tools' schemas (--tools)",
        )
    answers = _answers(path) if FORMATS[name].answers_beside else {}
    for queue in (early, records):
        for item in queue:
            if isinstance(item, Rejected):
                yield item
                continue
            if format is None:
                name = _recognised(item[1], name)
            yield from _read_parts(path, item, FORMATS[name], tools, answers)


def _recognised(record: Any, last: str | None) -> Any:
    """Return the format of a record; the last one's where it may be, or where none is."""
    if last is not None and FORMATS[last].recognises(record):
        return last
    return next((name for name, reader in FORMATS.items() if reader.recognises(record)), last)


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
    name = f"{_STEM.sub('', path.name)}-{line}"
    if reader.parts is None:
        yield _read_record(path, line, value, name, reader, tools)
        return
    found = _guarded(path, line, reader.parts, value)
    if isinstance(found, Rejected):
        yield found
        return
    for number, part in enumerate(found, start=1):
        own = f"{name}.{number}" if len(found) > 1 else name
        yield _read_record(path, line, part, own, reader, tools)


def _guarded(path: Path, line: int, read: Callable[..., Any], *given: Any, **more: Any) -> Any:
    """Return what a function makes of a record, or the record rejected, whatever is wrong with it.

    Whoever wrote the record may not have meant well, and what lies below (schemas that refer in
    circles, numbers of a thousand digits, a panic of a library) can fail in any way. One record
    must not cost the others.
    """
    try:
        return read(*given, **more)
    except Unusable as error:
        return Rejected(str(path), line, error.reason, error.detail, error.count, error.about)
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # the panics of extensions are no Exceptions
        problem = clip(" ".join(f"{type(error).__name__}: {error}".split()))
        detail = f"the record cannot be processed ({problem}); mend it, or leave it out"
        return Rejected(str(path), line, "unreadable", detail)


def _parsed(
    path: Path, told: Callable[[int], None] = lambda count: None
) -> Iterator[tuple[int, Any] | Rejected]:
    for item in read_texts(path, told):
        if isinstance(item, Rejected):
            yield item
            continue
        line, text = item
        try:
            value = strict_json(text)
        except ValueError as error:
            detail = f"the record is not JSON: {clip(str(error))}; mend the line"
            yield Rejected(str(path), line, "broken_json", detail)
            continue
        yield from unwrapped(
            line, text, value, is_record=lambda v: _recognised(v, None) is not None
        )


def _is_record(value: Any) -> bool:
    return _recognised(value, None) is not None


def _recognise(
    path: Path,
    records: Iterator[tuple[int, Any] | Rejected],
    early: list[tuple[int, Any] | Rejected],
) -> str:
    """Tell the format from the first readable record; what it took from `records` is in `early`."""
    for item in records:
        early.append(item)
        name = None if isinstance(item, Rejected) else _recognised(item[1], None)
        if name is not None:
            return str(name)
        if len(early) >= _PATIENCE:
            break
    tried = f"tried {', '.join(FORMATS)}"
    known = next((item for item in early if not isinstance(item, Rejected)), None)
    if known is not None:
        raise InputError(
            f"the format is not recognised: {tried}; the first record is {_outline(known[1])}",
            file=str(path),
            line=known[0],
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
    result = _guarded(path, line, _usable, path, line, value, name, reader, tools)
    assert isinstance(result, Conversation | Rejected)
    return result


def _usable(
    path: Path, line: int, value: Any, name: str, reader: Reader, tools: tuple[Tool, ...]
) -> Conversation | Rejected:
    """Read one record, put its turns in order, and hold it to the rules for all formats."""
    with collected() as remarks:
        remark_unread(value, reader.keys)
        conversation = settled(reader.read(value, default_id=name, tools=tools))
    conversation = conversation.model_copy(
        update={
            "source": f"{path}:{line}",
            "remarks": tuple(remarks),
            "group": conversation.group if conversation.group is not None else family_of(value),
        }
    )
    problem = first_problem(conversation)
    if problem:
        return Rejected(
            str(path),
            line,
            problem.reason,
            problem.detail,
            about=problem.about,
            conversation=conversation,
        )
    return conversation
