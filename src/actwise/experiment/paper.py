"""Whether outcomes teach thinking: GRPO from a start with few annotated thoughts, or none.

Every arm begins from the base. In those with thoughts both modes are learned in one stage, the
thoughts being those of so many annotated conversations or, with none, such as are derived from all
records, and GRPO goes on from there. They are held against the recorded actions alone (SFT without
thinking, and GRPO after it), the same thoughts by SFT alone, rejection sampling of as many
completions, and the thoughts of half of all conversations, which is the ceiling.
"""

from actwise.experiment.design import Arm, Experiment, Model
from actwise.training import stages

ANNOTATED = (0, 20, 40, 80)
"""Conversations with recorded thoughts; with none the thoughts are derived."""
CEILING = 1200

BASE_DIRECT, BASE = "base (direct)", "base (thinking)"
SFT, RL_DIRECT = "SFT (direct)", "SFT, GRPO (direct)"
SFT_ALONE = "40 annotated, SFT alone"
REJECTION = "40 annotated, rejection sampling"
PROLONGED = "40 annotated, prolonged GRPO"
CEILING_MODEL = f"{CEILING} annotated, SFT alone"

OVER_SFT, OVER_BASE = 0.015, 0.40
"""Relative gains that the abstract of arXiv 2512.11277 names; its models and data are others."""


def start_of(annotated: int) -> str:
    """Return the name of the model before GRPO."""
    return f"{annotated} annotated, start"


def after_rl(annotated: int) -> str:
    """Return the name of the model after GRPO."""
    return f"{annotated} annotated, GRPO"


START, RL = start_of(40), after_rl(40)

_NO_SFT = "sft.steps=0"
_BASE = (stages.BASE,)
_FIRST = "annotated-40"


def _annotated(number: int) -> Arm:
    # Thoughts of all conversations take longer to learn than those of a few.
    derived = ("think.source=derived", "think.steps=600")
    thoughts = (f"think.conversations={number}",) if number else derived
    return Arm(f"annotated-{number}", (_NO_SFT, *thoughts), _BASE, f"{number} annotated")


PAPER = Experiment(
    "paper",
    (
        Arm(_FIRST, (_NO_SFT,)),
        *(_annotated(number) for number in ANNOTATED if number != 40),
        Arm("direct", ("think.steps=0", "rl.mode=direct"), _BASE, "no thoughts"),
        Arm(
            "sft-alone",
            (_NO_SFT, "rl.steps=0", "think.steps=900", "think.patience=2"),
            _BASE,
            "SFT on both modes alone, until it gets no better",
        ),
        Arm(
            "rejection",
            (_NO_SFT, "rl.advantage=rejection", "rl.likelihood.weight=0"),
            (*_BASE, stages.THINK.name),
            "rejection sampling in place of GRPO, without the record's likelihood",
        ),
        Arm(
            "prolonged",
            (_NO_SFT, "rl.steps=1500"),
            (*_BASE, stages.THINK.name),
            "1,500 steps of GRPO",
        ),
        Arm(
            "ceiling",
            (
                _NO_SFT,
                "rl.steps=0",
                "think.steps=900",
                "think.patience=2",
                "think.source=recorded",
                f"think.conversations={CEILING}",
                "think.renamings=1",
                "think.share=0.7",
            ),
            _BASE,
            f"{CEILING} annotated, SFT on both modes alone",
        ),
    ),
    (
        Model(BASE_DIRECT, _FIRST, stages.BASE, "direct"),
        Model(BASE, _FIRST, stages.BASE, "thinking"),
        Model(SFT, "direct", stages.SFT.name, "direct"),
        Model(RL_DIRECT, "direct", stages.RL.name, "direct"),
        *(
            model
            for n in ANNOTATED
            for model in (
                Model(start_of(n), f"annotated-{n}", stages.THINK.name, "thinking"),
                Model(after_rl(n), f"annotated-{n}", stages.RL.name, "thinking"),
            )
        ),
        Model(SFT_ALONE, "sft-alone", stages.THINK.name, "thinking"),
        Model(REJECTION, "rejection", stages.RL.name, "thinking"),
        Model(PROLONGED, "prolonged", stages.RL.name, "thinking"),
        Model(CEILING_MODEL, "ceiling", stages.THINK.name, "thinking"),
    ),
    (
        *((after_rl(n), start_of(n)) for n in ANNOTATED),
        *((after_rl(n), SFT) for n in ANNOTATED),
        *((after_rl(0), other) for other in (RL_DIRECT, BASE_DIRECT, BASE)),
        *((RL, other) for other in (RL_DIRECT, SFT_ALONE, REJECTION, BASE_DIRECT, BASE)),
        *((PROLONGED, other) for other in (START, RL, SFT)),
        (CEILING_MODEL, RL),
        (CEILING_MODEL, START),
        (RL_DIRECT, SFT),
        (SFT, BASE_DIRECT),
    ),
)
