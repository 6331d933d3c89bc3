"""What an experiment compares: arms (runs with settings of their own) and the models in them."""

from dataclasses import dataclass


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


@dataclass(frozen=True)
class Experiment:
    """Arms that are run, and models that are compared, for each of several seeds."""

    name: str
    arms: tuple[Arm, ...]
    """The first is run before the others of its seed, which may share its beginning."""
    models: tuple[Model, ...]
    comparisons: tuple[tuple[str, str], ...]
    """Pairs of names of models: the one, and the one it is held against."""
