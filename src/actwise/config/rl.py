"""Settings of GRPO."""

from typing import Literal

from pydantic import Field

from actwise.config.section import Mode, Section
from actwise.config.supervised import OptimiserConfig


class SelectionConfig(Section):
    """Which decisions RL samples, and which completions it learns from."""

    live_groups: int | None = Field(None, ge=1)
    """Draw further conversations until so many groups of a step are live (DAPO); where not given,
    a step has `rl.conversations_per_step`."""
    most: int = Field(4, ge=1)
    """Times `rl.conversations_per_step` that are drawn at most for that."""
    rest: int = Field(0, ge=0)
    """Steps for which a decision is not sampled after all its completions were right."""
    keep: int | None = Field(None, ge=2)
    """Completions of each decision that are learned from, those whose rewards differ most (PODS);
    all where not given."""


class AnchorConfig(Section):
    """What the divergence of RL is taken from."""

    kind: Literal["fixed", "reset", "average"] = "fixed"
    """The model at the start of the stage; the policy itself whenever the development score
    stalls, and the optimiser forgets (ProRL); or a moving average of the policy."""
    patience: int = Field(4, ge=1)
    """reset: development scores in a row without a better one."""
    decay: float = Field(0.99, ge=0, lt=1)
    """average: what is kept of it in each step."""


class EntropyConfig(Section):
    """A bonus for a policy that is not sure of itself, so that it goes on trying."""

    weight: float = Field(0.0, ge=0)
    """Weight of the mean entropy of the sampled tokens, in nats, in the loss; 0 for none."""
    target: float = Field(0.2, gt=0)
    """Nats per token from which on a batch of completions gets no bonus: more feeds junk tokens."""


class HintsConfig(Section):
    """The beginning of the recorded thought, where no completion was right (SPARKLE)."""

    levels: int = Field(0, ge=0, le=4)
    """Quarters of the thought that are given at most; 0 gives no hints. Thinking mode only."""


class LikelihoodConfig(Section):
    """How likely thoughts make the recorded action, where no completion was right."""

    weight: float = Field(0.3, ge=0)
    """Weight of that loss beside the judge's rewards; 0 computes none. Thinking mode only."""
    action_weight: float = Field(0.0, ge=0)
    """What learning the recorded action after these thoughts counts within it. With 0 thoughts
    alone learn, by how likely they make the action; with more, actions part from thoughts."""


class TurnsConfig(Section):
    """What a whole turn earns, where `rl.unit` is "turn"."""

    steps_weight: float = Field(0.0, ge=0)
    """What the recorded calls of a successful turn earn beside its success (Interleaved: 0.5)."""
    steps: Literal["discounted", "share", "all"] = "discounted"
    """All of it where every recorded call was made; else for each that was made one over the number
    of the completion that first made it; or its share; or nothing."""
    gated: bool = True
    """Pay for calls in successful turns in good form alone, and as `progress_margin` says; else
    always, which teaches calls that lead nowhere."""
    progress_margin: float | None = Field(None, ge=0, le=1)
    """Only pay for calls while the share of successful turns in a step has not fallen by so much
    below that of the step before (Interleaved: 0.05); always where not given."""


class SearchConfig(Section):
    """Search over turns, where `rl.unit` is "turn" (PROPA): groups are the children of a node."""

    iterations: int = Field(0, ge=0)
    """Nodes that are expanded in each turn; 0 samples whole turns instead."""
    children: int = Field(4, ge=2)
    """Completions of a node, each of which is followed greedily to the end of the turn."""
    exploration: float = Field(1.0, ge=0)
    """Weight of what was seldom tried in the choice of the node."""
    boost: bool = True
    """Raise small values: ln(1 + 10 value) / ln 11."""
    value_conversations: int = Field(0, ge=0)
    """Training conversations in which the finished model searches once more, to learn what its
    steps are worth: `actwise eval --search` chooses by it. 0 learns nothing of that."""


class RlConfig(OptimiserConfig):
    """GRPO on the judge's rewards."""

    small_model_rate = 1e-4
    steps: int = Field(300, ge=0)
    """Batches of rollouts; 0 leaves the stage out."""
    sampled_tokens: int | None = Field(None, ge=1)
    """Train until so many tokens have been sampled, however many steps that takes; `steps` then
    only says for how long the learning rate rises. So runs of unlike steps cost the same."""
    mode: Mode = "thinking"
    """Whether the model thinks before it acts."""
    unit: Literal["decision", "turn"] = "decision"
    """What is sampled and judged: single decisions on the recorded history, or whole turns on the
    model's own, in what `episodes` says. A step of a turn learns with the turn's advantage."""
    decisions: Literal["all", "calls"] = "all"
    """All decisions, or only those whose record calls a tool (which teaches to call always)."""
    conversations_per_step: int = Field(6, ge=1)
    """Conversations in a batch of rollouts."""
    decisions_per_conversation: int | None = Field(None, ge=1)
    """Decisions drawn from each conversation; all where not given."""
    num_generations: int = Field(8, ge=2)
    """Completions per decision: the group whose mean is the baseline."""
    optimiser_steps: int = Field(1, ge=1)
    """Optimiser steps per batch of rollouts; each takes a part of the batch's conversations."""
    temperature: float = Field(1.0, gt=0)
    """Temperature of sampling and of the trained distribution."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus of sampling."""
    clip_low: float = Field(0.2, gt=0, lt=1)
    """The ratio is clipped below one minus this."""
    clip_high: float = Field(0.28, gt=0)
    """The ratio is clipped above one plus this (DAPO's clip-higher)."""
    importance_cap: float = Field(2.0, ge=1)
    """Where completions are not sampled from exactly what is trained (`engine.kind=vllm`, or
    `engine.ahead`), a token counts by its probability ratio, and by this at most (truncated
    importance sampling)."""
    kl_coefficient: float = Field(0.0, ge=0)
    """Weight of the k3 divergence from what `rl.anchor` says; 0 computes none."""
    ratio_level: Literal["token", "sequence"] = "token"
    """Ratios of single tokens, or of whole completions (GSPO)."""
    aggregation: Literal["grpo", "dapo", "dr_grpo"] = "dr_grpo"
    """How token losses are averaged."""
    scale: Literal["group", "batch", "none"] = "batch"
    """What divides advantages: the standard deviation of the group, of the batch, or nothing."""
    advantage: Literal["group", "rejection"] = "group"
    """How much better than the mean of its group a completion is (GRPO), or 1 where all of it is
    right and else 0: rejection sampling, fine-tuning on the right ones as they come."""
    turns: TurnsConfig = TurnsConfig()
    search: SearchConfig = SearchConfig()
    selection: SelectionConfig = SelectionConfig()
    anchor: AnchorConfig = AnchorConfig()
    likelihood: LikelihoodConfig = LikelihoodConfig()
    entropy: EntropyConfig = EntropyConfig()
    hints: HintsConfig = HintsConfig()
    mask_truncated: bool = False
    """Whether completions that hit the budget are left out of the loss."""
    evaluate_every: int = Field(25, ge=1)
    """Steps between evaluations on the development split; the best checkpoint is kept."""
