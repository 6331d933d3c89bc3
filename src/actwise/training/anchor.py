"""What the divergence term holds the policy to.

*fixed*: the model at the start of the stage, as in the GRPO paper. *reset*: the policy itself
takes its place where the development score has not risen for a while, and the optimiser forgets,
so that a long run is not held to where it began (ProRL, arXiv:2505.24864). *average*: a moving
average of the policy, which follows it at a distance.
"""

import math
from typing import Any

from torch import Tensor

from actwise.config import AnchorConfig
from actwise.model.policy import Policy
from actwise.model.sharding import part_like


class Anchor:
    """The reference weights of a stage."""

    def __init__(
        self, config: AnchorConfig, start: dict[str, Tensor], kept: dict[str, Any]
    ) -> None:
        """Begin at the start of the stage, or go on where a checkpoint left off.

        Args:
            config: How the anchor moves.
            start: A copy of the policy's weights at the start.
            kept: What the checkpoint keeps; changed in place.
        """
        self._config = config
        self._start = start
        self._kept = kept
        if "anchor" in kept:  # checkpoints are read on the CPU
            kept["anchor"] = {
                name: part_like(weight.to(start[name].device), start[name])
                for name, weight in kept["anchor"].items()
            }
        if config.kind == "reset":
            kept.setdefault("anchor_best", float("-inf"))
            kept.setdefault("anchor_stale", 0)

    @property
    def weights(self) -> dict[str, Tensor]:
        """Where the anchor is."""
        kept: dict[str, Tensor] = self._kept.get("anchor", self._start)
        return {name: weight.to(self._start[name].dtype) for name, weight in kept.items()}

    def follow(self, policy: Policy) -> None:
        """Take a step of the policy into account."""
        if self._config.kind == "average":
            decay, own = self._config.decay, policy.weights()
            # In bfloat16 a hundredth of a small difference would be rounded away.
            self._kept["anchor"] = {
                name: weight.float() * decay + own[name].float() * (1 - decay)
                for name, weight in self._kept.get("anchor", self._start).items()
            }

    def offer(self, score: float, policy: Policy) -> bool:
        """Take a development score of the policy into account.

        Returns:
            Whether the anchor was reset; the optimiser's state is to be reset, too.
        """
        if self._config.kind != "reset" or math.isnan(score):
            return False
        self._kept["anchor_stale"] += 1
        if score > self._kept["anchor_best"]:
            self._kept |= {"anchor_best": score, "anchor_stale": 0}
        if self._kept["anchor_stale"] < self._config.patience:
            return False
        self._kept |= {"anchor": policy.weights(), "anchor_stale": 0}
        return True
