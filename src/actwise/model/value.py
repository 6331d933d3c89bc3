"""What a completion is worth: a linear function of the state in which the model leaves it.

The states are those of the last tokens, before the output layer; the worths come from a search over
turns (see `training.values`), as the process model of PROPA (arXiv:2511.10279). It lies in a folder
of its own beside the weights, since servers load every file of weights beside a model's.

Letters in shapes: N completions, D dimension.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from actwise.errors import ModelError
from actwise.model.policy import Policy
from actwise.run.files import json_text

FOLDER = "value"
_WEIGHTS, _FIGURES = "weights.safetensors", "figures.json"
_RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_HELD_OUT = 4
"""One of so many conversations says which ridge is best."""


@dataclass(frozen=True)
class ValueModel:
    """A linear function of states."""

    weights_D: Tensor
    bias: Tensor
    """A number."""

    def __call__(self, states_ND: Tensor) -> Tensor:
        """Return the worth of each completion, (N,)."""
        return states_ND.float().cpu() @ self.weights_D + self.bias

    def save(self, model: Path, figures: dict[str, Any]) -> None:
        """Write it into a model's folder, with figures on how well it fits."""
        folder = model / FOLDER
        folder.mkdir()
        save_file({"weights": self.weights_D, "bias": self.bias}, folder / _WEIGHTS)
        (folder / _FIGURES).write_text(json_text(figures), encoding="utf-8")

    @classmethod
    def of(cls, policy: Policy, model: Path) -> "ValueModel":
        """Read it from a model's folder.

        Args:
            policy: The model.
            model: Its folder.

        Raises:
            ModelError: There is none, or it is of another model.
        """
        file = model / FOLDER / _WEIGHTS
        if not file.exists():
            raise ModelError(
                f"{model}: has no value model to search with; train with rl.unit=turn, "
                "rl.search.iterations and rl.search.value_conversations (docs/episodes.md)"
            )
        try:
            found = load_file(file)
            weights_D, bias = found["weights"], found["bias"]
        except (SafetensorError, KeyError) as error:
            raise ModelError(f"{file}: is no value model; train it again") from error
        dimension = policy.model.get_output_embeddings().weight.shape[1]
        if weights_D.shape != (dimension,) or bias.shape != ():
            raise ModelError(f"{file}: is the value model of another model")
        return cls(weights_D, bias)


def fit(
    states_ND: Tensor, values_N: Tensor, conversation_N: Tensor, node_N: Tensor
) -> tuple[ValueModel, dict[str, float]]:
    """Fit a value model by least squares with a ridge that is chosen on conversations held out.

    Args:
        states_ND: The states.
        values_N: What each completion is worth.
        conversation_N: Number of the conversation of each; every fourth is held out.
        node_N: Number of the node whose child each is; children of one are compared.

    Returns:
        The model, fitted to all, and of the completions held out (of all, where there are fewer
        than four conversations): "explained" (share of the
        variance of their worths, 0 if none), "pairs_right" (share of pairs of children of one node,
        of different worth, that are in order; 0.5 where there are none) and the number of such
        "pairs", beside "ridge" and the number of all "completions".
    """
    states_ND, values_N = states_ND.double(), values_N.double()
    test_N = conversation_N % _HELD_OUT == 0
    train_N = ~test_N
    if not (test_N.any() and train_N.any()):
        test_N = train_N = torch.ones_like(test_N)
    tested_N = values_N[test_N]

    def found(ridge: float) -> Tensor:
        return _solved(states_ND[train_N], values_N[train_N], ridge)(states_ND[test_N])

    def error(ridge: float) -> float:
        return float((found(ridge) - tested_N).square().mean())

    ridge = min(_RIDGES, key=error)
    variance = float(tested_N.var(correction=0))
    figures = {
        "explained": 1 - error(ridge) / variance if variance else 0.0,
        "pairs_right": pairs_right(found(ridge), tested_N, node_N[test_N]),
        "pairs": float(len(_worthier(tested_N, node_N[test_N])[0])),
        "ridge": ridge,
        "completions": float(len(values_N)),
    }
    return _solved(states_ND, values_N, ridge), figures


def pairs_right(found_N: Tensor, values_N: Tensor, node_N: Tensor) -> float:
    """Return how often the worthier of two children of one node is found to be so.

    Args:
        found_N: What a model says of them; of equal ones half counts.
        values_N: What they are worth.
        node_N: The node of each.
    """
    above_P, below_P = _worthier(values_N, node_N)
    if not len(above_P):
        return 0.5
    lead_P = found_N[above_P] - found_N[below_P]
    return float(((lead_P > 0).double() + 0.5 * (lead_P == 0)).mean())


def _worthier(values_N: Tensor, node_N: Tensor) -> tuple[Tensor, Tensor]:
    """Return the completions of pairs of one node's children, the worthier and the other."""
    order_N = torch.argsort(node_N, stable=True)
    _, sizes = torch.unique_consecutive(node_N[order_N], return_counts=True)
    of_nodes = torch.split(order_N, sizes.tolist())
    pairs = [torch.cartesian_prod(of_node, of_node) for of_node in of_nodes]
    above_P, below_P = torch.cat(pairs).T if pairs else order_N.new_empty(2, 0)
    more_P = values_N[above_P] > values_N[below_P]
    return above_P[more_P], below_P[more_P]


def _solved(states_ND: Tensor, values_N: Tensor, ridge: float) -> ValueModel:
    """Return the model of least squares; the ridge is in units of a feature's mean variance."""
    mean_D, mean = states_ND.mean(0), values_N.mean()
    centred_ND = states_ND - mean_D
    square_DD = centred_ND.T @ centred_ND
    square_DD.diagonal().add_(ridge * square_DD.diagonal().mean() + 1e-12)
    weights_D = torch.linalg.solve(square_DD, centred_ND.T @ (values_N - mean))
    return ValueModel(weights_D.float(), (mean - mean_D @ weights_D).float())
