"""The diagnosis for a terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from actwise.doctor.diagnosis import Diagnosis
from actwise.doctor.sizes import Lengths
from actwise.errors import printable
from actwise.findings.lines import finding_lines

_MOST_TOOLS = 40


def render(diagnosis: Diagnosis) -> RenderableType:
    """Return the diagnosis for a terminal."""
    overview = Table(show_header=False, title="Conversations", title_justify="left")
    for label, value in facts(diagnosis):
        overview.add_row(label, Text(value))
    parts: list[RenderableType] = [overview]
    if diagnosis.calls_per_tool:
        parts.append(_tools(diagnosis.calls_per_tool))
    # Text, not markup: brackets in the logs must not be taken for styles.
    for finding in diagnosis.findings:
        parts.extend(finding_lines(finding))
    if not diagnosis.findings:
        parts.append(Text("nothing found", style="green"))
    parts.extend(Text(f"not examined: {what}", style="dim") for what in diagnosis.not_examined)
    return Group(*parts)


def facts(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """Return what the conversations consist of, as (label, value)."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in diagnosis.decisions.items())
    scripts = ", ".join(f"{count} {script}" for script, count in diagnosis.scripts.items())
    found = [
        ("conversations", str(diagnosis.conversations)),
        ("rejected records", str(sum(diagnosis.rejected.values()))),
        ("decisions", f"{sum(diagnosis.decisions.values())} ({kinds})"),
        (
            "answers that cannot be checked",
            f"{diagnosis.unchecked_answers} ({diagnosis.unchecked_share:.1%} of answers)",
        ),
        ("with a thought", f"{diagnosis.thoughts} ({diagnosis.thought_share:.1%})"),
        (
            "calls with unreachable arguments",
            f"{diagnosis.unreachable_decisions} ({diagnosis.unreachable_share:.1%} of calls)",
        ),
        ("results", f"{diagnosis.results} ({diagnosis.error_results} say error)"),
        ("script of the users", scripts or "too few words to tell"),
        ("messages each", _range(diagnosis.messages)),
        ("characters each", _range(diagnosis.characters)),
    ]
    return found


def _range(lengths: Lengths) -> str:
    return (
        f"{lengths.shortest} to {lengths.longest} "
        f"(median {lengths.median}, 95 % up to {lengths.p95})"
    )


def _tools(calls: dict[str, int]) -> Table:
    table = Table("tool", "calls", title="Calls per tool", title_justify="left")
    for name, count in list(calls.items())[:_MOST_TOOLS]:
        table.add_row(Text(printable(name)), str(count))
    if len(calls) > _MOST_TOOLS:
        rest = list(calls.values())[_MOST_TOOLS:]
        table.add_row(f"and {len(rest)} more", str(sum(rest)), style="dim")
    return table
