"""What the arms of experiments share, and how they differ."""

import pytest

from actwise.config import load_config
from actwise.conversation import Message, ToolCall
from actwise.desk import PAPER as PAPER_SETTINGS
from actwise.errors import ConfigError
from actwise.experiment.ablations import ablations
from actwise.experiment.paper import (
    PAPER,
)
from actwise.rewards.judge import judge
from actwise.template.parse import ParsedCompletion

MAY_CHANGE = {
    "think": (
        "rl.",
        "sft.",
        "reward.require_thought",
        "reward.tool_accuracy",
        "reward.answer_weight",
        "reward.combine",
        "reward.thought_length",
    ),
    "base": ("rl.", "sft.", "think."),
}
"""What the result of a stage, and whether its decisions are right, does not depend on."""


def test_arms_share_only_what_their_settings_leave_alone() -> None:
    for arm in (*PAPER.arms[1:], *ablations(load_config(PAPER_SETTINGS)).arms[1:]):
        for setting in arm.settings:
            last = arm.shares[-1]
            assert setting.startswith(MAY_CHANGE[last]), (arm.name, setting)
        load_config(PAPER_SETTINGS, arm.settings)


def test_the_ablations_are_those_of_the_plan_and_each_has_its_counterpart() -> None:
    config = load_config(PAPER_SETTINGS, ["think.conversations=100"])
    design = ablations(config)
    changed = {arm.name: load_config(PAPER_SETTINGS, arm.settings) for arm in design.arms}
    assert design.arms[0] == PAPER.arms[0]
    assert changed["half-traces"].think.conversations == 50
    assert changed["double-traces"].think.conversations == 200
    assert {c.rl.num_generations for c in changed.values()} == {4, 8, 16}
    assert changed["clip-higher"].rl.clip_high > changed["clip-equal"].rl.clip_high
    names = {model.name for model in design.models}
    assert {name for pair in design.comparisons for name in pair} == names


def test_without_the_answer_reward_what_is_said_does_not_count() -> None:
    settings = load_config(PAPER_SETTINGS, ["reward.answer_weight=0"]).reward
    gold = Message(role="assistant", content="It costs 40 dollars.")
    call = (ToolCall(name="pay", arguments={}),)
    rewards = [
        judge(completion, gold, (), thinking=False, settings=settings).reward
        for completion in (
            ParsedCompletion(None, (), "It costs 50 dollars.", ()),
            ParsedCompletion(None, call, "", ()),
        )
    ]
    assert rewards == [1.0, 0.0]
    with pytest.raises(ConfigError, match="cannot both be 0"):
        load_config(PAPER_SETTINGS, ["reward.answer_weight=0", "reward.format_weight=0"])
