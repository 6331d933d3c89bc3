"""Signs that RL is not learning, one at a time."""

from typing import Any

import pytest

from actwise.training.watch import warnings

GOOD = {"live_groups": 0.6, "thought_words": 10.0, "entropy": 0.2, "unsolved": 0.3}


def run(steps: int, **last: float) -> list[dict[str, Any]]:
    """Steps that go well for the first half, then as said."""
    return [dict(GOOD) if step < steps / 2 else GOOD | last for step in range(steps)]


def test_a_run_that_goes_well_is_left_in_peace() -> None:
    assert warnings(run(40)) == {}
    assert warnings([]) == {}


@pytest.mark.parametrize(
    ("name", "near", "past", "words"),
    [
        ("live_groups", 0.26, 0.24, "24% of the groups are live"),
        ("thought_words", 7.1, 6.9, "from 10.0 to 6.9 words"),
        ("mismatch_kl", 0.049, 0.051, "differ by 0.051 nats a token"),
        ("entropy", 0.101, 0.099, "from 0.200 to 0.099"),
    ],
)
def test_each_sign_by_itself(name: str, near: float, past: float, words: str) -> None:
    assert warnings(run(40, **{name: near})) == {}
    ((sign, found),) = warnings(run(40, **{name: past})).items()
    assert sign == name
    assert words in found


def test_decisions_that_stay_without_a_right_completion() -> None:
    flat = [GOOD | {"unsolved": 0.6}] * 40
    (found,) = warnings(flat).values()
    assert "60% of the decisions" in found
    falling = [GOOD | {"unsolved": 0.6 if step < 20 else 0.5} for step in range(40)]
    assert warnings(falling) == {}


def test_live_groups_are_judged_after_twenty_steps_and_the_rest_after_forty() -> None:
    assert warnings([GOOD | {"live_groups": 0.1}] * 19) == {}
    assert len(warnings([GOOD | {"live_groups": 0.1}] * 20)) == 1
    assert warnings([GOOD] * 10 + [GOOD | {"thought_words": 1.0}] * 19) == {}


def test_direct_mode_has_no_thoughts_that_could_shrink() -> None:
    assert warnings([GOOD | {"thought_words": 0.0}] * 60) == {}
