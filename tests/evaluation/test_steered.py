"""Which thoughts an evaluation is steered by."""

from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from actwise.config import SteeringConfig
from actwise.engine.local import LocalEngine
from actwise.evaluation.evaluate import Evaluator
from actwise.evaluation.steered import steered
from actwise.model.policy import Policy
from actwise.rewards.settings import JudgeConfig
from actwise.run.progress import Progress
from finding import CONVERSATIONS, scripted


@pytest.fixture(scope="module")
def policy(tiny_model_dir: Path) -> Policy:
    return Policy.load(str(tiny_model_dir))


def evaluator(policy: Policy, thought: str) -> Evaluator:
    engine = scripted(policy, lambda d, _: f"<think>\n{thought}\n</think>\n\nHm.")
    return Evaluator(engine, policy.template, JudgeConfig(), 100)


def test_the_models_own_thoughts_give_the_vector(policy: Policy) -> None:
    config = SteeringConfig(strength=0.5, layer=1, conversations=1)
    quiet = Progress(Console(quiet=True))
    thinks = evaluator(policy, "It is W1. Wait. It is W2.")
    found, _ = steered(thinks, policy, CONVERSATIONS, config, quiet)
    assert isinstance(found.engine, LocalEngine)
    assert (found.settings, found.max_tokens) == (thinks.settings, thinks.max_tokens)
    # Without a second evaluation, from the records of all; only the first conversation's count.
    records = thinks.evaluate(CONVERSATIONS, thinking=True)
    records[3:] = [r | {"thought": "A. B. Wait."} for r in records[3:]]
    same, _ = steered(thinks, policy, CONVERSATIONS, config, quiet, records)
    vectors = [e.engine.steering.vector_D for e in (found, same)]
    assert torch.equal(*vectors) and vectors[0].norm() > 0


def test_thoughts_that_only_carry_out_steer_nothing_and_that_is_said(policy: Policy) -> None:
    shown = StringIO()
    progress = Progress(Console(file=shown, width=200))
    thinks = evaluator(policy, "It is W1. It is W2.")
    found, steering = steered(thinks, policy, CONVERSATIONS, SteeringConfig(strength=1.0), progress)
    assert found is thinks and steering is None
    assert "nothing is steered" in shown.getvalue()
