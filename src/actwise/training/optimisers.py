"""Optimisers of a policy's trained parameters, and their learning rate."""

from functools import partial

import torch

from actwise.config import OptimiserConfig
from actwise.model.policy import Policy
from actwise.training.muon import Muon

TORCHS_MUON = partial(torch.optim.Muon, adjust_lr_fn="match_rms_adamw")


def optimisers(
    policy: Policy, config: OptimiserConfig, learning_rate: float
) -> list[torch.optim.Optimizer]:
    """Return the optimisers of all trained parameters.

    Muon (Jordan 2024) makes the update of a matrix orthogonal; scaled to the length that AdamW's
    updates have (Liu et al. 2025, arXiv:2502.16982, section 2.2), it shares AdamW's learning rate.
    It is not meant for embeddings and for vectors. On a GPU it is torch's, in bfloat16.
    """
    trained = policy.trainable()
    matrices = layer_matrices(policy) if config.optimiser == "muon" else []
    chosen = {id(p) for p in matrices}
    others = [p for p in trained.values() if id(p) not in chosen]
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
    trained = sum(p.numel() for p in policy.trainable().values())
    adapters = 10.0 if trained < parameters else 1.0
    muon = 5.0 if config.optimiser == "muon" else 1.0
    return config.small_model_rate * adapters * muon * min(1.0, (2e6 / parameters) ** 0.5)
