"""GRPO: sample groups, judge them, move the policy towards the better half.

A batch of rollouts is some conversations, of which each decision, or each turn, is completed
`rl.num_generations` times on the shared trunk.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial

from torch import Tensor

from actwise.config import RlConfig, RunConfig
from actwise.conversation import Conversation
from actwise.data.stored import where
from actwise.engine import Engine
from actwise.engine.rollouts import Group, Sample, by_conversation
from actwise.environments.opening import opens
from actwise.errors import RunError
from actwise.evaluation.judging import spent, spent_since
from actwise.template.render import Template
from actwise.training import decisions, turns
from actwise.training.anchor import Anchor
from actwise.training.hints import check_hints
from actwise.training.likelihood import Explained, explain
from actwise.training.stage import Collected, Context, Course, Plan, Training, mean
from actwise.training.stages import RL, Stage
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
        method = turns.collect if config.unit == "turn" else decisions.collect
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
            said = {"step": step, "syntax": context.policy.template.syntax.name}
            training.rollouts.append(*(said | record for record in collected.records))
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


def _warn(context: Context, stage: Stage, told: set[str]) -> None:
    """Say what has not been told yet."""
    metrics = context.run.read_records(f"metrics/{stage.name}.jsonl")
    for sign, text in warnings(metrics).items():
        if sign not in told:
            context.run.progress.say(f"{stage.name}, step {len(metrics)}: {text}")
            told.add(sign)


def _takes_part(conversation: Conversation, config: RlConfig) -> bool:
    if config.unit == "turn":
        return turns.takes_part(conversation, config)
    return bool(decisions.taking_part(conversation, config))


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
        samples = [r.sample for group in every for r in group.rollouts]
        found = accumulate(
            context.policy,
            learned,
            (len(samples), sum(len(s.token_ids) for s in samples if _counts(s, config))),
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
    whole = [
        replace(g, rollouts=tuple(r for r in g.rollouts if _counts(r.sample, config)))
        for g in groups
        if g.live
    ]
    return [group for group in whole if group.rollouts]


def _counts(sample: Sample, config: RlConfig) -> bool:
    """Return whether tokens are in the loss, and in the means over tokens."""
    return not config.mask_truncated or sample.stop_reason == "stop"
