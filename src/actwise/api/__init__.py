"""The Python API: what the command line does, for programs and notebooks.

Each function takes files or what another one returned, and settings as a `RunConfig`, a TOML file,
or a dictionary of sections such as `{"sft": {"steps": 100}}`. What the user can mend is raised as
an `ActwiseError` of one line.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from actwise.config import MODES, Mode, RunConfig, load_config, validated
from actwise.data.load import Logs, on_side, read_logs, seen
from actwise.data.prepare import Prepared
from actwise.data.prepare import prepare as prepare_files
from actwise.doctor import Diagnosis, examine_files
from actwise.errors import ConfigError, RunError
from actwise.model.startup import model_path, prepare_torch
from actwise.run.cores import num_cores
from actwise.run.processes import ALONE, Processes
from actwise.run.progress import Progress

if TYPE_CHECKING:
    from actwise.api.acting import Model
    from actwise.api.runs import EpisodeEvaluation, Evaluation, LoadedRun
    from actwise.template.render import Template

Files = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""One file of logs, or several."""
Settings = RunConfig | Mapping[str, Any] | str | os.PathLike[str] | None
"""A configuration, its sections, or a TOML file; defaults where None."""


def check(
    files: Files,
    *,
    against: Files = (),
    format: str | None = None,
    tools: str | os.PathLike[str] | None = None,
    model: str | None = None,
) -> Diagnosis:
    """Look through logs for what would poison training.

    Args:
        files: The logs.
        against: Held-out logs, none of which may occur in `files`.
        format: Name of the logs' format; recognised where not given.
        tools: File of tools for conversations that bring none.
        model: Folder or hub name; what its chat template cannot render is found, too.

    Returns:
        What the logs consist of, and findings with file, line and remedy.

    Raises:
        InputError: A file cannot be read.
        ConfigError: No file is named.
    """
    diagnosis, _ = examine_files(
        _named_paths(files),
        held_out=_paths(against),
        format=format,
        tools=None if tools is None else Path(tools),
        model=None if model is None else template_path(model),
        processes=num_cores(),
    )
    return diagnosis


def load_template(model: str) -> "Template":
    """Load the tokenizer and chat template of a model.

    Raises:
        ModelError: It cannot be loaded, or cannot express what is trained here.
    """
    path = template_path(model)
    from actwise.template.render import Template

    return Template.load(path)


def template_path(model: str) -> str:
    """Return the folder or hub name from which a model's template is loaded, with all prepared.

    Raises:
        ModelError: There is no such model.
    """
    path = model_path(model)
    prepare_torch(path)
    return path


def prepare(files: Files, config: Settings = None) -> Prepared:
    """Read logs, split them, and give tools other names in a share of what is trained on.

    Raises:
        InputError: A record cannot be used and is not to be skipped, or too few can.
        ConfigError: A setting is impossible, or no file is named.
    """
    return prepare_files(_named_paths(files), as_config(config))


def train(
    data: Files | Prepared,
    out: str | os.PathLike[str],
    *,
    model: str = "base",
    config: Settings = None,
    console: Console | None = None,
    command: Sequence[str] = ("actwise.train",),
) -> "LoadedRun":
    """Train and measure as `actwise run` does, or go on where a run was interrupted.

    Args:
        data: Logs, or what `prepare` made of them with the same configuration.
        out: The run folder.
        model: Folder or hub name; "base" is the small one that is shipped.
        config: Settings of the run.
        console: Where progress is shown; nowhere where None.
        command: What is written down as the command of the run.

    Returns:
        The finished run.

    Raises:
        ActwiseError: Whatever the user can mend.
    """
    resolved = as_config(config)
    console = console or Console(quiet=True)
    path = model_path(model)
    if not isinstance(data, Prepared):
        files = _named_paths(data)
        _say(console, f"reading {_named(files)}")
        data = _launched(path).everywhere(lambda: prepare_files(files, resolved, Progress(console)))
    _say(console, "loading torch and transformers")
    prepare_torch(path)
    from actwise.pipeline import run_pipeline

    _say(console, f"loading {model}")
    run_pipeline(Path(out), path, data, resolved, command=command, console=console)
    return load_run(out)


def _launched(model: str) -> Processes:
    """Return the processes of a run that are started together; others do without torch as yet."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    prepare_torch(model)
    from actwise.model.processes import join

    return join()


def evaluate(
    model: str,
    files: Files | Logs,
    *,
    modes: Mode | Sequence[Mode] = MODES,
    split: str | None = None,
    config: Settings = None,
    console: Console | None = None,
) -> "Evaluation":
    """Measure a model on all decisions of logs.

    Args:
        model: Folder or hub name; "base" is the small one that is shipped.
        files: The logs, or what was read of them.
        modes: In which the model answers: "direct", "thinking" or both.
        split: Only measure on the conversations on this side of the split that the model was
            trained on, such as "test".
        config: Sections `model`, `reward` and `evaluate` count, and `data`. What `evaluate` asks
            for besides is measured, too: `attempts`, `budgets`, `diagnose`, `steering`.
        console: Where progress is shown; nowhere where None.

    Returns:
        The table, and each judged decision.

    Raises:
        ActwiseError: Whatever the user can mend.
    """
    resolved, modes = as_config(config), _modes(modes)
    if (resolved.evaluate.budgets or resolved.evaluate.diagnose) and "thinking" not in modes:
        raise ConfigError("thoughts are measured in thinking mode; add it to the modes")
    console = console or Console(quiet=True)
    path = model_path(model)
    if isinstance(files, Logs):
        logs = files
    else:
        paths = _named_paths(files)
        _say(console, f"reading {_named(paths)}")
        logs = read_logs(paths, resolved)
    if split is not None:
        logs = on_side(logs, path, split)
    _say(console, "loading torch and transformers")
    prepare_torch(path)
    from actwise.api.runs import Evaluation
    from actwise.evaluation.measure import measure

    _say(console, f"loading {model}")
    results, records = measure(path, logs, modes, resolved, console=console)
    if split is None:
        results |= seen(logs, path)
    return Evaluation(results, records)


def evaluate_episodes(
    model: str,
    files: Files | Logs | None = None,
    *,
    modes: Mode | Sequence[Mode] = MODES,
    split: str | None = None,
    config: Settings = None,
    console: Console | None = None,
) -> "EpisodeEvaluation":
    """Let a model act on its own history: measure whole turns and whole conversations.

    Args:
        model: Folder or hub name; "base" is the small one that is shipped.
        files: The logs, or what was read of them; None takes the splits `test` and `shifted` of the
            desk, as many conversations as the section `desk` says.
        modes: In which the model acts: "direct", "thinking" or both.
        split: As in `evaluate`.
        config: The section `episodes` says in what the model acts, and how far it may go; with
            `evaluate.search` it is measured, too, with each step chosen among so many by its value
            model, which `rl.search.value_conversations` trains.
        console: Where progress is shown; nowhere where None.

    Returns:
        The table, and a record of each episode.

    Raises:
        ActwiseError: Whatever the user can mend.
    """
    resolved, modes = as_config(config), _modes(modes)
    console = console or Console(quiet=True)
    if files is None:
        from actwise.desk.splits import prepare_desk

        tests = prepare_desk(resolved).splits.tests
        logs = {name: Logs(of_split, [], []) for name, of_split in tests.items()}
    else:
        logs = {
            "data": files if isinstance(files, Logs) else read_logs(_named_paths(files), resolved)
        }
    path = model_path(model)
    if split is not None:
        logs = {name: on_side(of_name, path, split) for name, of_name in logs.items()}
    _say(console, "loading torch and transformers")
    prepare_torch(path)
    from actwise.api.runs import EpisodeEvaluation
    from actwise.evaluation.measure import measure_episodes

    _say(console, f"loading {model}")
    results, records = measure_episodes(path, logs, modes, resolved, console=console)
    if split is None and "data" in logs:
        results |= seen(logs["data"], path)
    return EpisodeEvaluation(results, records)


def load_run(folder: str | os.PathLike[str]) -> "LoadedRun":
    """Open what a run found, finished or not.

    Raises:
        RunError: The folder holds no run.
    """
    from actwise.api.runs import LoadedRun

    path = Path(folder)
    if not (path / "run.json").exists():
        raise RunError(f"{path}: holds no run, for there is no run.json; name the folder of a run")
    return LoadedRun(path)


def load_model(name: str | os.PathLike[str], config: Settings = None) -> "Model":
    """Load a model that acts in a conversation.

    Args:
        name: Folder or hub name; "base" is the small one that is shipped.
        config: The section `model` counts.

    Raises:
        ModelError: It cannot be loaded or used.
    """
    path = model_path(os.fspath(name))
    prepare_torch(path)
    from actwise.api.acting import Model
    from actwise.model.loading import load_policy

    return Model(load_policy(path, as_config(config)))


def as_config(settings: Settings) -> RunConfig:
    """Return settings as a configuration.

    Raises:
        ConfigError: Names the unknown key or impossible value.
    """
    if isinstance(settings, RunConfig):
        return settings
    if isinstance(settings, Mapping):
        return validated(dict(settings))
    return load_config(None if settings is None else Path(settings))


def _modes(modes: Mode | Sequence[Mode]) -> tuple[Mode, ...]:
    """Return modes, of which one may stand alone.

    Raises:
        ConfigError: It is no mode, or there is none.
    """
    given = (modes,) if isinstance(modes, str) else tuple(modes)
    if not given or not set(given) <= set(MODES):
        raise ConfigError(f"modes: {given!r}; name {', '.join(MODES)}, or both")
    return given


def _paths(files: Files) -> list[Path]:
    return [Path(files)] if isinstance(files, str | os.PathLike) else [Path(f) for f in files]


def _named_paths(files: Files) -> list[Path]:
    """Return files of logs, of which there is at least one.

    Raises:
        ConfigError: There is none, such as where a pattern matches nothing.
    """
    if not (paths := _paths(files)):
        raise ConfigError("no file of logs is named; name at least one")
    return paths


def _named(files: Sequence[Path]) -> str:
    return str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"


def _say(console: Console, text: str) -> None:
    """Tell what is going on, so that nobody wonders at the silence."""
    Progress(console).say(text)
