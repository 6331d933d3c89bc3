"""Seeds that were computed apart, put together from the figures of each alone.

Seeds are independent, so what several machines have measured needs no run folders to become one
table. A figure's mean is that of the parts, each counting by its seeds. Its interval is made of
the parts' intervals by the method of variance estimates recovery (Zou and Donner, Statistics in
Medicine 27, 2008: the distances from the means to the ends add up in squares, those below and those
above apart). A part of one seed knows nothing of how much seeds differ: with such a part, where the
parts differ by more than their intervals explain, it is widened by the Birge ratio (Physical Review
40, 1932), but never beyond the ends of the parts.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from operator import mul
from pathlib import Path
from typing import Any

from actwise.config import dotted
from actwise.errors import InputError
from actwise.experiment.cells import Figures
from actwise.results.stats import Interval

_Weights = Callable[[Figures, Figures], tuple[int, int]]
"""Returns the seeds of two entries that are merged."""

_PAIR = ("split", "model", "against", "than", "slice", "metric")
_FIGURES = {"experiment", "config", "finished", "rows", "paired", "runs"}
_REMEDY = "name the JSON that --page wrote beside its page"
_ENDS = ("value", "low", "high")
_STANDARD_ERRORS = 2 * 1.96
"""In the width of a 95 % interval."""
_NO_ERROR = 1e-9
"""Estimates that are surer than this have all their values alike."""


def pooled(parts: Sequence[tuple[Figures, str]]) -> Figures:
    """Return the figures of an experiment over all seeds.

    Args:
        parts: Figures of different seeds, as `collect` returns them, and the file of each for
            messages; an arm may lack some seeds.

    Returns:
        Figures of the same form, and in "parts" the seeds that were computed together.

    Raises:
        InputError: They are not of the same experiment with the same settings, or an arm has the
            same seed twice.
    """
    (figures, _), *others = parts
    for other, file in others:
        _check(figures, other, file)
        figures = _both(figures, other)
    return figures


def _both(own: Figures, other: Figures) -> Figures:
    begun = len(_begun(own)), len(_begun(other))
    of_models = _seeds_of_models(own), _seeds_of_models(other)

    def of_entry(one: Figures, two: Figures) -> tuple[int, int]:
        return len(one["seeds"]), len(two["seeds"])

    def of_model(one: Figures, _: Figures) -> tuple[int, int]:
        return of_models[0][one["model"]], of_models[1][one["model"]]

    finished = {
        arm: sorted({*own["finished"].get(arm, ()), *other["finished"].get(arm, ())})
        for arm in {**own["finished"], **other["finished"]}
    }
    return {
        **own,
        "seeds": len({seed for found in finished.values() for seed in found}),
        "versions": _versions(own["versions"], other["versions"]),
        "finished": finished,
        "changed": {**other["changed"], **own["changed"]},
        "floors": _merged(own["floors"], other["floors"], begun),
        "rows": _table(own, other, "rows", ("model", "split"), of_entry),
        "paired": _table(own, other, "paired", _PAIR, of_entry),
        "thoughts": _table(own, other, "thoughts", ("model", "split", "slice"), of_model),
        "interventions": _table(
            own, other, "interventions", ("stage", "thought"), lambda one, two: begun
        ),
        "runs": sorted([*own["runs"], *other["runs"]], key=lambda run: run["seed"]),
        "seconds": own["seconds"] + other["seconds"],
        "parts": sorted([*parts_of(own), *parts_of(other)]),
    }


def read_figures(file: Path) -> Figures:
    """Read the figures of an experiment, as they were written beside its page.

    Raises:
        InputError: It cannot be read, or holds something else.
    """
    try:
        found = _with_ends(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot be read ({type(error).__name__})", file=str(file), remedy=_REMEDY
        ) from error
    if not isinstance(found, dict) or not found.keys() >= _FIGURES:
        raise InputError("holds no figures of an experiment", file=str(file), remedy=_REMEDY)
    return found


def refuse_seeds(seeds: Sequence[int], parts: Sequence[tuple[Figures, str]]) -> None:
    """Refuse to compute seeds that are there already.

    Raises:
        InputError: A part has one.
    """
    for part, file in parts:
        _refuse_both(next(iter(part["finished"])), seeds, part, file)


def parts_of(figures: Figures) -> list[list[int]]:
    """Return the seeds of each part of which the figures were put together."""
    found: list[list[int]] = figures.get("parts") or [_begun(figures)]
    return found


def pooled_interval(parts: Sequence[Interval], seeds: Sequence[int]) -> Interval:
    """Return the mean of independent estimates with its interval.

    Args:
        parts: Estimates of the same; an end may be infinite.
        seeds: By how many each counts.
    """
    shares = [number / sum(seeds) for number in seeds]
    value = sum(map(mul, shares, [part.value for part in parts]))
    wider = _birge_ratio(parts) if 1 in seeds else 1.0
    low, high = min(part.low for part in parts), max(part.high for part in parts)
    if wider == math.inf:
        return Interval(value, low, high)
    below, above = (
        wider * math.hypot(*map(mul, shares, distances))
        for distances in zip(*((p.value - p.low, p.high - p.value) for p in parts), strict=True)
    )
    return Interval(value, max(value - below, low), min(value + above, high))


def _birge_ratio(parts: Sequence[Interval]) -> float:
    """Return by how much estimates are further apart than they should be; at least 1.

    One without an error is the mean of all, and two that differ are further apart than any error
    explains.
    """
    errors = [(part.high - part.low) / _STANDARD_ERRORS for part in parts]
    known = [
        (part.value, error**-2)
        for part, error in zip(parts, errors, strict=True)
        if _NO_ERROR < error < math.inf
    ]
    sure = {p.value for p, error in zip(parts, errors, strict=True) if error <= _NO_ERROR}
    if len(sure) > 1:
        return math.inf
    if len(known) + len(sure) < 2:
        return 1.0
    total = sum(weight for _, weight in known)
    mean = min(sure, default=sum(value * weight for value, weight in known) / total)
    chi_square = sum(weight * (value - mean) ** 2 for value, weight in known)
    return max(1.0, math.sqrt(chi_square / (len(known) + len(sure) - 1)))


def _table(
    own: Figures, other: Figures, name: str, key: Sequence[str], weights: _Weights
) -> list[Figures]:
    """Merge the entries of a list that have the same key, in the order of the longer list."""
    of_own, of_other = (_by(part[name], key) for part in (own, other))
    longer, shorter = sorted((of_own, of_other), key=len, reverse=True)
    found = []
    for identity in {**longer, **shorter}:
        one, two = of_own.get(identity), of_other.get(identity)
        if one is None or two is None:
            found.append(one or two or {})
        else:
            found.append(
                {**_entry(one, two, weights(one, two)), **dict(zip(key, identity, strict=True))}
            )
    return found


def _entry(one: Figures, two: Figures, seeds: tuple[int, int]) -> Figures:
    merged: Figures = _merged(one, two, seeds)
    if "means" in one:
        pairs = zip(one["means"], two["means"], strict=True)
        merged["means"] = [_merged(*pair, seeds) for pair in pairs]
    if "per_seed" in one:
        ordered = sorted(zip(merged["seeds"], merged["per_seed"], strict=True))
        merged["seeds"], merged["per_seed"] = map(list, zip(*ordered, strict=True))
    return merged


def _merged(one: Any, other: Any, seeds: tuple[int, int]) -> Any:
    """Merge two figures: intervals are pooled, counts added, lists joined, numbers averaged."""
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, dict):
        if one.keys() == set(_ENDS):
            return pooled_interval([Interval(**one), Interval(**other)], seeds)._asdict()
        return {k: _merged(one.get(k), other.get(k), seeds) for k in {**one, **other}}
    if isinstance(one, list):
        return [*one, *other]
    if isinstance(one, float):
        return (seeds[0] * one + seeds[1] * other) / sum(seeds)
    return one + other if isinstance(one, int) else one


def _with_ends(found: Any) -> Any:
    """Return figures with the ends that JSON writes as null: a gain over nothing has none."""
    if isinstance(found, dict):
        if found.keys() == set(_ENDS):
            return {name: math.inf if end is None else end for name, end in found.items()}
        return {name: _with_ends(part) for name, part in found.items()}
    return [_with_ends(part) for part in found] if isinstance(found, list) else found


def _by(entries: Sequence[Figures], key: Sequence[str]) -> dict[tuple[Any, ...], Figures]:
    return {tuple(entry[name] for name in key): entry for entry in entries}


def _seeds_of_models(figures: Figures) -> dict[str, int]:
    return {row["model"]: len(row["seeds"]) for row in figures["rows"]}


def _begun(figures: Figures) -> list[int]:
    """Return the seeds that have finished the first arm."""
    first: list[int] = next(iter(figures["finished"].values()))
    return first


def _versions(own: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    return {
        name: number if other.get(name, number) == number else f"{other[name]} and {number}"
        for name, number in own.items()
    }


def _check(own: Figures, other: Figures, file: str) -> None:
    if other["experiment"] != own["experiment"]:
        raise InputError(
            f"holds figures of {other['experiment']}, not of {own['experiment']}",
            file=file,
            remedy=_REMEDY,
        )
    mine, theirs = dotted(own["config"]), dotted(other["config"])
    differing = [name for name in mine if name in theirs and mine[name] != theirs[name]]
    if differing:
        name = differing[0]
        raise InputError(
            f"its runs had {name}={theirs[name]}, others have {mine[name]}",
            file=file,
            remedy="only seeds with the same settings can be put together",
        )
    for arm, seeds in own["finished"].items():
        _refuse_both(arm, seeds, other, file)


def _refuse_both(arm: str, seeds: Sequence[int], figures: Figures, file: str) -> None:
    both = set(seeds) & set(figures["finished"].get(arm, ()))
    if both:
        raise InputError(
            f"has seed {min(both)} of {arm} already",
            file=file,
            remedy="leave it out, or name with --seeds what it lacks, as in --seeds 3-4",
        )
