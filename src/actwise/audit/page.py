"""The audit as `audit.json` and one HTML page in the run folder."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from actwise import __version__
from actwise.audit.audit import Audit
from actwise.audit.table import heading, rows
from actwise.run.files import write_atomically, write_json


def write_audit(audit: Audit, folder: Path) -> Path:
    """Write `audit.json` and `audit.html` into a folder; return the page.

    Raises:
        RunError: If the folder cannot be written.
    """
    write_json(folder / "audit.json", audit.to_dict())
    page = render_page(audit).encode("utf-8", errors="replace")
    path = folder / "audit.html"
    write_atomically(path, lambda temporary: temporary.write_bytes(page))
    return path


def render_page(audit: Audit) -> str:
    """Return the page; all that comes from logs and models is escaped."""
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader([here, here.parent / "report"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("audit.html.j2").render(
        audit=audit, heading=heading(audit), rows=rows(audit), version=__version__
    )
