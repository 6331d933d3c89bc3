"""Rewards of the user's own: found, asked, and blamed for what they do."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from rich.console import Console

from actwise.config import RunConfig, load_config
from actwise.conversation import Conversation, Decision, Message
from actwise.engine.scripted import ScriptedEngine
from actwise.errors import ConfigError, RunError
from actwise.evaluation.evaluate import Evaluator
from actwise.model.policy import Policy
from actwise.rewards.custom import custom_reward, reward_function
from actwise.rewards.judge import NoVerdict, judge
from actwise.rewards.settings import CustomReward, JudgeConfig
from actwise.run.files import read_records
from actwise.run.folder import Run
from actwise.run.progress import Progress
from actwise.template.parse import parse_completion
from actwise.training.stages import RL
from actwise.training.stages.think import self_generated_thoughts
from finding import context

MODULE = """
asked = []

def polite(completion, decision):
    asked.append((completion.answer, decision.key))
    return 0.5 if "please" in completion.answer else 0

def broken(completion, decision):
    return {}["missing"]

def too_much(completion, decision):
    return 1.5

def nothing(completion, decision):
    return None

number = 3
"""
CONVERSATION = Conversation(
    id="w",
    messages=(
        Message(role="user", content="Bye"),
        Message(role="assistant", content="Goodbye."),
    ),
)
(DECISION,) = CONVERSATION.decisions()


@pytest.fixture
def my_rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module in the working directory, as a user has it."""
    (tmp_path / "my_rewards.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    reward_function.cache_clear()
    yield tmp_path
    sys.modules.pop("my_rewards", None)


def custom(function: str, **more: Any) -> CustomReward:
    return CustomReward(function=f"my_rewards:{function}", weight=0.25, **more)


def test_a_function_of_the_working_directory_is_part_of_the_reward(my_rewards: Path) -> None:
    config = JudgeConfig(custom={"polite": custom("polite")})
    parsed = parse_completion("Goodbye, please.", thinking=False)
    value = custom_reward("polite", config.custom["polite"], parsed, DECISION)
    assert value == 0.5
    found = judge(
        parsed, DECISION.gold, [], thinking=False, settings=config, extra={"polite": value}
    )
    # Words: goodbye, please vs. goodbye: F1 = 2/3; no facts.
    assert found.reward == pytest.approx((0.1 + 2 / 3 + 0.25 * 0.5) / 1.35)
    assert found.components()["polite"] == 0.5
    assert config.weights()["polite"] == 0.25


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("broken", r"KeyError: 'missing' \(my_rewards.py, line 9\)"),
        ("too_much", "ValueError: returned 1.5; a reward is a number from 0 to 1"),
        ("nothing", "TypeError: "),
    ],
)
def test_failures_name_the_decision_and_stop_or_skip(
    my_rewards: Path, function: str, reason: str
) -> None:
    parsed = parse_completion("Goodbye.", thinking=False)
    with pytest.raises(RunError, match=rf"reward.custom.mine: .* failed on decision w#1: {reason}"):
        custom_reward("mine", custom(function), parsed, DECISION)
    skipped = custom_reward("mine", custom(function, on_error="skip"), parsed, DECISION)
    assert isinstance(skipped, NoVerdict)
    config = JudgeConfig(custom={"mine": custom(function, on_error="skip")})
    found = judge(
        parsed, DECISION.gold, [], thinking=False, settings=config, extra={"mine": skipped}
    )
    assert (found.reward, found.missing, found.right) == (1.0, ("mine",), True)
    assert found.notes == (f"no verdict of mine: {skipped.reason}",)


@pytest.mark.parametrize("path", ["my_rewards:absent", "no_such_module:f", "my_rewards:number"])
def test_functions_that_cannot_be_had(my_rewards: Path, path: str) -> None:
    with pytest.raises(ConfigError, match=r"reward\.custom\.mine\.function: "):
        reward_function("mine", path)


def test_a_module_that_does_not_compile(my_rewards: Path) -> None:
    (my_rewards / "bad_rewards.py").write_text("def f(:\n")
    with pytest.raises(ConfigError, match=r"bad_rewards:f: SyntaxError: .*bad_rewards\.py, line 1"):
        reward_function("mine", "bad_rewards:f")


def test_no_package_is_hidden_by_a_file_of_the_working_directory(my_rewards: Path) -> None:
    (my_rewards / "statistics.py").write_text("mean = None\n")
    assert callable(reward_function("mine", "statistics:mean"))


def test_settings() -> None:
    config = load_config(
        None, ["reward.custom.a.function=m:f", "reward.custom.a.weight=0.5"]
    ).reward.custom["a"]
    assert (config.function, config.weight, config.on_error) == ("m:f", 0.5, "stop")
    for bad in (
        {"function": "m.f", "weight": 1},
        {"function": "m:f"},
        {"function": "m:f", "weight": 0},
    ):
        with pytest.raises(ValidationError):
            CustomReward.model_validate(bad)
    with pytest.raises(ConfigError, match="the judge has a component of this name"):
        load_config(None, ["reward.custom.format.function=m:f", "reward.custom.format.weight=1"])
    dumped = RunConfig.model_validate({"reward": {"custom": {"a": config}}})
    assert RunConfig.model_validate(dumped.model_dump(mode="json")) == dumped


# --- the same in training, evaluation and filtering ---------------------------------------------

TEXTS = [
    "<think>\nx\n</think>\n\nGoodbye, please.",
    "<think>\nxy\n</think>\n\nSo long!",
    '<think>\nx\n</think>\n\n<tool_call>\n{"name": "f"}\n</tool_call>',
    "Goodbye.",
]


@pytest.fixture
def policy(tiny_model_dir: Path) -> Policy:
    return Policy.load(str(tiny_model_dir))


def test_one_judge_in_training_evaluation_and_filtering(
    my_rewards: Path, policy: Policy, tmp_path: Path
) -> None:
    config = JudgeConfig(custom={"polite": custom("polite")})
    reward_function("polite", "my_rewards:polite")
    module = sys.modules["my_rewards"]
    conversations = [CONVERSATION]

    def engine(first: int) -> ScriptedEngine:
        return ScriptedEngine(policy.template.tokenizer, lambda _, number: TEXTS[first + number])

    evaluated = []
    for number in range(len(TEXTS)):
        evaluator = Evaluator(engine(number), policy.template, config, max_tokens=200)
        (record,) = evaluator.evaluate(conversations, thinking=True)
        evaluated.append(record["verdict"])
    # A call where the record answers earns nothing, so nobody is asked about it.
    assert module.asked == [
        ("Goodbye, please.", "w#1"),
        ("So long!", "w#1"),
        ("Goodbye.", "w#1"),
    ]
    assert [v["extra"]["polite"] for v in evaluated] == [0.5, 0, 0, 0]

    for combine in ("sum", "normalize_each"):
        reward = config.model_copy(update={"combine": combine})
        given = {
            "engine": engine(0),
            "train": conversations,
            "max_tokens": 200,
            "reward": reward.model_dump(),
            "think": {"attempts": 4},
            "rl": {"steps": 1, "num_generations": 4, "conversations_per_step": 1},
        }
        with Run.open(tmp_path / combine, {}, Progress(Console(quiet=True))) as run:
            list(RL.begin(context(policy, run, **given)).steps)
            rollouts = read_records(run.folder / "rollouts" / "rl.jsonl")
            assert [r["reward"] for r in rollouts] == [v["reward"] for v in evaluated]
            assert [r["right"] for r in rollouts] == [v["right"] for v in evaluated]
            (metrics,) = read_records(run.folder / "metrics" / "rl.jsonl")
            assert metrics["reward_polite"] == pytest.approx(0.5 / 4)
            assert metrics["missing_polite"] == 0
            (kept,) = self_generated_thoughts(context(policy, run, **given), conversations)
    # Right, in the right format, and the shortest: the first.
    assert [(t.decision.key, t.thought) for t in kept] == [("w#1", "x")]


def test_an_evaluator_begins_with_the_functions_it_will_need(
    my_rewards: Path, policy: Policy
) -> None:
    config = JudgeConfig(custom={"polite": custom("absent")})
    with pytest.raises(ConfigError, match="absent"):
        Evaluator(ScriptedEngine(None, lambda _, n: ""), policy.template, config, 10)


def test_a_decision_is_what_a_function_gets(my_rewards: Path) -> None:
    (my_rewards / "typed_rewards.py").write_text(
        "def f(completion, decision):\n"
        "    return float(decision.kind == 'answer' and completion.calls == ()"
        " and decision.history[0].content == 'Bye')\n"
    )
    asked = CustomReward(function="typed_rewards:f", weight=1)
    parsed = parse_completion("Goodbye.", thinking=False)
    assert custom_reward("mine", asked, parsed, Decision(CONVERSATION, 1)) == 1.0
