"""Reinforcement learning of decisions: gradients against the formulas, and what a step takes."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical

from actwise.config import EntropyConfig, RlConfig
from actwise.conversation import Decision
from actwise.engine.rollouts import Group, Rollout, Sample
from actwise.errors import RunError
from actwise.model.policy import Policy
from actwise.run.folder import Run
from actwise.training.stage import batch_of
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
from training.grpo import RIGHT_CALLS, make_groups, mixed, run_rl


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
    totals: list[tuple[int, int]] = []

    def watch(policy: Policy, learned: Sequence[Any], *rest: Any, **limits: int) -> Any:
        groups = [one for one in learned if isinstance(one, Group)]
        seen.extend(rollout for group in groups for rollout in group.rollouts)
        totals.append(rest[0])
        return accumulate(policy, learned, *rest, **limits)

    def rambling(decision: Decision, number: int) -> str:
        return "<think>\n" + "x" * 200 if number == 0 else mixed(decision, number)

    monkeypatch.setattr(rl, "accumulate", watch)
    (metrics,) = run_rl(run, policy, rambling, mask_truncated=True)
    assert metrics["truncated"] == pytest.approx(1 / 4)
    assert {r.sample.stop_reason for r in seen} == {"stop"}
    assert len(seen) == 3 * 3 * 3  # also answers differ now: the one that was cut earns nothing
    # TRL's mean over tokens leaves them out, its mean over completions does not.
    assert totals == [(3 * 3 * 4, sum(len(r.sample.token_ids) for r in seen))]


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
