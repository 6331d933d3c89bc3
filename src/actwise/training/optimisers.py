"""Optimisers of a policy's trained parameters, and their learning rate."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from actwise.config import OptimiserConfig
from actwise.model.policy import Policy
from actwise.model.sharding import part_like
from actwise.training.muon import Muon

TORCHS_MUON = partial(torch.optim.Muon, adjust_lr_fn="match_rms_adamw")


class Optimisers:
    """Move the trained parameters of a policy in float32, whatever their type.

    Most of what a small step changes is lost in the rounding of bfloat16. Parameters of such a type
    are rounded from weights in float32, which are kept here and which the optimisers move.
    """

    def __init__(self, policy: Policy, config: OptimiserConfig, learning_rate: float) -> None:
        """Take all trained parameters as they are."""
        self._policy, self._config, self._peak = policy, config, learning_rate
        draw = torch.Generator(policy.device).manual_seed(0)
        self._exact = {
            name: p if p.dtype != torch.bfloat16 else unrounded(p, draw)
            for name, p in policy.trainable().items()
        }
        self.forget()

    def forget(self) -> None:
        """Begin anew but for the weights."""
        self.parts = _parts(self._policy, self._exact, self._config, self._peak)

    def step(self, learning_rate: float) -> None:
        """Move the parameters by their gradients, and take these away."""
        for name, parameter in self._policy.trainable().items():
            if (exact := self._exact[name]) is not parameter:
                exact.grad, parameter.grad = parameter.grad, None
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = learning_rate
            part.step()
            part.zero_grad(set_to_none=True)
        self._policy.set_weights(self._exact)

    def state(self) -> dict[str, Any]:
        """Return what `take` continues from: weights before rounding, and optimisers' states."""
        exact = {name: weight.detach().clone() for name, weight in self._exact.items()}
        return {"weights": exact, "optimisers": [part.state_dict() for part in self.parts]}

    def take(self, state: dict[str, Any]) -> None:
        """Go on from a state, the policy's weights included."""
        with torch.no_grad():
            for name, weight in self._exact.items():
                weight.copy_(part_like(state["weights"][name], weight))
        self._policy.set_weights(self._exact)
        for part, own in zip(self.parts, state["optimisers"], strict=True):
            part.load_state_dict(_parts_of(own, part))


def _parts_of(state: dict[str, Any], optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """Return an optimiser's state with what this process keeps of each moment."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    of_each = {
        number: {
            name: part_like(value, parameters[number])
            if isinstance(value, Tensor) and value.shape == parameters[number].shape
            else value
            for name, value in of_one.items()
        }
        for number, of_one in state["state"].items()
    }
    return {**state, "state": of_each}


def unrounded(weight: Tensor, draw: torch.Generator) -> Tensor:
    """Return weights in float32 that round to some of bfloat16, anywhere among those that do.

    Were they equal to begin with, no rounded weight would follow before half of the distance to the
    next one: a short stage at a low rate would change next to nothing.
    """
    exact = weight.detach().float()
    bits = exact.view(torch.int32)  # of which rounding to the nearest takes the upper half
    noise = torch.randint(
        -(2**15) + 1, 2**15, bits.shape, generator=draw, device=bits.device, dtype=torch.int32
    )
    bits += noise * (exact != 0)
    return exact


def _parts(
    policy: Policy, exact: dict[str, Tensor], config: OptimiserConfig, learning_rate: float
) -> list[torch.optim.Optimizer]:
    """Return the optimisers of all trained weights.

    Muon (Jordan 2024) makes the update of a matrix orthogonal; scaled to the length that AdamW's
    updates have (Liu et al. 2025, arXiv:2502.16982, section 2.2), it shares AdamW's learning rate.
    It is not meant for embeddings and for vectors. On a GPU it is torch's, in bfloat16.
    """
    chosen = {id(p) for p in layer_matrices(policy)} if config.optimiser == "muon" else set()
    matrices = [exact[name] for name, p in policy.trainable().items() if id(p) in chosen]
    others = [exact[name] for name, p in policy.trainable().items() if id(p) not in chosen]
    made: list[torch.optim.Optimizer] = []
    if others:
        made.append(torch.optim.AdamW(others, lr=learning_rate, weight_decay=config.weight_decay))
    if matrices:
        muon = Muon if policy.device.type == "cpu" else TORCHS_MUON
        made.append(muon(matrices, lr=learning_rate, weight_decay=config.weight_decay))
    return made


def layer_matrices(policy: Policy) -> list[torch.nn.Parameter]:
    """Return the trained matrices of the layers: neither embeddings nor the output layer."""
    embeddings = {id(p) for p in policy.model.get_input_embeddings().parameters()}
    head = policy.model.get_output_embeddings()
    embeddings |= {id(p) for p in head.parameters()} if head is not None else set()
    return [p for p in policy.trainable().values() if p.ndim == 2 and id(p) not in embeddings]


def suitable_rate(policy: Policy, config: OptimiserConfig) -> float:
    """Return a learning rate for a model's size: a rule of thumb, to be tuned where it matters."""
    parameters = sum(p.numel() for p in policy.model.parameters())
    adapters = 10.0 if any("lora_" in name for name in policy.trainable()) else 1.0
    muon = 5.0 if config.optimiser == "muon" else 1.0
    return config.small_model_rate * adapters * muon * min(1.0, (2e6 / parameters) ** 0.5)
