"""A model behind an HTTP server."""

import errno
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from actwise.cli.options import STEER
from actwise.errors import ConfigError, RunError

if TYPE_CHECKING:
    from actwise.api.naming import NamedModel
    from actwise.serving.app import Limits, Served

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Hosts that only programs on this machine reach."""


@click.command()
@click.argument("name", metavar="RUN|MODEL")
@click.option(
    "--stage",
    "stages",
    multiple=True,
    help="Which models of a run, under these names; all of them if absent.",
)
@click.option(
    "--mode",
    type=click.Choice(["direct", "thinking"]),
    help="Whether they think where a request does not say; as they were measured, if absent.",
)
@click.option(
    "--budget",
    type=click.IntRange(min=0),
    help="Cut thoughts to so many tokens, as `eval --budget` does, where a request does not say.",
)
@STEER
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: a free one."
)
@click.option(
    "--api-key",
    envvar="ACTWISE_API_KEY",
    help="Demanded of clients; better in ACTWISE_API_KEY, for other users see command lines.",
)
@click.option("--max-tokens", default=2048, show_default=True, type=click.IntRange(min=1))
@click.option("--max-body", default=4 << 20, show_default=True, type=click.IntRange(min=1))
@click.option("--max-running", default=32, show_default=True, type=click.IntRange(min=1))
@click.option("--max-waiting", default=128, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--max-kept",
    default=1 << 30,
    show_default=True,
    type=click.IntRange(min=0),
    help="Bytes of what was computed for prompts that are kept for those that begin like them.",
)
def serve(
    name: str,
    stages: Sequence[str],
    mode: str | None,
    budget: int | None,
    steer: str | None,
    host: str,
    port: int,
    api_key: str | None,
    max_tokens: int,
    max_body: int,
    max_running: int,
    max_waiting: int,
    max_kept: int,
) -> None:
    """Serve models as OpenAI's chat completions, with a page to try them on."""
    from actwise.model.startup import prepare_torch

    models = _models(name, stages)
    if steer not in (None, "none") and len(models) > 1:
        raise ConfigError("--steer: a vector is of one model; choose it with --stage")
    api_key = _checked_key(host, api_key)
    listener = _listen(host, port)
    prepare_torch()
    try:
        from actwise.serving.app import Limits
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed: pip install 'actwise[serve]'") from error
    served = [_load(model, mode, budget, steer) for model in models]
    limits = Limits(max_tokens, max_body, max_running, max_waiting, max_kept)
    with listener:
        _serve(served, limits, api_key, host, listener)


def _models(name: str, stages: Sequence[str]) -> "list[NamedModel]":
    from actwise.api.naming import chosen, models_of

    if stages:
        return [chosen(name, stage) for stage in dict.fromkeys(stages)]
    # The last stage first: what is newest is what a page begins with.
    return list(reversed(models_of(name).values()))


def _checked_key(host: str, api_key: str | None) -> str | None:
    from actwise.rewards.secret import checked_key

    if api_key is not None:
        return checked_key(api_key, "--api-key or ACTWISE_API_KEY")
    if host not in LOOPBACK:
        raise ConfigError(
            f"--host {host}: others could use it, so an API key is needed; set ACTWISE_API_KEY"
        )
    return None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        of_port = getattr(error, "errno", None) in (errno.EADDRINUSE, errno.EACCES)
        other = "--port" if of_port else "--host"
        raise RunError(f"--host {host} --port {port}: {reason}; choose another {other}") from error


def _load(model: "NamedModel", mode: str | None, budget: int | None, steer: str | None) -> "Served":
    from actwise.serving.app import Served

    click.echo(f"loading {model.name} from {model.path}", err=True)
    thinking = model.thinking if mode is None else mode == "thinking"
    policy = model.load()
    steering = model.load_steering(policy, steer)
    if steering is not None:
        click.echo(f"{model.name} is steered; --steer none turns it off", err=True)
    return Served(model.name, policy, thinking, budget, steering)


def _serve(
    served: "list[Served]",
    limits: "Limits",
    api_key: str | None,
    host: str,
    listener: socket.socket,
) -> None:
    import torch
    import uvicorn

    from actwise.model.threads import fastest_threads
    from actwise.run.cores import num_cores
    from actwise.serving.app import Server

    torch.set_num_threads(fastest_threads(served[0].policy, num_cores()))
    hosts = (*LOOPBACK, "[::1]") if host in LOOPBACK else ("*",)
    server = Server(served, limits=limits, api_key=api_key, hosts=hosts)
    place = f"[{host}]" if ":" in host else host
    names = ", ".join(model.name for model in served)
    click.echo(f"serving {names} at http://{place}:{listener.getsockname()[1]} (Ctrl-C ends it)")
    config = uvicorn.Config(
        server.app, log_level="warning", timeout_graceful_shutdown=5, server_header=False
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        click.echo("actwise: no longer serving", err=True)
