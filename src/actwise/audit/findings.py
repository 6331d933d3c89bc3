"""What of the figures is worth a sentence: each rule says what it means and what to change."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from actwise.audit.figures import TRICKS
from actwise.audit.rollouts import AuditedRollout
from actwise.findings.finding import Finding, Severity
from actwise.results.stats import Interval

_SMALL = 0.02
"""A change of reward or of a gap that is not worth a finding, however narrow its interval."""
_COMMON = 0.05
"""Share of completions from which a habit is reported even if it does not grow."""


@dataclass(frozen=True)
class Evidence:
    """What the rules look at."""

    first: Mapping[str, Interval]
    """Figures of the first third of the steps, tricks included."""
    last: Mapping[str, Interval]
    """Rollouts of the last third of the steps."""
    changes: Mapping[str, Interval]
    """From the first to the last; empty where there was one step, or too few conversations."""
    live: tuple[float, float]
    """Share of groups with something to learn, in the first and the last third."""
    metrics: Mapping[str, tuple[float, float]]
    """Means of the stage's own figures, such as "kl", in the first and the last third."""
    development: tuple[float, float] | None
    """Development score at the beginning and at the end; None where it was not measured twice."""
    test: Interval | None
    """Action accuracy on the test split: the stage's result less what it began with."""
    last_rollouts: Sequence[AuditedRollout]
    budget_key: str
    """The setting that gives completions more room."""

    def grew(self, name: str) -> bool:
        """Whether the whole interval of a figure's change lies above 0."""
        return name in self.changes and self.changes[name].low > 0


def findings(evidence: Evidence) -> list[Finding]:
    """Return what is worth a sentence, the gravest first."""
    rules = (
        _against_right,
        _against_held_out,
        _confirmation,
        _calls,
        _length,
        _copying,
        _tricks,
        _signal,
        _drift,
    )
    found = [finding for rule in rules for finding in rule(evidence)]
    order: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda finding: order[finding.severity])


_TIGHTEN = (
    "Read the examples; then pay less for what is not correctness: reward.tool_accuracy=binary, "
    "reward.answer_facts nearer 1, reward.format_weight lower."
)


def _against_right(of: Evidence) -> Iterator[Finding]:
    if not {"reward", "right"} <= of.changes.keys():
        return
    reward, right = of.changes["reward"], of.changes["right"]
    rose = reward.low > 0 and reward.value >= _SMALL
    if rose and right.low <= 0:
        yield Finding(
            "error" if right.high < 0 else "warning",
            "reward_without_right",
            0,
            f"reward rose by {_signed(reward)}, the share of right completions by {_signed(right)}",
            "The reward is earned by something else than right actions.",
            _TIGHTEN,
        )
    elif of.grew("gap") and of.changes["gap"].value >= _SMALL:
        yield Finding(
            "warning",
            "gap_widened",
            0,
            f"reward less right grew by {_signed(of.changes['gap'])}",
            "Parts of the reward that do not make an action right are learned faster than those "
            "that do.",
            _TIGHTEN,
        )
    elif not rose:
        yield Finding(
            "note",
            "reward_flat",
            0,
            f"reward did not clearly rise: {_signed(reward)}",
            "The stage has taught little, or its batches differ too much to tell.",
            "Take more rl.steps, a higher rl.learning_rate, or larger rl.conversations_per_step.",
        )


def _against_held_out(of: Evidence) -> Iterator[Finding]:
    if not of.grew("reward") or of.changes["reward"].value < _SMALL:
        return
    remedy = (
        "The best checkpoint is kept in any case; use more training conversations, a higher "
        "rl.kl_coefficient, or a reward nearer to what is measured."
    )
    if of.development is not None and of.development[1] <= of.development[0]:
        before, after = of.development
        yield Finding(
            "warning",
            "reward_without_development",
            0,
            f"reward rose, the development score went from {before:.3f} to {after:.3f}",
            "What was learned does not carry over to conversations kept back.",
            remedy,
        )
    if of.test is not None and of.test.low <= 0:
        yield Finding(
            "error" if of.test.high < 0 else "warning",
            "reward_without_test",
            0,
            f"reward rose, action accuracy on the test split changed by {_signed(of.test)}",
            "The gain of the training reward cannot be seen where it counts.",
            remedy,
        )


def _confirmation(of: Evidence) -> Iterator[Finding]:
    for kind, effect, remedy in (
        (
            "calls",
            "Calls that count as right differ from the record as plain JSON.",
            "Read the examples: a tolerance of the comparison may be too wide (the tools' schemas, "
            "reward.text_match, reward.number_tolerance).",
        ),
        (
            "answers",
            "Answers that count as right share few numbers, dates and words with the record.",
            "Read the examples: where records state no facts, any wording is right; raise the part "
            "of wording with a lower reward.answer_facts.",
        ),
    ):
        last = of.last.get(f"unconfirmed_{kind}")
        if last is None or last.value <= _COMMON:
            continue
        grew = of.grew(f"unconfirmed_{kind}")
        yield Finding(
            "warning" if grew else "note",
            f"unconfirmed_{kind}",
            0,
            f"{_share(last)} of the right {kind} are not confirmed by an independent check"
            + (", and more and more" if grew else ""),
            effect,
            remedy,
        )


def _calls(of: Evidence) -> Iterator[Finding]:
    if of.grew("extra_calls") and of.last["extra_calls"].value > _COMMON:
        yield Finding(
            "warning",
            "calls_grew",
            0,
            f"completions call {of.last['extra_calls'].value:+.2f} tools beyond the record, "
            f"{of.changes['extra_calls'].value:+.2f} since the beginning",
            "More calls than recorded look like guessing, and each is run when served.",
            "Set reward.tool_accuracy=binary, which pays nothing for right calls among others.",
        )
    if of.grew("extra_values") and of.last["extra_values"].value > _COMMON:
        yield Finding(
            "warning",
            "values_grew",
            0,
            f"calls hold {of.last['extra_values'].value:+.2f} values beyond the recorded call, "
            f"{of.changes['extra_values'].value:+.2f} since the beginning",
            "Tools take what is filled in for what the customer wants.",
            "Read the examples. A habit that few groups were paid for spreads less with more "
            "decisions in a step (rl.conversations_per_step) and a lower rl.learning_rate.",
        )
    if of.grew("missed_calls") and of.changes["missed_calls"].value > _COMMON:
        yield Finding(
            "warning",
            "calls_vanish",
            0,
            f"where a call was recorded, {_share(of.last['missed_calls'])} no longer call",
            "Answering earns more than calling, so calling is unlearned.",
            "Raise reward.tool_weight, or set reward.tool_accuracy=graded while calls are rare.",
        )


def _length(of: Evidence) -> Iterator[Finding]:
    if of.grew("words") and of.last["words"].value > 1.5 * of.first["words"].value:
        yield Finding(
            "warning",
            "length_grew",
            0,
            f"completions grew from {of.first['words'].value:.0f} to {of.last['words'].value:.0f} "
            "words",
            "Length costs time when served and runs into the budget.",
            "Set reward.thought_length_weight=0 and rl.aggregation=dr_grpo; check right above.",
        )
    before, after = of.first["thought_words"].value, of.last["thought_words"].value
    if before > 1 and after < before / 2:
        yield Finding(
            "warning",
            "thoughts_shrink",
            0,
            f"thoughts shrank from {before:.1f} to {after:.1f} words",
            "The model unlearns to think: its thoughts do not help it to the reward.",
            "Begin with better thoughts (think.source, think.conversations), raise "
            "rl.kl_coefficient or rl.likelihood.weight, and keep reward.require_thought.",
        )
    if of.last["truncated"].value > _COMMON:
        yield Finding(
            "warning",
            "cut_off",
            0,
            f"{_share(of.last['truncated'])} of the completions hit their budget",
            "They earn nothing whatever they say.",
            f"Raise {of.budget_key}, or train the stop longer (sft.steps, think.steps).",
        )


def _copying(of: Evidence) -> Iterator[Finding]:
    if "copied_answer" not in of.last or "copied_record" not in of.last:
        return
    ours, record = of.last["copied_answer"], of.last["copied_record"]
    if of.grew("copied_answer") and ours.low > record.high:
        yield Finding(
            "warning",
            "copying_grew",
            0,
            f"{_share(ours)} of the words of answers are copied from the conversation, "
            f"{_share(record)} of the recorded ones",
            "Quoting whatever stands above may state the right facts without understanding.",
            "Raise the part of wording with a lower reward.answer_facts, and read the examples.",
        )


def _tricks(of: Evidence) -> Iterator[Finding]:
    for name, figure in TRICKS.items():
        share = of.last.get(name)
        if share is None:
            continue
        shown = [r.record.advantage for r in of.last_rollouts if figure.value(r)]
        advantage = [value for value in shown if value is not None]
        paid = sum(advantage) > 0
        growing = of.grew(name) and share.value >= 0.01
        if not growing and share.value < _COMMON:
            continue
        yield Finding(
            "warning" if growing and paid else "note",
            name,
            0,
            f"{figure.title}: {_share(share)} of the completions, mean advantage "
            f"{sum(advantage) / max(len(advantage), 1):+.3f}",
            "The reward pays for it, so it will spread."
            if paid
            else "The reward works against it.",
            "Read the examples; raise reward.format_weight if it is a fault of format."
            if paid
            else "There is nothing to change unless it goes on growing.",
        )


def _signal(of: Evidence) -> Iterator[Finding]:
    before, after = of.live
    if after < 0.2 or after < before / 2:
        yield Finding(
            "warning",
            "few_live_groups",
            0,
            f"{_percent(after)} of the groups teach something, {_percent(before)} at the beginning",
            "Where all completions of a decision earn the same, sampling them was wasted.",
            "Raise rl.num_generations or rl.temperature, add harder logs, or stop earlier.",
        )


def _drift(of: Evidence) -> Iterator[Finding]:
    if "entropy" in of.metrics:
        before, after = of.metrics["entropy"]
        if after < 0.3 * before:
            yield Finding(
                "warning",
                "entropy_collapse",
                0,
                f"entropy fell from {before:.3f} to {after:.3f} nats a token",
                "The model tries nothing new any more.",
                "Raise rl.kl_coefficient, rl.clip_high or rl.temperature, or lower "
                "rl.learning_rate.",
            )
        elif after > 2 * before:
            yield Finding(
                "warning",
                "entropy_rise",
                0,
                f"entropy rose from {before:.3f} to {after:.3f} nats a token",
                "The model falls apart rather than learns.",
                "Lower rl.learning_rate, or raise rl.kl_coefficient.",
            )
    if "kl" in of.metrics and of.metrics["kl"][1] > 0.2:
        yield Finding(
            "warning",
            "far_from_start",
            0,
            f"the divergence from the beginning of the stage reached {of.metrics['kl'][1]:.2f} "
            "nats a token",
            "What the model knew before the stage is being overwritten.",
            "Raise rl.kl_coefficient or lower rl.learning_rate.",
        )


def _signed(interval: Interval) -> str:
    return f"{interval.value:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"


def _share(interval: Interval) -> str:
    return _percent(interval.value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
