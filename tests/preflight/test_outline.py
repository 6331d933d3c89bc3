"""The first lines of a run."""

import re
from dataclasses import replace
from pathlib import Path

import torch

from actwise.config import load_config
from actwise.data.prepare import Prepared, fit
from actwise.model.policy import Policy
from actwise.preflight.outline import expected_time, outline
from preflight.test_preflight import SMALL, splits

STEPS = ["sft.steps=50", "think.steps=0", "rl.steps=50", "rl.decisions_per_conversation=1"]


def test_a_run_is_timed_and_its_policy_stays_as_it_is(tiny_model_dir: Path, tmp_path: Path) -> None:
    policy = Policy.load(str(tiny_model_dir))
    config = load_config(None, [*SMALL, *STEPS])
    fitted = fit(Prepared(splits(), [], []), config, policy.template, policy.context_length)
    before = policy.weights()
    drawn = torch.random.get_rng_state()
    said = expected_time(policy, fitted, config, tmp_path)
    assert said is not None and re.match(r"time: about \d", said)
    for name, weight in policy.weights().items():
        assert torch.equal(weight, before[name])
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert list(tmp_path.iterdir()) == []


def test_a_short_run_is_not_timed(tiny_model_dir: Path, tmp_path: Path) -> None:
    policy = Policy.load(str(tiny_model_dir))
    config = load_config(None, [*SMALL, *STEPS, "sft.steps=49"])
    fitted = fit(Prepared(splits(), [], []), config, policy.template, policy.context_length)
    assert expected_time(policy, fitted, config, tmp_path) is None


def test_the_outline_says_what_goes_in_and_what_is_done(tiny_model_dir: Path) -> None:
    policy = Policy.load(str(tiny_model_dir), lora_rank=1)
    config = load_config(None, [*SMALL, *STEPS, "rl.mode=direct"])
    skipped = [{"reason": "no assistant", "count": 3, "examples": ["x:1"]}]
    fitted = fit(Prepared(splits(), skipped, []), config, policy.template, policy.context_length)
    model, data, plan = outline("some/model", policy, fitted, config)
    own = sum(p.numel() for p in policy.trainable().values())
    assert model.startswith("model: some/model, ") and f"of which {own} are trained" in model
    assert data.endswith("; 3 records are left out")
    assert (
        plan
        == "plan: base, then sft (50 steps, direct), then rl (50 steps, direct); each is measured"
    )
    empty = replace(fitted, skipped=[])
    assert "left out" not in list(outline("some/model", policy, empty, config))[1]
