"""Which models a name on the command line stands for: those of a run folder, or one model."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actwise.config import RunConfig, validated
from actwise.errors import RunError
from actwise.model.startup import model_path

if TYPE_CHECKING:
    from actwise.model.policy import Policy


@dataclass(frozen=True)
class NamedModel:
    """A model, and how it was measured."""

    name: str
    path: str
    """Folder or hub name."""
    thinking: bool
    """Whether it was measured thinking, or, where nobody knows, it is taken to think."""
    config: RunConfig
    """Its section `model` says how it is loaded."""

    def load(self) -> "Policy":
        """Load it as it was measured.

        Raises:
            ModelError: It cannot be loaded or used.
        """
        from actwise.model.loading import load_policy

        return load_policy(self.path, self.config)


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
    if path.parent.name == "models" and is_run(path.parent.parent):
        return {path.name: models_of_run(path.parent.parent)[path.name]}
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
        raise RunError(f"{name}: has no model {stage!r}; there are {', '.join(models)}")
    return models[stage]


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run."""
    return (folder / "run.json").exists()


def models_of_run(folder: Path) -> dict[str, NamedModel]:
    """Return the models of a run folder by their stages, the base first.

    Raises:
        RunError: `run.json` is damaged.
    """
    from actwise.training.stages import BASE

    record = read_record(folder)
    config = as_measured(validated(record["config"]))
    thinking = config.rl.mode == "thinking"
    found = {BASE: NamedModel(BASE, model_path(record["model"]), thinking, config)}
    for name, mode in record["stages"].items():
        path = folder / "models" / name
        if path.is_dir():
            found[name] = NamedModel(name, str(path), mode == "thinking", config)
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


def as_measured(config: RunConfig) -> RunConfig:
    """Return a run's settings for a model that is only used: no adapters are added to it."""
    return config.model_copy(update={"model": config.model.model_copy(update={"lora_rank": None})})
