"""The formats that are known, and how a record of any of them becomes a conversation."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from actwise.conversation import Conversation, Tool
from actwise.errors import InputError
from actwise.formats.bodies import Body
from actwise.formats.endings import cut_off
from actwise.formats.fields import opened
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
    mistral,
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
from actwise.formats.readers.openai import weighed
from actwise.formats.record import Rejected, Unusable, clip, kind_of, strict_json
from actwise.formats.remarks import collected
from actwise.formats.settle import settled
from actwise.formats.source import Text, read_texts
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
    "mistral": _reader(mistral),
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


@dataclass
class RecordFile:
    """What the records of one file are read with."""

    path: Path
    format: str
    """Of the last record that was read, and before that of the first one that can be."""
    fixed: bool
    """Whether all records are of this format."""
    tools: tuple[Tool, ...]
    answers: Mapping[str, Any]

    def read(self, texts: Iterable[Text]) -> Iterator[Conversation | Rejected]:
        """Read some records, each with the format of the last one where it may be."""
        for text in texts:
            for item in _parsed(self.path, text):
                if isinstance(item, Rejected):
                    yield item
                    continue
                if not self.fixed:
                    self.format = _recognised(item[1], self.format)
                yield from _read_parts(self, item)


def _recognised(record: Any, last: str | None) -> Any:
    """Return the format of a record; the last one's where it may be, or where none is."""
    if last is not None and FORMATS[last].recognises(record):
        return last
    return next((name for name, reader in FORMATS.items() if reader.recognises(record)), last)


def answers_beside(path: Path) -> dict[str, Any]:
    """Return the recorded actions of a file by the ids of its records."""
    beside = path.parent / "possible_answer" / path.name
    if not beside.exists():
        return {}
    parsed = (item for text in read_texts(beside) for item in _parsed(beside, text))
    records = [item[1] for item in parsed if not isinstance(item, Rejected)]
    return {
        str(record["id"]): record.get("ground_truth")
        for record in records
        if isinstance(record, dict) and "id" in record
    }


def _read_parts(file: RecordFile, record: tuple[int, Any]) -> Iterator[Conversation | Rejected]:
    """Read every conversation of one record."""
    line, value = record
    path, reader = file.path, FORMATS[file.format]
    if isinstance(value, dict) and str(value.get("id")) in file.answers:
        value = {**value, "ground_truth": file.answers[str(value["id"])]}
    stem = _STEM.sub("", path.name).encode("utf-8", "backslashreplace").decode()  # may be no UTF-8
    name = f"{stem}-{line}"
    if reader.parts is None:
        yield _read_record(path, line, value, name, reader, file.tools)
        return
    found = _guarded(path, line, reader.parts, value)
    if isinstance(found, Rejected):
        yield found
        return
    for number, part in enumerate(found, start=1):
        own = f"{name}.{number}" if len(found) > 1 else name
        yield _read_record(path, line, part, own, reader, file.tools)


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


def _parsed(path: Path, item: Text) -> Iterator[tuple[int, Any] | Rejected]:
    """Yield the records that one text holds."""
    if isinstance(item, Rejected):
        yield item
        return
    line, text = item
    try:
        value = strict_json(text)
    except ValueError as error:
        detail = f"the record is not JSON: {clip(str(error))}; mend the line"
        yield Rejected(str(path), line, "broken_json", detail)
        return
    for at, record in unwrapped(line, text, value, is_record=_is_record):
        yield at, opened(record)


def _is_record(value: Any) -> bool:
    return _recognised(value, None) is not None


def recognise(path: Path, texts: Iterator[Text], head: list[Text]) -> str:
    """Tell the format from the first readable record; what it took from `texts` is in `head`."""
    early: list[tuple[int, Any] | Rejected] = []
    for text in texts:
        head.append(text)
        for item in _parsed(path, text):
            early.append(item)
            name = None if isinstance(item, Rejected) else _recognised(item[1], None)
            if name is not None:
                return str(name)
            if len(early) >= _PATIENCE:
                break
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


def _ended(conversation: Conversation, record: Any) -> Conversation:
    """Return a conversation with its last answer as context, where the record says it was cut."""
    *before, last = conversation.messages or (None,)
    if last is None or not last.weight or not isinstance(record, dict):
        return conversation
    ended = cut_off({**record, "status": None})  # a record's may be that of anything
    return conversation.model_copy(
        update={"messages": (*before, *weighed([last], ended, "the record"))}
    )


def _usable(
    path: Path, line: int, value: Any, name: str, reader: Reader, tools: tuple[Tool, ...]
) -> Conversation | Rejected:
    """Read one record, put its turns in order, and hold it to the rules for all formats."""
    with collected() as remarks:
        remark_unread(value, reader.keys)
        conversation = settled(_ended(reader.read(value, default_id=name, tools=tools), value))
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
