"""Settings of the stages that learn from what is written, and of the optimiser of all stages."""

from typing import ClassVar, Literal

from pydantic import Field

from actwise.config.section import Section


class OptimiserConfig(Section):
    """An optimiser with linear warm-up and linear decay."""

    small_model_rate: ClassVar[float]
    """Learning rate that suits two million parameters with AdamW."""
    optimiser: Literal["adamw", "muon"] = "adamw"
    """muon: Muon for the matrices of the layers, AdamW for everything else. It takes about half as
    many steps to train all weights of a small model, at a learning rate about five times higher."""
    learning_rate: float | None = Field(None, gt=0, le=1)
    """Highest learning rate; where not given it falls with the root of the number of parameters,
    from 1e-3 for sft and think, 1e-4 for rl at two million; it is ten times
    higher with LoRA, and five times with Muon."""
    warmup: float = Field(0.05, ge=0, lt=1)
    """Share of the steps in which it rises."""
    final: float = Field(0.1, ge=0, le=1)
    """Share of the highest rate that is left at the end."""
    weight_decay: float = Field(0.0, ge=0)
    """Shrinks the weights by this share of the learning rate in each step."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Longer gradients are scaled to this length."""


class SftConfig(OptimiserConfig):
    """Supervised fine-tuning, of the direct mode, and base of the settings of `think`."""

    small_model_rate = 1e-3
    steps: int = Field(300, ge=0)
    """Optimiser steps; 0 leaves the stage out. With `patience` the most there are."""
    patience: int | None = Field(None, ge=1)
    """Train until so many evaluations in a row have brought no better development score: the rate
    is held after the warm-up, and only then falls, over a last fifth of the steps. Where not given,
    it falls from the warm-up on, over `steps`."""
    conversations_per_step: int = Field(8, ge=1)
    """Whole conversations with all their decisions in one step."""
    evaluate_every: int = Field(100, ge=1)
    """Steps between evaluations on the development split; the best checkpoint is kept."""


Pick = Literal["shortest", "next_longest"]
"""Which of the model's own thoughts is kept, of those after which the action was right."""


class InjectionConfig(Section):
    """Behaviours put into thoughts before they are learned (BRIDGE)."""

    exploration: float = Field(0.0, ge=0, le=1)
    """Share of the thoughts, of those where a later step is still locked, that try it and say what
    is not known yet; much of it breaks a small model."""
    exploitation: float = Field(0.0, ge=0, le=1)
    """Share of the thoughts, of those that rest on results of tools, that gather what is known."""


class ThinkConfig(SftConfig):
    """The start in thinking mode: a few thoughts, beside all recorded actions."""

    steps: int = Field(400, ge=0)
    begin: Literal["base", "previous"] = "base"
    """Which model is trained: the base, on both modes in one stage, or what the stage before has
    left. Long SFT in direct mode destroys the thinking mode, and RL then finds nothing to learn
    from."""
    share: float = Field(0.4, gt=0, le=1)
    """Share of each step's conversations that are learned with thoughts; of the others the recorded
    actions are learned in direct mode."""
    source: Literal["auto", "recorded", "derived", "both", "self"] = "auto"
    """Thoughts recorded in the logs; derived from the recorded actions, which takes no annotation;
    both in equal parts; or the model's own where the action after them was right. auto takes both
    where any are recorded, else derives them."""
    conversations: int = Field(150, ge=1)
    """Conversations whose recorded or own thoughts are used, chosen so that all kinds of decisions
    occur; derived thoughts cost nothing and are used of all."""
    renamings: int = Field(8, ge=1)
    """Versions of each of these conversations, with other names of tools, where `data.renamed`
    asks for such."""
    attempts: int = Field(4, ge=1)
    """Self-generated: thoughts tried for each decision."""
    temperature: float = Field(0.8, gt=0)
    """Self-generated: sampling temperature."""
    pick: Pick = "shortest"
    """Self-generated: which is kept of the thoughts that led to the right action. The shortest ones
    drive thoughts to nothing over several rounds; next_longest leaves the longest out."""
    injection: InjectionConfig = InjectionConfig()


class RoundsConfig(Section):
    """The start and RL again, on thoughts of what RL has left (OpenVLThinker)."""

    number: int = Field(1, ge=1, le=9)
    """Rounds; each further one trains a start, from the base on the model's own thoughts that led
    to right actions, and RL from there."""
    conversations: int = Field(300, ge=1)
    """Conversations in which the model of the round before looks for such thoughts."""
