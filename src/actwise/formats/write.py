"""Conversations in the canonical form: one JSON line each, in OpenAI's chat shape."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from actwise.conversation import Conversation
from actwise.errors import InputError
from actwise.formats.files import UniqueIds, read_each
from actwise.formats.record import Rejected
from actwise.run.files import write_named


@dataclass
class Written:
    """What a file was written from; every item read is in it or left out."""

    conversations: int = 0
    decisions: Counter[str] = field(default_factory=Counter)
    """How many decisions of each kind."""
    left_out: dict[str, list[str]] = field(default_factory=dict)
    """Where the records stand that are not in the file, as "file:line", by reason."""

    def skipped(self) -> list[dict[str, Any]]:
        """Return what was left out as `results.json` does, the commonest reason first."""
        by_count = sorted(self.left_out.items(), key=lambda item: -len(item[1]))
        return [
            {"reason": reason, "count": len(places), "examples": places[:3]}
            for reason, places in by_count
        ]


class _Line(NamedTuple):
    """A conversation as it is written."""

    id: str
    kinds: list[str]
    """Of its decisions."""
    text: bytes


def write_conversations(items: Iterable[Conversation | Rejected], out: Path) -> Written:
    """Write conversations so that `read_files` gives the same ones again.

    Args:
        items: What `read_files` yields; read once, never held as a whole.
        out: The file, gzip if it is called .gz; replaced only when all is written.

    Raises:
        InputError: If there is no conversation among the items; then nothing is written.
        RunError: If the file cannot be written.
    """
    return _write(map(_line, items), out)


def convert_files(
    paths: Sequence[Path],
    out: Path,
    *,
    format: str | None = None,
    tools: Path | None = None,
    told: Callable[[int], None] = lambda count: None,
    processes: int = 1,
) -> Written:
    """Write what files hold, as `write_conversations` does with what `read_files` yields.

    Args:
        paths: See `read_files`.
        out: See `write_conversations`.
        format: See `read_files`.
        tools: See `read_files`.
        told: See `read_texts`.
        processes: See `read_each`; what is written does not depend on it.

    Raises:
        ActwiseError: See `read_each` and `write_conversations`.
    """
    lines = read_each(paths, _lines, format=format, tools=tools, told=told, processes=processes)
    return _write(_with_unique_ids(lines), out)


def _lines() -> Callable[[Conversation | Rejected], _Line | Rejected]:
    return _line


def _line(item: Conversation | Rejected) -> _Line | Rejected:
    if isinstance(item, Rejected):
        return replace(item, conversation=None)
    kinds = [decision.kind for decision in item.decisions()]
    return _Line(item.id, [*kinds], item.to_json().encode())


def _with_unique_ids(lines: Iterable[_Line | Rejected]) -> Iterator[_Line | Rejected]:
    ids = UniqueIds()
    for line in lines:
        if isinstance(line, _Line) and (name := ids.take(line.id)) != line.id:
            record = json.loads(line.text) | {"id": name}
            line = line._replace(text=json.dumps(record, ensure_ascii=False).encode())
        yield line


def _write(lines: Iterable[_Line | Rejected], out: Path) -> Written:
    written = Written()

    def write(temporary: Path) -> None:
        zipped = out.suffix == ".gz"
        with gzip.open(temporary, "wb") if zipped else open(temporary, "wb") as file:
            for item in lines:
                if isinstance(item, Rejected):
                    written.left_out.setdefault(item.reason, []).append(f"{item.file}:{item.line}")
                    continue
                written.conversations += 1
                written.decisions.update(item.kinds)
                file.write(item.text + b"\n")
        if not written.conversations:
            first = written.skipped()[0]
            file_name, _, line = first["examples"][0].rpartition(":")
            raise InputError(
                f"no record can be used ({first['count']} {first['reason']})",
                file=file_name,
                line=int(line),
                remedy="see `actwise check`",
            )

    write_named(out, write)
    return written
