"""The start of thinking: a few thoughts, learned beside the recorded actions of all conversations.

Both modes are learned in one stage from the base, because a model that has long been trained to act
directly has forgotten how to think. Recorded thoughts are taken as they are, of conversations that
cover all kinds of decisions; derived ones are made of the recorded actions of all, beside recorded
ones or where there are none. Self-generated ones are kept only where the action that follows them
is judged right; of several, the shortest. The thought is all that is kept: what follows it in
training is the recorded action.
"""

from collections.abc import Sequence
from random import Random
from typing import Literal

import torch

from actwise.config import Pick, RunConfig
from actwise.conversation import Conversation, all_decisions
from actwise.data.choose import covering
from actwise.data.rename import rename, vocabulary
from actwise.data.stored import Mapped, where
from actwise.engine import SamplingParams
from actwise.engine.rollouts import Group, by_conversation, groups_of
from actwise.errors import RunError
from actwise.evaluation.judging import judge_groups
from actwise.template.render import Template
from actwise.thoughts.derive import derived_thought
from actwise.thoughts.injection import with_behaviours
from actwise.training.stage import Context, Course, Plan, batch_of, mean
from actwise.training.stages import THINK, Stage
from actwise.training.stages.sft import Target, direct_targets, sft_tree, supervised

_CHUNK = 16  # conversations between two signs of progress


def check(template: Template, train: Sequence[Conversation], config: RunConfig) -> None:
    """Refuse recorded thoughts that are not there, or that the template does not show.

    Raises:
        RunError: Only recorded thoughts are wanted, and there is none.
        InputError: The template leaves a thought out.
    """
    recorded = _sources(train, config).get("recorded")
    if recorded is not None and not recorded:
        raise RunError(
            "think: no training conversation has a recorded thought; --set think.source=derived "
            "makes them of the recorded actions"
        )
    for first, *_ in recorded_thoughts(recorded or ()):
        # What is left out is left out before a user has spoken.
        template.completion_text(first.decision, thought=first.thought)


def begin(context: Context, stage: Stage = THINK) -> Course:
    """Begin to train both modes, the thinking one on recorded, derived or the model's own thoughts.

    Raises:
        RunError: The thoughts that are asked for do not exist.
    """
    config, seed = context.config.think, context.config.seed
    pools = [_injected(pool, context.config) for pool in _thoughts(context, stage)]
    direct = direct_targets(context.train)
    thinking_per_step = max(1, round(config.share * config.conversations_per_step))
    direct_per_step = config.conversations_per_step - thinking_per_step
    if config.begin == "base":
        context.policy.set_weights(context.base())

    def batch(step: int) -> list[list[Target]]:
        batch = batch_of(direct, direct_per_step, step, seed)
        dealt = range(step * thinking_per_step, (step + 1) * thinking_per_step)
        for i, pool in enumerate(pools):  # in turn, so that each has an equal part in the end
            turns = [number // len(pools) for number in dealt if number % len(pools) == i]
            batch += [c for turn in turns for c in batch_of(pool, 1, turn, f"{seed}/thoughts")]
        return batch

    return supervised(context, stage, config, batch)


def plan(template: Template, train: Sequence[Conversation], config: RunConfig) -> Plan:
    """Plan a step on both modes, and the search for the model's own thoughts."""
    think = config.think
    own = think.source == "self"
    pools = [
        # What is not there yet is taken to be as long as the recorded thoughts, or as derived ones.
        (source != "derived" and recorded_thoughts(where(some, _has_thoughts)))
        or derived_thoughts(train, config.seed)
        for source, some in _sources(train, config).items()
    ]
    share, direct = think.share, direct_targets(train)
    mean_tokens = share * mean(
        [mean([float(sft_tree(template, t).num_tokens) for t in pool]) for pool in pools]
    )
    mean_tokens += (1 - share) * mean([float(sft_tree(template, t).num_tokens) for t in direct])
    searched = think.conversations * mean([len(c.decisions()) for c in train]) * think.attempts
    return Plan(think.conversations_per_step * mean_tokens, searched=round(searched) if own else 0)


def _thoughts(context: Context, stage: Stage) -> list[Sequence[list[Target]]]:
    """Return thoughts by their source, and within it by conversation."""
    config, train = context.config.think, context.train
    pools: list[Sequence[list[Target]]] = []
    for source, conversations in _sources(train, context.config).items():
        if source == "self":
            pools.append([of_one for of_one in _own_thoughts(context, stage) if of_one])
        elif source == "recorded":
            chosen = covering(conversations, config.conversations)
            pools.append(recorded_thoughts(_versions(chosen, context)))
        else:
            pools.append(derived_thoughts(conversations, context.config.seed))
    if not all(pools) and stage.round > 1:
        raise RunError(
            f"{stage.name}: the model that RL has left found no thought that led to a right action "
            f"in {config.conversations} conversations; raise rounds.conversations or "
            "think.attempts, or begin with another --out and rounds.number=1"
        )
    if not all(pools):
        raise RunError(
            f"think: there are no thoughts of think.source={config.source}; --set "
            "think.source=derived makes them of the recorded actions"
        )
    return pools


def _sources(
    train: Sequence[Conversation], config: RunConfig
) -> dict[Literal["recorded", "derived", "self"], Sequence[Conversation]]:
    """Return where thoughts come from, and the conversations whose they are."""
    source = config.think.source
    if source == "derived":
        return {"derived": train}
    if source == "self":
        return {"self": train}
    recorded = where(train, _has_thoughts)
    if source == "recorded":
        return {"recorded": recorded}
    if source == "both" or recorded:
        return {"recorded": recorded, "derived": train}
    return {"derived": train}


def _injected(pool: Sequence[list[Target]], config: RunConfig) -> Sequence[list[Target]]:
    """Return thoughts with the behaviours that are to be put into them."""
    shares = config.think.injection.model_dump()
    if not any(shares.values()):
        return pool
    return Mapped(
        lambda of_one: [
            Target(t.decision, with_behaviours(t.decision, t.thought or "", draw, **shares))
            for number, t in enumerate(of_one)
            for draw in [Random(f"{config.seed}/injection/{number}/{t.decision.key}")]
        ],
        pool,
    )


def _has_thoughts(conversation: Conversation) -> bool:
    return any(decision.gold.reasoning_content for decision in conversation.decisions())


def _versions(conversations: Sequence[Conversation], context: Context) -> Sequence[Conversation]:
    """Return conversations, and again with other names of tools as often as is configured."""
    config, keep = context.config, list(context.config.reward.tools)
    if not config.data.renamed:
        return conversations
    words = vocabulary(context.train)
    draw = Random(f"{config.seed}/renamings")
    return [*conversations] + [
        rename(conversation, words, draw, keep=keep)
        if draw.random() < config.data.renamed
        else conversation
        for _ in range(config.think.renamings - 1)
        for conversation in conversations
    ]


def derived_thoughts(conversations: Sequence[Conversation], seed: int) -> Sequence[list[Target]]:
    """Return all decisions with thoughts made of their records, by conversation."""
    return Mapped(
        lambda c: [Target(d, derived_thought(d, Random(f"{seed}/{d.key}"))) for d in c.decisions()],
        conversations,
    )


def _own_thoughts(context: Context, stage: Stage) -> list[list[Target]]:
    """Generate thoughts once; the file of them stands in for the model on a resumed run."""
    conversations = covering(context.train, context.config.think.conversations)
    file = f"thoughts/{stage.name}.jsonl"
    if not context.run.intact(file):
        context.run.write_records(
            file,
            [
                {"decision": t.decision.key, "thought": t.thought}
                for of_one in self_generated_thoughts(context, conversations)
                for t in of_one
            ],
        )
    thought = {record["decision"]: record["thought"] for record in context.run.read_records(file)}
    return [
        [Target(d, thought[d.key]) for d in c.decisions() if d.key in thought]
        for c in conversations
    ]


def recorded_thoughts(conversations: Sequence[Conversation]) -> Sequence[list[Target]]:
    """Return the decisions that have a recorded thought, by conversation."""
    return Mapped(
        lambda c: [
            Target(d, d.gold.reasoning_content) for d in c.decisions() if d.gold.reasoning_content
        ],
        conversations,
    )


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
                    Target(g.decision, thought)
                    for g in of_one
                    if (thought := chosen_thought(g, config.pick))
                ]
                targets.append(kept)
                tried, found = tried + len(of_one), found + len(kept)
            show(begin + len(chunk), found=found / max(tried, 1))
    return targets


def chosen_thought(group: Group, pick: Pick) -> str | None:
    """Return one of the thoughts that led to the right action, if any did.

    Args:
        group: Judged.
        pick: The shortest; or the longest but one, of a single one that one.
    """
    found = {
        r.parsed.thought
        for r in group.rollouts
        if r.verdict.right and not r.parsed.errors and r.parsed.thought
    }
    thoughts = sorted(found, key=lambda thought: (len(thought), thought))
    if not thoughts:
        return None
    return thoughts[0] if pick == "shortest" else thoughts[max(len(thoughts) - 2, 0)]
