"""Intervals for shares and means, and for the difference of two models.

Decisions of one conversation are alike: they share a customer, a policy and earlier mistakes.
Resampling decisions would count them as independent and make the intervals too narrow, so every
interval here resamples whole conversations (clusters). The intervals are percentile bootstrap
intervals: with fewer than about 20 clusters they are too narrow, and where all values are equal
they have no width, however few the values are.
"""

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_CELLS_AT_ONCE = 4_000_000
"""Resampled clusters held in memory at a time, in 8-byte cells."""

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate and the interval around it."""

    value: float
    low: float
    high: float


class PairedDifference(NamedTuple):
    """How much better one model is than another on the same items."""

    difference: Interval
    """mean(a) - mean(b)."""
    relative: Interval | None
    """mean(a) / mean(b) - 1; None where mean(b) is not positive."""


def bootstrap_mean(
    values: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Return the mean over all values and its interval.

    Args:
        values: One number for each decision; every decision counts the same.
        clusters: For each value the conversation it belongs to.
        seed: The same seed gives the same interval.
        resamples: Times that the clusters are drawn anew.
        confidence: Share of the resampled means inside the interval.

    Raises:
        ValueError: There are no values, one is not finite, or the lengths differ.
    """
    counts, (sums,) = _by_cluster(clusters, values)
    means = np.concatenate(
        [chosen @ sums / (chosen @ counts) for chosen in _draws(len(counts), resamples, seed)]
    )
    return _interval(float(sums.sum() / counts.sum()), means, confidence)


def paired_bootstrap(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> PairedDifference:
    """Return how much larger the mean of `a` is than that of `b`, on the same decisions.

    The same conversations are drawn for both, so what is hard for both does not widen the interval.

    Args:
        a: One number for each decision.
        b: The numbers of the other model, for the same decisions in the same order.
        clusters: For each decision the conversation it belongs to.
        seed: The same seed gives the same intervals.
        resamples: Times that the clusters are drawn anew.
        confidence: Share of the resampled differences inside the interval.

    Raises:
        ValueError: There are no values, one is not finite, or the lengths differ.
    """
    counts, (sums_a, sums_b) = _by_cluster(clusters, a, b)
    drawn = np.concatenate(
        [
            np.stack([chosen @ sums_a, chosen @ sums_b]) / (chosen @ counts)
            for chosen in _draws(len(counts), resamples, seed)
        ],
        axis=1,
    )
    mean_a, mean_b = sums_a.sum() / counts.sum(), sums_b.sum() / counts.sum()
    difference = _interval(float(mean_a - mean_b), drawn[0] - drawn[1], confidence)
    if mean_b <= 0:
        return PairedDifference(difference, None)
    return PairedDifference(
        difference, _interval(float(mean_a / mean_b - 1), _ratios(*drawn) - 1, confidence)
    )


def _ratios(a: Floats, b: Floats) -> Floats:
    """Return a / b; 0 / 0 is 1 (no difference), and anything else over 0 is infinite."""
    ratios = np.divide(a, b, out=np.full_like(a, np.inf), where=b != 0)
    ratios[(a == 0) & (b == 0)] = 1.0
    return ratios


def _by_cluster(
    clusters: Sequence[Hashable], *values: Sequence[float]
) -> tuple[Floats, tuple[Floats, ...]]:
    """Return the size of each cluster, and the sums of each list of values over it."""
    arrays = [np.asarray(v, dtype=np.float64) for v in values]
    if not len(clusters):
        raise ValueError("no values to take a mean of")
    if any(array.shape != (len(clusters),) for array in arrays):
        raise ValueError("there must be one value and one cluster for each decision")
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("a value is not finite")
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    place = np.array([numbers[cluster] for cluster in clusters])
    counts = np.bincount(place).astype(np.float64)
    sums = (np.bincount(place, weights=array).astype(np.float64) for array in arrays)
    return counts, tuple(sums)


def _draws(clusters: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield blocks of resamples: how often each cluster is drawn, [rows, clusters]."""
    generator = np.random.default_rng(seed)
    rows = max(1, _CELLS_AT_ONCE // clusters)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = generator.integers(clusters, size=(size, clusters))
        drawn += clusters * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * clusters)
        yield times.reshape(size, clusters).astype(np.float64)


def _interval(value: float, resampled: Floats, confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    # Nearest order statistics: interpolating beside an infinite ratio would give NaN.
    low, high = np.quantile(resampled, [tail, 1 - tail], method="nearest")
    return Interval(value, float(low), float(high))
