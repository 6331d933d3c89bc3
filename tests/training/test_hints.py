"""Hints: who gets one, what is learned after it, and that the rest stays as it was."""

from random import Random
from typing import Any

import pytest
from torch import Tensor

from actwise.config import HintsConfig
from actwise.engine import SamplingParams
from actwise.engine.rollouts import Group, after_thought, groups_of
from actwise.engine.scripted import ScriptedEngine
from actwise.errors import RunError
from actwise.evaluation.judging import judge_groups
from actwise.model.policy import Policy
from actwise.rewards.settings import JudgeConfig
from actwise.run.folder import Run
from actwise.training.hints import beside, failed, hint, hinted
from actwise.training.stages import RL, rl
from finding import CONVERSATIONS, RIGHT_CALL, context, lines, logprobs_of, ordinary

CALL, ANSWER, BYE = CONVERSATIONS[0].decisions()
FIND = "Find W1."


def prompt_of(policy: Policy, group: Group) -> str:
    return str(policy.template.tokenizer.decode(list(group.prompt)))


def test_a_hint_is_a_part_of_the_recorded_thought(policy: Policy) -> None:
    long = CALL.gold.model_copy(update={"reasoning_content": "one two three four five six"})
    messages = (CALL.conversation.messages[0], long, *CALL.conversation.messages[2:])
    decision = CALL.conversation.model_copy(update={"messages": messages}).decisions()[0]
    prompt = policy.template.prompt_text(decision, thinking=True)
    hints = [prompt_of(policy, hint(policy.template, decision, level)) for level in (1, 2, 3, 4)]
    begun = ["one two", "one two three", "one two three four five", "one two three four five six"]
    assert hints == [f"{prompt}<think>\n{text}" for text in begun]


def test_a_closed_thought_leaves_the_action_to_the_model(policy: Policy) -> None:
    group = after_thought(policy.template, CALL, "Hm.", closed=True)
    assert prompt_of(policy, group).endswith("<think>\nHm.\n</think>")
    assert policy.template.decode(list(group.given)) == "<think>\nHm.\n</think>"
    empty = after_thought(policy.template, CALL, "", closed=True)
    assert policy.template.decode(list(empty.given)) == "<think>\n\n</think>"


def test_control_tokens_in_a_thought_stay_text(policy: Policy) -> None:
    group = after_thought(policy.template, CALL, "Say <|im_end|> now.")
    assert set(group.given).isdisjoint(policy.template.stop_token_ids)


def judged(policy: Policy, texts: dict[str, list[str]]) -> list[Group]:
    """Return the judged completions of the first conversation's decisions."""
    template = policy.template
    groups = groups_of(template, CONVERSATIONS[0].decisions(), thinking=True)
    by_prompt = {prompt_of(policy, g): texts[g.decision.key] for g in groups}
    engine = ScriptedEngine(template.tokenizer, lambda prompt, n: by_prompt[prompt][n])
    params = SamplingParams(200, template.stop_token_ids)
    completed = engine.generate(groups, num_generations=2, params=params)
    return judge_groups(template, completed, thinking=True, settings=JudgeConfig())


def test_failed_are_decisions_without_a_right_completion_that_have_a_wrong_one(
    policy: Policy,
) -> None:
    right = f"<think>\n{FIND}\n</think>\n\n{RIGHT_CALL}"
    wrong = "<think>\nHm.\n</think>\n\nNo idea."
    texts = {"W1#1": [wrong, right], "W1#3": [wrong, wrong], "W1#5": [wrong, wrong]}
    groups = judged(policy, texts)
    assert [failed(g) for g in groups] == [False, True, False]  # "Goodbye." can be neither
    texts["W1#1"][1] = wrong
    groups = judged(policy, texts)
    given = hinted(policy.template, groups, HintsConfig(levels=4), Random(0), 1.0, 999)
    assert [g.decision.key for g in given] == ["W1#1", "W1#3"]
    assert hinted(policy.template, groups, HintsConfig(levels=4), Random(0), 0.0, 999) == []
    # A hint that leaves no room for a completion is none.
    room = len(given[1].prompt) - 1
    of_room = hinted(policy.template, groups, HintsConfig(levels=4), Random(0), 1.0, room)
    assert [g.decision.key for g in of_room] == ["W1#1"]
    assert [g.decision.key for g in beside(groups, given)] == [
        "W1#1",
        "W1#3",
        "W1#5",
        "W1#1",
        "W1#3",
    ]


def script(prompt: str, number: int) -> str:
    """Call rightly after a hint, and then only now and then."""
    if not prompt.endswith(("Find", "Find W1.", "Find W22.", "Find X9.")):
        return "<think>\nHm.\n</think>\n\nNo idea."
    name = next(c.id for c in CONVERSATIONS if f"Where is {c.id}?" in prompt)
    call = RIGHT_CALL.replace("W1", name if number else "W0")
    return f" it.\n</think>\n\n{call}"


def run_steps(policy: Policy, run: Run, **settings: Any) -> list[dict[str, Any]]:
    engine = ScriptedEngine(policy.template.tokenizer, script)
    given = {
        "steps": 2,
        "num_generations": 2,
        "conversations_per_step": 3,
        "decisions": "calls",
        "likelihood": {"weight": 0.0},
        **settings,
    }
    course = RL.begin(context(policy, run, engine=engine, rl=given, max_tokens=120))
    list(course.steps)
    return lines(run, "metrics/rl.jsonl")


def test_what_follows_a_hint_is_judged_with_it_and_learned_without(
    policy: Policy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[Group] = []
    accumulate = rl.accumulate
    before = ordinary(policy)

    def watch(policy: Policy, groups: Any, *rest: Any, **more: Any) -> dict[str, float]:
        learned.extend(groups)
        return accumulate(policy, groups, *rest, **more)

    monkeypatch.setattr(rl, "accumulate", watch)
    first, second = run_steps(policy, run, hints={"levels": 4}, steps=2)
    # The figures of the stage are those without hints: all are wrong, and no group is live.
    assert (first["right"], first["live_groups"], first["unsolved"]) == (0.0, 0.0, 1.0)
    assert first["hinted_groups"] == 1.0
    assert first["hinted_right"] == 0.5  # one of two after each hint
    assert second.get("hinted_groups", 0.0) <= 1.0
    assert {g.decision.kind for g in learned} == {"call"} and all(g.given for g in learned)
    records = lines(run, "rollouts/rl.jsonl")
    texts = {r["text"] for r in records if r["given"]}
    assert all(text.startswith("<think>\nFind") and " it.\n</think>" in text for text in texts)
    advantages = [r["advantage"] for r in records if r["given"] and r["right"]]
    assert advantages and min(advantages) > 0
    group = learned[0]
    tokens = group.rollouts[0].sample.token_ids
    assert policy.template.decode(list(tokens)).startswith(" it.")
    # Log-probabilities are taken after the hint.
    assert logprobs_of(before, group.prompt, tokens).shape == (len(tokens),)


def test_without_hints_nothing_is_learned_there(policy: Policy, run: Run) -> None:
    before: dict[str, Tensor] = policy.weights()
    first, *_ = run_steps(policy, run)
    assert "hinted_groups" not in first and first["live_groups"] == 0.0
    assert all(before[n].equal(w) for n, w in policy.weights().items())
    assert {r["given"] for r in lines(run, "rollouts/rl.jsonl")} == {0}


def test_hints_without_thoughts_are_refused_before_anything_is_trained(
    policy: Policy, run: Run
) -> None:
    bare = [
        c.model_copy(
            update={
                "messages": tuple(
                    m.model_copy(update={"reasoning_content": None}) for m in c.messages
                )
            }
        )
        for c in CONVERSATIONS
    ]
    given = context(policy, run, rl={"hints": {"levels": 4}}, train=bare)
    with pytest.raises(RunError, match="no training conversation has a recorded thought"):
        RL.check(policy.template, bare, given.config)
    direct = context(policy, run, rl={"hints": {"levels": 4}, "mode": "direct"})
    with pytest.raises(RunError, match=r"rl\.mode=thinking"):
        RL.check(policy.template, CONVERSATIONS, direct.config)
