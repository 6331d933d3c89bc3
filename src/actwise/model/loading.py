"""A policy from the settings of a run."""

import torch

from actwise.config import RunConfig
from actwise.errors import ConfigError
from actwise.model.policy import Policy


def load_policy(model: str, config: RunConfig) -> Policy:
    """Load a model as the section `model` says; see `Policy.load`."""
    torch.manual_seed(config.seed)  # LoRA's adapters begin at random
    return Policy.load(
        model,
        shipped_template=config.model.template == "actwise",
        dtype=getattr(torch, config.model.dtype),
        lora_rank=config.model.lora_rank,
        train_embeddings=config.model.train_embeddings,
        device=_device(config.model.device),
    )


def _device(name: str | None) -> str:
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # asserted: torch was built without it
        problem = str(error).partition("\n")[0]
        raise ConfigError(f"model.device: {name} cannot be used: {problem}") from error
    return name
