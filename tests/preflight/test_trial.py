"""What is tried out before a run begins, with the settings of every recipe."""

import pytest

from actwise.config import RunConfig, layered
from actwise.desk import MODEL
from actwise.desk.splits import prepare_desk
from actwise.model.policy import Policy
from actwise.preflight.trial import try_out
from actwise.recipes import names, read_recipe
from actwise.run.progress import QUIET

SMALL = (
    "desk.train=4",
    "desk.dev=1",
    "desk.test=1",
    "desk.shifted=1",
    "rl.steps=5",
    "rl.conversations_per_step=3",
    "rl.decisions_per_conversation=1",
    "rl.num_generations=2",
    "episodes.environment=desk",
    "model.threads=1",
    "model.workers=1",
)


def configured(name: str) -> RunConfig:
    small = SMALL if name != "propa" else (*SMALL, "rl.search.iterations=2")
    return layered([read_recipe(name).settings], small)


@pytest.mark.parametrize("name", names())
def test_what_every_recipe_samples_is_counted(name: str) -> None:
    config = configured(name)
    prepared = prepare_desk(config)
    policy = Policy.load(str(MODEL))
    trial = try_out(policy, prepared.splits.train, config, 24, decisions=2, progress=QUIET)
    samples = trial.samples
    assert samples is not None
    assert samples.decisions >= 1
    assert samples.completions >= 2 * samples.decisions
    assert samples.rewards.count == samples.completions
    assert 0 < samples.tokens <= 24
