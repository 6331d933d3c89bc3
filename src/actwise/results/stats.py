"""Intervals for shares and means, and for the difference of two models.

Decisions of one conversation are alike: they share a customer, a policy and earlier mistakes.
Resampling decisions would count them as independent and make the intervals too narrow, so every
interval here resamples whole conversations (clusters). Where an experiment was repeated with
several seeds, the seeds are resampled first, and then the conversations of each. The intervals are
percentile bootstrap intervals: with fewer than about 20 clusters they are too narrow (with S seeds,
the part of their width that is due to seeds by about sqrt((S - 1) / S)), and where all values are
equal they have no width, however few the values are.
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
    means = np.array([sums_a.sum(), sums_b.sum()]) / counts.sum()
    return _difference(means, drawn, confidence)


def bootstrap_seeds(
    values: Sequence[Sequence[float]],
    clusters: Sequence[Sequence[Hashable]],
    *,
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Return the mean over all values of a repeated experiment and its interval.

    Args:
        values: For each repetition, one number for each decision.
        clusters: For each repetition, the conversation of each decision.
        seed: The same seed gives the same interval.
        resamples: Times that repetitions and clusters are drawn anew.
        confidence: Share of the resampled means inside the interval.

    Raises:
        ValueError: A repetition has no values, one is not finite, or the lengths differ.
    """
    totals, drawn = _resampled_seeds(clusters, [values], resamples, seed)
    return _interval(float(totals[1] / totals[0]), drawn[1] / drawn[0], confidence)


def paired_bootstrap_seeds(
    a: Sequence[Sequence[float]],
    b: Sequence[Sequence[float]],
    clusters: Sequence[Sequence[Hashable]],
    *,
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> PairedDifference:
    """Return how much larger the mean of `a` is than that of `b`, over a repeated experiment.

    Args:
        a: For each repetition, one number for each decision.
        b: The numbers of the other model, for the same decisions in the same order.
        clusters: For each repetition, the conversation of each decision.
        seed: The same seed gives the same intervals.
        resamples: Times that repetitions and clusters are drawn anew.
        confidence: Share of the resampled differences inside the interval.

    Raises:
        ValueError: A repetition has no values, one is not finite, or the lengths differ.
    """
    totals, drawn = _resampled_seeds(clusters, [a, b], resamples, seed)
    return _difference(totals[1:] / totals[0], drawn[1:] / drawn[0], confidence)


def _resampled_seeds(
    clusters: Sequence[Sequence[Hashable]],
    values: Sequence[Sequence[Sequence[float]]],
    resamples: int,
    seed: int,
) -> tuple[Floats, Floats]:
    """Return the count and the sums of the values: [1 + values], and resampled."""
    generator = np.random.default_rng(seed)
    repetitions = len(clusters)
    if not repetitions or any(len(v) != repetitions for v in values):
        raise ValueError("there must be values and clusters for each repetition, at least one")
    chosen = generator.integers(repetitions, size=(resamples, repetitions))
    totals = np.zeros(1 + len(values))
    drawn = np.zeros((1 + len(values), resamples))
    for i, of_seed in enumerate(clusters):
        counts, sums = _by_cluster(of_seed, *(v[i] for v in values))
        parts = np.stack([counts, *sums])
        totals += parts.sum(axis=1)
        # A repetition that is drawn twice has its conversations drawn twice, independently.
        times = (chosen == i).sum(axis=1)
        draws = _draws(len(counts), int(times.sum()), int(generator.integers(2**32)))
        owners = np.repeat(np.arange(resamples), times)
        block = np.concatenate([parts @ d.T for d in draws], axis=1)
        for total, resampled in zip(drawn, block, strict=True):
            total += np.bincount(owners, weights=resampled, minlength=resamples)
    return totals, drawn


def _difference(means: Floats, drawn: Floats, confidence: float) -> PairedDifference:
    """Compare two models: their means, [2], and their resampled means, [2, resamples]."""
    mean_a, mean_b = means.tolist()
    difference = _interval(mean_a - mean_b, drawn[0] - drawn[1], confidence)
    if mean_b <= 0:
        return PairedDifference(difference, None)
    relative = _ratios(drawn[0], drawn[1]) - 1
    return PairedDifference(difference, _interval(mean_a / mean_b - 1, relative, confidence))


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
