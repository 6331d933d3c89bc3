"""The vector with which a run measures its models, from the run to whoever talks to them."""

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import actwise
from actwise.api.naming import models_of
from actwise.engine.steering import Steering
from actwise.evaluation import steered
from actwise.model.policy import Policy
from finding import conversation
from integration.conftest import Actwise

SMALL = {
    "max_batch_tokens": 4096,
    "sft": {"steps": 1},
    "think": {"steps": 1},
    "rl": {"steps": 1, "num_generations": 2, "conversations_per_step": 2},
    "evaluate": {
        "thought_tokens": 8,
        "max_completion_tokens": 40,
        "steering": {"strength": 0.5, "conversations": 1},
    },
}


def test_a_model_is_steered_as_it_was_measured(
    actwise_: Actwise, tmp_path: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(policy: Policy, thoughts: Any, *, layer: int | None, strength: float) -> Steering:
        return Steering(policy, 1, torch.arange(48.0), strength)

    monkeypatch.setattr(steered, "find_steering", found)
    names = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibex", "jay", "kiwi", "lynx"]
    log = tmp_path / "log.jsonl"
    log.write_text("".join(conversation(name).to_json() + "\n" for name in names))
    run = actwise.train(log, tmp_path / "run", model=str(tiny_model_dir), config=SMALL)
    # Neither the base nor who was measured direct is steered.
    files = sorted(path.name for path in (run.folder / "steering").iterdir())
    assert files == ["rl.json", "think.json"]
    assert json.loads((run.folder / "steering" / "rl.json").read_text())["strength"] == 0.5
    models = models_of(str(run.folder))
    policy = models["rl"].load()
    own = models["rl"].load_steering(policy, None)
    assert own is not None and (own.layer, own.strength) == (1, 0.5)
    assert models["rl"].load_steering(policy, "none") is None
    assert models["sft"].load_steering(policy, None) is None

    lines = iter(["Hello", "/quit"])
    monkeypatch.setattr(builtins, "input", lambda prompt: next(lines))
    done = actwise_("chat", run.folder, "--stage", "rl", "--max-tokens", 5)
    assert done.code == 0 and "steered by" in done.err, done.err
    wrong = actwise_("chat", run.folder, "--stage", "rl", "--steer", log)
    assert wrong.complaint.startswith(f"{log}: holds no vector")
    several = actwise_("serve", run.folder, "--steer", log)
    assert several.complaint == "--steer: a vector is of one model; choose it with --stage"


@pytest.fixture
def actwise_(actwise: Actwise) -> Actwise:
    """The command line; the package has its name here."""
    return actwise
