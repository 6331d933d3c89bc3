"""The comparison of the paper's abstract: base, SFT without thinking, and reasoning by GRPO.

Two arms share base and SFT: one goes on with a cold start and GRPO in thinking mode, the other
with GRPO in direct mode, which shows what is due to the thoughts and what to GRPO.
"""

from actwise.experiment.design import Arm, Experiment, Model
from actwise.training import recipes

BASE_DIRECT, BASE = "base (direct)", "base (thinking)"
SFT, THINK = "SFT (direct)", "SFT with thinking"
RL_DIRECT, RL = "SFT, GRPO (direct)", "SFT, thinking, GRPO"

OVER_SFT, OVER_BASE = 0.015, 0.40
"""Relative gains that the abstract of arXiv 2512.11277 names; its models and data are others."""

PAPER = Experiment(
    "paper",
    (
        Arm("thinking"),
        Arm(
            "direct", ("rl.mode=direct",), (recipes.BASE, recipes.SFT.name), "GRPO without thinking"
        ),
    ),
    (
        Model(BASE_DIRECT, "thinking", recipes.BASE, "direct"),
        Model(BASE, "thinking", recipes.BASE, "thinking"),
        Model(SFT, "thinking", recipes.SFT.name, "direct"),
        Model(THINK, "thinking", recipes.THINK.name, "thinking"),
        Model(RL_DIRECT, "direct", recipes.RL.name, "direct"),
        Model(RL, "thinking", recipes.RL.name, "thinking"),
    ),
    (
        (RL, SFT),
        (RL, BASE_DIRECT),
        (RL, BASE),
        (RL, THINK),
        (RL, RL_DIRECT),
        (RL_DIRECT, SFT),
        (THINK, SFT),
        (SFT, BASE_DIRECT),
    ),
)
