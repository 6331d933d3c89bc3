"""A model for others to use."""

from pathlib import Path

import click

from actwise.cli.options import refuse_idle
from actwise.errors import ConfigError


@click.command()
@click.argument("name", metavar="RUN|MODEL")
@click.option("--to", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--stage", help="Which model of a run: base, sft, ...; the promoted one if absent.")
@click.option("--adapter", is_flag=True, help="Only the LoRA adapters, not all weights.")
@click.option("--gguf", is_flag=True, help="Write model.gguf, for llama.cpp, into it as well.")
@click.option("--push", "repo", help="Upload it, too, as OWNER/NAME on Hugging Face's hub.")
@click.option("--public", is_flag=True, help="Let everybody read what --push makes.")
def export(
    name: str,
    to: Path,
    stage: str | None,
    adapter: bool,
    gguf: bool,
    repo: str | None,
    public: bool,
) -> None:
    """Write a model as a folder to serve it from, with a card of what was measured."""
    from actwise.api.naming import chosen
    from actwise.model.startup import prepare_torch

    if adapter and gguf:
        raise ConfigError("--adapter and --gguf: a file of GGUF holds all weights; choose one")
    refuse_idle("without --push", public=public and repo is None)
    model = chosen(name, stage)
    prepare_torch()
    from actwise.export.bundle import write_bundle
    from actwise.export.push import check_push, push
    from actwise.training.stages import BASE

    if repo is not None:
        check_push(repo)
    remark = write_bundle(
        to,
        model.load_adapters() if adapter else model.load(),
        stage=model.name,
        base=model.record.get("model", name),
        thinking=model.thinking,
        record=model.record,
        results=model.results,
        trained=model.run is not None and model.name != BASE,
        steering=model.steering,
        adapters=adapter,
        gguf=gguf,
    )
    click.echo(f"{to}: {model.name}, measured {model.mode}; README.md says how to serve it")
    if remark is not None:
        click.echo(f"model.gguf: {remark}", err=True)
    if repo is not None:
        click.echo(f"uploaded: {push(to, repo, public=public)}")
