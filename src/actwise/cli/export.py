"""A model for others to use."""

from pathlib import Path

import click


@click.command()
@click.argument("name", metavar="RUN|MODEL")
@click.option("--to", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--stage", help="Which model of a run: base, sft, ...; the promoted one if absent.")
@click.option("--adapter", is_flag=True, help="Only the LoRA adapters, not all weights.")
@click.option("--push", "repo", help="Upload it, too, as OWNER/NAME on Hugging Face's hub.")
@click.option("--public", is_flag=True, help="Let everybody read what --push makes.")
def export(
    name: str, to: Path, stage: str | None, adapter: bool, repo: str | None, public: bool
) -> None:
    """Write a model as a folder to serve it from, with a card of what was measured."""
    from actwise.api.naming import chosen
    from actwise.model.startup import prepare_torch

    model = chosen(name, stage)
    prepare_torch()
    from actwise.export.bundle import write_bundle
    from actwise.export.push import check_name, push

    if repo is not None:
        check_name(repo)
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
    if repo is not None:
        click.echo(f"uploaded: {push(to, repo, public=public)}")
