"""Which start RL can begin from, by figures worked out by hand."""

from dataclasses import replace

import pytest

from actwise.config import load_config
from actwise.preflight.prediction import obstacles, start_findings
from actwise.preflight.targets import distribution
from actwise.preflight.trial import Samples

# Four decisions of two completions: pass@1 is 5/8, pass@2 is 1, three of four groups are live.
GOOD = Samples(
    decisions=4,
    completions=8,
    rewards=distribution([1.0, 0.0] * 3 + [1.0, 1.0]),
    pass_rates=distribution([0.5, 0.5, 0.5, 1.0]),
    pass_any=1.0,
    closed=0.96,
    learnable=0.75,
    live=0.75,
    influence=0.4,
    not_checkable=0.0,
    format=1.0,
    truncated=0.0,
    tokens=20.0,
)
SOLVED = distribution([1.0, 1.0, 1.0, 0.5])  # 0.875 in one completion


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"closed": 0.94}, "94% of the thoughts end"),
        ({"pass_rates": SOLVED}, "so there are 12 points to gain"),
        ({"live": 0.39}, "39% of the groups are live"),
    ],
)
def test_each_obstacle_by_itself(changed: dict[str, object], words: str) -> None:
    assert obstacles(GOOD) == []
    assert obstacles(replace(GOOD, closed=None)) == []
    (found,) = obstacles(replace(GOOD, **changed))
    assert words in found


def codes(samples: Samples, *settings: str) -> list[str]:
    return [finding.code for finding in start_findings(samples, load_config(None, settings))]


def test_what_is_said_depends_on_the_stages_that_are_to_come() -> None:
    weak = replace(GOOD, live=0.0)
    assert codes(GOOD) == ["rl_can_begin"]
    assert codes(GOOD, "think.steps=0") == []
    assert codes(weak) == []  # the think stage is there to mend it
    assert codes(weak, "think.steps=0") == ["no_start"]
    assert codes(weak, "think.begin=previous") == ["thinking_forgotten"]
    assert codes(weak, "think.begin=previous", "sft.steps=0") == []
    assert codes(weak, "rl.mode=direct") == []
