"""What the divergence is taken from, step by step."""

import math
from typing import Any, cast

import torch
from torch import Tensor

from actwise.config import AnchorConfig
from actwise.model.policy import Policy
from actwise.training.anchor import Anchor


class At:
    """A policy of one weight."""

    def __init__(self, value: float) -> None:
        self.value = value

    def weights(self) -> dict[str, Tensor]:
        return {"w": torch.tensor([self.value])}


def policy(value: float) -> Policy:
    return cast(Policy, At(value))


def anchor(kept: dict[str, Any], **settings: Any) -> Anchor:
    return Anchor(AnchorConfig(**settings), At(0.0).weights(), kept)


def where(one: Anchor) -> float:
    return one.weights["w"].item()


def test_a_fixed_anchor_stays_and_the_checkpoint_need_not_hold_it() -> None:
    kept: dict[str, Any] = {}
    one = anchor(kept)
    one.follow(policy(4.0))
    assert not any(one.offer(0.5, policy(4.0)) for _ in range(9))
    assert where(one) == 0.0
    assert kept == {}


def test_an_average_follows_at_a_distance_also_after_a_restart() -> None:
    kept: dict[str, Any] = {}
    one = anchor(kept, kind="average", decay=0.75)
    one.follow(policy(4.0))  # 0.75 * 0 + 0.25 * 4
    assert where(one) == 1.0
    again = anchor(dict(kept), kind="average", decay=0.75)
    again.follow(policy(5.0))  # 0.75 * 1 + 0.25 * 5
    assert where(again) == 2.0
    assert not again.offer(0.5, policy(5.0))


def test_an_average_follows_small_differences_in_bfloat16() -> None:
    """A hundredth of 3 % is less than what bfloat16 tells apart; the average must not stand."""

    class InHalf(At):
        def weights(self) -> dict[str, Tensor]:
            return {"w": torch.tensor([self.value], dtype=torch.bfloat16)}

    one = Anchor(AnchorConfig(kind="average", decay=0.99), InHalf(1.0).weights(), {})
    for _ in range(300):
        one.follow(cast(Policy, InHalf(1.03125)))
    gone = 1 - 0.99**300
    assert one.weights["w"].dtype is torch.bfloat16
    assert abs(where(one) - (1 + gone * 0.03125)) < 2**-7  # what bfloat16 tells apart near 1


def test_an_unknown_score_resets_nothing() -> None:
    one = anchor({}, kind="reset", patience=1)
    assert not any(one.offer(math.nan, policy(2.0)) for _ in range(5))
    assert where(one) == 0.0


def test_a_score_that_stalls_resets_the_anchor_also_after_a_restart() -> None:
    kept: dict[str, Any] = {}
    one = anchor(kept, kind="reset", patience=2)
    one.follow(policy(9.0))
    assert where(one) == 0.0
    assert [one.offer(score, policy(score)) for score in (0.5, 0.6, 0.6)] == [False] * 3
    again = anchor(dict(kept), kind="reset", patience=2)
    assert again.offer(0.55, policy(7.0))  # the second in a row without a better one
    assert where(again) == 7.0
    assert not again.offer(0.6, policy(8.0))  # 0.6 is still to be beaten; patience begins anew
    assert again.offer(0.6, policy(8.0))
    assert where(again) == 8.0


def test_an_anchor_from_a_checkpoint_lies_where_the_policy_is() -> None:
    kept: dict[str, Any] = {"anchor": {"w": torch.ones(1)}}
    start = {"w": torch.zeros(1, device="meta")}  # in place of a GPU
    one = Anchor(AnchorConfig(kind="average"), start, kept)
    assert one.weights["w"].device == start["w"].device
