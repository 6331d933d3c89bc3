"""Each family from logs to GRPO, all weights and adapters, interrupted and gone on with."""

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import GenerationConfig

from actwise.cli import main
from actwise.template.render import Template
from families import FAMILIES, Family, save_model

TREES = ("alder", "birch", "cedar", "elder", "fir", "gorse", "hazel", "ivy", "larch", "maple")
TOOL = {
    "type": "function",
    "function": {
        "name": "cut",
        "description": "Cut.",
        "parameters": {
            "type": "object",
            "properties": {"tree": {"type": "string", "description": "Which."}},
        },
    },
}
SETTINGS = {
    "sft.steps": 4,
    "sft.evaluate_every": 2,
    "think.steps": 4,
    "think.evaluate_every": 2,
    "rl.steps": 3,
    "rl.evaluate_every": 2,
    "rl.num_generations": 4,
    "rl.optimiser_steps": 2,
    "rl.conversations_per_step": 2,
    "data.dev_fraction": 0.2,
    "data.test_fraction": 0.2,
    "evaluate.max_completion_tokens": 12,
    "model.train_embeddings": "true",
    "model.threads": 1,
    "model.workers": 1,
    "checkpoint_every": 1,
}


def write_logs(path: Path) -> None:
    lines = []
    for tree in TREES:
        call = {"id": "call00001", "type": "function"}
        call["function"] = {"name": "cut", "arguments": {"tree": tree}}
        messages = [
            {"role": "user", "content": tree},
            {"role": "assistant", "content": "", "tool_calls": [call], "reasoning_content": "hm"},
            {"role": "tool", "content": "ok", "tool_call_id": "call00001"},
            {"role": "assistant", "content": "done", "reasoning_content": "so"},
        ]
        lines.append(json.dumps({"id": tree, "messages": messages, "tools": [TOOL]}) + "\n")
    path.write_text("".join(lines))


def actwise(arguments: list[str], log: str) -> None:
    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["actwise", *arguments]
    main()


def run(
    context: ForkServerContext,
    arguments: list[str],
    folder: Path,
    moment: Callable[[], bool] = lambda: False,
) -> int | None:
    """Run in a process of its own, and kill it when the moment comes."""
    log = folder.with_suffix(".log")
    process = context.Process(target=actwise, args=([*arguments, "--out", str(folder)], str(log)))
    process.start()
    while process.is_alive() and not moment():
        time.sleep(0.005)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), log.read_text()
    return process.exitcode


# Of each kind of layers one; all of them with `make test-slow`.
SOME = {
    ("Qwen2.5", None),
    ("Llama 3.2", 2),
    ("Qwen3.5", 2),
    ("LFM2", None),
    ("Gemma 3", None),
    ("Granite 4 h", None),
}
CASES = [
    pytest.param(
        family,
        rank,
        marks=pytest.mark.slow if (family.name, rank) in SOME else pytest.mark.exhaustive,
        id=f"{family.name}, {'all weights' if rank is None else 'adapters'}",
    )
    for family in FAMILIES
    for rank in (None, 2)
]


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["actwise.pipeline"])
    return context


@pytest.mark.parametrize(("family", "rank"), CASES)
def test_a_family_is_trained_and_gone_on_with(
    family: Family, rank: int | None, processes: ForkServerContext, tmp_path: Path
) -> None:
    logs, model = tmp_path / "logs.jsonl", save_model(family, tmp_path / "model")
    write_logs(logs)
    settings = {**SETTINGS, "model.template": "actwise" if family.shipped else "own"}
    if rank is not None:
        settings |= {"model.lora_rank": rank, "model.train_embeddings": "false"}
    arguments = ["run", "--data", str(logs), "--model", str(model)]
    arguments += [f"--set={key}={value}" for key, value in settings.items()]
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert run(processes, arguments, straight) == 0

    def has_lines(name: str, count: int) -> Callable[[], bool]:
        path = killed / "metrics" / name
        return lambda: path.exists() and path.read_bytes().count(b"\n") >= count

    for moment in (has_lines("sft.jsonl", 2), has_lines("rl.jsonl", 1)):
        assert run(processes, arguments, killed, moment) == -signal.SIGKILL
    assert run(processes, arguments, killed) == 0
    for stage in ("sft", "think", "rl"):
        folders = [f / "models" / stage for f in (straight, killed)]
        weights = [(f / "model.safetensors").read_bytes() for f in folders]
        assert weights[0] == weights[1]
    check_served(straight / "models" / "rl", model)


def check_served(trained: Path, base: Path) -> None:
    """What was saved is another model, whose template and stops are those it was trained with."""
    one, other = (load_file(f / "model.safetensors") for f in (trained, base))
    assert any(not torch.equal(one[name], other[name]) for name in one)
    template = Template.load(str(trained))
    assert template.expression.added == ()
    stops = GenerationConfig.from_pretrained(trained).eos_token_id
    assert sorted(stops) == sorted(template.stop_token_ids)
