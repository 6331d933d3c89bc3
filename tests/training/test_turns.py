"""GRPO over whole turns, against rows computed one by one."""

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from actwise.config import RlConfig, validated
from actwise.engine.episodes import starts_of
from actwise.engine.rollouts import Group
from actwise.engine.scripted import ScriptedEngine
from actwise.errors import ConfigError, RunError
from actwise.model.policy import Policy
from actwise.model.value import ValueModel
from actwise.run.folder import Run
from actwise.training import turns
from actwise.training.attempts import Judges
from actwise.training.search import Node, search
from actwise.training.stage import Context, Training
from actwise.training.stages import RL
from actwise.training.update import accumulate
from actwise.training.values import save_values
from finding import CONVERSATIONS, assert_near, context, gradient, lines, logprobs_of, ordinary

THOUGHT = "<think>\nHm.\n</think>\n\n"


def call(name: str, thought: str = THOUGHT) -> str:
    arguments = f'{{"name": "find", "arguments": {{"id": "{name}"}}}}'
    return f"{thought}<tool_call>\n{arguments}\n</tool_call>"


def script(prompt: str, number: int) -> str:
    """Two of four find the place, and one of the two then tells it wrong."""
    last = prompt.rpartition("<|im_start|>user\n")[2]
    if "Bye" in last:
        return f"{THOUGHT}Goodbye."
    if "tool_response" in last:
        return f"{THOUGHT}It is {12 + number} km away."
    name = last.partition("Where is ")[2].partition("?")[0]
    return [call(name), call(name), f"{THOUGHT}It is 12 km away.", call("Z")][number]


def begun(policy: Policy, run: Run, tell: Any = script, **rl: Any) -> tuple[Context, Training]:
    engine = ScriptedEngine(policy.template.tokenizer, tell)
    settings = {"unit": "turn", "num_generations": 4, "conversations_per_step": 3, **rl}
    given = context(policy, run, engine=engine, rl=settings)
    return given, Training(
        run, "rl", policy, given.config.rl, steps=1, checkpoint_every=100, seed=0
    )


def collected(policy: Policy, run: Run, tell: Any = script, **rl: Any) -> turns.Collected:
    given, training = begun(policy, run, tell, **rl)
    return turns.collect(given, CONVERSATIONS, training)


def test_each_completion_of_a_turn_has_the_advantage_of_the_turn(policy: Policy, run: Run) -> None:
    found = collected(policy, run, scale="none")
    of_one = [g for g in found.groups if g.conversation.id == "W1"]
    # Found and told right; found and told wrong; told without looking; looked for another.
    assert [g.rollouts[0].advantage for g in of_one] == (
        [0.75, 0.75, -0.25, -0.25, -0.25, -0.25, 0, 0, 0, 0]
    )
    assert [g.live for g in of_one] == [True] * 6 + [False] * 4
    first, second = (of_one[0].conversation.decisions()[i] for i in (0, 1))
    template = policy.template
    assert list(of_one[0].prompt) == template.prompt(first, thinking=True)
    # What was done joins the trunk without its thought, as a served model would see it.
    assert list(of_one[1].prompt) == template.prompt(second, thinking=True)
    assert found.figures["right"] == pytest.approx(5 / 8)
    assert found.figures["diverged"] == pytest.approx(1 / 8)
    assert found.figures["live_groups"] == pytest.approx(1 / 2)
    assert found.figures["turn_steps"] == pytest.approx((2 + 2 + 1 + 1 + 4) / 8)
    assert [r["decision"] for r in found.records[:4]] == ["W1#1", "W1#1+1", "W1#1", "W1#1+1"] or (
        found.records[0]["decision"].endswith("#1")
    )


def test_a_turn_that_cannot_be_checked_is_not_counted_as_unsolved(policy: Policy, run: Run) -> None:
    def tell(prompt: str, number: int) -> str:
        bye = "Bye" in prompt.rpartition("<|im_start|>user\n")[2]
        return f"{THOUGHT}See you." if bye else script(prompt, number)

    figures = collected(policy, run, tell).figures
    assert figures["not_checkable"] == 1 / 2
    assert figures["unsolved"] == 0


def test_tools_are_imported_once_for_all_steps(
    policy: Policy, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    imported = tmp_path / "imported"
    (tmp_path / "counted_tools.py").write_text(
        f"open({str(imported)!r}, 'a').write('x')\ntools = {{'find': lambda id: '12 km'}}\n"
    )
    engine = ScriptedEngine(policy.template.tokenizer, script)
    episodes = {"environment": "counted_tools:tools", "at_once": 1, "call_seconds": 60}
    given = context(policy, run, engine=engine, rl={"unit": "turn"}, episodes=episodes)
    training = Training(run, "rl", policy, given.config.rl, steps=2, checkpoint_every=9, seed=0)
    for _ in range(2):
        environment = Judges(given, training).opens(CONVERSATIONS[0])
        environment.reset(0)
        environment.close()
    assert imported.read_text() == "x"


def test_a_turn_out_of_form_earns_nothing(policy: Policy, run: Run) -> None:
    def thoughtless(prompt: str, number: int) -> str:
        text = script(prompt, number)
        return text.removeprefix(THOUGHT) if "tool_response" in prompt else text

    found = collected(policy, run, thoughtless)
    assert found.figures["right"] > 0.5
    assert [r["reward"] for r in found.records if "#1" in r["decision"]] == [0.0] * 18


@pytest.mark.parametrize("max_batch_tokens", [1, 100_000])
@pytest.mark.parametrize("aggregation", ["dr_grpo", "grpo", "dapo"])
def test_the_gradient_is_that_of_rows_computed_one_by_one(
    policy: Policy, run: Run, aggregation: Any, max_batch_tokens: int
) -> None:
    config = RlConfig(unit="turn", num_generations=4, aggregation=aggregation)
    model, draw = ordinary(policy), random.Random(0)

    def near(group: Group) -> Group:
        (rollout,) = group.rollouts
        with torch.no_grad():
            logprobs = logprobs_of(model, group.prompt, rollout.sample.token_ids)
        old = tuple(lp + draw.uniform(-0.6, 0.6) for lp in logprobs.tolist())
        return replace(
            group, rollouts=(replace(rollout, sample=replace(rollout.sample, logprobs=old)),)
        )

    groups = [near(group) for group in collected(policy, run).groups]
    lengths = [len(g.rollouts[0].sample.token_ids) for g in groups]
    loss = torch.zeros(())
    for group in groups:
        (rollout,) = group.rollouts
        new = logprobs_of(model, group.prompt, rollout.sample.token_ids)
        ratio = (new - torch.tensor(rollout.sample.logprobs)).exp()
        clipped = ratio.clamp(1 - config.clip_low, 1 + config.clip_high)
        of_token = -torch.minimum(ratio * rollout.advantage, clipped * rollout.advantage)
        divisor = {
            "dr_grpo": 90 * len(groups),
            "grpo": len(of_token) * len(groups),
            "dapo": sum(lengths),
        }[aggregation]
        loss = loss + of_token.sum() / divisor
    loss.backward()

    figures = accumulate(
        policy,
        [group for group in groups if group.live],
        (len(groups), sum(lengths)),
        {},
        config,
        max_tokens=90,
        max_batch_tokens=max_batch_tokens,
    )
    assert figures["loss"] == pytest.approx(loss.item(), rel=1e-4, abs=1e-7)
    assert_near(gradient(policy.model), gradient(model))


def test_the_stage_learns_from_turns_and_writes_them_down(policy: Policy, run: Run) -> None:
    before = policy.weights()
    engine = ScriptedEngine(policy.template.tokenizer, script)
    settings = {"unit": "turn", "num_generations": 4, "conversations_per_step": 3, "steps": 2}
    stage = RL.begin(context(policy, run, engine=engine, rl=settings))
    list(stage.steps)
    metrics = lines(run, "metrics/rl.jsonl")
    assert [m["step"] for m in metrics] == [1, 2]
    assert all(m["grad_norm"] > 0 for m in metrics)
    assert any(not torch.equal(before[n], w) for n, w in policy.weights().items())
    records = lines(run, "rollouts/rl.jsonl")
    assert len(records) == 2 * 3 * 10
    assert {r["end"] for r in records} == {"answered", "diverged"}


def test_turns_that_are_all_right_rest(policy: Policy, run: Run) -> None:
    given, training = begun(policy, run, selection={"rest": 5})
    turns.collect(given, CONVERSATIONS, training)
    assert set(training.kept["resting"]) == {f"{c.id}#5" for c in CONVERSATIONS}
    training.step = 1
    again = turns.collect(given, CONVERSATIONS, training)
    assert len(again.groups) == 3 * 6


def test_only_the_most_different_are_learned_from(policy: Policy, run: Run) -> None:
    found = collected(policy, run, selection={"keep": 2}, scale="none")
    of_one = [g for g in found.groups if g.conversation.id == "X9" and g.live]
    assert [g.rollouts[0].advantage for g in of_one][:2] == [0.5, 0.5]
    assert len(of_one) in (3, 4)


def test_calls_are_not_paid_for_while_success_falls(policy: Policy, run: Run) -> None:
    paying = {"turns": {"steps_weight": 0.5, "progress_margin": 0.05}}
    given, training = begun(policy, run, **paying)

    def best() -> float:
        records = turns.collect(given, CONVERSATIONS, training).records
        return max(r["reward"] for r in records)

    training.kept["turn_success"] = 0.6
    assert best() == pytest.approx(1.0)
    assert training.kept["turn_success"] == pytest.approx(5 / 8)
    training.kept["turn_success"] = 0.9
    assert best() == pytest.approx(1 / 1.5)


def test_environments_that_never_work_stop_the_stage_with_a_reason(
    policy: Policy, run: Run
) -> None:
    engine = ScriptedEngine(policy.template.tokenizer, script)
    given = context(
        policy, run, engine=engine, rl={"unit": "turn"}, episodes={"environment": "desk"}
    )
    training = Training(run, "rl", policy, given.config.rl, steps=1, checkpoint_every=9, seed=0)
    with pytest.raises(RunError, match="W1 is no conversation of the desk"):
        turns.collect(given, CONVERSATIONS[:1], training)


@pytest.mark.parametrize(
    "settings",
    [
        {"rl": {"unit": "turn"}, "reward": {"combine": "normalize_each"}},
        {"rl": {"unit": "turn"}, "reward": {"combine": "all"}},
        {"rl": {"unit": "turn"}, "reward": {"repetition": 0.5}},
        {"rl": {"unit": "turn"}, "reward": {"thought_length_weight": 0.5}},
        {"rl": {"unit": "turn"}, "reward": {"custom": {"x": {"function": "a:b", "weight": 1}}}},
        {"rl": {"unit": "turn"}, "reward": {"endpoint": {"url": "http://x/v1", "model": "m"}}},
        {"rl": {"unit": "turn", "advantage": "rejection"}},
        {"rl": {"unit": "turn", "hints": {"levels": 1}}},
        {"rl": {"search": {"iterations": 1}}},
        {"rl": {"turns": {"steps_weight": 0.5}}},
        {"rl": {"anchor": {"kind": "average"}}},
    ],
)
def test_settings_that_would_do_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"rl\."):
        validated(settings)


def searched(policy: Policy, run: Run, iterations: int, **options: Any) -> list[Any]:
    given, training = begun(
        policy, run, search={"iterations": iterations, "children": 4, **options}
    )
    starts = starts_of(CONVERSATIONS[0], whole=False)[:1]
    return search(given, starts, Judges(given, training), training)


def test_the_children_of_a_node_are_a_group_with_what_their_turns_earned(
    policy: Policy, run: Run
) -> None:
    (root,) = searched(policy, run, 1, boost=False)
    # Both that found the place are followed to the end, where the script tells it right once.
    assert [a.reward for a in root.attempts] == [1.0, 0.0, 0.0, 0.0]
    assert [len(a.steps) for a in root.attempts] == [1, 1, 1, 1]
    assert [len(a.taken.steps) for a in root.attempts] == [2, 2, 1, 1]


def test_the_best_child_is_expanded_next_and_its_value_is_the_mean(
    policy: Policy, run: Run
) -> None:
    root, child = searched(policy, run, 2, boost=False)
    template = policy.template
    second = CONVERSATIONS[0].decisions()[1]
    assert all(
        list(a.steps[0].prompt) == template.prompt(second, thinking=True) for a in child.attempts
    )
    # Of "It is 12, 13, 14, 15 km away." the first is right.
    assert [a.reward for a in child.attempts] == [1.0, 0.0, 0.0, 0.0]
    # It and its four children were followed: (1 + 1 + 0 + 0 + 0) / 5.
    assert [a.reward for a in root.attempts] == pytest.approx([0.4, 0.0, 0.0, 0.0])


def test_small_values_can_be_raised(policy: Policy, run: Run) -> None:
    root, _ = searched(policy, run, 2)
    assert root.attempts[0].reward == pytest.approx(math.log(1 + 10 * 0.4) / math.log(11))
    assert root.attempts[1].reward == 0


def test_what_is_over_is_visited_again_and_not_expanded(policy: Policy, run: Run) -> None:
    def done(prompt: str, number: int) -> str:
        return f"{THOUGHT}It is 12 km away."

    given, training = begun(policy, run, done, search={"iterations": 5, "children": 2})
    starts = starts_of(CONVERSATIONS[0], whole=False)[1:]
    (root,) = search(given, starts, Judges(given, training), training)
    assert len(root.attempts) == 2


def test_what_steps_are_worth_is_learned_from_one_more_search(policy: Policy, run: Run) -> None:
    engine = ScriptedEngine(policy.template.tokenizer, script)
    settings = {
        "unit": "turn",
        "steps": 1,
        "conversations_per_step": 1,
        "search": {"iterations": 1, "value_conversations": 2},
    }
    course = RL.begin(context(policy, run, engine=engine, rl=settings))
    list(course.steps)
    model = run.folder / "model"
    model.mkdir()
    course.beside(model)
    figures = json.loads((model / "value" / "figures.json").read_text())
    # Two conversations of two turns, of which the first completions are four each.
    assert figures["completions"] == 16
    ValueModel.of(policy, model)
    with pytest.raises(ConfigError, match="values come from a search"):
        validated({"rl": {"search": {"value_conversations": 2}}})


def test_turns_without_room_for_a_step_leave_no_value_model(policy: Policy, run: Run) -> None:
    settings = {"search": {"iterations": 1, "value_conversations": 2}}
    given, training = begun(policy, run, **settings)
    full = replace(given, max_tokens=policy.context_length)
    save_values(full, training, run.folder)
    assert not (run.folder / "value").exists()


def test_search_is_learned_from_like_any_group(policy: Policy, run: Run) -> None:
    found = collected(policy, run, search={"iterations": 2}, scale="none")
    root = [g for g in found.groups if g.conversation.id == "W22" and g.live]
    assert len(root) == 8
    assert Node().value == 0
    for group in root:
        assert len(group.rollouts) == 1


def test_what_follows_a_completion_out_of_form_earns_it_nothing(policy: Policy, run: Run) -> None:
    def tell(prompt: str, number: int) -> str:
        """The first calls right without the thought that is asked for, all others answer wrong."""
        last = prompt.rpartition("<|im_start|>user\n")[2]
        if "tool_response" in last:
            return f"{THOUGHT}It is 12 km away."
        name = last.partition("Where is ")[2].partition("?")[0]
        return call(name, "") if number == 0 else f"{THOUGHT}It is {20 + number} km away."

    given, training = begun(policy, run, tell, search={"iterations": 4, "children": 4})
    starts = starts_of(CONVERSATIONS[0], whole=False)[:1]
    found = search(given, starts, Judges(given, training), training)
    assert len(found) == 1  # no node of it is worth expanding
    assert [attempt.reward for attempt in found[0].attempts] == [0] * 4
