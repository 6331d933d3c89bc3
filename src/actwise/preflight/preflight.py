"""All checks of a run that has not begun."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from actwise.config import MODES, Mode, RunConfig
from actwise.conversation import Conversation, all_decisions
from actwise.data.fit import completion_budget
from actwise.data.load import GROWING
from actwise.data.prepare import Prepared, fit, leave_out_unrendered
from actwise.data.split import Splits
from actwise.errors import InputError
from actwise.findings.finding import Finding, by_severity
from actwise.model.loading import load_policy
from actwise.model.policy import Policy
from actwise.preflight.choosing import choice_findings
from actwise.preflight.estimate import Estimate, cost_findings, estimate, recomputed
from actwise.preflight.prediction import start_findings
from actwise.preflight.targets import (
    FEW,
    Probes,
    Targets,
    probe_findings,
    probe_reward,
    render_targets,
    target_findings,
)
from actwise.preflight.trial import Samples, Speeds, try_out
from actwise.run.progress import Progress
from actwise.template.render import Template
from actwise.training.stages import stages_of

_LOOKED_AT = 5_000
"""Conversations whose targets and rewards are looked at; of more, so many are drawn."""


@dataclass(frozen=True)
class Preflight:
    """What was found out before a run."""

    conversations: dict[str, int]
    """By split."""
    decisions: int
    completion_budget: int | None
    """Tokens; None where recorded actions cannot be rendered."""
    longest_action: int | None
    """Tokens of the longest recorded action of the training split."""
    target_tokens: dict[str, int]
    """By mode: tokens that the loss would be taken over, all splits."""
    rewards: dict[str, Probes]
    """By mode."""
    samples: Samples | None
    speeds: Speeds | None
    cost: Estimate | None
    findings: list[Finding]
    """Errors first: with one, the run is refused."""
    not_examined: list[str]

    @property
    def refused(self) -> bool:
        """Whether the run cannot work."""
        return any(finding.severity == "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        seconds = None if self.cost is None else self.cost.seconds
        return asdict(self) | {"refused": self.refused, "seconds": seconds}


def preflight(
    model: str,
    prepared: Prepared,
    config: RunConfig,
    *,
    decisions: int,
    with_model: bool,
    out: Path,
    console: Console,
) -> Preflight:
    """Examine a run before it begins.

    Args:
        model: Folder or hub name of the base model.
        prepared: The conversations, as the run would begin with them.
        config: Resolved.
        decisions: Training decisions to sample for, at least.
        with_model: Whether to sample and update with the model; without, nothing is said about
            its samples, the time and the memory.
        out: Where the run folder will be.
        console: Where progress is shown.

    Raises:
        ActwiseError: The model cannot be used at all.
    """
    progress = Progress(console)
    policy = load_policy(model, config)
    template = policy.template
    if config.data.bad_records == "skip":  # as the run will; else they are findings
        prepared = leave_out_unrendered(prepared, config, template, progress)
    splits = prepared.splits
    everything, left = _looked_at(splits, config.seed)
    total = sum(len(c.decisions()) for c in everything)
    rewards: dict[str, Probes] = {}
    tokens: dict[str, int] = {}
    thoughts: list[int] = []
    findings: list[Finding] = []
    for mode in _modes(config):
        targets = _targets(template, everything, mode == "thinking", progress)
        if targets.trained:
            probes = probe_reward(template, targets, config.reward, seed=config.seed)
            rewards[mode] = probes
            findings += probe_findings(probes, mode)
        thoughts += _recorded_thoughts(targets)
        tokens[mode] = sum(len(trained.token_ids) for trained in targets.trained)
        findings += target_findings(targets, total)
    budget = longest = None
    if not any(finding.code == "not_rendered" for finding in findings):
        budget = completion_budget(template, splits.train, config)
        train, _ = _looked_at(Splits(splits.train, [], {}), config.seed)
        lengths = [len(template.completion(d, thought=None)) for d in all_decisions(train)]
        longest = max(lengths)
        findings += _budget_findings(lengths, thoughts, budget, config)
        splits, more = _fitting(policy, prepared, config, progress)
        findings += [*more, *choice_findings(splits, config)]
    samples, speeds, cost = None, None, None
    not_examined = []
    if left:
        not_examined.append(
            f"targets and rewards of {left} conversations, for {len(everything)} drawn at random "
            "say as much"
        )
    if config.reward.endpoint is not None or config.reward.embedding is not None:
        not_examined.append("what the reward's endpoints say of recorded actions")
    if not with_model:
        not_examined.append("the model's samples, time and memory (--no-model)")
    elif budget is None or any(finding.severity == "error" for finding in findings):
        not_examined.append("the model's samples, time and memory, before the errors are mended")
    else:
        trial = try_out(
            policy, splits.train, config, budget, decisions=decisions, progress=progress
        )
        samples, speeds = trial.samples, trial.speeds
        cost = estimate(policy, splits, config, speeds, out)
        findings += [*_sample_findings(samples, config), *cost_findings(cost)]
        if policy.checkpointing and config.model.checkpointing is None:
            findings.append(recomputed(trial.needs))
        findings += [] if samples is None else start_findings(samples, config)
    return Preflight(
        {"train": len(splits.train), "dev": len(splits.dev)}
        | {name: len(conversations) for name, conversations in splits.tests.items()},
        total,
        budget,
        longest,
        tokens,
        rewards,
        samples,
        speeds,
        cost,
        by_severity(findings),
        not_examined,
    )


def _looked_at(splits: Splits, seed: int) -> tuple[list[Conversation], int]:
    """Return conversations of all splits, drawn where there are many, and how many are left."""
    draw = random.Random(f"{seed}/preflight")
    sides = [splits.train, splits.dev, *splits.tests.values()]
    total = sum(map(len, sides))
    found: list[Conversation] = []
    for side in sides:
        share = round(_LOOKED_AT * len(side) / total) if total > _LOOKED_AT else len(side)
        found += [side[index] for index in sorted(draw.sample(range(len(side)), share))]
    return found, total - len(found)


def _modes(config: RunConfig) -> list[Mode]:
    """Return the modes in which the run trains."""
    trained = {stage.mode(config) for stage in stages_of(config)} or {"direct"}
    return [mode for mode in MODES if mode in trained]


def _targets(
    template: Template, conversations: Sequence[Conversation], thinking: bool, progress: Progress
) -> Targets:
    title = f"targets, {'thinking' if thinking else 'direct'}"
    with progress.track(title, len(conversations)) as show:
        return render_targets(template, conversations, thinking=thinking, show=show)


def _recorded_thoughts(targets: Targets) -> list[int]:
    """Return the tokens of recorded thoughts with their actions."""
    return [
        len(trained.token_ids)
        for trained in targets.trained
        if targets.thinking and trained.decision.gold.reasoning_content
    ]


def _budget_findings(
    lengths: Sequence[int], thoughts: Sequence[int], budget: int, config: RunConfig
) -> Iterator[Finding]:
    """Compare the budget with recorded actions, and with recorded thoughts and their actions."""
    too_long = sum(length > budget for length in lengths)
    long_thoughts = sum(length > budget for length in thoughts)
    remedy = (
        f"--set evaluate.max_completion_tokens={max(lengths) + config.evaluate.thought_tokens}, or "
        "leave it out."
    )
    if too_long:
        yield Finding(
            "error" if too_long > FEW * len(lengths) else "warning",
            "budget_too_short",
            too_long,
            f"recorded actions of the training split are longer than the budget of {budget} tokens",
            "A completion cannot be right there.",
            f"Set a longer one: {remedy}",
        )
    elif config.rl.mode == "thinking" and budget - max(lengths) < 16:
        yield Finding(
            "warning",
            "no_room_to_think",
            0,
            f"the budget of {budget} tokens leaves {budget - max(lengths)} for a thought before "
            "the longest action",
            "Thoughts will be cut, and cut completions earn nothing.",
            f"Set a longer one: {remedy}",
        )
    if long_thoughts:
        key = config.evaluate.budget_key
        room = max(thoughts) - min(lengths)
        most = room if key.endswith("thought_tokens") else max(thoughts)
        yield Finding(
            "warning",
            "thoughts_too_long",
            long_thoughts,
            f"recorded thoughts and their actions are longer than the budget of {budget} tokens",
            "The think stage teaches thoughts that RL and evaluation cut off.",
            f"--set {key}={most}, or shorten them.",
        )


def _fitting(
    policy: Policy, prepared: Prepared, config: RunConfig, progress: Progress
) -> tuple[Splits, list[Finding]]:
    """Leave out what the run would leave out; what it would refuse is a finding."""
    try:
        fitted = fit(prepared, config, policy.template, policy.context_length, progress)
    except InputError as error:
        refused = Finding(
            "error",
            "does_not_fit",
            0,
            f"{error.file}: {error.problem}",
            "The run would stop here.",
            f"{error.remedy[:1].upper()}{error.remedy[1:]}.",
        )
        return prepared.splits, [refused, *map(_left_out, prepared.skipped)]
    return fitted.splits, [_left_out(item) for item in fitted.skipped]


_LEFT_OUT = {
    "longer than the context": (
        "Nothing is learned from them.",
        "Use a model with a longer context.",
    ),
    "not rendered by the chat template": (
        "Nothing is learned from them.",
        "`actwise check --model` says why; mend them, or --set model.template=actwise.",
    ),
    GROWING: (
        "Each conversation is used once, with all its turns, and lies on one side of the split.",
        "Nothing has to be done.",
    ),
}


def _left_out(item: dict[str, Any]) -> Finding:
    reason = item["reason"]
    effect, remedy = _LEFT_OUT.get(
        reason, ("Nothing is learned from them.", "`actwise check` says what is wrong.")
    )
    message = f"records are left out: {reason}"
    return Finding("note", "left_out", item["count"], message, effect, remedy, item["examples"])


def _sample_findings(samples: Samples | None, config: RunConfig) -> Iterator[Finding]:
    if samples is None:
        return
    learns_first = bool(config.sft.steps or config.think.steps)
    if samples.live == 0:
        yield Finding(
            "warning" if learns_first else "error",
            "no_live_group",
            0,
            f"all {samples.decisions} sampled decisions earn the same reward in all of their "
            f"{config.rl.num_generations} completions",
            "GRPO learns from differences alone"
            + ("; the supervised stages before it have to bring them." if learns_first else "."),
            "Keep sft.steps and think.steps above 0, raise rl.num_generations, or use "
            "reward.tool_accuracy=graded.",
        )
    elif samples.learnable < 0.2:
        yield Finding(
            "note" if learns_first else "warning",
            "little_to_learn",
            0,
            f"{100 * samples.learnable:.0f} % of the sampled decisions are right in some of their "
            f"completions and wrong in others; {100 * samples.live:.0f} % differ in reward",
            "The others teach format or wording at most"
            + ("; after the supervised stages there will be more." if learns_first else "."),
            "Train sft and think first, raise rl.num_generations, or use "
            "reward.tool_accuracy=graded.",
        )
    if samples.truncated > 0.3:
        yield Finding(
            "note" if learns_first else "warning",
            "cut_off",
            0,
            f"{100 * samples.truncated:.0f} % of the samples hit their budget",
            "They earn nothing, and sampling is slow"
            + ("; the supervised stages teach to stop." if learns_first else "."),
            f"Raise {config.evaluate.budget_key}, or train sft and think first.",
        )
