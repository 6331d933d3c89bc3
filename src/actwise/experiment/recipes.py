"""Every recipe against its control: the same start, and as many steps as cost the same.

Both have the recipe's settings but for what its control names. Where a recipe samples more in a
step, its control gets more steps for it: until it has sampled as many tokens (`equal_tokens`), or
by a factor (`control_steps`). What each of them took stands in the table, so that nobody has to
believe that it was the same.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from actwise.config import RunConfig, overlaid, validated
from actwise.desk import RECIPES as SETTINGS
from actwise.experiment.design import Arm, Claim, Experiment, Model
from actwise.recipes import Recipe
from actwise.training import stages
from actwise.training.stages import stages_of

START = "start"
CONTROL = "-control"

ATTEMPTS = 16
"""Completions of a decision, none of which is right where the start *always fails*."""

_OF_RL = {"combine", "repetition", "tool_accuracy", "format_weight"}
"""Settings of the reward that decide nothing about what is right."""

_OF_MEASURING = {"episodes", "attempts", "budgets", "diagnose"}
"""Settings of the evaluation that no weight and no greedy decision depends on."""

_MEASURED = ("evaluate.episodes=true", f"evaluate.attempts={ATTEMPTS}")
"""What the start is measured on, for all that share it."""


def recipes(config: RunConfig, found: Sequence[Recipe]) -> Experiment:
    """Return the experiment.

    Args:
        config: What its runs share.
        found: The recipes, each of which is an arm, and its control another.
    """
    work = {name: recipe.work for recipe in found for name in with_controls([recipe.name])}
    sections = {name: s for recipe in found for name, s in _both(recipe, config).items()}
    own = {name: _configured(config, s) for name, s in sections.items()}
    equal = {r.name + CONTROL: r.name for r in found if r.equal_tokens}
    claims = tuple(
        Claim(r.name, r.name + CONTROL, f"{r.work} ({r.arxiv})", **expected.model_dump())
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
                    tuple(_flat(s)),
                    _shared(config, own[name]),
                    sampling_as=equal.get(name, ""),
                    changed=work[name],
                )
                for name, s in sections.items()
            ),
        ),
        (
            Model(START, START, stages.THINK.name, "thinking"),
            *(Model(n, n, stages_of(c)[-1].name, "thinking") for n, c in own.items()),
        ),
        tuple((recipe.name, recipe.name + CONTROL) for recipe in found),
        settings=SETTINGS,
        claims=claims,
        examined=(),
    )


def with_controls(names: Iterable[str]) -> list[str]:
    """Return names of recipes, and behind each that of its control."""
    return [arm for name in names for arm in (name, name + CONTROL)]


def _both(recipe: Recipe, config: RunConfig) -> dict[str, dict[str, Any]]:
    """Return the sections of the recipe's arm and of its control's."""
    own = overlaid(recipe.trial, recipe.settings)
    control = overlaid(recipe.trial, recipe.control_settings())
    steps = round(_configured(config, control).rl.steps * recipe.control_steps)
    return {
        recipe.name: own,
        recipe.name + CONTROL: overlaid(control, {stages.RL.name: {"steps": steps}}),
    }


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


def _flat(sections: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield sections as settings."""
    for key, value in sections.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}={json.dumps(value)}"
