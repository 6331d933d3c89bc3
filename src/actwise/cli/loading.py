"""What the verbs do before their work: read logs, find the model, prepare torch."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from actwise.errors import InputError, ModelError


def with_options(config: Any, **options: Any) -> Any:
    """Let options of the command line overrule the section `data` where they are given."""
    given = {name: value for name, value in options.items() if value is not None}
    return config.model_copy(update={"data": config.data.model_copy(update=given)})


def read_logs(files: Sequence[Path], config: Any) -> tuple[list[Any], list[dict[str, Any]]]:
    """Read logs; records that cannot be used stop the run, or are counted."""
    import random

    from actwise.conversation import Conversation
    from actwise.formats import Rejected, read_files
    from actwise.rewards.overrides import check_overrides

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
    if config.data.limit is not None and config.data.limit < len(conversations):
        draw = random.Random(f"limit/{config.seed}")
        conversations = draw.sample(conversations, config.data.limit)
    reasons = Counter(item.reason for item in rejected)
    skipped = [
        {
            "reason": reason,
            "count": count,
            "examples": [f"{r.file}:{r.line}" for r in rejected if r.reason == reason][:3],
        }
        for reason, count in reasons.most_common()
    ]
    return conversations, skipped


def split_logs(conversations: Sequence[Any], config: Any) -> Any:
    """Divide conversations as the sections of a configuration say; see `data.split`."""
    from actwise.data.split import split

    return split(
        conversations,
        dev=config.data.dev_fraction,
        test=config.data.test_fraction,
        seed=config.seed,
    )


def echo_skipped(skipped: list[dict[str, Any]]) -> None:
    """Tell what was left out, and why."""
    for item in skipped:
        places = ", ".join(item["examples"])
        click.echo(f"left out: {item['count']} ({item['reason']}), such as {places}")


def model_path(name: str) -> str:
    """Return the folder of the shipped model for `base`, and any other name as it is.

    Raises:
        ModelError: The name can be neither a model's folder nor one of a hub.
    """
    if name == "base":
        return str(Path(__file__).parents[1] / "desk" / "model")
    remedy = "name a model's folder or hub name, or `base`"
    if Path(name).is_dir():
        if not any((Path(name) / f).exists() for f in ("config.json", "adapter_config.json")):
            raise ModelError(f"{name}: holds no model, for it has no config.json; {remedy}")
    # A hub name is NAME or OWNER/NAME; anything else can only be meant as a folder.
    elif not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", name):
        raise ModelError(f"{name}: no such folder; {remedy}")
    return name


def prepare_torch() -> None:
    """Set what has to be set before torch is imported."""
    # Threads that spin while they wait slow each other down on shared cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, enable_progress_bars
    from transformers.utils.logging import disable_progress_bar

    # Reading and writing weights takes moments; a download, which takes minutes, is shown.
    hidden = are_progress_bars_disabled()
    disable_progress_bar()
    if not hidden:
        enable_progress_bars()


def error_console() -> Console:
    """Return where progress is shown, apart from results."""
    return Console(stderr=True)
