"""The recorded actions behind the rollouts: the run's own logs, if they are still what they were.

Rollouts name their decisions; what was recorded there is in the logs alone.
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from actwise.conversation import Conversation, Decision, all_decisions
from actwise.desk import SPLITS, generate
from actwise.errors import InputError
from actwise.formats import Rejected, read_files
from actwise.report.folder import DataFile, RunRecord
from actwise.run.files import fingerprint

_DESK = {f"desk/{split}": split for split in SPLITS}
"""What `actwise demo` writes in place of files."""


def recorded_decisions(record: RunRecord, files: Sequence[Path] = ()) -> dict[str, Decision]:
    """Read the conversations of a run again; decisions by key.

    Args:
        record: What run.json holds.
        files: Where its logs are now, in the order of the run; where they were if empty.

    Raises:
        InputError: The logs are not there, or not what they were.
    """
    if files and len(files) != len(record.data):
        raise InputError(
            f"one of {len(files)} files, and the run was made from {len(record.data)}",
            file=str(files[0]),
            remedy="name all of them, in the order of the run",
        )
    conversations: list[Conversation] = []
    if not files and all(data.file in _DESK for data in record.data):
        for data in record.data:
            conversations += _of_desk(data, record.seed or 0)
    else:
        paths = list(files) or [Path(data.file) for data in record.data]
        for data, path in zip(record.data, paths, strict=True):
            _check(data, path)
        section = record.config.get("data", {})
        tools = section.get("tools")
        read = read_files(paths, format=section.get("format"), tools=Path(tools) if tools else None)
        conversations += [item for item in read if not isinstance(item, Rejected)]
    return {decision.key: decision for decision in all_decisions(conversations)}


def _of_desk(data: DataFile, seed: int) -> list[Conversation]:
    made = generate(_DESK[data.file], data.conversations, seed=seed)
    if sha256("\n".join(c.to_json() for c in made).encode()).hexdigest() != data.sha256:
        raise InputError(
            "this version of actwise generates other conversations than the run was trained on",
            file=data.file,
            remedy="audit with the version that made the run",
        )
    return made


def _check(data: DataFile, path: Path) -> None:
    if not path.is_file():
        raise InputError(
            "the run's logs are not there",
            file=str(path),
            remedy="say where they are now with --data",
        )
    if fingerprint(path) != data.sha256:
        raise InputError(
            "not what the run was trained on, for its bytes differ",
            file=str(path),
            remedy="name the logs of the run with --data",
        )
