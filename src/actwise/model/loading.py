"""A policy from the settings of a run."""

import torch

from actwise.config import RunConfig
from actwise.errors import ConfigError
from actwise.model.policy import Policy
from actwise.model.processes import together
from actwise.model.sharding import ShardedPolicy
from actwise.run.processes import ALONE


def load_policy(model: str, config: RunConfig) -> Policy:
    """Load a model as the section `model` says; see `Policy.load`."""
    sharded = config.model.sharded and together() is not ALONE
    if sharded and (config.model.dtype != "float32" or _uses_muon(config)):
        raise ConfigError(
            "model.sharded: divides weights in float32 that AdamW moves; set model.dtype=float32 "
            "and optimiser=adamw in all stages"
        )
    torch.manual_seed(config.seed)  # LoRA's adapters begin at random
    policy = Policy.load(
        model,
        shipped_template=config.model.template == "actwise",
        dtype=getattr(torch, config.model.dtype),
        lora_rank=config.model.lora_rank,
        train_embeddings=config.model.train_embeddings,
        device=_device(config.model.device),
    )
    return ShardedPolicy(policy) if sharded else policy


def _uses_muon(config: RunConfig) -> bool:
    return any(s.steps and s.optimiser == "muon" for s in (config.sft, config.think, config.rl))


def _device(name: str | None) -> str:
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # asserted: torch was built without it
        problem = str(error).partition("\n")[0]
        raise ConfigError(f"model.device: {name} cannot be used: {problem}") from error
    return name
