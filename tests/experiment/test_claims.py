"""What came of a recipe's claim, and when nothing is concluded."""

from typing import Any

import pytest

from actwise.experiment.claims import claims


def figures_of(
    low: float,
    high: float,
    metric: str = "action_accuracy",
    sign: str = "+",
    against: str = "mine-control",
    than: float | None = None,
) -> dict[str, Any]:
    """Return what an experiment of one recipe found, with the same difference on both splits."""
    difference = {"value": (low + high) / 2, "low": low, "high": high}
    same = {"model": "mine", "against": against, "metric": metric, "than": than}
    runs = [
        {
            "arm": arm,
            "seconds": {"rl": 60.0 * minutes},
            "trainings": {"rl": {"steps": steps, "sampled_tokens": 1e6 * steps}},
        }
        for arm, minutes, steps in (("mine", 3, 2), (against, 5, 4))
        for _ in range(2)
    ]
    pair = same | {
        "slice": "all",
        "seeds": [0, 1, 2],
        "difference": difference,
        "means": [0.5, 0.4],
    }
    pair |= {"relative": {"value": 0.25}, "per_seed": [low, high, high]}
    return {
        "claims": [same | {"work": "Mine", "sign": sign, "margin": 0.02}],
        "paired": [pair | {"split": split} for split in ("test", "shifted")],
        "runs": runs,
    }


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.03, "+2.0 (+1.0 to +3.0) | **as expected** |"),
        (-0.03, -0.01, "-2.0 (-3.0 to -1.0) | **the other way** |"),
        (-0.01, 0.03, "+1.0 (-1.0 to +3.0) | not told apart |"),
    ],
)
def test_the_table_says_what_came_of_a_claim_and_what_both_cost(
    low: float, high: float, said: str
) -> None:
    text = claims(figures_of(low, high))
    by_seed = f"{100 * low:+.1f} {100 * high:+.1f} {100 * high:+.1f}"
    assert f"{said} {by_seed} | 2 / 4 | 2.00 M / 4.00 M | 3.0 / 5.0 |" in text


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_have_no_verdict(seeds: int) -> None:
    found = figures_of(0.01, 0.03)
    for pair in found["paired"]:
        pair |= {"seeds": list(range(seeds)), "per_seed": [0.02] * seeds}
    assert f"+2.0 (+1.0 to +3.0) | too few seeds | {' '.join(['+2.0'] * seeds)} |" in claims(found)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.015, 0.019, "**as expected**"),
        (0.001, 0.019, "**as expected**"),
        (-0.03, 0.01, "not within the margin for sure"),
        (0.01, 0.05, "not within the margin for sure"),
        (0.021, 0.05, "**the other way**"),
        (-0.05, -0.021, "**the other way**"),
    ],
)
def test_as_good_is_what_is_known_to_differ_by_less_than_the_margin(
    low: float, high: float, said: str
) -> None:
    assert f"| {said} |" in claims(figures_of(low, high, sign="="))


def test_a_metric_that_is_no_share_is_not_in_points() -> None:
    assert "-1.5 (-2.0 to -1.0), +25 % |" in claims(figures_of(-2.0, -1.0, "thought_words"))


def test_a_claim_can_be_about_a_number_or_another_control() -> None:
    text = claims(figures_of(0.01, 0.03, against="", than=0.2))
    assert "| + than 20 | 50.0 / 40.0 | +2.0 (+1.0 to +3.0) |" in text
    assert "| 2 | 2.00 M | 3.0 |" in text  # what it cost alone
    assert "| + than hot |" in claims(figures_of(0.01, 0.03, against="mine-hot"))
