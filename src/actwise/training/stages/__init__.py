"""The stages: what a run can train, a file each and one line here.

A stage's file has three functions: `check` refuses early what it could not begin with; `begin`
takes a `Context` and the stage and returns a `Course`, an iterator of steps; `plan` tells how much
such a step will compute. Its settings are the section of the configuration that has its name.
Nothing heavy is imported before a stage begins, so reports and audits read this table, too.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from actwise.config import Mode, RunConfig

if TYPE_CHECKING:
    from actwise.conversation import Conversation
    from actwise.template.render import Template
    from actwise.training.stage import Context, Course, Plan

BASE = "base"
"""Name of the model before any stage."""


@dataclass(frozen=True)
class Stage:
    """One way to train, and how its model is measured."""

    name: str
    """Name of its section in the configuration, of its module, its files and its model."""
    label: str
    """Name of its model in tables."""
    title: str
    """What is learned, in words."""
    mode: Callable[[RunConfig], Mode]
    """The mode in which its model is measured."""
    compared_with: tuple[str, ...]
    """Models that its own is held against, the most important first; the base in its own mode."""
    samples: bool = False
    """Whether it learns from completions that it samples, of which the run keeps a record."""
    wanted: Callable[[RunConfig], bool] = lambda config: True
    """Whether it makes sense beside the other sections, where it has any steps."""
    round: int = 1
    """Later rounds repeat a stage on what the round before has left, under a name of their own."""

    @property
    def _kind(self) -> str:
        return self.name.removesuffix(f"_{self.round}")

    def section(self, config: RunConfig) -> Any:
        """Return its settings."""
        return getattr(self.configured(config), self._kind)

    def configured(self, config: RunConfig) -> RunConfig:
        """Return the settings of a run as they are in its round; see `RoundsConfig`."""
        if self.round == 1:
            return config
        own = {"source": "self", "conversations": config.rounds.conversations}
        return config.model_copy(update={THINK.name: config.think.model_copy(update=own)})

    def check(
        self, template: "Template", train: "Sequence[Conversation]", config: RunConfig
    ) -> None:
        """Refuse what the stage could not begin with, before anything is trained.

        Raises:
            ActwiseError: Names the setting or the record.
        """
        self._module().check(template, train, self.configured(config))

    def begin(self, context: "Context") -> "Course":
        """Begin to train, or go on where the run folder has a checkpoint."""
        context = replace(context, config=self.configured(context.config))
        course: Course = self._module().begin(context, self)
        return course

    def plan(
        self, template: "Template", train: "Sequence[Conversation]", config: RunConfig
    ) -> "Plan":
        """Tell what a step will compute, judging by a part of the training split."""
        plan: Plan = self._module().plan(template, train, self.configured(config))
        return plan

    def _module(self) -> Any:
        return importlib.import_module(f"{__name__}.{self._kind}")


def _direct(config: RunConfig) -> Mode:
    return "direct"


def _thinking(config: RunConfig) -> Mode:
    return "thinking"


def _as_configured(config: RunConfig) -> Mode:
    return config.rl.mode


SFT = Stage("sft", "SFT", "SFT: learning to act from the recorded actions", _direct, (BASE,))
THINK = Stage(
    "think",
    "think",
    "Think: learning the form of a thought",
    _thinking,
    (SFT.name,),
    wanted=lambda config: config.rl.mode == "thinking",
)
RL = Stage(
    "rl",
    "RL",
    "RL: learning which thoughts lead to right actions",
    _as_configured,
    (SFT.name, THINK.name, BASE),
    samples=True,
)

STAGES = {stage.name: stage for stage in (SFT, THINK, RL)}
"""All stages by name, in the order in which a run takes them."""


def stage_named(name: str) -> Stage | None:
    """Return a stage by its name, in whatever round; None where there is no such."""
    first, _, number = name.partition("_")
    stage = STAGES.get(first)
    if stage is None or not number:
        return stage
    return _again(stage, int(number)) if number.isdecimal() else None


def label_of(model: str) -> str:
    """Return what the model of a stage is called in tables; other names stand for themselves."""
    stage = stage_named(model)
    return model if stage is None else stage.label


def stages_of(config: RunConfig) -> list[Stage]:
    """Return the stages of a run: those that have steps, in order, then those of later rounds."""
    first = [
        stage for stage in STAGES.values() if stage.section(config).steps and stage.wanted(config)
    ]
    numbers = range(2, config.rounds.number + 1)
    return first + [_again(stage, number) for number in numbers for stage in (THINK, RL)]


def _again(stage: Stage, number: int) -> Stage:
    def named(of: Stage, number: int) -> str:
        return of.name if number == 1 else f"{of.name}_{number}"

    before = named(RL, number - 1)
    return replace(
        stage,
        name=named(stage, number),
        label=f"{stage.label} {number}",
        title=f"{stage.title}, round {number}",
        compared_with=(before,) if stage is THINK else (before, named(THINK, number), BASE),
        round=number,
    )
