"""Logs read from files, as the section `data` of a configuration says."""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from actwise.config import RunConfig
from actwise.conversation import Conversation
from actwise.data.fingerprint import Sides
from actwise.data.grown import longest_records
from actwise.data.stored import Store, chosen, packed, unpacked
from actwise.errors import ConfigError, InputError
from actwise.formats import Rejected, UniqueIds, read_each
from actwise.formats.validate import NOTHING_LEARNED
from actwise.rewards.overrides import check_overrides
from actwise.run.cores import num_cores
from actwise.run.progress import QUIET, Progress

_EXAMPLES = 3
GROWING = "the beginning of a longer record, which is used"


@dataclass(frozen=True)
class Logs:
    """Conversations as they were read, and what was left out."""

    conversations: Sequence[Conversation]
    skipped: list[dict[str, Any]]
    """By reason: "reason", "count", "examples" (places as "file:line")."""
    fingerprints: list[dict[str, Any]]
    """By file: "file", "sha256", "conversations"."""


def read_logs(files: Sequence[Path], config: RunConfig, progress: Progress = QUIET) -> Logs:
    """Read logs; records that cannot be used stop the run, or are counted.

    A conversation that was logged at each of its requests is taken once, with all its turns. They
    lie on the disk, and each is read when it is needed.

    Args:
        files: The logs.
        config: Its section `data` counts, and what `reward.tools` names.
        progress: Where it is shown how far reading is.

    Raises:
        InputError: A record cannot be used and `data.bad_records` is "stop", or none can.
        ConfigError: A rule under `reward.tools` names a tool that no conversation has.
    """
    reading = _Reading(files)
    with progress.reading(files) as told:
        items = read_each(
            files,
            _packing,
            format=config.data.format,
            tools=config.data.tools,
            told=told,
            processes=num_cores(),
        )
        conversations: Sequence[Conversation] = Store(reading.usable(items))
    first = reading.first
    if first is not None and config.data.bad_records == "stop":
        number = reading.rejected.total()
        more = f" ({number} such records; see `actwise check`)" if number > 1 else ""
        raise InputError(
            f"{first.detail}{more}",
            file=first.file,
            line=first.line,
            remedy="or leave such records out with --set data.bad_records=skip",
        )
    conversations, beginnings = longest_records(conversations)
    if not conversations:
        raise InputError("no usable conversation", file=str(files[0]), remedy="see `actwise check`")
    check_overrides(config.reward, conversations)
    if config.data.limit is not None and config.data.limit < len(conversations):
        draw = random.Random(f"limit/{config.seed}")
        numbers = draw.sample(range(len(conversations)), config.data.limit)
        conversations = chosen(conversations, numbers)
    return Logs(conversations, [*reading.skipped(), *_growing(beginnings)], reading.fingerprints())


def _growing(beginnings: Sequence[Conversation]) -> list[dict[str, Any]]:
    """Count the records whose conversation is used as a longer record holds it."""
    if not beginnings:
        return []
    places = [conversation.source for conversation in beginnings[:3]]
    return [{"reason": GROWING, "count": len(beginnings), "examples": places}]


def on_side(logs: Logs, model: str, side: str) -> Logs:
    """Return the logs on one side of the split that a model was trained on.

    Raises:
        ConfigError: If the model does not know its data, or none of these is on that side.
    """
    known = Sides.load(Path(model))
    if known is None:
        raise ConfigError(
            f"{model} does not know its data, so there is no --split {side}; leave it out"
        )
    return replace(logs, conversations=known.only(side, logs.conversations))


def seen(logs: Logs, model: str) -> dict[str, int]:
    """Count what a model that is to be measured on logs has seen of them.

    Args:
        logs: What it is to be measured on.
        model: Its folder, which may say what it was trained on; see `Sides`.

    Returns:
        "seen", conversations that it was trained on or chosen by, "held_out", such as lie on
        another side of its split, and "conversations", all of them; empty where it has seen none.
    """
    known = Sides.load(Path(model))
    counts = known.count(logs.conversations) if known is not None else Counter[str]()
    trained = counts["train"] + counts["dev"]
    if not trained:
        return {}
    return {
        "seen": trained,
        "held_out": counts.total() - trained,
        "conversations": len(logs.conversations),
    }


class _Packed(NamedTuple):
    """A conversation as another process hands it over."""

    id: str
    file: str
    line: bytes
    """Its JSON."""
    conversation: bytes
    """See `packed`."""


def _packing() -> Callable[[Conversation | Rejected], _Packed | Rejected]:
    return lambda item: _without_what_failed(item) if isinstance(item, Rejected) else _packed(item)


def _without_what_failed(item: Rejected) -> Rejected:
    return item if item.reason == NOTHING_LEARNED else replace(item, conversation=None)


def _packed(conversation: Conversation) -> _Packed:
    file = conversation.source.rpartition(":")[0]
    line = conversation.to_json().encode()
    return _Packed(conversation.id, file, line, packed(conversation))


class _Reading:
    """What is noted of records while they pass."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.first: Rejected | None = None
        self.rejected: Counter[str] = Counter()
        self._places: dict[str, list[str]] = {}
        self._conversations: Counter[str] = Counter()
        self._digests = {str(f): hashlib.sha256() for f in files if not f.is_dir()}
        """Of what was read of each file; the file itself may be a pipe, which is read only once."""

    def usable(self, items: Iterable[_Packed | Rejected]) -> Iterator[bytes]:
        """Yield the conversations among what is read, each with an id of its own."""
        ids = UniqueIds()
        for item in items:
            if isinstance(item, Rejected):
                self.first = self.first or item
                self.rejected[item.reason] += 1
                places = self._places.setdefault(item.reason, [])
                places += [f"{item.file}:{item.line}"] if len(places) < _EXAMPLES else []
                # An answer that was cut off is not learned from longer records of it, either.
                if item.conversation is not None:
                    yield packed(item.conversation)
                continue
            if (name := ids.take(item.id)) != item.id:
                renamed = unpacked(item.conversation).model_copy(update={"id": name})
                item = _packed(renamed)
            self._conversations[item.file] += 1
            digest = self._digests.setdefault(item.file, hashlib.sha256())
            digest.update(item.line + b"\n")
            yield item.conversation

    def skipped(self) -> list[dict[str, Any]]:
        """Return what cannot be used, the commonest reason first."""
        return [
            {"reason": reason, "count": count, "examples": self._places[reason]}
            for reason, count in self.rejected.most_common()
        ]

    def fingerprints(self) -> list[dict[str, Any]]:
        """Return by file what was read of it."""
        return [
            {"file": file, "sha256": d.hexdigest(), "conversations": self._conversations[file]}
            for file, d in self._digests.items()
        ]
