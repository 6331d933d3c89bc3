"""Looking back at a run: what its reward has taught."""

import json
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--data",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The run's logs, if they have moved; in the order of the run.",
)
@click.option(
    "--examples",
    default=20,
    show_default=True,
    type=click.IntRange(min=0),
    help="Completions to list in which reward and independent check differ.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the audit as JSON.")
def audit(folder: Path, files: Sequence[Path], examples: int, as_json: bool) -> None:
    """Look for where a run's reward rose and correctness did not, and for tricks it has taught.

    Writes audit.json and audit.html into the run folder.
    """
    from actwise.audit import audit_run, render, write_audit

    found = audit_run(folder, files, examples=examples)
    page = write_audit(found, folder)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=1, ensure_ascii=False))
        return
    Console().print(render(found), soft_wrap=True)
    click.echo(f"audit: {page}")
