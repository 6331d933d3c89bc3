"""GRPO over decisions: sample groups, judge them, move the policy towards the better half.

A batch of rollouts is some conversations; every decision of theirs is completed `num_generations`
times on the shared trunk. Completions of one decision are a group; what they begin with in common
is computed once. A group whose rewards are all equal teaches nothing: it is counted and costs no
forward pass. Recorded actions of all kinds take part, also those that call nothing, unless
`rl.decisions` says otherwise.
"""

import json
import math
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from actwise.config import RlConfig, RunConfig
from actwise.conversation import Conversation, Decision
from actwise.data.stored import where
from actwise.engine import Engine, SamplingParams
from actwise.engine.rollouts import Group, Rollout, by_conversation, groups_of
from actwise.environments.opening import opens
from actwise.errors import RunError
from actwise.evaluation.judging import judge_groups, spent, spent_since
from actwise.rewards.judge import Verdict
from actwise.rewards.settings import JudgeConfig
from actwise.template.render import Template
from actwise.training import turns
from actwise.training.anchor import Anchor
from actwise.training.hints import beside, check_hints, hint_figures, hinted
from actwise.training.likelihood import Explained, explain
from actwise.training.objective import Combine, group_advantages, live_groups
from actwise.training.selection import Resting, at_most, most_varied, refilled
from actwise.training.stage import Context, Course, Plan, Training, mean
from actwise.training.stages import RL, Stage
from actwise.training.turns import Collected
from actwise.training.update import accumulate
from actwise.training.values import save_values
from actwise.training.watch import WATCHED_STEPS, warnings


def check(template: Template, train: Sequence[Conversation], config: RunConfig) -> None:
    """Refuse conversations without what is to be trained.

    Raises:
        RunError: Only calls are to be trained, and there are none; or hints are to be given, and
            there is no thought to take them from.
    """
    check_hints(train, config.rl)
    if config.rl.unit == "turn":
        opens(config.episodes, config.reward)
    if not any(_takes_part(c, config.rl) for c in train):
        raise RunError("rl: no training conversation calls a tool; use --set rl.decisions=all")


def begin(context: Context, stage: Stage = RL) -> Course:
    """Begin to train by GRPO; the weights at the start are the first anchor.

    Raises:
        RunError: See `check`.
    """
    config = context.config.rl
    check(context.policy.template, context.train, context.config)
    conversations = where(context.train, lambda c: _takes_part(c, config))
    start = context.policy.weights()
    training = context.training(stage.name, config, steps=config.steps)
    steps = _steps(context, stage, conversations, start, training)
    course = Course(training, steps, ("reward", "live_groups"))
    if not config.search.value_conversations:
        return course
    return replace(course, beside=partial(save_values, context, training))


def plan(template: Template, train: Sequence[Conversation], config: RunConfig) -> Plan:
    """Plan a step over the trunks of some conversations."""
    thinking = config.rl.mode == "thinking"
    trunks = [max(len(template.prompt(d, thinking=thinking)) for d in c.decisions()) for c in train]
    # A forward pass of the reference costs a third of a forward and backward pass.
    passes = 4 / 3 if config.rl.kl_coefficient else 1.0
    return Plan(config.rl.conversations_per_step * mean([float(t) for t in trunks]), passes)


def _steps(
    context: Context,
    stage: Stage,
    conversations: Sequence[Conversation],
    start: dict[str, Tensor],
    training: Training,
) -> Iterator[dict[str, float]]:
    config, judge = context.config.rl, context.config.reward
    anchor = Anchor(config.anchor, start, training.kept)
    told: set[str] = set()

    def collect(engine: Engine, number: int) -> Collected:
        before = spent(judge)
        training.batch = number
        method = turns.collect if config.unit == "turn" else _collect_decisions
        found = method(replace(context, engine=engine), conversations, training)
        return replace(found, figures=found.figures | spent_since(before, judge))

    if training.step == 0:
        training.offer(context.development_score(config.mode))  # what the stage has to beat
    with ThreadPoolExecutor(1) as pool:
        coming: Future[Collected] | None = None
        while training.step < training.end:
            collected = coming.result() if coming else collect(context.engine, training.step)
            _set_end(training, collected.figures["sampled_tokens"], config.sampled_tokens)
            coming = None
            if context.config.engine.ahead and not training.saves:
                coming = pool.submit(collect, context.engine.snapshot(), training.step + 1)
            figures = collected.figures
            figures |= _improve(context, training, collected.groups, anchor.weights)
            if coming:
                wait([coming])  # what follows may sample from the new weights
            anchor.follow(context.policy)
            step = training.step + 1
            if step % config.evaluate_every == 0 or step == training.end:
                # end_step() counts; the score belongs to the weights after this step.
                figures["dev_action_accuracy"] = context.development_score(config.mode)
                training.offer(figures["dev_action_accuracy"])
                if anchor.offer(figures["dev_action_accuracy"], context.policy):
                    training.forget()
            training.metrics.append({"step": step, **figures})
            training.rollouts.append(*({"step": step, **record} for record in collected.records))
            training.end_step()
            if training.step % WATCHED_STEPS == 0:
                _warn(context, stage, told)
            yield figures


def _set_end(training: Training, sampled: float, limit: int | None) -> None:
    """Count what a step has sampled; with a limit, say after which step it will be reached."""
    total = training.kept["sampled"] = training.kept.get("sampled", 0.0) + sampled
    step = training.step + 1
    if limit is not None:
        training.end = step if total >= limit else max(step + 1, math.ceil(step * limit / total))


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


def _warn(context: Context, stage: Stage, told: set[str]) -> None:
    """Say what has not been told yet."""
    metrics = context.run.read_records(f"metrics/{stage.name}.jsonl")
    for sign, text in warnings(metrics).items():
        if sign not in told:
            context.run.progress.say(f"{stage.name}, step {len(metrics)}: {text}")
            told.add(sign)


def _collect_decisions(
    context: Context, conversations: Sequence[Conversation], training: Training
) -> Collected:
    config, judge = context.config.rl, context.config.reward
    groups = _collect(context, conversations, training)
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
    records = [_record(group, rollout) for group in groups for rollout in group.rollouts]
    return Collected(_thinned(groups, config, judge), figures, records)


def _collect(
    context: Context, conversations: Sequence[Conversation], training: Training
) -> list[Group]:
    """Sample groups of decisions, and let those rest that are solved."""
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
    resting.solved((g.decision.key for g in groups if _solved(g)), training.batch)
    return groups


def _solved(group: Group) -> bool:
    return not group.live and all(r.verdict.right for r in group.rollouts)


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
    decisions = [
        decision
        for conversation in batch
        for decision in at_most(
            _taking_part(conversation, config), config.decisions_per_conversation, draw
        )
    ]
    awake = [d for d in decisions if not resting.rests(d.key, training.batch)]
    groups = groups_of(template, awake or decisions, thinking=thinking)
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
    asked = hinted(context.policy.template, groups, config.hints, draw, left)
    return _sample(context, asked, training) if asked else []


def _takes_part(conversation: Conversation, config: RlConfig) -> bool:
    if config.unit == "turn":
        return turns.takes_part(conversation, config)
    return bool(_taking_part(conversation, config))


def _taking_part(conversation: Conversation, config: RlConfig) -> list[Decision]:
    return [d for d in conversation.decisions() if config.decisions == "all" or d.kind == "call"]


def with_advantages(groups: Sequence[Group], config: RlConfig, judge: JudgeConfig) -> list[Group]:
    """Return judged groups with the advantage of each rollout, and whether they are live."""
    if config.advantage == "rejection":
        return [_accepted(group) for group in groups]
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    combine: Combine = "normalize_each" if judge.combine == "normalize_each" else "sum"
    if combine == "sum":
        rewards = [[r.verdict.reward] for r in rollouts]
        weights = None
    else:
        names = judge.weights()
        parts = [r.verdict.components() for r in rollouts]
        rewards = [[part.get(name, torch.nan) for name in names] for part in parts]
        weights = torch.tensor(list(names.values()), dtype=torch.float64)
    rewards_NK = torch.tensor(rewards, dtype=torch.float64)
    group_N = torch.tensor([i for i, group in enumerate(groups) for _ in group.rollouts])
    advantages = group_advantages(
        rewards_NK, group_N, weights_K=weights, scale=config.scale, combine=combine
    )
    live = live_groups(rewards_NK, group_N, weights, combine=combine)
    scored = iter(zip(advantages.tolist(), live.tolist(), strict=True))
    found = []
    for group in groups:
        pairs = [(rollout, *next(scored)) for rollout in group.rollouts]
        learned = tuple(replace(rollout, advantage=a) for rollout, a, _ in pairs)
        found.append(replace(group, rollouts=learned, live=any(alive for *_, alive in pairs)))
    return found


def _accepted(group: Group) -> Group:
    """Return a group in which each right completion in good form counts 1, every other 0."""
    right = [r.verdict.right is True and not r.parsed.errors for r in group.rollouts]
    rollouts = tuple(
        replace(r, advantage=float(ok)) for r, ok in zip(group.rollouts, right, strict=True)
    )
    return replace(group, rollouts=rollouts, live=any(right))


def _improve(
    context: Context, training: Training, groups: Sequence[Group], reference: dict[str, Tensor]
) -> dict[str, float]:
    """Take the optimiser steps of one batch of rollouts."""
    config = context.config.rl
    figures: dict[str, list[float]] = {}
    conversations = by_conversation(groups)
    for first in range(config.optimiser_steps):
        # Each step takes whole conversations, so that their trunks are computed once.
        of_step = conversations[first :: config.optimiser_steps]
        learned = [
            one for of_one in of_step for one in _learned(of_one, config, context.policy.template)
        ]
        if not learned:
            continue
        every = [group for of_one in of_step for group in of_one]
        lengths = [len(branch) for group in every for branch in group.branches]
        found = accumulate(
            context.policy,
            learned,
            (len(lengths), sum(lengths)),
            reference,
            config,
            max_tokens=context.max_tokens,
            max_batch_tokens=context.config.max_batch_tokens,
            likelihood_scale=config.likelihood.weight / (len(every) * context.max_tokens),
            off_policy=context.config.engine.off_policy,
        )
        found["grad_norm"] = training.update(found.get("loss", 0.0) + found.get("surprise", 0.0))
        for name, value in found.items():
            figures.setdefault(name, []).append(value)
    figures.setdefault("learning_rate", []).append(training.learning_rate())
    return {name: mean(values) for name, values in figures.items()}


def _learned(
    groups: Sequence[Group], config: RlConfig, template: Template
) -> list[Group | Explained]:
    """Return what is learned from one conversation's groups."""
    return [*_learners(groups, config), *_explained(groups, config, template)]


def _explained(groups: Sequence[Group], config: RlConfig, template: Template) -> list[Explained]:
    """Return the decisions without a right completion, with their thoughts before the record.

    Where no completion can be checked, the record's wording would be all that is learned.
    """
    if config.mode == "direct" or config.unit == "turn" or not config.likelihood.weight:
        return []
    found = []
    for group in groups:
        thoughts = [thought for r in group.rollouts if (thought := r.parsed.closed_thought)]
        verdicts = {r.verdict.right for r in group.rollouts}
        if thoughts and not group.given and False in verdicts and True not in verdicts:
            found.append(explain(template, group.decision, group.prompt, thoughts))
    return found


def _learners(groups: Sequence[Group], config: RlConfig) -> list[Group]:
    """Return the live groups, perhaps without their truncated rollouts."""
    live = [group for group in groups if group.live]
    if not config.mask_truncated:
        return live
    whole = [
        replace(g, rollouts=tuple(r for r in g.rollouts if r.sample.stop_reason == "stop"))
        for g in live
    ]
    return [group for group in whole if group.rollouts]


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


def _record(group: Group, rollout: Rollout) -> dict[str, object]:
    return {
        "decision": group.decision.key,
        "text": rollout.text,
        "stop": rollout.sample.stop_reason,
        "reward": rollout.verdict.reward,
        "right": rollout.verdict.right,
        "advantage": rollout.advantage,
        "given": len(group.given),
    }
