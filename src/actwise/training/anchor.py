"""What the divergence term holds the policy to.

*fixed*: the model at the start of the stage, as in the GRPO paper. *reset*: the policy itself
takes its place where the development score has not risen for a while, and the optimiser forgets,
so that a long run is not held to where it began (ProRL, arXiv:2505.24864). *average*: a moving
average of the policy, which follows it at a distance.
"""

from typing import Any, Literal

from torch import Tensor

AnchorKind = Literal["fixed", "reset", "average"]


class Anchor:
    """The reference weights of a stage; part of its checkpoint."""

    def __init__(
        self,
        kind: AnchorKind,
        weights: dict[str, Tensor],
        *,
        patience: int,
        decay: float,
    ) -> None:
        """Begin at the present weights.

        Args:
            kind: How the anchor moves.
            weights: A copy of the policy's.
            patience: For "reset": scores in a row without a better one.
            decay: For "average": what is kept of the anchor in each step, in [0, 1).
        """
        self.weights = weights
        self._kind = kind
        self._patience = patience
        self._decay = decay
        self._best = float("-inf")
        self._stale = 0

    def follow(self, weights: dict[str, Tensor]) -> None:
        """Take a step of the policy into account."""
        if self._kind == "average":
            for name, weight in weights.items():
                self.weights[name].lerp_(weight, 1 - self._decay)

    def offer(self, score: float, weights: dict[str, Tensor]) -> bool:
        """Take a development score into account.

        Args:
            score: Of the policy as it is.
            weights: A copy of the policy's.

        Returns:
            Whether the anchor was reset; the optimiser's state is to be reset, too.
        """
        self._stale += 1
        if score > self._best:
            self._best, self._stale = score, 0
        if self._kind != "reset" or self._stale < self._patience:
            return False
        self.weights, self._stale = weights, 0
        return True

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"weights": self.weights, "best": self._best, "stale": self._stale}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.weights, self._best, self._stale = state["weights"], state["best"], state["stale"]
