"""What models are measured on besides their greedy decisions, where settings ask for it.

Each measurement has records, a file of its own, and a row in a table of `results.json`: "episodes"
(whole turns and conversations on the model's own history), "attempts" (several sampled completions
of each decision) or "given" (thoughts cut short, or parts of recorded ones given). Adding one is a
function here and a line in `of_episodes` or `of_decisions`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from actwise.config import EvaluateConfig, Mode, RunConfig
from actwise.conversation import Conversation
from actwise.engine.choosing import Choice
from actwise.evaluation.attempts import attempts
from actwise.evaluation.episodes import UNITS, Unit, evaluate_episodes
from actwise.evaluation.evaluate import Evaluator
from actwise.evaluation.given import GIVEN, at_budget, from_part
from actwise.model.policy import Policy
from actwise.model.value import FOLDER, ValueModel
from actwise.results.attempts import attempts_row
from actwise.results.episodes import episode_row
from actwise.results.summary import given_row
from actwise.run.progress import Progress

Record = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """A model in one mode, about to be measured on the conversations of one split."""

    policy: Policy
    evaluator: Evaluator
    mode: Mode
    conversations: Sequence[Conversation]
    records: Sequence[Record]
    """Its greedy decisions there."""
    config: RunConfig
    progress: Progress
    title: str
    """What is shown beside the progress."""
    folder: Path
    """Where the model is saved."""

    @property
    def thinking(self) -> bool:
        """Whether the mode is thinking."""
        return self.mode == "thinking"


@dataclass(frozen=True)
class Measurement:
    """One thing to measure."""

    name: str
    """Last part of the name of its file, such as "attempts"."""
    table: Literal["episodes", "attempts", "given"]
    """Where its row stands in `results.json`."""
    measure: Callable[[Subject], list[Record]]
    row: Callable[[str, str, str, Sequence[Record]], dict[str, Any]]
    """Makes a row of model, mode, split and records."""
    evaluations: int = 1
    """As many greedy evaluations it may cost as much as."""


def measurements(config: EvaluateConfig, mode: Mode) -> list[Measurement]:
    """Return what a trained model is measured on besides, in the mode in which it is measured."""
    return (of_episodes(config) if config.episodes else []) + of_decisions(config, mode)


def of_episodes(config: EvaluateConfig) -> list[Measurement]:
    """Return what is measured on a model's own history."""
    found: list[Measurement] = []
    for unit in UNITS:
        greedy, of_greedy = partial(_episodes, unit), partial(_episode_row, unit)
        found.append(Measurement(unit, "episodes", greedy, of_greedy))
        if number := config.search:
            searched, of_searched = partial(_searched, unit), partial(of_greedy, search=number)
            name = f"{unit}-search"
            found.append(Measurement(name, "episodes", searched, of_searched, number))
    return found


def of_decisions(config: EvaluateConfig, mode: Mode) -> list[Measurement]:
    """Return what is measured on the recorded history."""
    found: list[Measurement] = []
    if number := config.attempts:
        found.append(Measurement("attempts", "attempts", _attempts, attempts_row, number))
    if mode == "thinking":
        found += [
            _given(f"thought of {budget}", partial(_at_budget, budget))
            for budget in sorted(set(config.budgets))
        ]
        parts = GIVEN if config.diagnose else ()
        found += [_given(f"given {name}", partial(_from_part, name)) for name in parts]
    return found


def _given(name: str, measure: Callable[[Subject], list[Record]]) -> Measurement:
    return Measurement(name.replace(" ", "-"), "given", measure, partial(given_row, name))


def _episodes(unit: Unit, subject: Subject, choice: Choice | None = None) -> list[Record]:
    return evaluate_episodes(
        subject.policy,
        subject.evaluator,
        subject.conversations,
        subject.config,
        thinking=subject.thinking,
        unit=unit,
        progress=subject.progress,
        title=f"{subject.title} {unit}{' by search' if choice else ''}",
        choice=choice,
    )


def _searched(unit: Unit, subject: Subject) -> list[Record]:
    """Return episodes whose steps were chosen by the value model; none where there is no such."""
    if not (subject.folder / FOLDER).exists():
        return []
    number = subject.config.evaluate.search
    choice = Choice(subject.policy, ValueModel.of(subject.policy, subject.folder), number)
    return _episodes(unit, subject, choice)


def _episode_row(
    unit: Unit, model: str, mode: str, split: str, records: Sequence[Record], search: int = 0
) -> dict[str, Any]:
    return episode_row(model, mode, split, unit, records, search)


def _attempts(subject: Subject) -> list[Record]:
    generator = torch.Generator(device=subject.policy.device).manual_seed(subject.config.seed)
    return attempts(
        subject.evaluator,
        subject.conversations,
        subject.config.evaluate.attempts,
        thinking=subject.thinking,
        generator=generator,
        progress=subject.progress,
        title=f"{subject.title} attempts",
    )


def _at_budget(budget: int, subject: Subject) -> list[Record]:
    return at_budget(
        subject.evaluator, subject.conversations, subject.records, budget, subject.progress
    )


def _from_part(name: str, subject: Subject) -> list[Record]:
    return from_part(subject.evaluator, subject.conversations, name, subject.progress)
