"""The model card: what a model is, how it was measured, and how it is used."""

import json
from pathlib import Path, PureWindowsPath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from actwise import __version__
from actwise.export.parsers import Parsers
from actwise.model.startup import HUB_NAME, SHIPPED, model_name
from actwise.report.folder import Range, Results
from actwise.report.words import number, span

_FOLDER = Path(__file__).parent


def write_card(
    stage: str,
    *,
    base: str,
    thinking: bool,
    dtype: str,
    parsers: Parsers,
    results: dict[str, Any] | None,
    data: list[dict[str, Any]],
    trained: bool = True,
    steered: bool = False,
    lora_rank: int | None = None,
) -> str:
    """Return a model card in Markdown.

    Args:
        stage: Which model of a run it is, or its name.
        base: Name of the model that was trained; a folder's name stands for its path.
        thinking: The mode in which it was measured.
        dtype: The type of its weights, such as "float32".
        parsers: How others read its completions.
        results: What `results.json` of its run holds; None without a finished run.
        data: Fingerprints of what it was trained and measured on.
        trained: Whether its run has trained it.
        steered: Whether it was measured with a vector, which lies in `steering.json`.
        lora_rank: Rank of the adapters, where only these are there.
    """
    found = {} if results is None else results
    content = Results.model_validate(found)
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), undefined=StrictUndefined, keep_trailing_newline=True
    )
    name = public_name(base)
    named = "the desk's own model" if name == SHIPPED else name
    return environment.get_template("card.md.j2").render(
        title=f"{stage}, from {named}" if trained else named,
        stage=stage,
        trained=trained,
        steered=steered,
        lora_rank=lora_rank,
        # vLLM takes adapters of rank 16 unasked, and is asked for one of these.
        max_lora_rank=next(
            (r for r in (16, 32, 64, 128, 256, 320, 512) if r >= (lora_rank or 0)), 512
        ),
        version=__version__,
        base=named,
        base_name=name,
        hub_base="/" in named,
        folder="FOLDER",
        thinking=thinking,
        dtype=dtype,
        max_tokens=found.get("max_completion_tokens"),
        rows=[
            {
                "model": row.model,
                "mode": row.mode,
                "split": row.split,
                "decisions": row.decisions,
                "value": number(_accuracy(row.metrics).value, share=True),
                "interval": span(_accuracy(row.metrics), share=True),
            }
            for split in content.splits()
            for row in content.of_split(split)
        ],
        floors=[
            (split, name, number(value, share=True))
            for split, of_split in content.floors.items()
            for name, value in of_split.items()
        ],
        verdict=found.get("verdict", ""),
        parsers=parsers,
        data=without_paths(data),
    )


def public_name(base: str) -> str:
    """Return the name of a base model: of a folder its name alone, for where it lies is private."""
    name = model_name(base)
    of_hub = HUB_NAME.fullmatch(name) and not Path(name).exists()
    return name if of_hub else file_name(name)


def without_paths(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return fingerprints with the names of the files alone: paths tell of their owner."""
    return [{**item, "file": file_name(str(item["file"]))} for item in data]


def file_name(path: str) -> str:
    """Return the last part of a path of whatever system: a run may be exported on another."""
    return PureWindowsPath(path).name


def _accuracy(metrics: dict[str, Range]) -> Range:
    return metrics.get("action_accuracy", Range())


def facts(
    stage: str, *, thinking: bool, parsers: Parsers, record: dict[str, Any], steered: bool = False
) -> str:
    """Return `actwise.json`: the card's facts for programs."""
    told: dict[str, Any] = {
        "stage": stage,
        "enable_thinking": thinking,
        "vllm": {"tool_call_parser": parsers.tool, "reasoning_parser": parsers.reasoning},
        "data": without_paths(record.get("data", [])),
    }
    told |= {"steering": "steering.json"} if steered else {}
    told |= {key: record[key] for key in ("actwise", "versions", "seed") if key in record}
    return json.dumps(told, indent=1) + "\n"
