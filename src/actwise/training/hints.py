"""Hints: where no completion is right, try again after the beginning of the recorded thought.

A group of wrong completions teaches nothing. Given the first part of a thought that leads to the
recorded action, the policy may get there, and what it adds is learned; the hint is context and
never a target. This is the partial-solution scaffolding of SPARKLE (arXiv:2506.04723): the thought
is cut into quarters, and a hard decision is tried again after one to four of them. The group
without a hint stays, and hints are annealed: the share of hard decisions that get one falls
linearly to nothing, since nobody gives any when the model is used.
"""

import math
from collections.abc import Sequence
from random import Random

from actwise.config import HintsConfig, RlConfig
from actwise.conversation import Conversation, Decision
from actwise.engine.rollouts import Group, after_thought
from actwise.errors import RunError
from actwise.template.render import Template

LEVELS = 4
"""Parts of a thought."""


def check_hints(train: Sequence[Conversation], config: RlConfig) -> None:
    """Refuse hints that there is nothing to take from.

    Raises:
        RunError: Says what is missing.
    """
    if not config.hints.levels:
        return
    if config.mode == "direct":
        raise RunError("rl.hints: a hint begins a thought; --set rl.mode=thinking")
    if not any(d.gold.reasoning_content for c in train for d in c.decisions()):
        raise RunError(
            "rl.hints: no training conversation has a recorded thought to take hints from; record "
            "some, or --set rl.hints.levels=0"
        )


def hinted(
    template: Template,
    groups: Sequence[Group],
    config: HintsConfig,
    draw: Random,
    left: float,
    room: int,
) -> list[Group]:
    """Return groups without rollouts, for a share of those decisions that were always failed.

    Args:
        template: The model's.
        groups: Judged, without hints.
        config: How long hints may be.
        draw: Decides who gets a hint, and which.
        left: Share of the stage that is left, in [0, 1].
        room: Tokens that prompt and hint may have; what is longer is left out.
    """
    given = (
        hint(template, group.decision, draw.randint(1, config.levels))
        for group in groups
        if failed(group) and group.decision.gold.reasoning_content and draw.random() < left
    )
    return [group for group in given if len(group.prompt) <= room]


def failed(group: Group) -> bool:
    """Return whether no completion is right, and some are wrong for certain."""
    verdicts = {r.verdict.right for r in group.rollouts}
    return False in verdicts and True not in verdicts


def hint_figures(groups: Sequence[Group], hinted_groups: Sequence[Group]) -> dict[str, float]:
    """Return how many decisions were tried again, and how many of their completions are right."""
    if not hinted_groups:
        return {}
    right = [float(r.verdict.right is True) for g in hinted_groups for r in g.rollouts]
    return {
        "hinted_groups": len(hinted_groups) / len(groups),
        "hinted_right": sum(right) / len(right),
    }


def beside(groups: Sequence[Group], hinted_groups: Sequence[Group]) -> list[Group]:
    """Return all groups, those of one conversation side by side, so that its trunk is shared."""
    order = {id(group.conversation): number for number, group in enumerate(groups)}
    return sorted([*groups, *hinted_groups], key=lambda g: order[id(g.conversation)])


def hint(template: Template, decision: Decision, level: int) -> Group:
    """Return a decision to be completed from a part of its recorded thought on.

    Args:
        template: The model's.
        decision: With a recorded thought.
        level: Quarters of the thought that are given, by its words.
    """
    words = (decision.gold.reasoning_content or "").split()
    begun = " ".join(words[: math.ceil(level * len(words) / LEVELS)])
    return after_thought(template, decision, begun)
