"""Parts by shapes: what was measured before in the same folder is not measured again."""

import importlib.util
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from actwise.bench.contest import Bench
from actwise.bench.parts import PARTS
from actwise.bench.peers import trl_missing
from actwise.bench.report import page, plot_growth
from actwise.bench.shapes import SHAPES, build_model
from actwise.conversation import Conversation
from actwise.errors import ConfigError, RunError
from actwise.model.kernels.allocator import keep_freed_memory
from actwise.run.cores import num_cores
from actwise.run.files import write_json, write_text
from actwise.run.progress import Progress
from actwise.run.versions import versions

_WITH_ADAPTERS = {"limits", "rollout"}
"""Parts that can be measured with adapters."""


@dataclass(frozen=True)
class Request:
    """What is measured, and how often."""

    conversations: int
    repeats: int
    device: str
    logs: str | None
    """Where conversations come from, other than the desk's."""
    model: str | None = None
    """In place of random weights."""
    dtype: str | None = None
    """Of the weights, everybody's; the shape's where None."""
    lora_rank: int | None = None
    """Of adapters; all weights are trained where None."""
    rows: int | None = None
    """Most rows that peers compute at once; what suits the device where None."""


def run_benchmark(
    out: Path,
    parts: Sequence[str],
    shapes: Sequence[str],
    request: Request,
    *,
    logs: Sequence[Conversation] = (),
    threads: int | None = None,
    command: str,
    console: Console,
) -> dict[str, Any]:
    """Measure parts of the benchmark and write `bench.json`, `bench.md` and plots.

    Args:
        out: Folder; one that holds a benchmark with the same request is added to.
        parts: Names in `PARTS`.
        shapes: Names in `SHAPES`.
        request: How it is measured.
        logs: Conversations to use in place of the desk's.
        threads: Cores of a CPU that each contestant may use; one for each core where None.
        command: Written down with the figures.
        console: Where progress is shown.

    Returns:
        What `bench.json` holds.

    Raises:
        ConfigError: The device cannot be used, or another TRL is installed.
        ModelError: The model cannot be loaded.
        RunError: The folder holds a benchmark with another request.
    """
    if request.lora_rank is not None and not set(parts) <= _WITH_ADAPTERS:
        raise ConfigError(
            f"--lora-rank is for {' and '.join(sorted(_WITH_ADAPTERS))}; the other parts compare "
            "with peers that train all weights"
        )
    device = _device(request.device)
    progress = Progress(console)
    missing = trl_missing()
    if missing is not None and {"update", "step", "memory"} & set(parts):
        progress.say(missing)
    found = _begin(out, request, command)
    threads = threads or num_cores()
    found["machine"] = {
        "cores": num_cores(),
        "threads": threads,
        "device": _name(device),
        **versions(),
    }
    keep_freed_memory()
    for name in shapes:
        shape = SHAPES[name]
        if request.dtype is not None:
            shape = replace(shape, dtype=getattr(torch, request.dtype))
        if shape.gpu and device.type == "cpu":
            found["not_measured"][name] = "needs a GPU (--device cuda)"
            _write(out, found)
            continue
        found["not_measured"].pop(name, None)
        with tempfile.TemporaryDirectory() as folder:
            build_model(shape, Path(folder), request.model, device=device)
            bench = Bench(
                shape,
                Path(folder),
                device,
                request.conversations,
                request.repeats,
                logs,
                progress,
                missing is None,
                threads,
                request.lora_rank,
                request.rows,
            )
            for part in parts:
                _measure_part(out, found, part, bench)
    _write(out, found)
    return found


def _measure_part(out: Path, found: dict[str, Any], part: str, bench: Bench) -> None:
    if any((r["part"], r["shape"]) == (part, bench.shape.name) for r in found["records"]):
        return
    record = {"part": part, "shape": bench.shape.name, **PARTS[part](bench)}
    if part == "scaling":
        _plot(out, record, bench.progress)
    found["records"].append(record)
    _write(out, found)


def _plot(out: Path, record: dict[str, Any], progress: Progress) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        progress.say(
            "matplotlib is not installed, so nothing is drawn; pip install 'actwise[bench]'"
        )
        return
    record["plot"] = f"growth-{record['shape']}.svg"
    plot_growth(record, out / record["plot"])


def _begin(out: Path, request: Request, command: str) -> dict[str, Any]:
    file, asked = out / "bench.json", asdict(request)
    if not file.exists():
        return {"request": asked, "command": command, "records": [], "not_measured": {}}
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if found["request"] != asked:
        raise RunError(f"{out}: holds a benchmark with other options; choose another --out")
    return found


def _write(out: Path, found: dict[str, Any]) -> None:
    write_json(out / "bench.json", found)
    write_text(out / "bench.md", page(found))


def _device(name: str) -> torch.device:
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # asserted: torch was built without it
        problem = str(error).partition("\n")[0]
        raise ConfigError(f"--device {name} cannot be used: {problem}") from error
    return torch.device(name)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
