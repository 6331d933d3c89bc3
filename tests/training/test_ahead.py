"""Batches that are sampled while the update before them is computed."""

import copy
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from actwise.engine.local import LocalEngine
from actwise.engine.rollouts import Group
from actwise.model.policy import Policy
from actwise.run.folder import Run
from actwise.run.progress import Progress
from actwise.training.stages import RL
from finding import (
    context,
    lines,
)

AHEAD = {
    "steps": 6,
    "mode": "direct",
    "num_generations": 4,
    "conversations_per_step": 2,
    "learning_rate": 0.01,
    "selection": {"rest": 1},
}

VARIED = {"custom": {"varied": {"function": "finding:varied", "weight": 1.0}}}


class Early(LocalEngine):
    """Knows from which weights it sampled; ends at many tokens, as a random model does at none."""

    def __init__(self, policy: Policy, seen: list[float]) -> None:
        super().__init__(policy)
        self.seen = seen

    def snapshot(self) -> "Early":
        return Early(super().snapshot()._policy, self.seen)

    def generate(self, groups: Sequence[Group], *, params: Any, **how: Any) -> list[Group]:
        self.seen.append(fingerprint(self._policy))
        params = replace(params, stop_token_ids=(*params.stop_token_ids, *range(0, 260, 9)))
        return super().generate(groups, params=params, **how)


def fingerprint(policy: Policy) -> float:
    return float(sum(w.double().sum() for w in policy.weights().values()))


def test_batches_sampled_ahead_are_one_step_old_and_fresh_behind_a_checkpoint(
    policy: Policy, run: Run
) -> None:
    run.begin()
    engine = Early(policy, [])
    given = context(
        policy,
        run,
        engine=engine,
        engine_settings={"ahead": 1},
        rl=AHEAD,
        reward=VARIED,
        checkpoint_every=3,
    )
    weights = [fingerprint(policy)]
    for _ in RL.begin(given).steps:
        weights.append(fingerprint(policy))
    assert len(set(weights)) == 7
    assert engine.seen == [weights[i] for i in (0, 0, 1, 3, 3, 4)]
    metrics = lines(run, "metrics/rl.jsonl")
    far = [record["mismatch_kl"] > 1e-6 for record in metrics]
    assert far == [False, True, True, False, True, True]
    assert all(abs(metrics[i]["mismatch_kl"]) < 1e-9 for i in (0, 3))


def test_a_run_that_samples_ahead_ends_the_same_however_often_it_is_killed(
    policy: Policy, tmp_path: Path
) -> None:
    def train(folder: Path, stops: Sequence[int]) -> tuple[dict[str, Tensor], list[Any]]:
        ours = Policy(copy.deepcopy(policy.model), policy.template)
        for steps in stops:  # a process each
            ours.set_weights(policy.weights())
            with Run.open(folder, {}, Progress(Console(quiet=True))) as run:
                run.begin()
                given = context(
                    ours,
                    run,
                    engine=Early(ours, []),
                    engine_settings={"ahead": 1},
                    rl=AHEAD,
                    reward=VARIED,
                    checkpoint_every=3,
                )
                list(itertools.islice(RL.begin(given).steps, steps))
                metrics = lines(run, "metrics/rl.jsonl")
        return ours.weights(), metrics

    whole, metrics = train(tmp_path / "whole", [6])
    broken, again = train(tmp_path / "broken", [2, 4, 6])
    assert again == metrics
    assert all(torch.equal(whole[name], weight) for name, weight in broken.items())
