"""Logs read from files, as the section `data` of a configuration says."""

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from actwise.config import RunConfig
from actwise.conversation import Conversation
from actwise.data.fingerprint import Sides
from actwise.data.grown import longest_records
from actwise.errors import ConfigError, InputError
from actwise.formats import Rejected, read_files
from actwise.rewards.overrides import check_overrides

GROWING = "the beginning of a longer record, which is used"


@dataclass(frozen=True)
class Logs:
    """Conversations as they were read, and what was left out."""

    conversations: list[Conversation]
    skipped: list[dict[str, Any]]
    """By reason: "reason", "count", "examples" (places as "file:line")."""
    fingerprints: list[dict[str, Any]]
    """By file: "file", "sha256", "conversations"."""


def read_logs(files: Sequence[Path], config: RunConfig) -> Logs:
    """Read logs; records that cannot be used stop the run, or are counted.

    A conversation that was logged at each of its requests is taken once, with all its turns.

    Raises:
        InputError: A record cannot be used and `data.bad_records` is "stop", or none can.
        ConfigError: A rule under `reward.tools` names a tool that no conversation has.
    """
    conversations: list[Conversation] = []
    rejected: list[Rejected] = []
    for item in read_files(files, format=config.data.format, tools=config.data.tools):
        if isinstance(item, Rejected):
            rejected.append(item)
        else:
            conversations.append(item)
    if rejected and config.data.bad_records == "stop":
        first = rejected[0]
        more = f" ({len(rejected)} such records; see `actwise check`)" if len(rejected) > 1 else ""
        raise InputError(
            f"{first.detail}{more}",
            file=first.file,
            line=first.line,
            remedy="or leave such records out with --set data.bad_records=skip",
        )
    if not conversations:
        raise InputError("no usable conversation", file=str(files[0]), remedy="see `actwise check`")
    check_overrides(config.reward, conversations)
    fingerprints = _fingerprints(files, conversations)
    conversations, beginnings = longest_records(conversations)
    if config.data.limit is not None and config.data.limit < len(conversations):
        draw = random.Random(f"limit/{config.seed}")
        conversations = draw.sample(conversations, config.data.limit)
    skipped = [*_by_reason(rejected), *_growing(beginnings)]
    return Logs(conversations, skipped, fingerprints)


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
        raise ConfigError(f"{model} does not know its data, so there is no --split {side}")
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


def _by_reason(rejected: Sequence[Rejected]) -> list[dict[str, Any]]:
    reasons = Counter(item.reason for item in rejected)
    return [
        {
            "reason": reason,
            "count": count,
            "examples": [f"{r.file}:{r.line}" for r in rejected if r.reason == reason][:3],
        }
        for reason, count in reasons.most_common()
    ]


def _fingerprints(
    files: Sequence[Path], conversations: Sequence[Conversation]
) -> list[dict[str, Any]]:
    """Digest what was read of each file; the file itself may be a pipe, which is read only once."""
    by_file: dict[str, list[Conversation]] = {str(f): [] for f in files if not f.is_dir()}
    for conversation in conversations:
        by_file.setdefault(conversation.source.rpartition(":")[0], []).append(conversation)
    return [
        {"file": file, "sha256": _digest(of_file), "conversations": len(of_file)}
        for file, of_file in by_file.items()
    ]


def _digest(conversations: Sequence[Conversation]) -> str:
    hasher = hashlib.sha256()
    for conversation in conversations:
        hasher.update(conversation.to_json().encode() + b"\n")
    return hasher.hexdigest()
