"""A model for others to use."""

from pathlib import Path

import click


@click.command()
@click.argument("name", metavar="RUN|MODEL")
@click.option("--to", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--stage", help="Which model of a run: base, sft, ...; the promoted one if absent.")
@click.option("--adapter", is_flag=True, help="Only the LoRA adapters, not all weights.")
def export(name: str, to: Path, stage: str | None, adapter: bool) -> None:
    """Write a model as a folder to serve it from, with a card of what was measured."""
    from actwise.api.naming import chosen
    from actwise.model.startup import prepare_torch

    model = chosen(name, stage)
    prepare_torch()
    from actwise.export.bundle import write_bundle

    write_bundle(
        to,
        model.load_adapters() if adapter else model.load(),
        stage=model.name,
        base=model.record.get("model", name),
        thinking=model.thinking,
        record=model.record,
        results=model.results,
        adapters=adapter,
    )
    click.echo(f"{to}: {model.name}, measured {model.mode}; README.md says how to serve it")
