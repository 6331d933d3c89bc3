"""Completions whose thoughts have a budget, against what `eval --budget` measures."""

from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console

from actwise.desk import MODEL, generate
from actwise.engine.acting import Action, LocalActor
from actwise.engine.local import LocalEngine
from actwise.engine.prompt import read_prompt
from actwise.errors import InputError
from actwise.evaluation.evaluate import Evaluator
from actwise.evaluation.given import at_budget
from actwise.model.policy import Policy
from actwise.rewards.settings import JudgeConfig
from actwise.run.progress import Progress

CONVERSATIONS = generate("test", 3, seed=5)
DECISIONS = [decision for c in CONVERSATIONS for decision in c.decisions()]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.load(str(MODEL))


@pytest.fixture(scope="module")
def measured(policy: Policy) -> Mapping[int, list[dict[str, Any]]]:
    """What was measured, by budget."""
    evaluator = Evaluator(LocalEngine(policy), policy.template, JudgeConfig(), 150)
    records = evaluator.evaluate(CONVERSATIONS, thinking=True)
    quiet = Progress(Console(quiet=True))
    longest = max(record["thought_tokens"] for record in records)
    budgets = (0, 1, 5, 11, longest)
    return {n: at_budget(evaluator, CONVERSATIONS, records, n, quiet) for n in budgets}


def test_who_has_a_budget_does_what_was_measured_under_it(
    policy: Policy, measured: Mapping[int, list[dict[str, Any]]]
) -> None:
    cut = 0
    for budget, records in measured.items():
        # The limit counts the whole completion here, and only what follows the cut in `eval`.
        actor = LocalActor(policy, max_tokens=150 + budget + 10, budget=budget)
        for decision, record in zip(DECISIONS, records, strict=True):
            history = [m.to_dict(thought=False) for m in decision.history]
            told = {"thought": "", "answer": ""}
            acting = actor(history, decision.conversation.tools, thinking=True)
            action = None
            while action is None:
                try:
                    delta = next(acting)
                    told["thought"] += delta.thought
                    told["answer"] += delta.answer
                except StopIteration as done:
                    action = done.value
            assert isinstance(action, Action)
            assert action.text == record["text"]
            assert told == {"thought": record["thought"], "answer": record["answer"]}
            cut += record["thought_tokens"] == budget
    assert cut > len(DECISIONS)


def test_a_budget_holds_in_thinking_mode_alone(policy: Policy) -> None:
    decision = DECISIONS[0]
    history = [m.to_dict(thought=False) for m in decision.history]
    texts = set()
    for budget in (None, 0):
        acting = LocalActor(policy, max_tokens=60, budget=budget)(
            history, decision.conversation.tools, thinking=False
        )
        with pytest.raises(StopIteration) as done:
            while True:
                next(acting)
        texts.add(done.value.value.text)
    assert len(texts) == 1


def test_a_second_turn_is_read_from_where_the_first_ended(policy: Policy) -> None:
    conversation = CONVERSATIONS[0]
    first, second = conversation.decisions()[:2]
    passes: list[int] = []
    hook = policy.model.register_forward_pre_hook(
        lambda module, args, given: passes.append(given["input_ids"].numel()), with_kwargs=True
    )
    actor = LocalActor(policy, max_tokens=3)
    for decision in (first, second):
        list(
            actor(
                [m.to_dict(thought=False) for m in decision.history],
                conversation.tools,
                thinking=True,
            )
        )
    hook.remove()
    whole = [len(policy.template.prompt(d, thinking=True)) for d in (first, second)]
    assert passes[0] == whole[0] and passes[1:3] == [1, 1]
    assert passes[3] == whole[1] - whole[0]  # the template begins every action alike


def test_half_a_character_is_refused_wherever_it_stands(policy: Policy) -> None:
    half = "\ud83d hi"
    hi = {"role": "user", "content": "Hi"}
    tool = {"type": "function", "function": {"name": "find", "description": half}}
    made = {"name": "find", "arguments": {"x": half}}
    called = [
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": made}]},
        {"role": "tool", "tool_call_id": "c", "content": "{}"},
    ]
    for messages, tools in [
        ([{"role": "user", "content": half}], []),
        ([{"role": "system", "content": half}, hi], []),
        ([hi, *called], []),
        ([hi], [tool]),
    ]:
        with pytest.raises(InputError, match="half of a surrogate pair"):
            read_prompt(policy, messages, tools, thinking=True)
