"""Findings for a terminal."""

from rich.text import Text

from actwise.errors import printable
from actwise.findings.finding import Finding, Severity

_STYLES: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def finding_lines(finding: Finding) -> list[Text]:
    """Return a finding for a terminal; examples come last."""
    line = Text(f"{finding.severity} ", style=_STYLES[finding.severity])
    line.append(f"{finding.code}: ", style="bold")
    line.append(printable(finding.sentence), style="default")
    return [
        line,
        Text(f"    {finding.effect} {finding.remedy}", style="dim"),
        *(Text(printable(f"    {example}")) for example in finding.examples),
    ]
