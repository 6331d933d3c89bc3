"""Arguments and options that several verbs share."""

from pathlib import Path

import click

FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
DATA = click.option(
    "--data",
    "files",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="Logs; may be given several times.",
)
MODEL = click.option(
    "--model", required=True, help="Folder or hub name of the model; `base` is shipped."
)
FORMAT = click.option("--format", "format_name", help="Format of the logs; recognised if absent.")
TOOLS = click.option(
    "--tools", type=click.Path(path_type=Path), help="File of tools, for logs that have none."
)
CONFIG = click.option("--config", type=click.Path(path_type=Path), help="TOML file of settings.")
SET = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One setting.")
OUT = click.option("--out", required=True, type=click.Path(path_type=Path), help="Run folder.")
