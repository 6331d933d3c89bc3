"""The cold start: which thoughts the model begins with.

Recorded thoughts are taken as they are. Self-generated ones are kept only where the action that
follows them is judged right; of several, the shortest. The thought is all that is kept: what
follows it in training is the recorded action.
"""

import random
from collections.abc import Sequence

import torch

from actwise.config import ThinkConfig
from actwise.conversation import Conversation, Decision
from actwise.engine import Engine, Sample, SamplingParams
from actwise.evaluation.judging import judge_samples
from actwise.rewards.settings import JudgeSettings
from actwise.run.folder import Run
from actwise.template.render import Template
from actwise.training.recipes.sft import Target

_CHUNK = 16  # conversations between two signs of progress


def recorded_thoughts(conversations: Sequence[Conversation]) -> list[list[Target]]:
    """Return the decisions that have a recorded thought, by conversation."""
    return [
        [
            Target(decision, decision.gold.reasoning_content)
            for decision in conversation.decisions()
            if decision.gold.reasoning_content
        ]
        for conversation in conversations
    ]


def self_generated_thoughts(
    run: Run,
    engine: Engine,
    template: Template,
    conversations: Sequence[Conversation],
    config: ThinkConfig,
    *,
    settings: JudgeSettings,
    max_tokens: int,
    generator: torch.Generator,
) -> list[list[Target]]:
    """Let the model think, and keep the shortest thought that led to the right action.

    Args:
        run: Where progress is shown.
        engine: Samples from the model as it is.
        template: The model's.
        conversations: From the training split.
        config: Of the stage.
        settings: Of the judge.
        max_tokens: Budget of a completion.
        generator: Source of randomness, on the engine's device.

    Returns:
        The decisions for which a thought was found, by conversation.
    """
    params = SamplingParams(max_tokens, template.stop_token_ids, temperature=config.temperature)
    targets: list[list[Target]] = []
    tried = found = 0
    with run.progress.track("think: own thoughts", len(conversations)) as show:
        for begin in range(0, len(conversations), _CHUNK):
            chunk = conversations[begin : begin + _CHUNK]
            decisions = [conversation.decisions() for conversation in chunk]
            samples = engine.generate(
                [[template.prompt(d, thinking=True) for d in ds] for ds in decisions],
                num_generations=config.attempts,
                params=params,
                generator=generator,
            )
            groups = [
                (decision, group)
                for of_conversation, samples_of in zip(decisions, samples, strict=True)
                for decision, group in zip(of_conversation, samples_of, strict=True)
            ]
            thoughts = iter(_shortest_right(template, groups, settings))
            for of_conversation in decisions:
                kept = [Target(d, thought) for d in of_conversation if (thought := next(thoughts))]
                targets.append(kept)
                tried, found = tried + len(of_conversation), found + len(kept)
            show(begin + len(chunk), found=found / max(tried, 1))
    return targets


def _shortest_right(
    template: Template,
    groups: Sequence[tuple[Decision, Sequence[Sample]]],
    settings: JudgeSettings,
) -> list[str | None]:
    """Return for each decision the shortest thought that led to the right action, if any did."""
    judged = iter(
        judge_samples(
            template,
            [(decision, sample) for decision, group in groups for sample in group],
            thinking=True,
            settings=settings,
        )
    )
    found = []
    for _, group in groups:
        of_group = [next(judged) for _ in group]
        thoughts = [
            j.parsed.thought
            for j in of_group
            if j.verdict.right and not j.parsed.errors and j.parsed.thought
        ]
        found.append(min(thoughts, key=len, default=None))
    return found


def with_direct_share(
    targets: Sequence[Sequence[Target]], share: float, seed: int
) -> list[list[Target]]:
    """Turn a share of the targets into direct ones, so that direct mode is not forgotten."""
    draw = random.Random(f"{seed}/direct")
    return [
        [Target(t.decision, None) if draw.random() < share else t for t in of_conversation]
        for of_conversation in targets
    ]
