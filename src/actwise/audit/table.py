"""The audit for a terminal."""

from rich.console import Group, RenderableType
from rich.text import Text

from actwise.audit.audit import Audit, Suspect
from actwise.audit.figures import FIGURES, RATES, TRICKS, Figure
from actwise.errors import printable
from actwise.findings.lines import finding_lines
from actwise.report.words import CURVES, number
from actwise.results.columns import FoldedTable
from actwise.results.stats import Interval

_SHOWN = 4
"""Suspicious completions on the terminal; the page has all."""
_FIGURES = {**FIGURES, **TRICKS}


def render(audit: Audit) -> RenderableType:
    """Return the audit for a terminal."""
    parts: list[RenderableType] = [Text(heading(audit)), _figures(audit)]
    for finding in audit.findings:
        parts.extend(finding_lines(finding))
    if audit.development:
        scores = ", ".join(f"{score:.3f} (step {step})" for step, score in audit.development)
        parts.insert(2, Text(f"development score: {scores}\n"))
    if not audit.findings:
        parts.append(Text("nothing found", style="green"))
    parts.extend(Text(f"not examined: {what}", style="dim") for what in audit.not_examined)
    for suspect in audit.suspects[:_SHOWN]:
        parts.extend(_suspect(suspect))
    return Group(*parts)


def heading(audit: Audit) -> str:
    """Return one line on what was looked at."""
    steps = audit.windows[-1].last_step
    return f"{audit.run}: {audit.rollouts} completions sampled in {steps} steps of {audit.stage}"


def rows(audit: Audit) -> list[tuple[str, list[str], str]]:
    """Return each figure as (title, its values by window, its change with interval)."""
    found = []
    for name, figure in _FIGURES.items():
        intervals = [window.figures.get(name) for window in audit.windows]
        # A habit that nobody has needs no line.
        if any(intervals) and (name in FIGURES or any(i and i.value for i in intervals)):
            values = [_number(figure, i.value if i else None) for i in intervals]
            found.append((figure.title, values, _change(figure, audit.changes.get(name))))
    for number_of_bin, title in enumerate(RATES):
        shares = [number(w.rates[number_of_bin], share=True, unit=False) for w in audit.windows]
        found.append((f"groups right: {title}", shares, ""))
    influences = [number(w.influence, share=False, unit=False) for w in audit.windows]
    found.append(("influence, mean √(a(1 − a))", influences, ""))
    for name, means in audit.metrics.items():
        word = CURVES[name]
        values = [number(mean, share=word.share, unit=False) for mean in means]
        found.append((word.title, values, ""))
    return found


def _figures(audit: Audit) -> FoldedTable:
    windows = [f"{window.first_step}–{window.last_step}" for window in audit.windows]
    change = "change, 95 % interval"
    table = FoldedTable(["by steps", *windows, change], left=(change,))
    for title, values, change in rows(audit):
        table.add_row(title, *values, change)
    return table


def _number(figure: Figure, value: float | None) -> str:
    return number(value, share=figure.share, unit=False)


def _change(figure: Figure, interval: Interval | None) -> str:
    if interval is None:
        return ""
    factor, places = (100, 1) if figure.share else (1, 3)
    value, low, high = (f"{factor * x:+.{places}f}" for x in interval)
    return f"{value} ({low} to {high})"


def _suspect(suspect: Suspect) -> list[Text]:
    return [
        Text(
            f"reward {suspect.reward:.2f}, independent verdict {suspect.independent:.2f}: "
            f"{suspect.decision}, step {suspect.step}",
            style="bold",
        ),
        Text(printable(f"    sampled:  {_line(suspect.text)}")),
        Text(printable(f"    recorded: {_line(suspect.gold)}")),
    ]


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 300 else text[:297] + "..."
