"""Looking back at a run: what its reward has taught."""

from collections.abc import Sequence
from pathlib import Path

import click

from actwise.cli.console import echo_json, print_result


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
    if as_json:
        echo_json(found.to_dict())
    else:
        print_result(render(found))
    page = write_audit(found, folder)
    if not as_json:
        click.echo(f"audit: {page}")
