"""The diagnosis as one HTML page that needs nothing beside itself."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from actwise import __version__
from actwise.doctor.diagnosis import Diagnosis
from actwise.doctor.table import facts
from actwise.run.files import write_named


def write_page(diagnosis: Diagnosis, path: Path, *, files: Sequence[str]) -> None:
    """Write the page.

    Args:
        diagnosis: What is shown.
        path: The page; replaced.
        files: Names of the logs, for its heading.

    Raises:
        RunError: If it cannot be written.
    """
    # The name of a file can hold bytes that are not UTF-8.
    page = render_page(diagnosis, files=files).encode("utf-8", errors="replace")
    write_named(path, lambda temporary: temporary.write_bytes(page), remedy="choose another --html")


def render_page(diagnosis: Diagnosis, *, files: Sequence[str]) -> str:
    """Return the page; all that comes from logs is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        diagnosis=diagnosis,
        verdict=verdict(diagnosis),
        facts=facts(diagnosis),
        most_calls=max(diagnosis.calls_per_tool.values(), default=0),
        files=files,
        version=__version__,
    )


def verdict(diagnosis: Diagnosis) -> str:
    """Return one sentence on what the findings amount to."""
    kinds = Counter(finding.severity for finding in diagnosis.findings)
    found = ", ".join(_counted(number, kind) for kind, number in kinds.items())
    usable = _counted(diagnosis.conversations, "usable conversation")
    return f"{usable}: {found}." if found else f"{usable}, and nothing found."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
