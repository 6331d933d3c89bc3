"""Which models a name on the command line stands for: those of a run folder, or one model."""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actwise.config import Mode, RunConfig, validated
from actwise.errors import ConfigError, ModelError, RunError
from actwise.model.startup import model_path
from actwise.run.folder import STEERING

if TYPE_CHECKING:
    from actwise.engine.steering import Steering
    from actwise.model.policy import Policy

_NEEDED = ("model", "rl")
"""Sections of the settings that say how models are loaded, and in which mode they were measured."""


@dataclass(frozen=True)
class NamedModel:
    """A model, and how it was measured."""

    name: str
    path: str
    """Folder or hub name."""
    thinking: bool
    """Whether it was measured thinking, or, where nobody knows, it is taken to think."""
    config: RunConfig
    """Its section `model` says how it is loaded; of a run `rl` is its own, too."""
    run: Path | None = None
    """The run that it is of."""

    @property
    def mode(self) -> Mode:
        """The mode in which it was measured."""
        return "thinking" if self.thinking else "direct"

    @property
    def record(self) -> dict[str, Any]:
        """What `run.json` of its run holds; nothing without a run."""
        return {} if self.run is None else read_record(self.run)

    @property
    def results(self) -> dict[str, Any] | None:
        """What `results.json` of its run holds; None without a finished run."""
        from actwise.api.runs import read_results

        return None if self.run is None else read_results(self.run)

    @property
    def steering(self) -> Path | None:
        """File of the vector with which it was measured; None where with none."""
        file = None if self.run is None else self.run / STEERING.format(self.name)
        return file if file is not None and file.exists() else None

    def load(self) -> "Policy":
        """Load it as it was measured.

        Raises:
            ModelError: It cannot be loaded or used.
        """
        from actwise.model.loading import load_policy

        return load_policy(self.path, self.config)

    def load_steering(self, policy: "Policy", chosen: str | None) -> "Steering | None":
        """Return what is added inside of thoughts, if anything.

        Args:
            policy: The model, loaded.
            chosen: File of a vector, or "none"; that with which it was measured, if with one, where
                None.

        Raises:
            InputError: The file holds no vector of this model.
        """
        from actwise.engine.steering import read_steering

        file = self.steering if chosen is None else Path(chosen)
        return None if file is None or chosen == "none" else read_steering(policy, file)

    def load_adapters(self) -> "Policy":
        """Load the model that was trained, with its adapters as they are after this stage.

        Raises:
            ConfigError: All weights were trained.
            RunError: They are no longer there.
            ModelError: The model cannot be loaded or used.
        """
        config = None if self.run is None else _settings(self.run, self.record)
        if self.run is None or config is None or config.model.lora_rank is None:
            raise ConfigError(f"{self.name}: no adapters were trained; export all weights")
        checkpoint = self.run / "checkpoints" / f"{self.name}.pt"
        if not checkpoint.exists():
            raise RunError(f"{checkpoint}: not there, and the adapters with it; export all weights")
        import torch

        from actwise.model.loading import load_policy

        policy = load_policy(model_path(self.record["model"]), config)
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        policy.set_weights(state["best_weights"])
        return policy


def models_of(name: str) -> dict[str, NamedModel]:
    """Return the models that a name stands for: a run's by their stages, or the one named.

    A model's folder inside a run is that stage of the run.

    Raises:
        RunError: The run cannot be read.
        ModelError: The name can be neither a run, a model's folder, nor a name of a hub.
    """
    path = Path(name)
    if is_run(path):
        return models_of_run(path)
    if path.is_dir():
        path = Path(os.path.abspath(path))  # where `.` or `sft` lies tells whose it is
    run = path.parent.parent
    if path.parent.name == "models" and is_run(run) and path.name in (of_run := models_of_run(run)):
        return {path.name: of_run[path.name]}
    return {path.name: NamedModel(path.name, model_path(name), True, RunConfig())}


def chosen(name: str, stage: str | None) -> NamedModel:
    """Return one model: of a run the promoted one, or that of a stage.

    Raises:
        RunError: The run is not finished, or has no such stage.
        ModelError: See `models_of`.
    """
    from actwise.api.runs import LoadedRun

    models = models_of(name)
    if stage is None:
        stage = LoadedRun(Path(name)).promoted if is_run(Path(name)) else next(iter(models))
    if stage not in models:
        known = ", ".join(models) or "none"
        raise RunError(f"{name}: has no model {stage!r}; there are {known}")
    return models[stage]


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run."""
    return (folder / "run.json").exists()


def models_of_run(folder: Path) -> dict[str, NamedModel]:
    """Return the models of a run folder by their stages, the base first, where it is still there.

    Raises:
        RunError: `run.json` or `results.json` is damaged, or of another version.
    """
    from actwise.api.runs import read_results
    from actwise.training.stages import BASE

    record = read_record(folder)
    config = as_measured(_settings(folder, record))
    results = read_results(folder) or {}
    of_base = results.get("promoted_mode") if results.get("promoted") == BASE else None
    thinking = (of_base or config.rl.mode) == "thinking"
    found: dict[str, NamedModel] = {}
    with suppress(ModelError):  # a run may have been moved to where its base is not
        found[BASE] = NamedModel(BASE, model_path(record["model"]), thinking, config, folder)
    for name, mode in record["stages"].items():
        path = folder / "models" / name
        if path.is_dir():
            found[name] = NamedModel(name, str(path), mode == "thinking", config, folder)
    return found


def read_record(folder: Path) -> dict[str, Any]:
    """Return what `run.json` holds.

    Raises:
        RunError: It is damaged.
    """
    try:
        return dict(json.loads((folder / "run.json").read_bytes()))
    except (ValueError, TypeError, RecursionError) as error:
        raise RunError(f"{folder / 'run.json'}: damaged; name a model's folder instead") from error


def _settings(folder: Path, record: dict[str, Any]) -> RunConfig:
    """Return the settings by which models are loaded; a run of another version may know others."""
    try:
        return validated({name: record["config"].get(name, {}) for name in _NEEDED})
    except ConfigError as error:
        raise RunError(
            f"{folder / 'run.json'}: not settings of this version of actwise: {error}; use the "
            "version that made the run"
        ) from error


def as_measured(config: RunConfig) -> RunConfig:
    """Return a run's settings for a model that is only used: no adapters are added to it."""
    return config.model_copy(update={"model": config.model.model_copy(update={"lora_rank": None})})
