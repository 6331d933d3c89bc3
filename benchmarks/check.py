"""A part of the check at work: what it computes with, and where it writes down what it finds."""

import gc
import json
import math
import random
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from actwise.bench.shapes import SHAPES, Shape, Workload, build_model
from actwise.conversation import Conversation, all_decisions
from actwise.engine.rollouts import Group, Sample, groups_of
from actwise.run.files import write_json
from actwise.template.render import Template

Figures = dict[str, Any]

LARGE = replace(SHAPES["large"], policy_tokens=(2400,))
WIDE = replace(
    LARGE,
    name="wide",
    model={
        # The attention of Qwen3-1.7B in a small model.
        **LARGE.model,
        "vocab_size": 4096,
        "hidden_size": 512,
        "intermediate_size": 1024,
        "num_hidden_layers": 4,
    },
    completion_tokens=48,
)
SMALL = replace(
    SHAPES["desk"],
    name="small",
    policy_tokens=(64,),
    decisions=2,
    num_generations=2,
    completion_tokens=4,
)


@dataclass(frozen=True)
class Check:
    """One part at work."""

    file: Path
    """Where everything is written down."""
    part: str
    device: torch.device
    tiny: bool
    """Whether only the code is checked, on small models."""
    scratch: Path
    """Models and runs."""

    def run(self, name: str, measure: Callable[[], Figures]) -> None:
        """Measure something; print it and write it down, or the reason why it failed.

        Args:
            name: Of the record.
            measure: Returns figures; among them "met", where there is something to be met.
        """
        gc.collect()  # what was measured before may be in circles; its memory would count here
        begin = time.monotonic()
        try:
            figures = measure()
        except Exception:  # written down; the other measurements are still worth having
            figures = {"met": False, "error": traceback.format_exc()}
        record = {"name": name, "seconds": round(time.monotonic() - begin, 2), **figures}
        found = json.loads(self.file.read_text())
        found["parts"][self.part]["records"].append(record)
        write_json(self.file, found)
        shown = (f"{key}: {_short(value)}" for key, value in record.items() if key != "error")
        print(f"[{self.part}] {', '.join(shown)}", figures.get("error", ""), flush=True)

    @property
    def large(self) -> Shape:
        """What speed is measured on."""
        return SMALL if self.tiny else LARGE

    @property
    def wide(self) -> Shape:
        """On what a large model's attention is checked."""
        return SMALL if self.tiny else WIDE

    def model(self, shape: Shape) -> Path:
        """Return the folder of a model with random weights."""
        folder = self.scratch / shape.name
        if not folder.exists():
            build_model(shape, folder, device=self.device)
        return folder


def work_of(
    template: Template, conversations: Sequence[Conversation], shape: Shape, *, alike: int = 0
) -> Workload:
    """Complete the decisions of conversations at random, without a model.

    Args:
        template: Renders the prompts.
        conversations: All their decisions are completed.
        shape: Says how often and how long.
        alike: Tokens with which every other completion of a decision begins like the first.
    """
    draw = random.Random(0)
    words = len(template.tokenizer)
    logprobs = (-math.log(words),) * shape.completion_tokens

    def complete(group: Group) -> Group:
        rows = [[draw.randrange(words) for _ in logprobs] for _ in range(shape.num_generations)]
        for row in rows[::2]:
            row[:alike] = rows[0][:alike]
        return group.with_samples(Sample(tuple(row), logprobs, "length") for row in rows)

    groups = groups_of(template, all_decisions(conversations), thinking=True)
    texts = tuple(template.prompt_text(group.decision, thinking=True) for group in groups)
    return Workload(tuple(complete(group) for group in groups), texts)


def peak(device: torch.device) -> Figures:
    """Return the highest memory of tensors since `restart_peak`, on a GPU."""
    if device.type != "cuda":
        return {}
    return {"peak GiB": torch.cuda.max_memory_allocated(device) / 2**30}


def restart_peak(device: torch.device) -> None:
    """Count the peak from now on."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
