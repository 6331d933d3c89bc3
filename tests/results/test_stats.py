"""Intervals: degenerate cases by hand, coverage, and what clusters and pairing do to the width."""

import math
import random

import numpy as np
import pytest

from actwise.results.stats import (
    Interval,
    PairedDifference,
    bootstrap_mean,
    bootstrap_seeds,
    paired_bootstrap,
    paired_bootstrap_seeds,
)


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


# --- repeated experiments ------------------------------------------------------------------------


def naive_seeds(
    values: list[list[list[float]]], resamples: int
) -> tuple[float, float, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Resample seeds, then the clusters of each, in plain loops: values by seed and cluster."""
    draw = random.Random(7)
    means = []
    for _ in range(resamples):
        drawn: list[float] = []
        for _ in values:
            of_seed = draw.choice(values)
            for _ in of_seed:
                drawn += draw.choice(of_seed)
        means.append(sum(drawn) / len(drawn))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high), np.array(means)


def flat(values: list[list[list[float]]]) -> tuple[list[list[float]], list[list[int]]]:
    return (
        [[v for cluster in of_seed for v in cluster] for of_seed in values],
        [[i for i, cluster in enumerate(of_seed) for _ in cluster] for of_seed in values],
    )


def test_seeds_and_conversations_agree_with_plain_loops() -> None:
    generator = np.random.default_rng(3)
    values = [
        [(level + generator.normal(size=generator.integers(1, 5))).tolist() for _ in range(size)]
        for level, size in ((0.0, 12), (0.8, 20), (1.5, 9), (0.4, 15))
    ]
    low, high, means = naive_seeds(values, 4000)
    found = bootstrap_seeds(*flat(values), seed=0, resamples=4000)
    everything = [v for of_seed in values for cluster in of_seed for v in cluster]
    assert found.value == pytest.approx(np.mean(everything))
    assert found.low == pytest.approx(low, abs=0.15 * means.std())
    assert found.high == pytest.approx(high, abs=0.15 * means.std())


def test_one_seed_is_the_bootstrap_over_its_conversations() -> None:
    values = np.random.default_rng(0).normal(size=300).tolist()
    clusters = np.repeat(np.arange(100), 3).tolist()
    one = bootstrap_mean(values, clusters, seed=0, resamples=5000)
    found = bootstrap_seeds([values], [clusters], seed=0, resamples=5000)
    assert found.value == pytest.approx(one.value)
    assert width(found) == pytest.approx(width(one), rel=0.05)


def test_two_seeds_by_hand() -> None:
    # Every conversation of a seed is alike, so only the draw of seeds counts: 0, 1/2, 1/2 or 1.
    values, clusters = [[0.0, 0.0], [1.0, 1.0]], [["a", "b"], ["a", "b"]]
    assert bootstrap_seeds(values, clusters, seed=0, confidence=0.4) == Interval(0.5, 0.5, 0.5)
    assert bootstrap_seeds(values, clusters, seed=0, confidence=0.6) == Interval(0.5, 0.0, 1.0)


def test_a_difference_that_all_seeds_share_has_no_width() -> None:
    b = [[0.2, 0.4], [0.6, 0.8]]
    a = [[v + 0.125 for v in of_seed] for of_seed in b]
    found = paired_bootstrap_seeds(a, b, [["a", "b"], ["c", "d"]], seed=0)
    assert found.difference == pytest.approx((0.125, 0.125, 0.125))
    assert found.relative is not None
    # 0.625 / 0.5 - 1. All four values are the smallest in 1 of 64 resamples, less than the tail of
    # 2.5 %; three of them in 4 of 64, so the ends are the means 0.25 and 0.75 of b.
    assert found.relative == pytest.approx((0.25, 0.125 / 0.75, 0.125 / 0.25))


def test_nothing_is_relative_to_zero() -> None:
    assert paired_bootstrap_seeds([[1.0]], [[0.0]], [["a"]], seed=0).relative is None


@pytest.mark.parametrize(
    ("values", "clusters"), [([], []), ([[1.0], []], [["a"], []]), ([[1.0]], [["a"], ["b"]])]
)
def test_impossible_repetitions_are_refused(
    values: list[list[float]], clusters: list[list[str]]
) -> None:
    with pytest.raises(ValueError, match="values"):
        bootstrap_seeds(values, clusters, seed=0)
