"""Audit one stage of a run: its figures by thirds, the findings, the examples to read."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile, zip_longest
from pathlib import Path
from typing import Any

from actwise.audit.figures import (
    ENOUGH,
    FIGURES,
    TRICKS,
    change,
    histogram,
    influence,
    live_share,
    mean_of,
    rates_of,
    thirds,
)
from actwise.audit.findings import Evidence, findings
from actwise.audit.recorded import recorded_decisions
from actwise.audit.rollouts import AuditedRollout, read_rollouts
from actwise.config import EvaluateConfig
from actwise.conversation import Decision
from actwise.errors import InputError, RunError
from actwise.findings.finding import Finding
from actwise.report.files import Files
from actwise.report.folder import Metrics, Results, RunFolder, read_run_folder
from actwise.results.stats import Interval
from actwise.training.stages import BASE, STAGES, stage_named

_SCORE = "dev_action_accuracy"
_METRICS = ("live_groups", "entropy", "kl", "format", "grad_norm", "completion_tokens")
_SUSPICIOUS = 0.2
"""Excess of reward over the independent verdict from which on a completion is listed; the right
format alone earns about half of that."""


@dataclass(frozen=True)
class Window:
    """A part of the stage's steps."""

    first_step: int
    last_step: int
    rollouts: int
    live_groups: float
    """Share of groups whose rewards differ."""
    influence: float
    """See `figures.influence`."""
    rates: list[float]
    """Share of groups by how many of their completions are right; see `figures.RATES`."""
    figures: dict[str, Interval]
    """By the names of `FIGURES` and `TRICKS`; a figure that applies nowhere is absent."""


@dataclass(frozen=True)
class Suspect:
    """A completion that the reward likes better than the independent check does."""

    step: int
    decision: str
    place: str
    """Where the conversation was read."""
    reward: float
    right: bool | None
    independent: float
    times: int
    """How often the same completion was sampled for this decision."""
    text: str
    gold: str


@dataclass(frozen=True)
class Audit:
    """What was found in a run."""

    run: str
    stage: str
    rollouts: int
    windows: list[Window]
    """The steps in thirds."""
    changes: dict[str, Interval]
    """From the first window to the last, by figure."""
    metrics: dict[str, list[float]]
    """Means of the stage's own figures, in the same windows."""
    development: list[tuple[int, float]]
    """Development score by step."""
    findings: list[Finding]
    suspects: list[Suspect]
    """See `suspects`."""
    not_examined: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self) | {
            "windows": [
                asdict(window) | {"figures": _intervals(window.figures)} for window in self.windows
            ],
            "changes": _intervals(self.changes),
        }


def _intervals(figures: Mapping[str, Interval]) -> dict[str, dict[str, float]]:
    return {name: interval._asdict() for name, interval in figures.items()}


def audit_run(folder: Path, files: Sequence[Path] = (), *, examples: int = 20) -> Audit:
    """Look through the rollouts of a run, finished or not.

    Args:
        folder: The run folder.
        files: Where the run's logs are now; where they were if empty.
        examples: How many suspicious completions to list at most.

    Raises:
        RunError: The folder holds no run, or one without rollouts.
        InputError: A file in it is not what its writer makes, or `files` are not the run's.
    """
    run = read_run_folder(folder)
    stage, path = _rollouts(folder, run)
    Files(folder).whole(f"rollouts/{path.name}")
    not_examined = []
    decisions: dict[str, Decision] = {}
    try:
        decisions = recorded_decisions(run.record, files)
    except InputError as error:
        if files:
            raise
        not_examined.append(f"whatever needs the recorded actions: {error}")
    rollouts = read_rollouts(path, decisions)
    if not rollouts:
        raise RunError(f"{path}: holds no whole rollout yet; wait for the first step")
    parts = thirds(rollouts)
    if len(parts) < 3:
        not_examined.append(f"trends over thirds, for there are {len(parts)} steps")
    windows = [_window(part) for part in parts]
    fewest = min(len({rollout.conversation for rollout in part}) for part in parts)
    changes = _changes(windows) if fewest >= ENOUGH else {}
    if fewest < ENOUGH:
        not_examined.append(
            f"what changed, for a third of the steps has completions of {fewest} conversations; an "
            f"interval takes {ENOUGH}"
        )
    steps = run.metrics[stage].steps if stage in run.metrics else []
    metrics = _metrics(steps, windows)
    development = _development(run, stage, steps)
    evidence = Evidence(
        windows[0].figures,
        windows[-1].figures,
        changes,
        (windows[0].live_groups, windows[-1].live_groups),
        {name: (means[0], means[-1]) for name, means in metrics.items()},
        (development[0][1], development[-1][1]) if len(development) > 1 else None,
        _on_test(run, stage),
        parts[-1],
        _budget_key(run.record.config.get("evaluate", {})),
    )
    return Audit(
        run.name,
        stage,
        len(rollouts),
        windows,
        changes,
        metrics,
        development,
        findings(evidence),
        suspects(rollouts, examples),
        not_examined,
    )


def _budget_key(settings: Mapping[str, Any]) -> str:
    given = settings.get("max_completion_tokens")
    return EvaluateConfig.model_construct(max_completion_tokens=given).budget_key


def _window(rollouts: Sequence[AuditedRollout]) -> Window:
    found = {
        name: mean_of(figure.value, rollouts) for name, figure in {**FIGURES, **TRICKS}.items()
    }
    rates = rates_of(rollouts)
    return Window(
        rollouts[0].record.step,
        rollouts[-1].record.step,
        len(rollouts),
        live_share(rollouts),
        influence(rates),
        histogram(rates),
        {name: interval for name, interval in found.items() if interval is not None},
    )


def _changes(windows: Sequence[Window]) -> dict[str, Interval]:
    """Return how each figure changed from the first window to the last."""
    if len(windows) == 1:
        return {}
    first, last = windows[0].figures, windows[-1].figures
    found = {name: change(first.get(name), last.get(name)) for name in (*FIGURES, *TRICKS)}
    return {name: interval for name, interval in found.items() if interval is not None}


def _metrics(
    steps: Sequence[Mapping[str, float]], windows: Sequence[Window]
) -> dict[str, list[float]]:
    """Return the means of the stage's figures by window; one that a window lacks is left out."""
    means: dict[str, list[float]] = {}
    for name in _METRICS:
        columns = [
            [s[name] for s in steps if name in s and w.first_step <= s["step"] <= w.last_step]
            for w in windows
        ]
        if all(columns):
            means[name] = [sum(column) / len(column) for column in columns]
    return means


def _rollouts(folder: Path, run: RunFolder) -> tuple[str, Path]:
    """Return the last stage that has sampled, and its file."""
    sampling = [
        name for name in run.record.stages if (stage := stage_named(name)) and stage.samples
    ]
    files = {name: folder / "rollouts" / f"{name}.jsonl" for name in sampling}
    begun = [name for name, path in files.items() if path.exists()]
    if not begun:
        names = " or ".join(sampling) or " or ".join(r.name for r in STAGES.values() if r.samples)
        raise RunError(
            f"{folder}: holds no rollouts, so there is nothing to audit; audit a run whose "
            f"{names} stage has begun"
        )
    return begun[-1], files[begun[-1]]


def _development(
    run: RunFolder, stage: str, steps: Sequence[Mapping[str, float]]
) -> list[tuple[int, float]]:
    """Return the development score by step, with the one the stage began with as step 0."""
    scores = [(int(step["step"]), step[_SCORE]) for step in steps if _SCORE in step]
    before = _before(run, stage)
    return [(0, before), *scores] if before is not None else scores


def _before(run: RunFolder, stage: str) -> float | None:
    """Return the best score of the stage before, if it was measured in the same mode."""
    before, _ = _stage_before(run, stage)
    metrics = run.metrics.get(before, Metrics([], 0))
    return max((step[_SCORE] for step in metrics.steps if _SCORE in step), default=None)


def _stage_before(run: RunFolder, stage: str) -> tuple[str, str]:
    """Return the last stage before that is measured in the same mode, and the mode."""
    modes = run.record.stages
    earlier = takewhile(lambda name: name != stage, modes)
    alike = [name for name in earlier if modes[name] == modes[stage]]
    return (alike[-1] if alike else BASE), modes[stage]


def _on_test(run: RunFolder, stage: str) -> Interval | None:
    """Return what the stage changed on the first test split; None while it is not known."""
    before, mode = _stage_before(run, stage)
    pair = f"{stage} ({mode})", f"{before} ({mode})"
    for paired in (run.results or Results()).paired:
        found = paired.difference
        if (
            (paired.model, paired.against) == pair
            and paired.slice == "all"
            and found.value is not None
            and found.low is not None
            and found.high is not None
        ):
            return Interval(found.value, found.low, found.high)
    return None


def suspects(rollouts: Sequence[AuditedRollout], limit: int) -> list[Suspect]:
    """Return the completions whose reward exceeds the independent verdict most.

    One of each decision; calls and answers by turns, as long as there are both. Of equals, the
    later comes first: what training has led to.
    """
    times = Counter((r.record.decision, r.record.text) for r in rollouts)
    worst: dict[str, tuple[float, int, AuditedRollout]] = {}
    for rollout in rollouts:
        if rollout.independent is None or rollout.record.reward - rollout.independent < _SUSPICIOUS:
            continue
        excess = (rollout.record.reward - rollout.independent, rollout.record.step, rollout)
        if excess[:2] > worst.get(rollout.record.decision, (0.0, 0))[:2]:
            worst[rollout.record.decision] = excess
    ordered = [r for *_, r in sorted(worst.values(), key=lambda item: item[:2], reverse=True)]
    calls = [r for r in ordered if r.decision is not None and r.decision.kind == "call"]
    answers = [r for r in ordered if r.decision is not None and r.decision.kind == "answer"]
    by_turns = [r for pair in zip_longest(calls, answers) for r in pair if r is not None]
    return [_suspect(r, times[r.record.decision, r.record.text]) for r in by_turns[:limit]]


def _suspect(rollout: AuditedRollout, times: int) -> Suspect:
    assert rollout.decision is not None and rollout.independent is not None
    gold = rollout.decision.gold
    calls = [{"name": call.name, "arguments": call.arguments} for call in gold.tool_calls]
    lines = ([gold.content] if gold.content else []) + [
        json.dumps(call, ensure_ascii=False) for call in calls
    ]
    return Suspect(
        rollout.record.step,
        rollout.record.decision,
        rollout.decision.conversation.source or rollout.decision.conversation.id,
        rollout.record.reward,
        rollout.record.right,
        rollout.independent,
        times,
        rollout.record.text,
        "\n".join(lines),
    )
