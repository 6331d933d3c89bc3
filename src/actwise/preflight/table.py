"""The preflight for a terminal."""

from rich.console import Group, RenderableType
from rich.text import Text

from actwise.errors import printable
from actwise.findings.lines import finding_lines
from actwise.preflight.estimate import Estimate
from actwise.preflight.preflight import Preflight
from actwise.preflight.targets import BINS, Distribution
from actwise.preflight.trial import Samples
from actwise.report.words import duration, size
from actwise.results.columns import FoldedTable


def render(found: Preflight) -> RenderableType:
    """Return the preflight for a terminal."""
    splits = ", ".join(f"{count} {name}" for name, count in found.conversations.items())
    tokens = ", ".join(f"{count} {mode}" for mode, count in found.target_tokens.items())
    parts: list[RenderableType] = [
        Text(f"{found.decisions} decisions in conversations: {splits}"),
        Text(f"tokens to train: {tokens}"),
    ]
    if found.completion_budget is not None:
        parts.append(
            Text(
                f"budget of a completion: {found.completion_budget} tokens; the longest recorded "
                f"action has {found.longest_action}"
            )
        )
    parts += [Text(), _rewards(found)]
    if found.samples is not None:
        parts += [Text(printable(line)) for line in _samples(found)]
    if found.cost is not None:
        parts += [Text(), _cost(found.cost), Text(_totals(found.cost)), Text()]
    for finding in found.findings:
        parts.extend(finding_lines(finding))
    parts.extend(Text(f"not examined: {what}", style="dim") for what in found.not_examined)
    parts.append(
        Text("refused: mend the errors above", style="bold red")
        if found.refused
        else Text("nothing speaks against this run", style="green")
        if not found.findings
        else Text("the run can begin", style="green")
    )
    return Group(*parts)


def _rewards(found: Preflight) -> FoldedTable:
    table = FoldedTable(["reward on", "number", "mean", *BINS])
    for mode, probes in found.rewards.items():
        for title, rewards in (
            ("recorded action", probes.gold),
            ("another's action", probes.shuffled),
            ("nothing", probes.empty),
        ):
            if rewards is not None:
                table.add_row(f"{title}, {mode}", *_cells(rewards))
    if found.samples is not None:
        table.add_row("the model's samples", *_cells(found.samples.rewards))
        if found.samples.pass_rates is not None:
            table.add_row("their pass rates", *_cells(found.samples.pass_rates))
    return table


def _cells(rewards: Distribution) -> list[str]:
    return [str(rewards.count), f"{rewards.mean:.3f}", *(str(n or "·") for n in rewards.histogram)]


def _passed(samples: Samples) -> list[str]:
    if samples.pass_rates is None:
        return []
    return [
        f"right in one completion: {100 * samples.pass_rates.mean:.0f} % of the decisions; in any "
        f"of {samples.completions // samples.decisions}: {100 * samples.pass_any:.0f} %"
    ]


def _samples(found: Preflight) -> list[str]:
    samples = found.samples
    assert samples is not None
    return [
        f"{samples.completions} samples for {samples.decisions} decisions: "
        f"{100 * samples.format:.0f} % in the right format, {100 * samples.truncated:.0f} % cut "
        f"off, {100 * samples.not_checkable:.0f} % not checkable, {samples.tokens:.0f} tokens each",
        *_passed(samples),
        f"decisions with something to learn: {100 * samples.learnable:.0f} % are right sometimes, "
        f"{100 * samples.live:.0f} % have rewards that differ; "
        f"influence {samples.influence:.2f} of at most 0.50 (mean √(a(1 − a)) of their pass rates)",
    ]


def _cost(cost: Estimate) -> FoldedTable:
    table = FoldedTable(["stage", "steps", "tokens trained", "tokens sampled", "time"])
    for stage in cost.stages:
        cells = (stage.steps, stage.trained_tokens, stage.sampled_tokens)
        table.add_row(stage.name, *(f"{n:,}" if n else "·" for n in cells), duration(stage.seconds))
    return table


def _totals(cost: Estimate) -> str:
    return (
        f"the run: about {duration(cost.seconds)} on this machine, {size(cost.disk)} of disk "
        f"({size(cost.free_disk)} free); memory so far {size(cost.peak_memory)} of "
        f"{size(cost.memory)}"
    )
