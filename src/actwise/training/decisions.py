"""GRPO over decisions: each is completed several times on its recorded history.

Completions of one decision are a group; what they begin with in common is computed once. A group
whose rewards are all equal teaches nothing: it is counted and costs no forward pass. Recorded
actions of all kinds take part, also those that call nothing, unless `rl.decisions` says otherwise.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from actwise.config import RlConfig
from actwise.conversation import Conversation, Decision
from actwise.data.fit import context_of
from actwise.engine import SamplingParams
from actwise.engine.rollouts import Group, groups_of
from actwise.evaluation.judging import judge_groups
from actwise.rewards.judge import Verdict
from actwise.rewards.settings import JudgeConfig
from actwise.training.advantages import with_advantages
from actwise.training.hints import beside, hint_figures, hinted
from actwise.training.selection import Resting, at_most, most_varied, refilled
from actwise.training.stage import Collected, Context, Training, mean


def collect(
    context: Context, conversations: Sequence[Conversation], training: Training
) -> Collected:
    """Sample and judge decisions, and let those rest that are solved."""
    config, judge = context.config.rl, context.config.reward
    groups = _groups(context, conversations, training)
    figures = _figures(groups, config)
    if config.hints.levels:
        hinted_groups = _tried_again(context, groups, training)
        figures |= hint_figures(groups, hinted_groups)
        groups = with_advantages(beside(groups, hinted_groups), config, judge)
    sampled = sum(len(r.sample.token_ids) for g in groups for r in g.rollouts)
    figures["sampled_tokens"] = float(sampled)
    step = training.batch + 1
    if step == 1 or step % config.evaluate_every == 0:
        _show_one(context, training.stage, step, groups)
    learned = _thinned(groups, config, judge)
    pairs = zip(groups, learned, strict=True)
    records = [record for group, of_one in pairs for record in _records(group, of_one)]
    return Collected(learned, figures, records)


def _groups(
    context: Context, conversations: Sequence[Conversation], training: Training
) -> list[Group]:
    config = context.config.rl
    groups = refilled(
        conversations,
        config,
        context.config.seed,
        training.kept,
        lambda batch: roll_out(context, batch, training),
        lambda group: group.live,
    )
    resting = Resting(config.selection.rest, training.kept)
    solved = (g.decision.key for g in groups if all(r.verdict.right for r in g.rollouts))
    resting.solved(solved, training.batch)
    return groups


def _thinned(groups: Sequence[Group], config: RlConfig, judge: JudgeConfig) -> Sequence[Group]:
    """Keep the completions whose rewards differ most; advantages are among those."""
    keep = config.selection.keep
    if keep is not None:
        groups = [
            replace(
                g,
                rollouts=tuple(
                    g.rollouts[i] for i in most_varied([r.verdict.reward for r in g.rollouts], keep)
                ),
            )
            for g in groups
        ]
    return with_advantages(groups, config, judge)


def roll_out(context: Context, batch: Sequence[Conversation], training: Training) -> list[Group]:
    """Sample and judge completions of the decisions of some conversations.

    Decisions that rest are left out, unless all do.
    """
    config, template = context.config.rl, context.policy.template
    resting = Resting(config.selection.rest, training.kept)
    thinking = config.mode == "thinking"
    draw = random.Random(f"{context.config.seed}/decisions/{training.kept.get('drawn', 0)}")
    awake = resting.awake(
        [taking_part(conversation, config) for conversation in batch],
        lambda decision: decision.key,
        training.batch,
    )
    limit = config.decisions_per_conversation
    decisions = [d for of_one in awake for d in at_most(of_one, limit, draw)]
    groups = groups_of(template, decisions, thinking=thinking)
    return with_advantages(_sample(context, groups, training), config, context.config.reward)


def _sample(context: Context, groups: Sequence[Group], training: Training) -> list[Group]:
    """Return groups with judged completions."""
    config, template = context.config.rl, context.policy.template
    completed = context.engine.generate(
        groups,
        num_generations=config.num_generations,
        params=SamplingParams(
            context.max_tokens, template.stop_token_ids, config.temperature, config.top_p
        ),
        generator=training.generator,
    )
    thinking, settings = config.mode == "thinking", context.config.reward
    return judge_groups(template, completed, thinking=thinking, settings=settings)


def _tried_again(context: Context, groups: Sequence[Group], training: Training) -> list[Group]:
    """Return judged completions of decisions that were always failed, this time with hints."""
    config, step = context.config.rl, training.batch
    draw = random.Random(f"{context.config.seed}/hints/{step}")
    left = 1 - step / training.end
    room = context_of(context.policy.context_length, context.config) - context.max_tokens
    asked = hinted(context.policy.template, groups, config.hints, draw, left, room)
    return _sample(context, asked, training) if asked else []


def taking_part(conversation: Conversation, config: RlConfig) -> list[Decision]:
    """Return the decisions that are learned from."""
    return [d for d in conversation.decisions() if config.decisions == "all" or d.kind == "call"]


def _show_one(context: Context, stage: str, step: int, groups: Sequence[Group]) -> None:
    """Show one completion, of a live group if there is one, with what the judge says of it."""
    group = next((g for g in groups if g.live), groups[0])
    rollout = group.rollouts[step % len(group.rollouts)]
    found = {True: "right", False: "wrong", None: "not checkable"}[rollout.verdict.right]
    acts = " ".join(f"{call.name}({_json(call.arguments)})" for call in rollout.parsed.calls)
    if rollout.parsed.thought:
        context.run.progress.glimpse(f"{stage} {step}, thought: {rollout.parsed.thought}")
    context.run.progress.glimpse(
        f"{stage} {step}, {found}: {acts or rollout.parsed.answer or rollout.text}"
    )


def _json(arguments: dict[str, object]) -> str:
    return json.dumps(arguments, ensure_ascii=False)


def _figures(groups: Sequence[Group], config: RlConfig) -> dict[str, float]:
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    verdicts = [r.verdict for r in rollouts]
    closed = {"closed": mean([float(r.parsed.closed_thought is not None) for r in rollouts])}
    by_group = [
        [r.verdict.right for r in group.rollouts if r.verdict.right is not None] for group in groups
    ]
    checked = [float(right) for rights in by_group for right in rights]
    unsolved = [float(not any(rights)) for rights in by_group if rights]
    return (
        (closed if config.mode == "thinking" else {})
        | ({"right": mean(checked), "unsolved": mean(unsolved)} if checked else {})
        | {
            "reward": mean([v.reward for v in verdicts]),
            "not_checkable": mean([float(v.right is None) for v in verdicts]),
            "format": mean([v.format for v in verdicts]),
            "live_groups": mean([float(group.live) for group in groups]),
            "completion_tokens": mean([float(len(r.sample.token_ids)) for r in rollouts]),
            "thought_words": mean([float(len((r.parsed.thought or "").split())) for r in rollouts]),
            "truncated": mean([float(r.sample.stop_reason == "length") for r in rollouts]),
        }
        | _extra_figures(verdicts)
    )


def _extra_figures(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Return mean and missing verdicts of each component from outside."""
    names = sorted({name for v in verdicts for name in (*v.extra, *v.missing)})
    return {
        f"reward_{name}": mean([v.extra[name] for v in verdicts if name in v.extra])
        for name in names
    } | {f"missing_{name}": float(sum(name in v.missing for v in verdicts)) for name in names}


def _records(group: Group, learned: Group) -> Iterator[dict[str, object]]:
    """Yield what is written down of a group; what was not kept to learn from has no advantage."""
    advantages = {id(rollout.sample): rollout.advantage for rollout in learned.rollouts}
    for rollout in group.rollouts:
        yield {
            "decision": group.decision.key,
            "text": rollout.text,
            "stop": rollout.sample.stop_reason,
            "reward": rollout.verdict.reward,
            "right": rollout.verdict.right,
            "advantage": advantages.get(id(rollout.sample)),
            "given": len(group.given),
        }
