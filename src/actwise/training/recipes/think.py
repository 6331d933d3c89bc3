"""The cold start: which thoughts the model begins with.

Recorded thoughts are taken as they are. Self-generated ones are kept only where the action that
follows them is judged right; of several, the shortest. The thought is all that is kept: what
follows it in training is the recorded action.
"""

import random
from collections.abc import Sequence

import torch

from actwise.config import RunConfig
from actwise.conversation import Conversation, all_decisions
from actwise.engine import SamplingParams
from actwise.engine.rollouts import Group, by_conversation, groups_of
from actwise.errors import RunError
from actwise.evaluation.judging import judge_groups
from actwise.run.files import read_records, write_records
from actwise.template.render import Template
from actwise.training.recipes import THINK
from actwise.training.recipes.sft import Target, sft_tree, supervised
from actwise.training.stage import Context, Plan, Stage, mean

_CHUNK = 16  # conversations between two signs of progress


def begin(context: Context) -> Stage:
    """Begin to train thinking mode on thoughts, recorded or the model's own.

    Raises:
        RunError: There is no thought to begin with.
    """
    config = context.config.think
    targets = with_direct_share(_thoughts(context), config.direct_share, context.config.seed)
    return supervised(context, THINK, config, [of_one for of_one in targets if of_one])


def plan(template: Template, train: Sequence[Conversation], config: RunConfig) -> Plan:
    """Plan a step on recorded thoughts, or on as many of the model's own."""
    think = config.think
    recorded = [targets for targets in recorded_thoughts(train) if targets]
    own = not recorded or think.source == "self"
    taken = [[Target(d, None) for d in c.decisions()] for c in train] if own else recorded
    mean_tokens = mean([sft_tree(template, targets).num_tokens for targets in taken])
    searched = think.conversations * mean([len(c.decisions()) for c in train]) * think.attempts
    return Plan(think.conversations_per_step * mean_tokens, searched=round(searched) if own else 0)


def _thoughts(context: Context) -> list[list[Target]]:
    config = context.config.think
    recorded = [c for c in context.train if any(d.gold.reasoning_content for d in c.decisions())]
    if config.source == "recorded" or (config.source == "auto" and recorded):
        targets = recorded_thoughts(recorded[: config.conversations])
    else:
        targets = _own_thoughts(context)
    if not any(targets):
        raise RunError(
            "think: no thought to begin with: none is recorded, and none of the model's own "
            "led to a right action; record some, or --set rl.mode=direct to train without"
        )
    return targets


def _own_thoughts(context: Context) -> list[list[Target]]:
    """Generate thoughts once; the file of them stands in for the model on a resumed run."""
    conversations = context.train[: context.config.think.conversations]
    file = context.run.folder / "thoughts" / f"{THINK.name}.jsonl"
    if not file.exists():
        write_records(
            file,
            [
                {"decision": t.decision.key, "thought": t.thought}
                for of_one in self_generated_thoughts(context, conversations)
                for t in of_one
            ],
        )
    thought = {record["decision"]: record["thought"] for record in read_records(file)}
    return [
        [Target(d, thought[d.key]) for d in c.decisions() if d.key in thought]
        for c in conversations
    ]


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
    context: Context, conversations: Sequence[Conversation]
) -> list[list[Target]]:
    """Let the model think, and keep the shortest thought that led to the right action.

    Args:
        context: Its engine samples from the model as it is.
        conversations: From the training split.

    Returns:
        The decisions for which a thought was found, by conversation.
    """
    config, template = context.config.think, context.policy.template
    params = SamplingParams(
        context.max_tokens, template.stop_token_ids, temperature=config.temperature
    )
    generator = torch.Generator(context.policy.device).manual_seed(context.config.seed)
    targets: list[list[Target]] = []
    tried = found = 0
    with context.run.progress.track("think: own thoughts", len(conversations)) as show:
        for begin in range(0, len(conversations), _CHUNK):
            chunk = conversations[begin : begin + _CHUNK]
            groups = context.engine.generate(
                groups_of(template, all_decisions(chunk), thinking=True),
                num_generations=config.attempts,
                params=params,
                generator=generator,
            )
            groups = judge_groups(template, groups, thinking=True, settings=context.config.reward)
            for of_one in by_conversation(groups):
                kept = [
                    Target(g.decision, thought) for g in of_one if (thought := shortest_right(g))
                ]
                targets.append(kept)
                tried, found = tried + len(of_one), found + len(kept)
            show(begin + len(chunk), found=found / max(tried, 1))
    return targets


def shortest_right(group: Group) -> str | None:
    """Return the shortest thought that led to the right action, if any did."""
    thoughts = [
        r.parsed.thought
        for r in group.rollouts
        if r.verdict.right and not r.parsed.errors and r.parsed.thought
    ]
    return min(thoughts, key=len, default=None)


def with_direct_share(
    targets: Sequence[Sequence[Target]], share: float, seed: int
) -> list[list[Target]]:
    """Turn a share of the targets into direct ones, so that direct mode is not forgotten."""
    draw = random.Random(f"{seed}/direct")
    return [
        [Target(t.decision, None) if draw.random() < share else t for t in of_conversation]
        for of_conversation in targets
    ]
