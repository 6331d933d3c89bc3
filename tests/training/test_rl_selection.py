"""Which decisions and completions RL learns from, and what it does where none is right."""

import copy
import itertools
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor

from actwise.config import RlConfig
from actwise.conversation import Decision
from actwise.engine.rollouts import Group
from actwise.model.policy import Policy
from actwise.run.folder import Run
from actwise.run.progress import Progress
from actwise.training.stage import batch_of
from actwise.training.stages import RL, rl
from actwise.training.update import accumulate
from finding import (
    CONVERSATIONS,
    context,
    gold_text,
    lines,
    logprobs_of,
    ordinary,
    scripted,
)
from training.grpo import RIGHT_CALLS, make_groups, mixed, run_rl

ALL = {"num_generations": 4, "conversations_per_step": 3, "evaluate_every": 50}
"""Every step takes all conversations."""


def answered(decision: Decision, number: int) -> str:
    """Answer rightly, and call rightly in the first conversation and in no other."""
    if decision.kind == "answer" or decision.conversation.id == "W1":
        return gold_text(decision, "x" * (number + 1))
    return "<think>\nI do not.\n</think>\n\nNo."


def test_a_limit_of_tokens_ends_the_stage_whatever_its_steps(policy: Policy, run: Run) -> None:
    """Every step samples the same, so after the first it is known that there will be three."""
    given = context(policy, run, engine=scripted(policy, mixed), rl={"steps": 3, **ALL})
    list(RL.begin(given).steps)
    plain = lines(run, "metrics/rl.jsonl")
    limit = round(2.5 * plain[0]["sampled_tokens"])
    with Run.open(run.folder.with_name("limited"), {}, Progress(Console(quiet=True))) as limited:
        settings = {"steps": 9, "sampled_tokens": limit, **ALL}
        course = RL.begin(context(policy, limited, engine=scripted(policy, mixed), rl=settings))
        list(course.steps)
        steps = lines(limited, "metrics/rl.jsonl")
    assert [step["step"] for step in steps] == [1, 2, 3]
    assert sum(step["sampled_tokens"] for step in steps) >= limit
    assert course.training.step == course.training.end == 3
    assert "dev_action_accuracy" in steps[-1]
    rates = [[step["learning_rate"] for step in of_run] for of_run in (plain, steps)]
    assert rates[0] == rates[1] and rates[0][2] < rates[0][1]


def test_conversations_are_drawn_until_enough_groups_are_live(policy: Policy, run: Run) -> None:
    # Of each conversation one group of three is live.
    selection = {"live_groups": 2, "most": 9}
    run_rl(run, policy, mixed, steps=2, conversations_per_step=1, selection=selection)
    records = lines(run, "rollouts/rl.jsonl")
    assert {record["syntax"] for record in records} == {policy.template.syntax.name}
    sampled = [record["decision"] for record in records]
    assert len(sampled) == 2 * 2 * 3 * 4  # steps, conversations, decisions, completions
    drawn = [batch_of(CONVERSATIONS, 1, number, 0)[0].id for number in range(4)]
    firsts = [d.split("#")[0] for d in sampled[:: 3 * 4]]
    assert firsts == drawn


def test_no_more_are_drawn_than_allowed(policy: Policy, run: Run) -> None:
    selection = {"live_groups": 2, "most": 3}
    run_rl(run, policy, answered, conversations_per_step=1, selection=selection)
    assert len(lines(run, "rollouts/rl.jsonl")) == 3 * 3 * 4


def test_solved_decisions_rest(policy: Policy, run: Run) -> None:
    run_rl(run, policy, answered, steps=4, selection={"rest": 2}, likelihood={"weight": 0})
    steps = [(r["step"], r["decision"]) for r in lines(run, "rollouts/rl.jsonl")]
    solved = [step for step, decision in steps if decision == "W1#1"]
    failed = [step for step, decision in steps if decision == "X9#1"]
    assert sorted(set(solved)) == [1, 4]
    assert sorted(set(failed)) == [1, 2, 3, 4]


def test_where_all_decisions_rest_none_does(policy: Policy, run: Run) -> None:
    run_rl(run, policy, lambda d, n: gold_text(d, "x" * (n + 1)), steps=2, selection={"rest": 9})
    steps = [r["step"] for r in lines(run, "rollouts/rl.jsonl")]
    assert steps == [1] * 36 + [2] * 36


@pytest.mark.parametrize("kind", ["average", "reset"])
def test_what_moves_and_what_rests_survives_a_restart(
    policy: Policy, tmp_path: Path, kind: str
) -> None:
    config = {
        "steps": 6,
        "num_generations": 4,
        "conversations_per_step": 1,
        "evaluate_every": 1,
        "kl_coefficient": 0.5,
        "anchor": {"kind": kind, "decay": 0.5, "patience": 2},
        "selection": {"rest": 2, "live_groups": 1, "most": 2},
    }

    def train(folder: Path, stops: Sequence[int]) -> tuple[dict[str, Tensor], list[str]]:
        ours = Policy(copy.deepcopy(policy.model), policy.template)
        for steps in stops:  # a process each
            ours.set_weights(policy.weights())
            with Run.open(folder, {}, Progress(Console(quiet=True))) as run:
                run.begin()
                given = context(
                    ours, run, engine=scripted(policy, mixed), rl=config, checkpoint_every=2
                )
                list(itertools.islice(RL.begin(given).steps, steps))
                sampled = [r["decision"] for r in lines(run, "rollouts/rl.jsonl")]
        return ours.weights(), sampled

    whole, sampled = train(tmp_path / "whole", [6])
    # Killed after the first step behind a checkpoint, twice.
    broken, again = train(tmp_path / "broken", [3, 3, 6])
    assert again == sampled
    assert all(torch.equal(whole[name], weight) for name, weight in broken.items())


def test_a_run_that_does_not_learn_says_so_once(policy: Policy, run: Run) -> None:
    shown = StringIO()
    run.progress = Progress(Console(file=shown, width=300))
    run_rl(run, policy, lambda d, n: gold_text(d, "so"), steps=40, num_generations=2)
    assert shown.getvalue().count("rl, step 20: 0% of the groups are live") == 1
    assert shown.getvalue().count("are live") == 1


def test_few_of_many_completions_are_kept(
    policy: Policy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Group] = []

    def watch(policy: Policy, groups: Sequence[Group], *rest: Any, **limits: int) -> Any:
        seen.extend(one for one in groups if isinstance(one, Group))
        return accumulate(policy, groups, *rest, **limits)

    monkeypatch.setattr(rl, "accumulate", watch)
    (metrics,) = run_rl(run, policy, mixed, selection={"keep": 2}, scale="none")
    # Of four completions W1 has two that are right, W22 one and X9 three: one of each is kept.
    assert [sorted(r.advantage for r in group.rollouts) for group in seen] == [[-0.5, 0.5]] * 3
    records = lines(run, "rollouts/rl.jsonl")
    assert len(records) == 3 * 3 * 4
    # What was not kept is written down without an advantage.
    written = [r["advantage"] for r in records if r["advantage"]]
    assert sorted(written) == [-0.5] * 3 + [0.5] * 3
    assert sum(r["advantage"] is None for r in records) == 3 * 3 * 2
    # Figures are of all that was sampled and can be checked: a farewell states no facts.
    assert metrics["right"] == pytest.approx(6 / 24)
    assert metrics["not_checkable"] == pytest.approx(12 / 36)


def test_rejection_sampling_learns_from_right_completions_alone(policy: Policy, run: Run) -> None:
    groups = make_groups(policy, run, RlConfig(num_generations=4, advantage="rejection"))
    for group in groups:
        # No answer is accepted: one kind is wrong, and a farewell is nothing that can be checked.
        right = RIGHT_CALLS[group.conversation.id] if group.decision.kind == "call" else set()
        assert [r.advantage for r in group.rollouts] == [float(n in right) for n in range(4)]
        assert group.live == bool(right)


def test_the_record_is_learned_where_no_completion_is_right(policy: Policy, run: Run) -> None:
    def likelihood() -> float:
        with torch.no_grad():
            return sum(
                logprobs_of(
                    ordinary(policy),
                    policy.template.prompt(d, thinking=True),
                    policy.template.completion(d, thought="I do not."),
                )
                .sum()
                .item()
                for c in CONVERSATIONS
                for d in c.decisions()[:1]
                if c.id != "W1"
            )

    before = likelihood()
    (metrics,) = run_rl(
        run,
        policy,
        answered,
        learning_rate=1e-4,
        evaluate_every=9,
        likelihood={"action_weight": 1.0},
    )
    assert metrics["live_groups"] == 0
    assert metrics["unsolved"] == pytest.approx(2 / 9)
    assert metrics["surprise"] > 0
    assert likelihood() > before


def test_without_its_weight_or_without_thoughts_no_likelihood_is_taken(
    policy: Policy, run: Run
) -> None:
    (metrics,) = run_rl(run, policy, answered, likelihood={"weight": 0})
    assert "surprise" not in metrics
    assert "grad_norm" not in metrics
