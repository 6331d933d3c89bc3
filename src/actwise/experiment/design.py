"""What an experiment compares: arms (runs with settings of their own) and the models in them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from actwise.desk import PAPER
from actwise.training.stages import RL, THINK


@dataclass(frozen=True)
class Arm:
    """One run for each seed."""

    name: str
    """Name of its folder."""
    settings: tuple[str, ...] = ()
    """What it has other than the experiment's settings, as for `--set`."""
    shares: tuple[str, ...] = ()
    """Stages that come out as in the first arm of the same seed, and are taken from there."""
    changed: str = ""
    """What is other than in the first arm, in words."""
    sampling_as: str = ""
    """Name of the arm that is run before it, and as many of whose tokens it samples in RL."""


@dataclass(frozen=True)
class Model:
    """One model in one mode, as an arm left it."""

    name: str
    arm: str
    stage: str
    mode: str

    def evaluation(self, split: str) -> str:
        """Return the file of its judged decisions in the arm's run folder."""
        return f"evaluations/{self.stage}-{self.mode}-{split}.jsonl"

    def measurement(self, split: str, name: str) -> str:
        """Return the file of what else it was measured on; see `evaluation.measurements`."""
        return f"measurements/{self.stage}-{self.mode}-{split}-{name}.jsonl"


@dataclass(frozen=True)
class Claim:
    """What one model is expected to be, held against another."""

    model: str
    against: str
    """Empty where it is held against a number."""
    work: str
    """What is ported."""
    metric: str
    """By its name in `measures.MEASURES`."""
    sign: Literal["+", "-", "="]
    """Whether the model is expected above the other, below, or as good."""
    than: float | None
    """The model is held against this number, and not against another."""
    margin: float
    """As good is what is known to differ by less."""


@dataclass(frozen=True)
class Experiment:
    """Arms that are run, and models that are compared, for each of several seeds."""

    name: str
    arms: tuple[Arm, ...]
    """The first is run before the others of its seed, which may share its beginning."""
    models: tuple[Model, ...]
    comparisons: tuple[tuple[str, str], ...]
    """Pairs of names of models: the one, and the one it is held against."""
    settings: Path = PAPER
    """File of the settings that all runs share."""
    claims: tuple[Claim, ...] = ()
    """What is compared besides action accuracy."""
    examined: tuple[str, ...] = (THINK.name, RL.name)
    """Stages of the first arm whose thoughts are checked and replaced."""
