"""Related work as recipes: to list, to copy and edit."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from rich.table import Table

from actwise.cli.console import echo_json, print_result

if TYPE_CHECKING:
    from actwise.recipes import Recipe


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def recipes(name: str | None, as_json: bool) -> None:
    """List the recipes that port related work, or print the file of one, to copy and edit."""
    from actwise.recipes import names, read_recipe, recipe_file

    if name is not None:
        recipe = read_recipe(name)
        if as_json:
            echo_json(recipe.model_dump())
        else:
            click.echo(recipe_file(name).read_text(encoding="utf-8"), nl=False)
        return
    found = [read_recipe(name) for name in names()]
    if as_json:
        echo_json([recipe.model_dump() for recipe in found])
    else:
        print_result(_table(found))


def _table(found: Sequence["Recipe"]) -> Table:
    table = Table("name", "work", "arXiv", "ported", "not ported", show_lines=True)
    for recipe in found:
        table.add_row(recipe.name, recipe.work, recipe.arxiv, recipe.ported, recipe.left_out)
    return table
