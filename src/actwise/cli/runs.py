"""Several runs beside each other."""

from collections.abc import Sequence
from pathlib import Path

import click

from actwise.cli.console import echo_json, width
from actwise.cli.options import JSON


@click.command()
@click.argument(
    "folders", nargs=-1, required=True, metavar="RUN RUN...", type=click.Path(path_type=Path)
)
@click.option(
    "--model", help="Model of each run to compare, such as sft; the promoted one if absent."
)
@click.option("--page", type=click.Path(path_type=Path), help="Write a page with every decision.")
@JSON
def compare(folders: Sequence[Path], model: str | None, page: Path | None, as_json: bool) -> None:
    """Hold runs against the first of them, on the same decisions."""
    from actwise.report.comparison import compare_runs, write_comparison, write_page
    from actwise.run.files import write_named

    found = compare_runs(folders, model=model)
    if as_json:
        echo_json(found.results)
    else:
        click.echo(write_comparison(found, width()))
    if page is None:
        return
    content = write_page(found)
    write_named(
        page, lambda temporary: temporary.write_bytes(content), remedy="choose another --page"
    )
    if not as_json:
        click.echo(f"page: {page}")


@click.command()
@click.argument("folder", default="runs", type=click.Path(path_type=Path))
@JSON
def runs(folder: Path, as_json: bool) -> None:
    """List the runs below a folder, `runs` if absent: how far they are, and what they found."""
    from actwise.report.listing import list_runs, write_listing

    found = list_runs(folder)
    if as_json:
        echo_json(found.to_dict())
    else:
        click.echo(write_listing(found, width()))
