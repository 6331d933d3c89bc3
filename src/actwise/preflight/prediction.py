"""Whether RL can begin from a model, from what it makes of some decisions.

What it takes: thoughts that end, decisions that are right at times and not always, and among
several completions clearly more that are right than in one. The limits are those of starts on the
desk from which GRPO rose (docs/experiments/reasoning.md); a start is judged by what it can do in
several attempts, not by its single best one.
"""

from collections.abc import Iterator

from actwise.config import RunConfig
from actwise.findings.finding import Finding
from actwise.preflight.trial import Samples

CLOSED = 0.95
"""Share of completions whose thought ends."""
ROOM = 0.15
"""By how much more decisions have to be right in one of several completions than in each."""
LIVE = 0.40
"""Share of decisions whose rewards differ."""


def obstacles(samples: Samples) -> list[str]:
    """Return what keeps RL from beginning with the model that was sampled; nothing if it can."""
    found = []
    if samples.closed is not None and samples.closed < CLOSED:
        found.append(f"{samples.closed:.0%} of the thoughts end, and {CLOSED:.0%} should")
    in_one = samples.pass_rates.mean if samples.pass_rates is not None else 0.0
    room = samples.pass_any - in_one
    if room < ROOM:
        found.append(
            f"{samples.pass_any:.0%} of the decisions are right in any of their completions and "
            f"{in_one:.0%} in one, so there are {100 * room:.0f} points to gain, "
            f"and {100 * ROOM:.0f} should be"
        )
    if samples.live < LIVE:
        found.append(f"{samples.live:.0%} of the groups are live, and {LIVE:.0%} should be")
    return found


def start_findings(samples: Samples, config: RunConfig) -> Iterator[Finding]:
    """Say which start will work."""
    if config.rl.mode == "direct":
        return
    missing = "; ".join(obstacles(samples))
    if not missing and config.think.steps:
        yield Finding(
            "note",
            "rl_can_begin",
            0,
            "the model as it is gives RL enough to learn from",
            "A long think stage would use up what RL could find by itself.",
            "Try --set think.steps=0, or a short one.",
        )
    if missing and not config.think.steps:
        yield Finding(
            "warning",
            "no_start",
            0,
            f"RL begins with a model from which little can be learned: {missing}",
            "It will stay where it is, or learn to think nothing.",
            "--set think.steps=400: recorded thoughts of 40 conversations are enough, and where "
            "there are none they are derived from the recorded actions.",
        )
    if config.sft.steps and config.think.steps and config.think.begin == "previous":
        yield Finding(
            "warning",
            "thinking_forgotten",
            0,
            f"the think stage begins from what {config.sft.steps} steps of direct SFT leave",
            "Long direct training destroys the thinking mode.",
            "--set think.begin=base learns both modes in one stage.",
        )
