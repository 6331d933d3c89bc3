"""Intervals: degenerate cases by hand, coverage, and what clusters and pairing do to the width."""

import math

import numpy as np
import pytest

from actwise.stats import Interval, PairedDifference, bootstrap_mean, paired_bootstrap


def width(interval: Interval) -> float:
    return interval.high - interval.low


def test_one_value_is_its_own_interval() -> None:
    assert bootstrap_mean([0.25], ["a"], seed=0) == Interval(0.25, 0.25, 0.25)
    assert paired_bootstrap([3], [2], ["a"], seed=0) == PairedDifference(
        Interval(1, 1, 1), Interval(0.5, 0.5, 0.5)
    )


def test_one_cluster_says_nothing_about_its_spread() -> None:
    assert bootstrap_mean([0, 1, 1, 0], ["a"] * 4, seed=0) == Interval(0.5, 0.5, 0.5)


def test_equal_values_have_no_width() -> None:
    assert bootstrap_mean([True] * 9, list("aabbccdde"), seed=3) == Interval(1, 1, 1)


def test_every_decision_counts_the_same() -> None:
    # Cluster means are 1 and 0; the mean over decisions is 3 of 4.
    found = bootstrap_mean([1, 1, 1, 0], ["a", "a", "a", "b"], seed=0)
    assert found == Interval(0.75, 0.0, 1.0)


def test_two_clusters_by_hand() -> None:
    # The four equally likely draws of {0, 1} have means 0, .5, .5, 1: quartiles 0.5 or its ends.
    found = bootstrap_mean([0, 1], ["a", "b"], seed=0, confidence=0.4)
    assert found == Interval(0.5, 0.5, 0.5)
    assert bootstrap_mean([0, 1], ["a", "b"], seed=0, confidence=0.6) == Interval(0.5, 0.0, 1.0)


def test_interval_agrees_with_the_normal_approximation() -> None:
    values = np.random.default_rng(1).normal(size=4000)
    found = bootstrap_mean(values.tolist(), range(4000), seed=2)
    half = 1.96 * values.std() / math.sqrt(4000)
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_coverage_is_about_what_it_says() -> None:
    generator = np.random.default_rng(5)
    covered = 0
    for trial in range(300):
        means = generator.normal(size=60)
        values = np.repeat(means, 3) + generator.normal(scale=0.5, size=180)
        found = bootstrap_mean(
            values.tolist(), np.repeat(np.arange(60), 3), seed=trial, resamples=400
        )
        covered += found.low <= 0 <= found.high
    assert 0.90 <= covered / 300 <= 0.98


def test_alike_decisions_widen_the_interval() -> None:
    values = np.repeat(np.random.default_rng(0).integers(0, 2, size=50), 8).tolist()
    by_conversation = bootstrap_mean(values, np.repeat(np.arange(50), 8).tolist(), seed=0)
    by_decision = bootstrap_mean(values, range(400), seed=0)
    # Eight copies of each value: the true ratio of the widths is sqrt(8) = 2.8.
    assert width(by_conversation) / width(by_decision) == pytest.approx(math.sqrt(8), rel=0.15)


def test_pairing_takes_out_what_is_hard_for_both() -> None:
    generator = np.random.default_rng(0)
    shared = generator.normal(size=200)
    a = (shared + 0.2 + generator.normal(scale=0.1, size=200)).tolist()
    found = paired_bootstrap(a, shared.tolist(), range(200), seed=1).difference
    unpaired = width(bootstrap_mean(a, range(200), seed=1))
    assert width(found) < unpaired / 4
    assert found.low < 0.2 < found.high
    assert found.low > 0.1


def test_difference_and_ratio_by_hand() -> None:
    found = paired_bootstrap([1, 1, 1, 0], [1, 0, 1, 0], list("abcd"), seed=0)
    assert found.difference.value == 0.25
    assert found.relative is not None
    assert found.relative.value == pytest.approx(0.5)
    assert found.difference.low == 0.0


def test_the_same_model_twice_differs_by_nothing() -> None:
    values = [0, 0, 1, 0, 1]
    found = paired_bootstrap(values, values, list("abcde"), seed=0)
    assert found == PairedDifference(Interval(0, 0, 0), Interval(0, 0, 0))


def test_ratio_to_nothing() -> None:
    assert paired_bootstrap([1, 0], [0, 0], ["a", "b"], seed=0).relative is None
    # Most draws of the other model hold no success: the ratio has no upper end.
    found = paired_bootstrap([1, 1, 1, 1], [1, 0, 0, 0], list("abcd"), seed=0).relative
    assert found is not None
    assert found.high == math.inf


def test_seed_decides() -> None:
    values = np.random.default_rng(0).normal(size=30).tolist()
    first = bootstrap_mean(values, range(30), seed=1)
    assert first == bootstrap_mean(values, range(30), seed=1)
    assert first != bootstrap_mean(values, range(30), seed=2)


def test_many_clusters_are_drawn_in_blocks() -> None:
    values = np.random.default_rng(0).normal(size=50_000)
    found = bootstrap_mean(values, range(50_000), seed=0, resamples=200)
    half = 1.96 * values.std() / math.sqrt(50_000)
    assert width(found) == pytest.approx(2 * half, rel=0.2)


@pytest.mark.parametrize(
    ("values", "clusters"), [([], []), ([1.0], ["a", "b"]), ([math.nan], ["a"]), ([[1.0]], ["a"])]
)
def test_impossible_input_is_refused(values: list[float], clusters: list[str]) -> None:
    with pytest.raises(ValueError, match=r"value"):
        bootstrap_mean(values, clusters, seed=0)
