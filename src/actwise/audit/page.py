"""The audit as `audit.json` and one HTML page in the run folder."""

from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from actwise import __version__
from actwise.audit.audit import Audit
from actwise.audit.table import heading, rows
from actwise.run.files import IN_ITS_RUN, json_text, write_atomically


def write_audit(audit: Audit, folder: Path) -> Path:
    """Write `audit.json` and `audit.html` into a folder; return the page.

    Raises:
        RunError: If the folder cannot be written.
    """
    text = json_text(audit.to_dict()).encode()
    page = render_page(audit).encode("utf-8", errors="replace")
    for name, content in (("audit.json", text), ("audit.html", page)):
        write_atomically(folder / name, partial(_put, content), remedy=IN_ITS_RUN)
    return folder / "audit.html"


def _put(content: bytes, path: Path) -> None:
    path.write_bytes(content)


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
