"""The recorded actions behind the rollouts: the run's own logs, if they are still what they were.

Rollouts name their decisions; what was recorded there is in the logs alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actwise.config import RunConfig, validated
from actwise.conversation import Conversation, Decision, all_decisions
from actwise.data.load import read_logs
from actwise.data.prepare import prepare
from actwise.desk import SPLITS
from actwise.desk.splits import prepare_desk
from actwise.errors import ConfigError, InputError
from actwise.report.folder import DataFile, RunRecord
from actwise.run.files import fingerprint

_DESK = {f"desk/{split}": split for split in SPLITS}
"""What `actwise demo` writes in place of files."""


def recorded_decisions(record: RunRecord, files: Sequence[Path] = ()) -> dict[str, Decision]:
    """Read the conversations of a run again, with the names that it gave their tools.

    Args:
        record: What run.json holds. Where `data.renamed` is set its split is made again, too.
        files: Where its logs are now, in the order of the run; where they were if empty.

    Returns:
        Decisions by key.

    Raises:
        InputError: The logs are not there, or not what they were.
    """
    if files and len(files) != len(record.data):
        raise InputError(
            f"one of {len(files)} files, and the run was made from {len(record.data)}",
            file=str(files[0]),
            remedy="name all of them, in the order of the run",
        )
    config = _config(record)
    if not files and all(data.file in _DESK for data in record.data):
        conversations = _of_desk(record.data, config)
    else:
        conversations = _of_logs(record.data, files, config)
    return {decision.key: decision for decision in all_decisions(conversations)}


def _config(record: RunRecord) -> RunConfig:
    """Return the settings by which conversations were read and their tools renamed."""
    sizes = {_DESK[data.file]: data.conversations for data in record.data if data.file in _DESK}
    settings: dict[str, Any] = {
        "seed": record.seed or 0,
        "data": record.config.get("data", {}),
        "reward": {"tools": record.config.get("reward", {}).get("tools", {})},
        "desk": sizes,
    }
    try:
        return validated(settings)
    except ConfigError as error:
        raise InputError(
            f"not a setting of this version of actwise: {error}",
            file="run.json",
            remedy="audit with the version that made the run",
        ) from error


def _of_desk(made: Sequence[DataFile], config: RunConfig) -> Sequence[Conversation]:
    prepared = prepare_desk(config)
    now = {data["file"]: data["sha256"] for data in prepared.fingerprints}
    for data in made:
        if now[data.file] != data.sha256:
            raise InputError(
                "this version of actwise generates other conversations than the run was trained on",
                file=data.file,
                remedy="audit with the version that made the run",
            )
    return prepared.splits.train


def _of_logs(
    made: Sequence[DataFile], files: Sequence[Path], config: RunConfig
) -> Sequence[Conversation]:
    paths = list(files) or [Path(data.file) for data in made]
    for path in paths:
        if not path.is_file():
            raise InputError(
                "the run's logs are not there",
                file=str(path),
                remedy="say where they are now with --data",
            )
    if config.data.renamed:
        prepared = prepare(paths, config)
        conversations, now = prepared.splits.train, prepared.fingerprints
    else:
        logs = read_logs(paths, config)
        conversations, now = logs.conversations, logs.fingerprints
    for data, path, read in zip(made, paths, now, strict=True):
        # What was read of a file, and in older runs the file itself.
        if data.sha256 not in (read["sha256"], fingerprint(path)):
            raise InputError(
                "not what the run was trained on, for its content differs",
                file=str(path),
                remedy="name the logs of the run with --data",
            )
    return conversations
