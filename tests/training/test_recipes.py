"""The stages, against one forward pass of an ordinary model for each completion."""

import copy
import dataclasses
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from torch import Tensor

from actwise.config import RlConfig, SftConfig, ThinkConfig
from actwise.conversation import Conversation, Decision, Message, ToolCall
from actwise.engine.scripted import ScriptedEngine
from actwise.errors import RunError
from actwise.evaluation.evaluate import Evaluator
from actwise.model.policy import Policy
from actwise.rewards.settings import JudgeSettings
from actwise.run.folder import Run
from actwise.run.progress import Progress
from actwise.training.recipes import rl
from actwise.training.recipes.rl import RlSettings, Rollout, train_rl
from actwise.training.recipes.sft import Target, accumulate, sft_tree, train_sft
from actwise.training.recipes.think import (
    recorded_thoughts,
    self_generated_thoughts,
    with_direct_share,
)
from actwise.training.stage import Training, batch_of
from actwise.tree.packing import pack

TOOL = {
    "type": "function",
    "function": {
        "name": "find",
        "parameters": {"type": "object", "properties": {"id": {"type": "string"}}},
    },
}


def conversation(name: str) -> Conversation:
    """Return one with three decisions: a call, an answer, an answer without a thought."""
    find = ToolCall(name="find", arguments={"id": name}, id="c1")
    return Conversation(
        id=name,
        tools=(TOOL,),
        messages=(
            Message(role="user", content=f"Where is {name}?"),
            Message(role="assistant", tool_calls=(find,), reasoning_content=f"Find {name}."),
            Message(role="tool", content="12 km", tool_call_id="c1"),
            Message(
                role="assistant",
                content="It is 12 km away.",
                reasoning_content="Say.",
                labels=("easy",),
            ),
            Message(role="user", content="Bye"),
            Message(role="assistant", content="Goodbye."),
        ),
    )


CONVERSATIONS = [conversation(name) for name in ("W1", "W22", "X9")]
RIGHT_CALL = '<tool_call>\n{"name": "find", "arguments": {"id": "W1"}}\n</tool_call>'


@pytest.fixture
def policy(tiny_model_dir: Path) -> Policy:
    policy = Policy.load(str(tiny_model_dir))
    torch.manual_seed(2)
    with torch.no_grad():  # far from uniform
        for parameter in policy.model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return policy


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run.open(tmp_path / "run", {}, Progress(Console(quiet=True))) as run:
        yield run


def ordinary(policy: Policy) -> Any:
    """Return a copy of the model with transformers' own attention."""
    model = copy.deepcopy(policy.model)
    model.set_attn_implementation("sdpa")
    return model


def logprobs_of(
    model: Any, prompt: Sequence[int], completion: Sequence[int], temperature: float = 1.0
) -> Tensor:
    logits = model(input_ids=torch.tensor([[*prompt, *completion]]), use_cache=False).logits[0]
    logprobs = (logits[len(prompt) - 1 : -1] / temperature).log_softmax(-1)
    return logprobs[torch.arange(len(completion)), torch.tensor(completion)]


def gradient(model: Any) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def assert_near(ours: Tensor, theirs: Tensor) -> None:
    assert theirs.norm() > 0
    assert (ours - theirs).norm() <= 1e-5 * theirs.norm()


# --- supervised fine-tuning ---------------------------------------------------------------------


def targets(thinking: bool) -> list[list[Target]]:
    if thinking:
        return recorded_thoughts(CONVERSATIONS)
    return [[Target(d, None) for d in c.decisions()] for c in CONVERSATIONS]


@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize("thinking", [False, True])
def test_sft_takes_the_mean_over_target_tokens_however_it_is_cut(
    policy: Policy, thinking: bool, passes: int
) -> None:
    model = ordinary(policy)
    losses = []
    for target in [t for of_conversation in targets(thinking) for t in of_conversation]:
        prompt = policy.template.prompt(target.decision, thinking=thinking)
        completion = policy.template.completion(target.decision, thought=target.thought)
        losses.append(-logprobs_of(model, prompt, completion))
    expected = torch.cat(losses).mean()
    expected.backward()
    trees = [sft_tree(policy.template, of) for of in targets(thinking)]
    sizes = [tree.num_tokens for tree in trees]
    max_batch_tokens = {1: sum(sizes), 2: sizes[0] + sizes[1] - 1, 3: 1}[passes]
    assert len(pack(trees, max_batch_tokens)) == passes
    loss = accumulate(policy, trees, max_batch_tokens)
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert_near(gradient(policy.model), gradient(model))


def test_the_gradient_of_sft_is_the_same_with_any_number_of_workers(policy: Policy) -> None:
    trees = [sft_tree(policy.template, of) for of in targets(thinking=True)]
    found = []
    for workers in (1, 2, 3):
        policy.workers = workers
        policy.model.zero_grad()
        loss = accumulate(policy, trees, max_batch_tokens=1)
        found.append((loss, gradient(policy.model)))
    assert all(loss == found[0][0] for loss, _ in found)
    assert all(torch.equal(grad, found[0][1]) for _, grad in found)


def test_parameters_without_influence_have_no_gradient(policy: Policy) -> None:
    policy.model.idle = torch.nn.Parameter(torch.ones(1))
    policy.workers = 2
    accumulate(policy, [sft_tree(policy.template, of) for of in targets(False)], 1)
    assert policy.model.idle.grad is None
    assert policy.model.get_output_embeddings().weight.grad is not None


def test_direct_mode_has_the_empty_thought_in_the_prompt_and_never_as_a_target(
    policy: Policy,
) -> None:
    decode = policy.template.tokenizer.decode
    for of_conversation in targets(thinking=False):
        tree = sft_tree(policy.template, of_conversation)
        for prompt, (completion,) in zip(tree.prompts, tree.completions, strict=True):
            assert decode(prompt).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
            assert "think>" not in decode(completion)
    with_thought = sft_tree(policy.template, targets(thinking=True)[0])
    assert decode(with_thought.prompts[0]).endswith("<|im_start|>assistant\n")
    assert decode(with_thought.completions[0][0]).startswith("<think>\nFind W1.\n</think>\n\n")


def test_training_lowers_the_loss_and_keeps_the_best_weights(policy: Policy, run: Run) -> None:
    scores = iter([0.1, 0.9, 0.2])
    seen: list[dict[str, Tensor]] = []

    def development_score() -> float:
        seen.append(policy.weights())
        return next(scores)

    config = SftConfig(learning_rate=3e-3, steps=9, conversations_per_step=3, evaluate_every=3)
    training = train_sft(
        run,
        "sft",
        policy,
        targets(thinking=False),
        config,
        seed=0,
        checkpoint_every=100,
        max_batch_tokens=10_000,
        development_score=development_score,
    )
    metrics = lines(run, "metrics/sft.jsonl")
    assert [m["step"] for m in metrics] == list(range(1, 10))
    assert metrics[-1]["loss"] < 0.8 * metrics[0]["loss"]
    assert [m.get("dev_action_accuracy") for m in metrics][2::3] == [0.1, 0.9, 0.2]
    assert (training.best_score, len(seen)) == (0.9, 3)
    for name, best in seen[1].items():
        assert torch.equal(policy.weights()[name], best)


def lines(run: Run, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.folder / name).read_text().splitlines()]


# --- what all training stages share -------------------------------------------------------------


@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 3))
def test_batches_hold_every_item_once_an_epoch(size: int, count: int, seed: int) -> None:
    items = list(range(count))
    drawn = [i for step in range(count) for i in batch_of(items, size, step, seed)]
    assert len(drawn) == size * count
    epochs = [drawn[i : i + count] for i in range(0, len(drawn), count)]
    assert all(sorted(epoch) == items for epoch in epochs)
    assert drawn == [i for step in range(count) for i in batch_of(items, size, step, seed)]


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(batch_of(range(20), 20, step, seed)) for step in (0, 1) for seed in (0, 1)}
    assert len(orders) == 4


# --- reinforcement learning ---------------------------------------------------------------------


def rl_settings(**changes: Any) -> RlSettings:
    return RlSettings(
        **{
            "judge": JudgeSettings(),
            "max_tokens": 90,
            "seed": 0,
            "checkpoint_every": 100,
            "max_batch_tokens": 100_000,
            **changes,
        }
    )


def scripted(policy: Policy, script: Callable[[Decision, int], str]) -> ScriptedEngine:
    """Return an engine whose script knows which decision it completes."""
    by_prompt = {
        policy.template.prompt_text(d, thinking=thinking): d
        for c in CONVERSATIONS
        for d in c.decisions()
        for thinking in (True, False)
    }
    return ScriptedEngine(
        policy.template.tokenizer, lambda prompt, number: script(by_prompt[prompt], number)
    )


def gold_text(decision: Decision, thought: str) -> str:
    calls = "".join(
        f'<tool_call>\n{{"name": "{c.name}", "arguments": {json.dumps(c.arguments)}}}\n</tool_call>'
        for c in decision.gold.tool_calls
    )
    return f"<think>\n{thought}\n</think>\n\n{decision.gold.content}{calls}"


RIGHT_CALLS = {"W1": {0, 2}, "W22": {1}, "X9": {0, 1, 3}}
"""Generations in which `mixed` calls rightly, by conversation."""


def mixed(decision: Decision, number: int) -> str:
    """Call rightly now and then; answer always the same and wrong."""
    if decision.kind == "answer":
        return "<think>\nHm.\n</think>\n\nNo idea."
    right = number in RIGHT_CALLS[decision.conversation.id]
    return gold_text(decision, "x" * number) if right else "<think>\nI do not." + "." * number


def make_rollouts(policy: Policy, run: Run, config: RlConfig) -> list[Rollout]:
    """Sample by script; the sampling policy's log-probs are near the present policy's."""
    training = Training(run, "rl", policy, config, steps=1, checkpoint_every=100, seed=0)
    rollouts = rl._roll_out(
        policy, scripted(policy, mixed), CONVERSATIONS, config, rl_settings(), training
    )
    draw = random.Random(0)
    model = ordinary(policy)
    near = []
    for rollout in rollouts:
        with torch.no_grad():
            logprobs = logprobs_of(
                model, rollout.prompt, rollout.sample.token_ids, config.temperature
            )
        old = tuple(lp + draw.uniform(-0.6, 0.6) for lp in logprobs.tolist())
        near.append(
            dataclasses.replace(rollout, sample=dataclasses.replace(rollout.sample, logprobs=old))
        )
    return near


def row_by_row(
    model: Any, reference: Any, rollouts: Sequence[Rollout], config: RlConfig, max_tokens: int
) -> tuple[Tensor, float]:
    """Return the loss over all completions of a step and the mean divergence of the live ones."""
    num_tokens = sum(len(r.sample.token_ids) for r in rollouts)
    live_tokens = sum(len(r.sample.token_ids) for r in rollouts if r.live)
    loss, kl = torch.zeros(()), 0.0
    for r in rollouts:
        new = logprobs_of(model, r.prompt, r.sample.token_ids, config.temperature)
        ratio = (new - torch.tensor(r.sample.logprobs)).exp()
        clipped = ratio.clamp(1 - config.clip_low, 1 + config.clip_high)
        of_token = -torch.minimum(ratio * r.advantage, clipped * r.advantage)
        if config.kl_coefficient and r.live:
            with torch.no_grad():
                old = logprobs_of(reference, r.prompt, r.sample.token_ids, config.temperature)
            divergence = (old - new).exp() - (old - new) - 1
            of_token = of_token + config.kl_coefficient * divergence
            kl += divergence.sum().item() / live_tokens
        divisor = {
            "grpo": len(of_token) * len(rollouts),
            "dapo": num_tokens,
            "dr_grpo": max_tokens * len(rollouts),
        }[config.aggregation]
        loss = loss + of_token.sum() / divisor
    return loss, kl


@pytest.mark.parametrize("max_batch_tokens", [1, 100_000])
@pytest.mark.parametrize(
    ("aggregation", "kl_coefficient", "temperature"),
    [("dr_grpo", 0.0, 1.0), ("grpo", 0.1, 0.8), ("dapo", 0.1, 1.0)],
)
def test_rl_gradients_are_those_of_the_formulas_row_by_row(
    policy: Policy,
    run: Run,
    aggregation: str,
    kl_coefficient: float,
    temperature: float,
    max_batch_tokens: int,
) -> None:
    config = RlConfig(
        num_generations=4,
        aggregation=aggregation,
        kl_coefficient=kl_coefficient,
        temperature=temperature,
    )
    reference = {n: w + 0.01 * torch.randn_like(w) for n, w in policy.weights().items()}
    rollouts = make_rollouts(policy, run, config)
    model, reference_model = ordinary(policy), ordinary(policy)
    reference_model.load_state_dict(reference, strict=False)
    expected, kl = row_by_row(model, reference_model, rollouts, config, max_tokens=90)
    expected.backward()

    live = [r for r in rollouts if r.live]
    totals = len(rollouts), sum(len(r.sample.token_ids) for r in rollouts)
    figures = rl.accumulate(
        policy, live, totals, reference, config, max_tokens=90, max_batch_tokens=max_batch_tokens
    )
    assert figures["loss"] == pytest.approx(expected.item(), rel=1e-4, abs=1e-7)
    assert figures["kl"] == pytest.approx(kl, rel=1e-4, abs=1e-9)
    assert figures["clipped_low"] > 0
    assert figures["clipped_high"] > 0
    assert_near(gradient(policy.model), gradient(model))


def test_the_gradient_of_grpo_is_the_same_with_any_number_of_workers(
    policy: Policy, run: Run
) -> None:
    config = RlConfig(num_generations=4, kl_coefficient=0.1)
    reference = {n: w + 0.01 * torch.randn_like(w) for n, w in policy.weights().items()}
    rollouts = make_rollouts(policy, run, config)
    totals = len(rollouts), sum(len(r.sample.token_ids) for r in rollouts)
    found = []
    for workers in (1, 2, 3):
        policy.workers = workers
        policy.model.zero_grad()
        figures = rl.accumulate(
            policy, rollouts, totals, reference, config, max_tokens=90, max_batch_tokens=1
        )
        found.append((figures, gradient(policy.model)))
    assert all(figures == found[0][0] for figures, _ in found)
    assert all(torch.equal(grad, found[0][1]) for _, grad in found)


def test_rollouts_know_their_groups_advantages_and_prompts(policy: Policy, run: Run) -> None:
    config = RlConfig(num_generations=4, scale="none")
    rollouts = make_rollouts(policy, run, config)
    assert len(rollouts) == 3 * 3 * 4
    for number, rollout in enumerate(rollouts):
        assert (rollout.group, rollout.conversation) == (number // 4, number // 12)
        assert rollout.decision == CONVERSATIONS[number // 12].decisions()[number // 4 % 3]
        assert rollout.prompt == policy.template.prompt(rollout.decision, thinking=True)
        assert rollout.live == (rollout.decision.kind == "call")
        # A right call earns 1, no call 0. All answers earn the same.
        right = RIGHT_CALLS[rollout.decision.conversation.id]
        expected = (number % 4 in right) - len(right) / 4 if rollout.live else 0.0
        assert rollout.advantage == pytest.approx(expected)


def run_rl(
    run: Run, policy: Policy, script: Callable[[Decision, int], str], **changes: Any
) -> list[dict[str, Any]]:
    config = RlConfig(**{"steps": 1, "num_generations": 4, "conversations_per_step": 3, **changes})
    train_rl(
        run,
        "rl",
        policy,
        scripted(policy, script),
        CONVERSATIONS,
        config,
        rl_settings(),
        development_score=iter(float(i) for i in range(100)).__next__,
    )
    return lines(run, "metrics/rl.jsonl")


def test_decisions_that_call_nothing_can_be_left_out(policy: Policy, run: Run) -> None:
    rollouts = make_rollouts(policy, run, RlConfig(num_generations=2, decisions="calls"))
    assert [r.decision.key for r in rollouts] == ["W1#1"] * 2 + ["W22#1"] * 2 + ["X9#1"] * 2
    talk = [
        c.model_copy(update={"messages": c.messages[:1] + c.messages[-1:]}) for c in CONVERSATIONS
    ]
    with pytest.raises(RunError, match=r"rl\.decisions=all"):
        train_rl(
            run,
            "rl",
            policy,
            scripted(policy, mixed),
            talk,
            RlConfig(decisions="calls"),
            rl_settings(),
            development_score=lambda: 0.0,
        )


def test_groups_of_equal_rewards_teach_nothing_and_are_counted(policy: Policy, run: Run) -> None:
    before = policy.weights()
    (metrics,) = run_rl(run, policy, lambda d, number: gold_text(d, "x" * number))
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
    accumulate_part = rl.accumulate

    def watch(
        policy: Policy, rollouts: Sequence[Rollout], totals: Any, *rest: Any, **limits: int
    ) -> Any:
        seen.append(({r.conversation for r in rollouts}, totals[0]))
        return accumulate_part(policy, rollouts, totals, *rest, **limits)

    monkeypatch.setattr(rl, "accumulate", watch)
    run_rl(run, policy, mixed, optimiser_steps=2)
    assert seen == [({0, 2}, 24), ({1}, 12)]


def test_truncated_completions_can_be_left_out_of_the_loss(
    policy: Policy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Rollout] = []
    accumulate_part = rl.accumulate

    def watch(policy: Policy, rollouts: Sequence[Rollout], *rest: Any, **limits: int) -> Any:
        seen.extend(rollouts)
        return accumulate_part(policy, rollouts, *rest, **limits)

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
    config = RlConfig(steps=1, num_generations=2, evaluate_every=1)
    training = train_rl(
        run,
        "rl",
        policy,
        scripted(policy, mixed),
        CONVERSATIONS,
        config,
        rl_settings(),
        development_score=lambda: next(scores),
    )
    assert (training.best_score, training.best_step) == (0.5, 0)
    assert all(torch.equal(before[n], w) for n, w in policy.weights().items())


# --- thoughts -----------------------------------------------------------------------------------


def own_thoughts(
    policy: Policy, run: Run, script: Callable[[Decision, int], str], max_tokens: int = 200
) -> dict[str, str | None]:
    found = self_generated_thoughts(
        run,
        scripted(policy, script),
        policy.template,
        CONVERSATIONS[:1],
        ThinkConfig(attempts=5),
        settings=JudgeSettings(),
        max_tokens=max_tokens,
        generator=torch.Generator(),
    )
    return {t.decision.key: t.thought for of_conversation in found for t in of_conversation}


def test_the_shortest_thought_before_a_right_action_is_kept(policy: Policy, run: Run) -> None:
    completions = {
        "W1#1": [
            "<think>\nA long thought that is right.\n</think>\n\n" + RIGHT_CALL,
            "<think>\nShort.\n</think>\n\n" + RIGHT_CALL.replace("W1", "W2"),  # wrong
            "<think>\nRight and shorter.\n</think>\n\n" + RIGHT_CALL,
            "<think>\nTidy?\n</think>\n\n" + RIGHT_CALL + "\nDone!",  # a fault of format
            RIGHT_CALL,  # no thought
        ],
        "W1#3": ["<think>\nNo.\n</think>\n\nIt is 13 km away."] * 5,
        "W1#5": [f"<think>\n{'so ' * (5 - i)}\n</think>\n\nGoodbye." for i in range(4)]
        + ["<think>\n\n</think>\n\nGoodbye."],  # an empty thought
    }
    found = own_thoughts(policy, run, lambda d, number: completions[d.key][number])
    assert found == {"W1#1": "Right and shorter.", "W1#5": "so so"}


def test_a_thought_whose_completion_was_cut_is_not_kept(policy: Policy, run: Run) -> None:
    # All but the stop token fits: what was written is right, but the model had not stopped.
    text = "<think>\nBye.\n</think>\n\nGoodbye."
    budget = len(policy.template.encode(text))
    script = {"W1#5": text}
    found = own_thoughts(policy, run, lambda d, _: script.get(d.key, ""), max_tokens=budget)
    assert found == {}
    found = own_thoughts(policy, run, lambda d, _: script.get(d.key, ""), max_tokens=budget + 1)
    assert found == {"W1#5": "Bye."}


def test_recorded_thoughts_are_taken_as_they_are() -> None:
    first, *others = recorded_thoughts(CONVERSATIONS)
    assert [(t.decision.key, t.thought) for t in first] == [("W1#1", "Find W1."), ("W1#3", "Say.")]
    assert [len(of_conversation) for of_conversation in others] == [2, 2]


def test_a_share_of_the_thoughts_can_be_trained_without() -> None:
    recorded = recorded_thoughts([conversation(str(i)) for i in range(500)])
    for share, low, high in ((0.0, 0, 0), (0.3, 250, 350), (1.0, 1000, 1000)):
        mixed_targets = with_direct_share(recorded, share, seed=0)
        flat = [t for of_conversation in mixed_targets for t in of_conversation]
        assert [t.decision for t in flat] == [t.decision for of in recorded for t in of]
        assert low <= sum(t.thought is None for t in flat) <= high
        assert mixed_targets == with_direct_share(recorded, share, seed=0)


# --- evaluation ---------------------------------------------------------------------------------


def test_evaluation_judges_one_completion_of_every_decision(policy: Policy) -> None:
    texts = {
        "W1#1": "<think>\nFind W1.\n</think>\n\n" + RIGHT_CALL,
        "W1#3": "<think>\nHm\n</think>\n\nIt is 99 km away.",
        "W1#5": "<think>\n" + "y" * 300,
    }
    engine = scripted(policy, lambda d, _: texts[d.key])
    evaluator = Evaluator(engine, policy.template, JudgeSettings(), max_tokens=120)
    records = evaluator.evaluate(CONVERSATIONS[:1], thinking=True)
    shown = [
        (r["decision"], r["kind"], r["labels"], r["stop"], r["verdict"]["right"]) for r in records
    ]
    assert shown == [
        ("W1#1", "call", [], "stop", True),
        ("W1#3", "answer", ["easy"], "stop", False),
        ("W1#5", "answer", [], "length", False),
    ]
    assert [r["text"] for r in records] == [
        texts["W1#1"],
        texts["W1#3"],
        texts["W1#5"][: len("<think>") + 119],
    ]
    assert [r["thought"] for r in records][:2] == ["Find W1.", "Hm"]
    assert [r["thought_tokens"] for r in records] == [8, 2, 118]  # a token a byte
    assert records[2]["tokens"] == 120
    assert records[2]["verdict"]["reward"] == 0
    assert "truncated" in records[2]["verdict"]["errors"]
    assert evaluator.action_accuracy(CONVERSATIONS[:1], thinking=True) == pytest.approx(1 / 3)


def test_a_right_completion_that_hit_the_budget_counts_for_nothing(policy: Policy) -> None:
    text = "<think>\nBye.\n</think>\n\nGoodbye."
    engine = scripted(policy, lambda d, _: text)
    budget = len(policy.template.encode(text))
    for max_tokens, right in ((budget, False), (budget + 1, True)):
        evaluator = Evaluator(engine, policy.template, JudgeSettings(), max_tokens)
        last = evaluator.evaluate(CONVERSATIONS[:1], thinking=True)[-1]
        assert last["verdict"]["right"] is right
        assert (last["verdict"]["reward"] > 0) is right
    assert math.isclose(last["verdict"]["reward"], 1.0)
