"""The command line: one verb for each thing a person wants.

Heavy imports stay inside the verbs that need them, so that `--help`, `check` and `report` answer
at once.
"""

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console

from actwise import __version__
from actwise.errors import ActwiseError, InputError, ModelError, RunError

_FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
_FORMAT = click.option("--format", "format_name", help="Format of the logs; recognised if absent.")
_TOOLS = click.option(
    "--tools", type=click.Path(path_type=Path), help="File of tools, for logs that have none."
)
_CONFIG = click.option("--config", type=click.Path(path_type=Path), help="TOML file of settings.")
_SET = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One setting.")
_OUT = click.option("--out", required=True, type=click.Path(path_type=Path), help="Run folder.")


@click.group(invoke_without_command=True)
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context) -> None:
    """Teach a small language model to think before it acts, from conversation logs."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command()
@_FILES
@_FORMAT
@_TOOLS
@click.option(
    "--against",
    "held_out",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Held-out logs, none of which may occur in FILES; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--html", type=click.Path(path_type=Path), help="Write them as a page, too.")
@click.option("--fix", type=click.Path(path_type=Path), help="Write a mended copy of FILES.")
@click.option("--show", metavar="DECISION", help="Only show one decision token by token: 12#3 is "
              "line 12, messages[3].")  # fmt: skip
@click.option("--model", default="base", help="With --show: folder or hub name of the model.")
def check(files: Sequence[Path], format_name: str | None, tools: Path | None,
          held_out: Sequence[Path], as_json: bool, html: Path | None, fix: Path | None,
          show: str | None, model: str) -> None:  # fmt: skip
    """Look through logs for what would poison training; exit code 2 if there are errors."""
    from actwise.doctor import examine, render, write_mended, write_page
    from actwise.formats import read_files

    if show is not None:
        _show(read_files(files, format=format_name, tools=tools), show, str(files[0]), model)
        return
    for written in (html, fix):
        _check_apart(written, [*files, *held_out], tools)
    diagnosis = examine(
        read_files(files, format=format_name, tools=tools),
        held_out=read_files(held_out, format=format_name, tools=tools),
    )
    if as_json:
        click.echo(json.dumps(diagnosis.to_dict(), indent=1, ensure_ascii=False))
    else:
        Console().print(render(diagnosis), soft_wrap=True)
    if html is not None:
        write_page(diagnosis, html, files=[str(file) for file in files])
    if fix is not None:
        mending = write_mended(read_files(files, format=format_name, tools=tools), fix)
        click.echo(f"{fix}: {mending}", err=True)
    if any(finding.severity == "error" for finding in diagnosis.findings):
        sys.exit(2)


@cli.command()
@_FILES
@_FORMAT
@_TOOLS
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write.")
def convert(files: Sequence[Path], format_name: str | None, tools: Path | None, out: Path) -> None:
    """Write logs of any known format as OpenAI chat messages, one conversation per line."""
    from actwise.formats import read_files, write_conversations

    _check_apart(out, files, tools)
    written = write_conversations(read_files(files, format=format_name, tools=tools), out)
    kinds = written.decisions
    click.echo(
        f"{out}: {written.conversations} conversations with {kinds.total()} decisions "
        f"({kinds['call']} calls, {kinds['answer']} answers)"
    )
    _echo_skipped(written.skipped())


def _check_apart(written: Path | None, files: Sequence[Path], tools: Path | None) -> None:
    given = [path for path in (*files, tools) if path is not None and path.exists()]
    if written is not None and written.exists() and any(map(written.samefile, given)):
        raise InputError("would be overwritten", file=str(written), remedy="name another file")


def _show(items: Any, decision: str, file: str, model: str) -> None:
    from actwise.doctor.show import find_decision, render_tokens

    found = find_decision(items, decision, file=file)
    _prepare_torch()
    from actwise.template.render import Template

    Console().print(render_tokens(Template.load(_model(model)), found), soft_wrap=True)


@cli.command()
@click.option(
    "--data",
    "files",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="Logs; may be given several times.",
)
@click.option("--model", required=True, help="Folder or hub name of the model; `base` is shipped.")
@_OUT
@_FORMAT
@_TOOLS
@_CONFIG
@_SET
def run(files: Sequence[Path], model: str, out: Path, format_name: str | None,
        tools: Path | None, config: Path | None, settings: Sequence[str]) -> None:  # fmt: skip
    """Take logs through base, SFT, thinking and RL to a table and a report."""
    from actwise.config import load_config
    from actwise.run import fingerprint
    from actwise.split import split

    resolved = load_config(config, settings)
    resolved = _with_options(resolved, format=format_name, tools=tools)
    conversations, skipped = _read(files, resolved)
    splits = split(
        conversations,
        dev=resolved.data.dev_fraction,
        test=resolved.data.test_fraction,
        seed=resolved.seed,
    )
    data = [
        {
            "file": str(file),
            "sha256": fingerprint(file),
            "conversations": sum(c.source.rpartition(":")[0] == str(file) for c in conversations),
        }
        for file in files
    ]
    _run(out, model, splits, resolved, data, skipped)


@cli.command()
@click.option("--out", default="runs/demo", type=click.Path(path_type=Path), help="Run folder.")
@click.option("--model", default="base", help="Folder or hub name; `base` is shipped.")
@_SET
def demo(out: Path, model: str, settings: Sequence[str]) -> None:
    """Run everything on the desk, the embedded customer-service world, with the shipped model."""
    from actwise.config import load_config
    from actwise.desk import generate
    from actwise.split import Splits

    config = load_config(Path(__file__).parent / "desk" / "demo.toml", settings)
    sizes = {"train": 600, "dev": 30, "test": 80, "shifted": 80}
    made = {name: generate(name, size, seed=config.seed) for name, size in sizes.items()}
    splits = Splits(made["train"], made["dev"], {s: made[s] for s in ("test", "shifted")})
    data = [
        {
            "file": f"desk/{name}",
            "sha256": sha256("\n".join(c.to_json() for c in made[name]).encode()).hexdigest(),
            "conversations": size,
        }
        for name, size in sizes.items()
    ]
    _run(out, model, splits, config, data, [])


@cli.command("eval")
@_FILES
@click.option("--model", required=True, help="Folder or hub name of the model; `base` is shipped.")
@click.option(
    "--mode",
    "modes",
    multiple=True,
    type=click.Choice(["direct", "thinking"]),
    default=("direct", "thinking"),
    help="Modes to measure; both if absent.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write records and table there, too.")
@_FORMAT
@_TOOLS
@_CONFIG
@_SET
def evaluate(files: Sequence[Path], model: str, modes: Sequence[str], out: Path | None,
             format_name: str | None, tools: Path | None, config: Path | None,
             settings: Sequence[str]) -> None:  # fmt: skip
    """Measure a model on logs."""
    from actwise.config import load_config

    resolved = load_config(config, settings)
    resolved = _with_options(resolved, format=format_name, tools=tools)
    if out is not None and (out / "run.json").exists():
        raise RunError(f"{out}: holds a run, whose results would be lost; choose another --out")
    conversations, skipped = _read(files, resolved)
    _prepare_torch()
    from actwise.measure import measure
    from actwise.report import write_table
    from actwise.run import write_json, write_records

    results, records = measure(
        _model(model), conversations, modes, resolved, skipped=skipped, console=_console()
    )
    click.echo(write_table(results))
    _echo_skipped(results["skipped"])
    if out is not None:
        write_json(out / "results.json", results)
        for mode, of_mode in records.items():
            write_records(out / f"{mode}.jsonl", of_mode)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Write the report of a run folder, finished or not, and print its table."""
    from actwise.report import write_report, write_table

    page = write_report(folder)
    results = folder / "results.json"
    if results.exists():
        click.echo(write_table(json.loads(results.read_text(encoding="utf-8"))))
    click.echo(f"report: {page}")


@cli.command("settings")
def list_settings() -> None:
    """List every setting with its default and meaning."""
    from actwise.config import describe

    for key, default, meaning in describe():
        click.echo(f"{key} = {default}\n    {meaning}")


def _with_options(config: Any, **options: Any) -> Any:
    """Let options of the command line overrule the section `data` where they are given."""
    given = {name: value for name, value in options.items() if value is not None}
    return config.model_copy(update={"data": config.data.model_copy(update=given)})


def _read(files: Sequence[Path], config: Any) -> tuple[list[Any], list[dict[str, Any]]]:
    """Read logs; records that cannot be used stop the run, or are counted."""
    import random

    from actwise.conversation import Conversation
    from actwise.formats import Rejected, read_files

    conversations: list[Conversation] = []
    rejected: list[Rejected] = []
    for item in read_files(files, format=config.data.format, tools=config.data.tools):
        if isinstance(item, Rejected):
            rejected.append(item)
        else:
            conversations.append(item)
    if rejected and config.data.bad_records == "stop":
        first = rejected[0]
        more = f" ({len(rejected)} such records; see `actwise check`)" if len(rejected) > 1 else ""
        raise InputError(
            f"{first.detail}{more}",
            file=first.file,
            line=first.line,
            remedy="or leave such records out with --set data.bad_records=skip",
        )
    if not conversations:
        raise InputError("no usable conversation", file=str(files[0]), remedy="see `actwise check`")
    if config.data.limit is not None and config.data.limit < len(conversations):
        draw = random.Random(f"limit/{config.seed}")
        conversations = draw.sample(conversations, config.data.limit)
    reasons = Counter(item.reason for item in rejected)
    skipped = [
        {
            "reason": reason,
            "count": count,
            "examples": [f"{r.file}:{r.line}" for r in rejected if r.reason == reason][:3],
        }
        for reason, count in reasons.most_common()
    ]
    return conversations, skipped


def _run(out: Path, model: str, splits: Any, config: Any, data: list[dict[str, Any]],
         skipped: list[dict[str, Any]]) -> None:  # fmt: skip
    _prepare_torch()
    from actwise.pipeline import run_pipeline
    from actwise.report import write_table

    results = run_pipeline(
        out, _model(model), splits, config,
        data=data, skipped=skipped, command=["actwise", *sys.argv[1:]], console=_console(),
    )  # fmt: skip
    click.echo(write_table(results))
    click.echo(results["verdict"])
    _echo_skipped(results["skipped"])
    times = ", ".join(f"{stage['name']} {stage['seconds']:.0f} s" for stage in results["stages"])
    click.echo(f"time: {times}")
    click.echo(f"results: {out / 'results.json'}\nreport: {out / 'report.html'}")


def _echo_skipped(skipped: list[dict[str, Any]]) -> None:
    for item in skipped:
        places = ", ".join(item["examples"])
        click.echo(f"left out: {item['count']} ({item['reason']}), such as {places}")


def _model(name: str) -> str:
    if name == "base":
        return str(Path(__file__).parent / "desk" / "model")
    remedy = "name a model's folder or hub name, or `base`"
    if Path(name).is_dir():
        if not any((Path(name) / f).exists() for f in ("config.json", "adapter_config.json")):
            raise ModelError(f"{name}: holds no model, for it has no config.json; {remedy}")
    # A hub name is NAME or OWNER/NAME; anything else can only be meant as a folder.
    elif not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", name):
        raise ModelError(f"{name}: no such folder; {remedy}")
    return name


def _prepare_torch() -> None:
    """Set what has to be set before torch is imported."""
    # Threads that spin while they wait slow each other down on shared cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, enable_progress_bars
    from transformers.utils.logging import disable_progress_bar

    # Reading and writing weights takes moments; a download, which takes minutes, is shown.
    hidden = are_progress_bars_disabled()
    disable_progress_bar()
    if not hidden:
        enable_progress_bars()


def _console() -> Console:
    return Console(stderr=True)


def main() -> None:
    """Run the command line; every mistake of a user's ends in one line and exit code 2."""
    try:
        cli(standalone_mode=False, prog_name="actwise")
    except ActwiseError as error:
        _complain(str(error))
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "actwise"
        _complain(f"{error.format_message().rstrip('.')}; see `{command} --help`")
    except (KeyboardInterrupt, click.Abort):
        click.echo("actwise: interrupted; the same command goes on from here", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output has seen enough; nothing is left to tell them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _complain(problem: str) -> NoReturn:
    click.echo("actwise: " + " ".join(problem.splitlines()), err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
