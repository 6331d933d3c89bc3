"""What each part of the method is worth: the paper's last arm with one thing changed at a time.

The first arm is the paper's, folder and all, so its runs are made once for both experiments.
"""

from actwise.config import RunConfig
from actwise.experiment.design import Arm, Experiment, Model
from actwise.experiment.paper import PAPER, RL
from actwise.training import stages

_BEFORE_THINK = (stages.BASE,)
_BEFORE_RL = (*_BEFORE_THINK, stages.THINK.name)

_NO_SFT = ("sft.steps=0",)

LENGTH_TARGET = 20
"""Words that earn the whole reward of length; the expert's thoughts have fewer."""


def ablations(config: RunConfig) -> Experiment:
    """Return the experiment, whose numbers of thoughts are relative to a configuration's.

    With one optimiser step a batch, ratios are 1 and nothing is ever clipped; the two arms about
    clipping therefore take two steps, and the higher bound is held against the equal ones.
    """
    traces = config.think.conversations
    arms = (
        _rl("graded", "tool accuracy graded, not binary", "reward.tool_accuracy=graded"),
        _rl("no-answers", "no answer reward", "reward.answer_weight=0"),
        _rl("calls-only", "decisions without a call left out", "rl.decisions=calls"),
        _rl("gdpo", "rewards normalised one by one (GDPO)", "reward.combine=normalize_each"),
        _rl("clip-equal", "two steps a batch, clip 0.2 both ways", *_clip(0.2)),
        _rl("clip-higher", "two steps a batch, clip 0.2 and 0.28", *_clip(0.28)),
        _rl("g4", "4 completions a decision", "rl.num_generations=4"),
        _rl("g16", "16 completions a decision", "rl.num_generations=16"),
        _rl(
            "length",
            "a reward of the thought's length",
            "reward.thought_length_weight=0.2",
            f"reward.thought_length_target={LENGTH_TARGET}",
        ),
        _rl("no-likelihood", "no likelihood of the record", "rl.likelihood.weight=0"),
        _rl("any-thought", "no thought required", "reward.require_thought=false"),
        _rl("scale-none", "advantages not scaled", "rl.scale=none"),
        _rl("kl", "divergence term of 0.02", "rl.kl_coefficient=0.02"),
        Arm("no-start", (*_NO_SFT, "think.steps=0"), _BEFORE_THINK, "GRPO from the base"),
        _traces("half-traces", "half the traces", max(1, traces // 2)),
        _traces("double-traces", "double the traces", 2 * traces),
    )
    names = {arm.name: arm.changed for arm in arms}
    against = {"clip-higher": names["clip-equal"]}
    return Experiment(
        "ablations",
        (PAPER.arms[0], *arms),
        (
            Model(RL, PAPER.arms[0].name, stages.RL.name, "thinking"),
            *(Model(arm.changed, arm.name, stages.RL.name, "thinking") for arm in arms),
        ),
        tuple((arm.changed, against.get(arm.name, RL)) for arm in arms),
    )


def _rl(name: str, changed: str, *settings: str) -> Arm:
    return Arm(name, (*_NO_SFT, *settings), _BEFORE_RL, changed)


def _clip(high: float) -> tuple[str, ...]:
    return "rl.optimiser_steps=2", "rl.clip_low=0.2", f"rl.clip_high={high}"


def _traces(name: str, changed: str, conversations: int) -> Arm:
    settings = (*_NO_SFT, f"think.conversations={conversations}")
    return Arm(name, settings, _BEFORE_THINK, changed)
