"""What the divergence is taken from, step by step."""

import torch
from torch import Tensor

from actwise.training.anchor import Anchor, AnchorKind


def weights(value: float) -> dict[str, Tensor]:
    return {"w": torch.tensor([value])}


def anchor(kind: AnchorKind) -> Anchor:
    return Anchor(kind, weights(0.0), patience=2, decay=0.75)


def test_a_fixed_anchor_stays() -> None:
    one = anchor("fixed")
    one.follow(weights(4.0))
    assert not any(one.offer(0.5, weights(4.0)) for _ in range(5))
    assert one.weights["w"].item() == 0.0


def test_an_average_follows_at_a_distance() -> None:
    one = anchor("average")
    one.follow(weights(4.0))  # 0.75 * 0 + 0.25 * 4
    assert one.weights["w"].item() == 1.0
    one.follow(weights(5.0))  # 0.75 * 1 + 0.25 * 5
    assert one.weights["w"].item() == 2.0


def test_a_score_that_stalls_resets_the_anchor_also_after_a_restart() -> None:
    one = anchor("reset")
    one.follow(weights(9.0))
    assert one.weights["w"].item() == 0.0
    scores = [0.5, 0.6, 0.6]
    assert [one.offer(score, weights(score)) for score in scores] == [False, False, False]
    again = anchor("reset")
    again.load(one.state())
    assert again.offer(0.55, weights(7.0))  # the second in a row without a better one
    assert again.weights["w"].item() == 7.0
    assert not again.offer(0.6, weights(8.0))  # 0.6 is still to be beaten, patience begins anew
    assert again.offer(0.6, weights(8.0))
