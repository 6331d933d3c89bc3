"""Intervals over few seeds: by hand, and against how often they hold the truth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwise.experiment.certainty import no_surer_than_seeds, over_seeds
from actwise.results.stats import Interval, bootstrap_seeds

NARROW = Interval(0.10, 0.09, 0.11)


def test_an_interval_reaches_as_far_as_the_seeds_tell() -> None:
    # Three seeds with a standard deviation of 0.02: 4.303 * 0.02 / sqrt(3) to either side.
    reach = 4.303 * 0.02 / math.sqrt(3)
    assert over_seeds(NARROW, [0.08, 0.10, 0.12]) == pytest.approx(
        (0.10, 0.10 - reach, 0.10 + reach)
    )
    assert over_seeds(NARROW, [0.10, 0.10, 0.10]) == NARROW
    # Two seeds tell next to nothing of others.
    assert over_seeds(NARROW, [0.3]) == over_seeds(NARROW, [0.3, 0.1]) == NARROW


@given(st.lists(st.floats(-1, 1), max_size=14))
def test_no_interval_becomes_narrower(seeds: list[float]) -> None:
    found = over_seeds(NARROW, seeds)
    assert found.low <= NARROW.low
    assert found.high >= NARROW.high


@pytest.mark.parametrize(("seeds", "spread"), [(3, 0.02), (3, 0.05), (5, 0.05)])
def test_95_of_100_intervals_hold_the_truth(seeds: int, spread: float) -> None:
    generator = np.random.default_rng(0)
    held = {"resampled": 0, "over seeds": 0}
    for _ in range(200):
        levels = 0.05 + generator.normal(0, spread, seeds)
        values = [list(level + generator.normal(0, 0.12, 100)) for level in levels]
        resampled = bootstrap_seeds(values, [list(range(100))] * seeds, seed=0, resamples=300)
        found = over_seeds(resampled, [sum(v) / len(v) for v in values])
        held["resampled"] += resampled.low <= 0.05 <= resampled.high
        held["over seeds"] += found.low <= 0.05 <= found.high
    assert held["resampled"] < 185 < held["over seeds"]


def test_a_relative_gain_becomes_as_much_wider_as_its_difference() -> None:
    pair = {
        "difference": {"value": 0.10, "low": 0.08, "high": 0.12},
        "relative": {"value": 0.5, "low": 0.4, "high": math.inf},
        "per_seed": [0.08, 0.10, 0.12],
    }
    row = {
        "metrics": {"recall": {"value": 0.5, "low": 0.4, "high": 0.6}},
        "per_seed": [0.4, 0.5, 0.6],
    }
    (found,) = no_surer_than_seeds({"paired": [pair], "rows": []})["paired"]
    wider = 4.303 * 0.02 / math.sqrt(3) / 0.02
    assert found["relative"]["low"] == pytest.approx(0.5 - wider * 0.1)
    assert found["relative"]["high"] == math.inf
    # Of other measures the seeds are not kept.
    assert no_surer_than_seeds({"paired": [], "rows": [row]})["rows"] == [row]


def test_a_share_stays_a_share() -> None:
    share = {"value": 0.98, "low": 0.97, "high": 0.99}
    row = {"metrics": {"action_accuracy": share}, "per_seed": [0.93, 0.98, 1.03]}
    ((found,),) = [no_surer_than_seeds({"paired": [], "rows": [row]})["rows"]]
    assert found["metrics"]["action_accuracy"]["high"] == 1.0
    assert found["metrics"]["action_accuracy"]["low"] == pytest.approx(
        0.98 - 4.303 * 0.05 / math.sqrt(3)
    )
