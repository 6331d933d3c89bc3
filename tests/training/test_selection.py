"""Resting decisions, and the completions of a group that are kept."""

from itertools import combinations
from statistics import pvariance
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwise.training.selection import Resting, most_varied


def awake(resting: Resting, *conversations: str, step: int) -> list[str]:
    """Letters stand for decisions, texts for their conversations."""
    return ["".join(of) for of in resting.awake(list(map(list, conversations)), str, step)]


def test_a_solved_decision_rests_for_so_many_steps() -> None:
    kept: dict[str, Any] = {}
    resting = Resting(2, kept)
    resting.solved(["a"], step=5)
    assert [awake(resting, "ab", step=step) for step in (5, 6, 7, 8)] == [["b"]] * 3 + [["ab"]]
    resting.solved(["b"], step=8)
    assert kept == {"resting": {"b": 11}}  # "a" is forgotten
    again = Resting(2, dict(kept))
    assert awake(again, "ab", step=9) == ["a"]


def test_what_rests_leaves_its_place_to_others_and_all_are_taken_where_all_rest() -> None:
    resting = Resting(2, {})
    resting.solved("abx", step=0)
    assert awake(resting, "abc", "x", step=1) == ["c", ""]
    assert awake(resting, "ab", "x", step=1) == ["ab", "x"]


def test_nothing_rests_where_it_is_off() -> None:
    resting = Resting(0, {})
    resting.solved(["a"], step=5)
    assert awake(resting, "a", step=6) == ["a"]


@pytest.mark.parametrize(
    ("rewards", "keep", "kept"),
    [
        ([0, 0, 1, 0, 0], 2, [0, 2]),  # not the first two
        ([1, 1, 0, 1], 2, [0, 2]),
        ([0.5, 1, 0.4, 0], 2, [1, 3]),
        ([1, 1, 1, 0, 0, 0], 4, [0, 1, 3, 4]),
        ([0, 1], 4, [0, 1]),
        ([1, 1, 1], 2, [0, 1]),
    ],
)
def test_kept_completions(rewards: list[float], keep: int, kept: list[int]) -> None:
    found = most_varied(rewards, keep)
    assert sorted(rewards[i] for i in found) == sorted(rewards[i] for i in kept)
    assert found == sorted(set(found))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.integers(1, 6))
def test_no_subset_has_more_variance(rewards: list[int], keep: int) -> None:
    found = most_varied(rewards, keep)
    size = min(keep, len(rewards))
    assert len(found) == size
    most = max(pvariance(subset) for subset in combinations(rewards, size))
    assert pvariance([rewards[i] for i in found]) == pytest.approx(most)
