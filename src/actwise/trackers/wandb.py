"""Weights & Biases: the project `actwise`; where to, and offline or not, say its own settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actwise.run.files import fingerprint

LIBRARY = "wandb"


class WeightsAndBiases:
    """A run of wandb; a run that goes on is the same one there."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        import wandb

        self._run = wandb.init(
            project="actwise",
            name=folder.resolve().name,
            id=fingerprint(folder / "run.json")[:16],
            resume="allow",
            config=dict(config),
        )
        self._stages: set[str] = set()

    def log(self, stage: str, step: int, figures: Mapping[str, float]) -> None:
        """Take the figures of a step of a stage."""
        if stage not in self._stages:
            # Each stage counts its own steps, and wandb's own count cannot go back.
            self._stages.add(stage)
            self._run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
        named = {f"{stage}/{name}": value for name, value in figures.items()}
        self._run.log({**named, f"{stage}/step": step})

    def finish(self, figures: Mapping[str, float]) -> None:
        """Take the final figures."""
        self._run.summary.update({f"final/{name}": value for name, value in figures.items()})
        self._run.finish()


begin = WeightsAndBiases
