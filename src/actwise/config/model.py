"""Settings of the model, and of where it samples."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from actwise.config.section import Section


class ModelConfig(Section):
    """How the model is loaded and which of its weights are trained."""

    template: Literal["own", "actwise"] = "own"
    """The model's own chat template, or the one shipped with actwise."""
    lora_rank: int | None = Field(None, ge=1)
    """Train adapters of this rank; all weights where not given."""
    train_embeddings: bool = False
    """Whether all weights include the embeddings and the output layer. Trained on few
    conversations, they unlearn to write the tokens that do not occur there, such as names."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights. bfloat16 is faster on GPUs and on CPUs with units for it; the optimiser
    then keeps and moves weights in float32, of which the model's are rounded."""
    device: str | None = None
    """A torch device; the first GPU where there is one, else the CPU."""
    threads: int | None = Field(None, ge=1)
    """Threads of torch on a CPU; measured at the start where not given."""
    workers: int | None = Field(None, ge=1)
    """Training passes computed at once on a CPU, each on `threads` cores and in memory of its own;
    as many as there are cores for where not given. Results do not depend on it."""
    checkpointing: bool | None = None
    """Whether activations are computed again in the backward pass instead of being kept, which
    takes about a third more time and a fraction of the memory. Results do not depend on it. Where
    not given, if the longest conversations would not fit into memory otherwise."""
    sharded: bool = False
    """Whether several processes of a run divide the weights, their gradients and what the optimiser
    keeps (FSDP2), so that a process keeps a part of each. Weights are float32 then, and moved by
    AdamW. Results do not depend on it but for rounding."""
    max_length: int | None = Field(None, ge=16)
    """Longest prompt and completion in tokens; the model's own limit where not given."""


class EngineConfig(Section):
    """Where completions are sampled while a run trains."""

    kind: Literal["local", "vllm"] = "local"
    """local: by the model itself, in this process. vllm: by vLLM servers, which are given the
    weights after each step; see docs/engines.md."""
    urls: tuple[str, ...] = ()
    """Addresses of the servers, such as "http://127.0.0.1:8000"; they share the work."""
    folder: Path | None = None
    """Folder of this run's own through which the servers are given the weights: they have to see it
    under the same path. In the run folder where not given."""
    api_key_env: str | None = None
    """Environment variable with the key that the servers want (`--api-key`); none where not
    given."""
    concurrency: int = Field(16, ge=1)
    """Prompts that each server is asked for at once, each with all of its completions."""
    timeout: float = Field(600.0, gt=0)
    """Seconds after which a server that has not answered counts as dead."""
    ahead: int = Field(0, ge=0, le=1)
    """With 1, RL samples its next batch while the update of this one is computed, from the weights
    before it. Not across a checkpoint, so that a run that is interrupted ends as one that is not.
    Where this process samples, in a second copy of the model."""

    @property
    def off_policy(self) -> bool:
        """Whether something else samples than exactly what is trained."""
        return self.kind == "vllm" or self.ahead > 0

    @field_validator("urls", mode="before")
    @classmethod
    def _one_alone(cls, urls: Any) -> Any:
        return (urls,) if isinstance(urls, str) else urls

    @model_validator(mode="after")
    def _has_servers(self) -> "EngineConfig":
        if (self.kind == "vllm") != bool(self.urls):
            raise ValueError("engine.kind=vllm goes with the addresses of servers in engine.urls")
        return self
