"""Every recipe against its control: the same start, and as many steps as cost the same.

Both have the recipe's settings but for what its control names. Where a recipe samples more in a
step, its control gets more steps for it: until it has sampled as many tokens (`equal_tokens`), or
by a factor (`control_steps`). What each of them took stands in the table, so that nobody has to
believe that it was the same.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from actwise.config import RunConfig, dotted, overlaid, validated
from actwise.desk import RECIPES as SETTINGS
from actwise.experiment.design import Arm, Claim, Experiment, Model
from actwise.recipes import Recipe
from actwise.training import stages
from actwise.training.stages import stages_of

START = "start"
ATTEMPTS = 16
"""Completions of a decision, none of which is right where the start *always fails*."""

_OF_RL = {"combine", "repetition", "tool_accuracy", "format_weight"}
"""Settings of the reward that decide nothing about what is right."""

_OF_MEASURING = {"episodes", "attempts", "budgets", "search", "diagnose"}
"""Settings of the evaluation that no weight and no greedy decision depends on."""

_MEASURED = ("evaluate.episodes=true", f"evaluate.attempts={ATTEMPTS}")
"""What the start is measured on, for all that share it."""


def recipes(config: RunConfig, found: Sequence[Recipe]) -> Experiment:
    """Return the experiment.

    Args:
        config: What its runs share.
        found: The recipes, each of which is an arm, and its control another.
    """
    sections = {name: s for recipe in found for name, s in _sections(recipe, config).items()}
    own = {name: _configured(config, s) for name, s in sections.items()}
    equal = {control: r.name for r in found if r.equal_tokens for control in arms_of(r)[1:]}
    claims = tuple(
        Claim(
            r.name,
            f"{r.name}-{expected.against}" if expected.than is None else "",
            f"{r.work} ({r.arxiv})",
            expected.metric,
            expected.sign,
            expected.than,
            expected.margin,
        )
        for r in found
        for expected in r.claims
    )
    return Experiment(
        "recipes",
        (
            Arm(START, (f"{stages.RL.name}.steps=0", *_MEASURED)),
            *(
                Arm(
                    name,
                    tuple(f"{key}={json.dumps(value)}" for key, value in dotted(s).items()),
                    _shared(config, own[name]),
                    sampling_as=equal.get(name, ""),
                    changed=name,
                )
                for name, s in sections.items()
            ),
        ),
        (
            Model(START, START, stages.THINK.name, "thinking"),
            *(Model(n, n, stages_of(c)[-1].name, "thinking") for n, c in own.items()),
        ),
        tuple((r.name, control) for r in found for control in arms_of(r)[1:]),
        settings=SETTINGS,
        claims=claims,
        examined=(),
    )


def arms_of(recipe: Recipe) -> list[str]:
    """Return the name of a recipe's arm, and those of its controls'."""
    return [recipe.name, *(f"{recipe.name}-{name}" for name in recipe.control_settings())]


def with_controls(names: Iterable[str], found: Sequence[Recipe]) -> list[str]:
    """Return names of recipes, and behind each those of its controls; others as they are."""
    arms = {recipe.name: arms_of(recipe) for recipe in found}
    return [arm for name in names for arm in arms.get(name, [name])]


def _sections(recipe: Recipe, config: RunConfig) -> dict[str, dict[str, Any]]:
    """Return the sections of the recipe's arm and of its controls'."""
    own, *controls = (
        overlaid(recipe.trial, s) for s in (recipe.settings, *recipe.control_settings().values())
    )
    steps = [round(_configured(config, c).rl.steps * recipe.control_steps) for c in controls]
    longer = [
        overlaid(control, {stages.RL.name: {"steps": number}})
        for control, number in zip(controls, steps, strict=True)
    ]
    return dict(zip(arms_of(recipe), [own, *longer], strict=True))


def _configured(config: RunConfig, sections: Mapping[str, Any]) -> RunConfig:
    return validated(overlaid(config.model_dump(), sections))


def _shared(config: RunConfig, own: RunConfig) -> tuple[str, ...]:
    """Return the stages that come out as in the first arm."""
    later: Any = {
        stages.RL.name: True,
        "rounds": True,
        "reward": _OF_RL,
        "evaluate": _OF_MEASURING,
    }
    if config.think.source != "self":
        later[stages.THINK.name] = {"pick"}  # of the model's own thoughts alone
    before, after = (c.model_dump(exclude=later) for c in (config, own))
    if before == after:
        return stages.BASE, stages.THINK.name
    same = all(before[key] == after[key] for key in before if key != stages.THINK.name)
    return (stages.BASE,) if same else ()
