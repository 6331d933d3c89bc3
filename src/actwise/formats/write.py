"""Conversations in the canonical form: one JSON line each, in OpenAI's chat shape."""

import gzip
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actwise.conversation import Conversation
from actwise.errors import InputError
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


def write_conversations(items: Iterable[Conversation | Rejected], out: Path) -> Written:
    """Write conversations so that `read_files` gives the same ones again.

    Args:
        items: What `read_files` yields; read once, never held as a whole.
        out: The file, gzip if it is called .gz; replaced only when all is written.

    Raises:
        InputError: If there is no conversation among the items; then nothing is written.
        RunError: If the file cannot be written.
    """
    written = Written()

    def write(temporary: Path) -> None:
        zipped = out.suffix == ".gz"
        with gzip.open(temporary, "wb") if zipped else open(temporary, "wb") as file:
            for item in items:
                if isinstance(item, Rejected):
                    written.left_out.setdefault(item.reason, []).append(f"{item.file}:{item.line}")
                    continue
                written.conversations += 1
                written.decisions.update(decision.kind for decision in item.decisions())
                file.write(item.to_json().encode() + b"\n")
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
