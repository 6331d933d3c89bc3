"""The RL stage, against one forward pass of an ordinary model for each completion."""

import copy
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor
from torch.distributions import Categorical

from actwise.config import EntropyConfig, RlConfig
from actwise.conversation import Decision
from actwise.engine.local import LocalEngine
from actwise.engine.rollouts import Group, Rollout, Sample
from actwise.errors import RunError
from actwise.model.policy import Policy
from actwise.run.folder import Run
from actwise.run.progress import Progress
from actwise.training.stage import Training, batch_of
from actwise.training.stages import RL, rl
from actwise.training.update import accumulate, entropy_bonus
from finding import (
    CONVERSATIONS,
    assert_near,
    context,
    gold_text,
    gradient,
    lines,
    logprobs_of,
    ordinary,
    scripted,
)

RIGHT_CALLS = {"W1": {0, 2}, "W22": {1}, "X9": {0, 1, 3}}
"""Generations in which `mixed` calls rightly, by conversation."""


ALL = {"num_generations": 4, "conversations_per_step": 3, "evaluate_every": 50}
"""Every step takes all conversations."""


def mixed(decision: Decision, number: int) -> str:
    """Call rightly now and then; answer always the same and wrong."""
    if decision.kind == "answer":
        return "<think>\nHm.\n</think>\n\nNo idea."
    right = number in RIGHT_CALLS[decision.conversation.id]
    return gold_text(decision, "x" * (number + 1)) if right else "<think>\nI do not." + "." * number


def make_groups(policy: Policy, run: Run, config: RlConfig) -> list[Group]:
    """Sample by script; the sampling policy's log-probs are near the present policy's."""
    given = context(policy, run, engine=scripted(policy, mixed), rl=config.model_dump())
    training = Training(run, "rl", policy, config, steps=1, checkpoint_every=100, seed=0)
    draw = random.Random(0)
    model = ordinary(policy)

    def near(group: Group, rollout: Rollout) -> Rollout:
        with torch.no_grad():
            logprobs = logprobs_of(
                model, group.prompt, rollout.sample.token_ids, config.temperature
            )
        old = tuple(lp + draw.uniform(-0.6, 0.6) for lp in logprobs.tolist())
        return replace(rollout, sample=replace(rollout.sample, logprobs=old))

    groups = rl.roll_out(given, CONVERSATIONS, training)
    return [replace(g, rollouts=tuple(near(g, r) for r in g.rollouts)) for g in groups]


def totals_of(groups: Sequence[Group]) -> tuple[int, int]:
    """Return the number of completions and of their tokens."""
    lengths = [len(r.sample.token_ids) for g in groups for r in g.rollouts]
    return len(lengths), sum(lengths)


def row_by_row(
    model: Any, reference: Any, groups: Sequence[Group], config: RlConfig, max_tokens: int
) -> tuple[Tensor, float]:
    """Return the loss over all completions of a step and the mean divergence of the live ones."""
    num_completions, num_tokens = totals_of(groups)
    _, live_tokens = totals_of([group for group in groups if group.live])
    loss, kl = torch.zeros(()), 0.0
    for g, r in ((group, r) for group in groups for r in group.rollouts):
        new = logprobs_of(model, g.prompt, r.sample.token_ids, config.temperature)
        ratio = (new - torch.tensor(r.sample.logprobs)).exp()
        clipped = ratio.clamp(1 - config.clip_low, 1 + config.clip_high)
        of_token = -torch.minimum(ratio * r.advantage, clipped * r.advantage)
        if config.kl_coefficient and g.live:
            with torch.no_grad():
                old = logprobs_of(reference, g.prompt, r.sample.token_ids, config.temperature)
            divergence = (old - new).exp() - (old - new) - 1
            of_token = of_token + config.kl_coefficient * divergence
            kl += divergence.sum().item() / live_tokens
        divisor = {
            "grpo": len(of_token) * num_completions,
            "dapo": num_tokens,
            "dr_grpo": max_tokens * num_completions,
        }[config.aggregation]
        loss = loss + of_token.sum() / divisor
    return loss, kl


def mean_entropy(model: Any, groups: Sequence[Group], temperature: float) -> Tensor:
    """Return the mean entropy of the tokens that live groups sampled."""
    entropies = []
    for group in groups:
        for r in group.rollouts if group.live else ():
            ids = torch.tensor([[*group.prompt, *r.sample.token_ids]])
            logits = model(input_ids=ids, use_cache=False).logits[0, len(group.prompt) - 1 : -1]
            entropies.append(Categorical(logits=logits / temperature).entropy())
    return torch.cat(entropies).mean()


@pytest.mark.parametrize(("surprise", "counts"), [(0.1, 0.3), (0.2, 0.0), (0.5, 0.0)])
def test_entropy_counts_until_it_is_at_its_target(surprise: float, counts: float) -> None:
    logprobs = (-surprise + 0.05, -surprise - 0.05)
    rollouts = (Rollout(Sample((1, 2), logprobs, "stop")),)
    group = Group(CONVERSATIONS[0].decisions()[0], (1,), rollouts)
    assert entropy_bonus([group], EntropyConfig(weight=0.3, target=0.2)) == counts


@pytest.mark.parametrize("max_batch_tokens", [1, 100_000])
@pytest.mark.parametrize(
    ("aggregation", "kl_coefficient", "temperature", "bonus"),
    [("dr_grpo", 0.0, 1.0, 0.0), ("grpo", 0.1, 0.8, 0.3), ("dapo", 0.1, 1.0, 0.0)],
)
def test_rl_gradients_are_those_of_the_formulas_row_by_row(
    policy: Policy,
    run: Run,
    aggregation: str,
    kl_coefficient: float,
    temperature: float,
    bonus: float,
    max_batch_tokens: int,
) -> None:
    config = RlConfig(
        num_generations=4,
        aggregation=aggregation,
        kl_coefficient=kl_coefficient,
        temperature=temperature,
        entropy=EntropyConfig(weight=bonus, target=100.0),
    )
    reference = {n: w + 0.01 * torch.randn_like(w) for n, w in policy.weights().items()}
    groups = make_groups(policy, run, config)
    model, reference_model = ordinary(policy), ordinary(policy)
    reference_model.load_state_dict(reference, strict=False)
    expected, kl = row_by_row(model, reference_model, groups, config, max_tokens=90)
    (expected - bonus * mean_entropy(model, groups, temperature)).backward()

    live = [group for group in groups if group.live]
    figures = accumulate(
        policy,
        live,
        totals_of(groups),
        reference,
        config,
        max_tokens=90,
        max_batch_tokens=max_batch_tokens,
    )
    assert figures["loss"] == pytest.approx(expected.item(), rel=1e-4, abs=1e-7)
    assert figures["kl"] == pytest.approx(kl, rel=1e-4, abs=1e-9)
    assert figures["clipped_low"] > 0
    assert figures["clipped_high"] > 0
    assert_near(gradient(policy.model), gradient(model))


def test_what_another_engine_sampled_counts_by_its_importance(policy: Policy, run: Run) -> None:
    config = RlConfig(num_generations=4, importance_cap=1.2)
    groups = make_groups(policy, run, config)
    model = ordinary(policy)
    expected, mismatch, capped = torch.zeros(()), [], []
    for g, r in ((group, r) for group in groups if group.live for r in group.rollouts):
        new = logprobs_of(model, g.prompt, r.sample.token_ids)
        ratio = (new.detach() - torch.tensor(r.sample.logprobs)).exp()
        expected = expected - (ratio.clamp(max=1.2) * r.advantage * new).sum()
        mismatch.append(ratio - ratio.log() - 1)
        capped.append((ratio > 1.2).float())
    (expected / (90 * totals_of(groups)[0])).backward()
    live = [group for group in groups if group.live]
    figures = accumulate(
        policy,
        live,
        totals_of(groups),
        {},
        config,
        max_tokens=90,
        max_batch_tokens=300,
        off_policy=True,
    )
    assert figures["mismatch_kl"] == pytest.approx(torch.cat(mismatch).mean().item(), rel=1e-3)
    assert figures["importance_capped"] == pytest.approx(torch.cat(capped).mean().item(), rel=1e-4)
    assert 0 < figures["importance_capped"] < 1
    assert_near(gradient(policy.model), gradient(model))


def test_the_gradient_of_grpo_is_the_same_with_any_number_of_workers(
    policy: Policy, run: Run
) -> None:
    config = RlConfig(num_generations=4, kl_coefficient=0.1)
    reference = {n: w + 0.01 * torch.randn_like(w) for n, w in policy.weights().items()}
    groups = make_groups(policy, run, config)
    found = []
    for workers in (1, 2, 3):
        policy.workers = workers
        policy.model.zero_grad()
        figures = accumulate(
            policy, groups, totals_of(groups), reference, config, max_tokens=90, max_batch_tokens=1
        )
        found.append((figures, gradient(policy.model)))
    assert all(figures == found[0][0] for figures, _ in found)
    assert all(torch.equal(grad, found[0][1]) for _, grad in found)


def test_groups_have_advantages_and_the_prompts_of_their_decisions(
    policy: Policy, run: Run
) -> None:
    groups = make_groups(policy, run, RlConfig(num_generations=4, scale="none"))
    assert [g.decision for g in groups] == [d for c in CONVERSATIONS for d in c.decisions()]
    for group in groups:
        assert list(group.prompt) == policy.template.prompt(group.decision, thinking=True)
        assert group.live == (group.decision.kind == "call")
        # A right call earns 1, no call 0. All answers earn the same.
        right = RIGHT_CALLS[group.conversation.id]
        expected = [
            (number in right) - len(right) / 4 if group.live else 0.0 for number in range(4)
        ]
        assert [r.advantage for r in group.rollouts] == pytest.approx(expected)


def run_rl(
    run: Run, policy: Policy, script: Callable[[Decision, int], str], **changes: Any
) -> list[dict[str, Any]]:
    config = {"steps": 1, "num_generations": 4, "conversations_per_step": 3, **changes}
    scores = itertools.count(0.0)
    stage = RL.begin(
        context(policy, run, engine=scripted(policy, script), score=scores.__next__, rl=config)
    )
    list(stage.steps)
    stage.training.finish()
    return lines(run, "metrics/rl.jsonl")


def test_decisions_that_call_nothing_can_be_left_out(policy: Policy, run: Run) -> None:
    groups = make_groups(policy, run, RlConfig(num_generations=2, decisions="calls"))
    assert [g.decision.key for g in groups] == ["W1#1", "W22#1", "X9#1"]
    talk = [
        c.model_copy(update={"messages": c.messages[:1] + c.messages[-1:]}) for c in CONVERSATIONS
    ]
    with pytest.raises(RunError, match=r"rl\.decisions=all"):
        RL.begin(context(policy, run, train=talk, rl={"decisions": "calls"}))


def test_groups_of_equal_rewards_teach_nothing_and_are_counted(policy: Policy, run: Run) -> None:
    before = policy.weights()
    (metrics,) = run_rl(run, policy, lambda d, number: gold_text(d, "x" * (number + 1)))
    assert metrics["live_groups"] == 0
    assert metrics["reward"] == metrics["right"] == 1
    assert "grad_norm" not in metrics
    assert all(torch.equal(before[n], w) for n, w in policy.weights().items())
    assert len(lines(run, "rollouts/rl.jsonl")) == 3 * 3 * 4


def test_live_groups_move_the_policy_and_the_others_are_counted(policy: Policy, run: Run) -> None:
    before = policy.weights()
    (metrics,) = run_rl(run, policy, mixed)
    assert metrics["live_groups"] == pytest.approx(1 / 3)
    assert metrics["grad_norm"] > 0
    assert any(not torch.equal(before[n], w) for n, w in policy.weights().items())


def test_several_optimiser_steps_take_a_part_of_the_conversations_each(
    policy: Policy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watch(
        policy: Policy, groups: Sequence[Group], totals: Any, *rest: Any, **limits: int
    ) -> Any:
        seen.append(({group.conversation.id for group in groups}, totals[0]))
        return accumulate(policy, groups, totals, *rest, **limits)

    monkeypatch.setattr(rl, "accumulate", watch)
    run_rl(run, policy, mixed, optimiser_steps=2)
    first, second, third = (c.id for c in batch_of(CONVERSATIONS, 3, 0, 0))
    assert seen == [({first, third}, 24), ({second}, 12)]


def test_truncated_completions_can_be_left_out_of_the_loss(
    policy: Policy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Rollout] = []

    def watch(policy: Policy, learned: Sequence[Any], *rest: Any, **limits: int) -> Any:
        groups = [one for one in learned if isinstance(one, Group)]
        seen.extend(rollout for group in groups for rollout in group.rollouts)
        return accumulate(policy, learned, *rest, **limits)

    def rambling(decision: Decision, number: int) -> str:
        return "<think>\n" + "x" * 200 if number == 0 else mixed(decision, number)

    monkeypatch.setattr(rl, "accumulate", watch)
    (metrics,) = run_rl(run, policy, rambling, mask_truncated=True)
    assert metrics["truncated"] == pytest.approx(1 / 4)
    assert {r.sample.stop_reason for r in seen} == {"stop"}
    assert len(seen) == 3 * 3 * 3  # also answers differ now: the one that was cut earns nothing


def test_a_few_decisions_of_each_conversation_can_be_drawn(policy: Policy, run: Run) -> None:
    run_rl(run, policy, mixed, decisions_per_conversation=2)
    decisions = [r["decision"] for r in lines(run, "rollouts/rl.jsonl")]
    assert len(decisions) == 3 * 2 * 4
    assert len(set(decisions)) == 3 * 2


def test_the_policy_at_the_start_has_to_be_beaten(policy: Policy, run: Run) -> None:
    before = policy.weights()
    scores = iter([0.5, 0.4])
    config = {"steps": 1, "num_generations": 2, "evaluate_every": 1}
    stage = RL.begin(
        context(policy, run, engine=scripted(policy, mixed), score=scores.__next__, rl=config)
    )
    list(stage.steps)
    stage.training.finish()
    assert (stage.training.best_score, stage.training.best_step) == (0.5, 0)
    assert all(torch.equal(before[n], w) for n, w in policy.weights().items())


# --- what is sampled and learned from -------------------------------------------------------------


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
    sampled = [r["decision"] for r in lines(run, "rollouts/rl.jsonl")]
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
    assert len(lines(run, "rollouts/rl.jsonl")) == 3 * 3 * 4
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


# --- sampled ahead --------------------------------------------------------------------------------

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
