"""Evaluation: one greedy completion for each decision."""

import math
from pathlib import Path

import pytest

from actwise.engine.local import LocalEngine
from actwise.evaluation import evaluate
from actwise.evaluation.evaluate import Evaluator
from actwise.model.policy import Policy
from actwise.rewards.settings import JudgeConfig
from finding import CONVERSATIONS, RIGHT_CALL, conversation, scripted


@pytest.fixture(scope="module")
def policy(tiny_model_dir: Path) -> Policy:
    return Policy.load(str(tiny_model_dir))


def test_evaluation_judges_one_completion_of_every_decision(policy: Policy) -> None:
    texts = {
        "W1#1": "<think>\nFind W1.\n</think>\n\n" + RIGHT_CALL,
        "W1#3": "<think>\nHm\n</think>\n\nIt is 99 km away.",
        "W1#5": "<think>\n" + "y" * 300,
    }
    engine = scripted(policy, lambda d, _: texts[d.key])
    evaluator = Evaluator(engine, policy.template, JudgeConfig(), max_tokens=120)
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
        evaluator = Evaluator(engine, policy.template, JudgeConfig(), max_tokens)
        last = evaluator.evaluate(CONVERSATIONS[:1], thinking=True)[-1]
        assert last["verdict"]["right"] is right
        assert (last["verdict"]["reward"] > 0) is right
    assert math.isclose(last["verdict"]["reward"], 1.0)


def test_records_are_the_same_on_any_number_of_cores(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "_CHUNK", 2)
    evaluator = Evaluator(LocalEngine(policy), policy.template, JudgeConfig(), max_tokens=8)
    conversations = [conversation(f"W{number}") for number in range(7)]
    found = []
    for workers in (1, 3):
        monkeypatch.setattr(policy, "workers", workers)
        found.append(evaluator.evaluate(conversations, thinking=True))
    assert found[0] == found[1]
    ids = [c.id for c in conversations for _ in c.decisions()]
    assert [record["conversation"] for record in found[0]] == ids
