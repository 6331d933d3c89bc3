"""Run the arms of an experiment for several seeds, several at a time.

A seed decides the desk's conversations, their order and all sampling, so seeds are independent
repetitions. Each run has a folder, `OUT/seed-N/ARM`, and a log beside it; a run that is finished is
not repeated, and one that was interrupted goes on.
"""

import traceback
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path

from rich.console import Console

from actwise.config import RunConfig, load_config
from actwise.data.split import Splits
from actwise.desk.splits import prepare_desk
from actwise.engine.local import LocalEngine
from actwise.errors import ConfigError, RunError
from actwise.experiment.design import Arm, Experiment
from actwise.experiment.interventions import intervene
from actwise.model.loading import load_policy
from actwise.model.threads import choose_threads
from actwise.pipeline import identity, run_pipeline
from actwise.run.files import read_records
from actwise.run.folder import Run
from actwise.run.progress import Progress

INTERVENED = 120
"""Decisions of `test` on which thoughts are replaced, for each model and seed."""


@dataclass(frozen=True)
class Task:
    """One arm of one seed."""

    out: Path
    seed: int
    arm: Arm
    experiment: Experiment
    """Of whose first arm what is shared is taken."""
    model: str
    settings: tuple[str, ...]
    command: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """The run folder."""
        return run_folder(self.out, self.seed, self.arm.name)

    @property
    def log(self) -> Path:
        """Where the run writes how far it is."""
        return self.folder.with_suffix(".log")

    def config(self) -> RunConfig:
        """Return the configuration of the run."""
        changed = [*self.settings, *self.arm.settings, f"seed={self.seed}"]
        if self.arm.sampling_as:
            folder = run_folder(self.out, self.seed, self.arm.sampling_as)
            changed.append(f"rl.sampled_tokens={sampled_tokens(folder)}")
        return load_config(self.experiment.settings, changed)

    @property
    def first(self) -> Arm:
        """The first arm of the experiment."""
        return self.experiment.arms[0]


def run_folder(out: Path, seed: int, arm: str) -> Path:
    """Return the folder of one arm of one seed."""
    return out / f"seed-{seed}" / arm


def sampled_tokens(folder: Path) -> int:
    """Return the tokens that a run has sampled in RL."""
    steps = [step for file in folder.glob("metrics/rl*.jsonl") for step in read_records(file)]
    return int(sum(step["sampled_tokens"] for step in steps))


def run_experiment(
    experiment: Experiment,
    out: Path,
    seeds: Sequence[int],
    model: str,
    settings: Sequence[str],
    *,
    arms: Sequence[str] = (),
    executor: Executor,
    jobs: int,
    command: Sequence[str],
    progress: Progress,
) -> None:
    """Run every arm of every seed that is not finished.

    Args:
        experiment: What is run.
        out: Folder of the experiment.
        seeds: The repetitions.
        model: Folder or hub name of the base model.
        settings: As for `--set`; they overrule the experiment's, and an arm's overrule them.
        arms: Names of arms that are run, besides the first; all where not given.
        executor: Where the runs are computed.
        jobs: How many at a time.
        command: As typed, kept with each run.
        progress: Where finished runs are shown.

    Raises:
        ConfigError: There is no such arm.
        RunError: Some run failed; the others have been finished.
    """
    chosen = _chosen(experiment, arms)
    first = experiment.arms[0].name
    # Of what can begin the earliest seed goes first, so that one is whole before the next.
    ready = [(seed, 0) for seed in seeds]
    running: dict[Future[None], Task] = {}
    failed: list[tuple[Task, BaseException]] = []
    while ready or running:
        while ready and len(running) < jobs:
            seed, number = heappop(ready)
            arm = experiment.arms[number]
            task = Task(out, seed, arm, experiment, model, tuple(settings), tuple(command))
            running[executor.submit(run_task, task)] = task
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            task, error = running.pop(future), future.exception()
            if error is not None:
                failed.append((task, error))
                with task.log.open("a", encoding="utf-8") as log:
                    log.writelines(traceback.format_exception(error))
                progress.say(f"{task.folder} failed: {error}")
                continue
            progress.say(f"{task.folder} done")
            for number in chosen:
                if (experiment.arms[number].sampling_as or first) == task.arm.name:
                    heappush(ready, (task.seed, number))
    if failed:
        task, error = failed[0]
        raise RunError(
            f"{len(failed)} runs failed, the first in {task.folder}: {error}; see {task.log}, and "
            "run the same command again to go on with the others"
        ) from error


def _chosen(experiment: Experiment, names: Sequence[str]) -> list[int]:
    """Return the numbers of arms beside the first, with those that they sample as much as."""
    arms = {arm.name: arm for arm in experiment.arms}
    unknown = set(names) - set(arms)
    if unknown:
        known = ", ".join(arms)
        raise ConfigError(f"--arms: there is no {min(unknown)}; the arms are {known}")
    wanted = set(names or arms)
    wanted |= {arms[name].sampling_as for name in wanted}
    return [n for n, arm in enumerate(experiment.arms) if n and arm.name in wanted]


def run_task(task: Task) -> None:
    """Run one arm of one seed, or what is left of it."""
    config = task.config()
    prepared = prepare_desk(config)
    request = identity(task.model, prepared, config)
    task.log.parent.mkdir(parents=True, exist_ok=True)
    with task.log.open("a", encoding="utf-8", buffering=1) as log:
        console = Console(file=log, width=120)
        with Run.open(task.folder, request, Progress(console)) as run:
            finished = run.intact("results.json")
        if not finished:
            run_pipeline(
                task.folder,
                task.model,
                prepared,
                config,
                command=task.command,
                console=console,
                begin_from=run_folder(task.out, task.seed, task.first.name)
                if task.arm.shares
                else None,
                taken=task.arm.shares,
            )
        if task.arm == task.first:
            with Run.open(task.folder, request, Progress(console)) as run:
                _intervene(run, config, prepared.splits, task.experiment.examined)


def _intervene(run: Run, config: RunConfig, splits: Splits, stages: Sequence[str]) -> None:
    results = run.read_json("results.json")
    for stage in stages:
        file = f"interventions/{stage}.jsonl"
        if run.intact(file):
            continue
        policy = load_policy(str(run.folder / "models" / stage), config)
        choose_threads(run, config.model, policy)
        records = intervene(
            LocalEngine(policy),
            policy.template,
            splits.tests["test"],
            run.read_records(f"evaluations/{stage}-thinking-test.jsonl"),
            limit=INTERVENED,
            max_tokens=results["max_completion_tokens"],
        )
        run.write_records(file, records)
