"""The stages of a run, in order, each measured, then table and report.

Whatever is finished in the run folder is skipped, so the same command goes on after an
interruption. The same code runs the demo on the desk and a user's logs.
"""

import json
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from actwise.config import MODES, Mode, RunConfig
from actwise.conversation import all_decisions
from actwise.data.fingerprint import SIDES_FILE
from actwise.data.prepare import Prepared, fit
from actwise.engine.opening import open_engine
from actwise.environments.source import environment_digest
from actwise.errors import ConfigError
from actwise.evaluation.evaluate import Evaluator
from actwise.evaluation.judging import spent, spent_since
from actwise.evaluation.measurements import Subject, measurements
from actwise.evaluation.steered import steered
from actwise.model.checkpointing import choose_checkpointing
from actwise.model.kernels.allocator import give_back
from actwise.model.loading import load_policy
from actwise.model.memory import peak_memory, restart_peak
from actwise.model.policy import Policy
from actwise.model.processes import join
from actwise.model.startup import model_name
from actwise.model.threads import choose_threads
from actwise.preflight.outline import expected_time, outline
from actwise.report import write_report
from actwise.report.words import size
from actwise.results.summary import best_on_development, paired, row, verdict_sentence
from actwise.rewards.custom import source_digests
from actwise.rewards.floors import floors
from actwise.run.files import fingerprint
from actwise.run.folder import CONVERSATIONS, STEERING, Run
from actwise.run.progress import QUIET, Progress
from actwise.run.versions import versions
from actwise.trackers import begin_tracking, check_installed
from actwise.training.stage import Context, Course
from actwise.training.stages import BASE, STAGES, Stage, stage_named, stages_of


class Pipeline:
    """One run: a policy on its way through the stages."""

    def __init__(
        self, run: Run, model: str, policy: Policy, prepared: Prepared, config: RunConfig
    ) -> None:
        """Take what the run works with; see `run_pipeline`."""
        assert prepared.max_tokens is not None, "fitted to the model"
        self._run = run
        self._policy = policy
        self._config = config
        self._prepared = prepared
        self._tests = prepared.splits.tests
        self._stages = stages_of(config)
        engine = open_engine(policy, config.engine, run.folder, run.progress.say)
        self._evaluator = Evaluator(engine, policy.template, config.reward, prepared.max_tokens)
        self._dev = prepared.splits.dev[: config.evaluate.dev_conversations]
        self._context = Context(
            run,
            policy,
            engine,
            prepared.splits.train,
            config,
            prepared.max_tokens,
            self._development_score,
            lambda: load_policy(model, config).weights(),
        )
        self._rows: list[dict[str, Any]] = []
        self._records: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        self._steered: dict[str, Evaluator] = {}
        self._further: dict[str, list[dict[str, Any]]] = {}
        self._development: dict[str, float] = {}
        self._base_mode: Mode = config.rl.mode
        """In which the base was better on the development split."""
        self._costs: list[dict[str, Any]] = []
        self._begin = 0.0

    def __call__(self) -> dict[str, Any]:
        """Run what is not done yet; return the results, which also lie in the run folder."""
        self._tracking = begin_tracking(
            self._config.tracker if self._run.processes.first else None,
            self._run.folder,
            self._config.model_dump(mode="json"),
            self._run.progress.say,
        )
        self._keep_tests()
        self._timed(BASE, self._base)
        for stage in self._stages:
            self._timed(stage.name, partial(self._train, stage))
        return self._finish()

    def _keep_tests(self) -> None:
        """Write down what is measured on, for reports and comparisons."""
        if not self._run.intact(CONVERSATIONS):
            self._run.write_records(
                CONVERSATIONS,
                [
                    {"split": split, **json.loads(conversation.to_json())}
                    for split, conversations in self._tests.items()
                    for conversation in conversations
                ],
            )

    def _base(self) -> None:
        file = f"checkpoints/{BASE}.development.json"
        if not self._run.intact(file):
            scores: dict[str, float] = {mode: self._development_score(mode) for mode in MODES}
            best = best_on_development(scores)
            self._run.write_json(file, {"mode": best, "score": scores[best]})
        found = self._run.read_json(file)
        # Older runs have written down the score alone.
        known = found if isinstance(found, dict) else {"mode": self._config.rl.mode, "score": found}
        self._base_mode = known["mode"]
        self._development[BASE] = math.nan if known["score"] is None else known["score"]
        for mode in MODES:
            self._measure(BASE, mode)

    def _train(self, stage: Stage) -> None:
        course = stage.begin(self._context)
        training = course.training
        self._begin -= training.earlier
        with self._run.progress.track(stage.name, training.steps, training.step) as show:
            for figures in course.steps:
                self._tracking.log(stage.name, training.step, figures)
                known = math.isfinite(training.best_score)
                best = training.best_score if known else None
                shown = {name: figures[name] for name in course.shown}
                show(training.step, training.end, **shown, best=best)
        training.finish()
        self._development[stage.name] = training.best_score
        if not self._run.intact(f"models/{stage.name}"):
            with self._policy.gathered():
                self._run.write(f"models/{stage.name}", partial(self._save, course))
        mode = stage.mode(self._config)
        self._measure(stage.name, mode)
        self._measure_further(stage.name, mode)

    def _save(self, course: Course, folder: Path) -> None:
        self._policy.save(folder)
        course.beside(folder)
        if self._prepared.sides is not None:
            (folder / SIDES_FILE).write_text(self._prepared.sides.to_json(), encoding="utf-8")

    def _development_score(self, mode: Mode) -> float:
        return self._evaluator.action_accuracy(self._dev, thinking=mode == "thinking")

    def _evaluator_of(self, model: str, mode: str) -> Evaluator:
        """Return how a model is measured, steered where that is asked for."""
        config = self._config.evaluate.steering
        if not config.strength or mode == "direct" or model == BASE:
            return self._evaluator
        if model not in self._steered:
            train, progress = self._prepared.splits.train, self._run.progress
            evaluator, steering = steered(self._evaluator, self._policy, train, config, progress)
            if steering is not None:
                self._run.write_json(STEERING.format(model), steering.to_dict())
            self._steered[model] = evaluator
        return self._steered[model]

    def _measure(self, model: str, mode: str) -> None:
        files = [f"evaluations/{model}-{mode}-{split}.jsonl" for split in self._tests]
        whole = all(map(self._run.intact, files))
        evaluator = self._evaluator if whole else self._evaluator_of(model, mode)
        for split, conversations in self._tests.items():
            file = f"evaluations/{model}-{mode}-{split}.jsonl"
            if self._run.intact(file):
                records = self._run.read_records(file)
            else:
                records = evaluator.evaluate(
                    conversations,
                    thinking=mode == "thinking",
                    progress=self._run.progress,
                    title=f"{model} {mode} {split}",
                )
                self._run.write_records(file, records)
            self._records[model, mode, split] = records
            self._rows.append(row(model, mode, split, records))

    def _measure_further(self, model: str, mode: Mode) -> None:
        """Measure what settings ask for besides the greedy decisions; see `measurements`."""
        wanted = [
            (split, measurement, f"measurements/{model}-{mode}-{split}-{measurement.name}.jsonl")
            for split in self._tests
            for measurement in measurements(self._config.evaluate, mode)
        ]
        whole = all(self._run.intact(file) for *_, file in wanted)
        evaluator = self._evaluator if whole else self._evaluator_of(model, mode)
        for split, measurement, file in wanted:
            if self._run.intact(file):
                records = self._run.read_records(file)
            else:
                subject = Subject(
                    self._policy,
                    evaluator,
                    mode,
                    self._tests[split],
                    self._records[model, mode, split],
                    self._config,
                    self._run.progress,
                    f"{model} {mode} {split}",
                    self._run.folder / "models" / model,
                )
                records = measurement.measure(subject)
                self._run.write_records(file, records)
            if records:
                found = measurement.row(model, mode, split, records)
                self._further.setdefault(measurement.table, []).append(found)

    def _timed(self, name: str, stage: Callable[[], None]) -> None:
        """Run a stage; what it took before an interruption counts up to its last checkpoint."""
        file = _cost(name)
        device = self._policy.device
        give_back()
        restart_peak(device)
        self._begin = time.monotonic()
        before = spent(self._config.reward)
        stage()
        if not self._run.intact(file):
            seconds = time.monotonic() - self._begin
            self._run.write_json(file, {"seconds": seconds, "peak_memory": peak_memory(device)})
        cost = self._run.read_json(file)
        asked = spent_since(before, self._config.reward)
        self._costs.append({"name": name, **cost, **asked})
        self._run.progress.say(
            f"{name} done in {cost['seconds']:.0f} s with {size(cost['peak_memory'])} of memory"
        )

    def _finish(self) -> dict[str, Any]:
        train = self._prepared.splits.train
        differences = [d for split in self._tests for d in self._differences(split)]
        promoted = best_on_development(self._development)
        mode = self._promoted_mode(promoted)
        named = f"{promoted} ({mode})"
        results = {
            "models": list(self._development),
            "rows": self._rows,
            **self._further,
            "floors": {
                split: floors(list(all_decisions(conversations)), train, self._config.reward)
                for split, conversations in self._tests.items()
            },
            "paired": differences,
            "development": self._development,
            "promoted": promoted,
            "promoted_mode": mode,
            "verdict": verdict_sentence(self._rows, differences, named, self._headline()),
            "stages": self._costs,
            "skipped": self._prepared.skipped,
            "max_completion_tokens": self._prepared.max_tokens,
        }
        self._run.write_json("results.json", results)
        self._run.processes.agreed(lambda: write_report(self._run.folder))
        self._tracking.finish(results)
        return results

    def _promoted_mode(self, promoted: str) -> Mode:
        stage = stage_named(promoted)
        return self._base_mode if stage is None else stage.mode(self._config)

    def _differences(self, split: str) -> list[dict[str, Any]]:
        return [
            difference
            for stage in self._stages
            for other in stage.compared_with
            for one, against in [self._pair(stage, other)]
            if (*one, split) in self._records and (*against, split) in self._records
            for difference in paired(
                split,
                (f"{one[0]} ({one[1]})", self._records[*one, split]),
                (f"{against[0]} ({against[1]})", self._records[*against, split]),
            )
        ]

    def _pair(self, stage: Stage, other: str) -> tuple[tuple[str, str], tuple[str, str]]:
        """Return a stage's model and another's, each with its mode."""
        mode = stage.mode(self._config)
        theirs = mode if (against := stage_named(other)) is None else against.mode(self._config)
        return (stage.name, mode), (other, theirs)

    def _headline(self) -> tuple[str, str] | None:
        """Return what the verdict is about: the last model, and what it is first held against."""
        if not self._stages:
            return None
        last = self._stages[-1]
        (one, mode), (other, theirs) = self._pair(last, last.compared_with[0])
        return f"{one} ({mode})", f"{other} ({theirs})"


def run_pipeline(
    folder: Path,
    model: str,
    prepared: Prepared,
    config: RunConfig,
    *,
    command: Sequence[str],
    console: Console,
    begin_from: Path | None = None,
    taken: Sequence[str] = (),
) -> dict[str, Any]:
    """Run all stages in a folder, or go on with them.

    Args:
        folder: The run folder.
        model: Folder or hub name of the base model.
        prepared: The conversations, not yet fitted to the model.
        config: Resolved.
        command: As typed, to be kept.
        console: Where progress is shown.
        begin_from: Folder of a run that shares its beginning with this one.
        taken: Stages that are taken from it instead of being computed again.

    Raises:
        ActwiseError: Whatever the user can mend.
    """
    check_installed(config.tracker)
    tools = config.data.tools
    request = {
        **identity(model, prepared, config),
        "seed": config.seed,
        "tools": fingerprint(tools) if tools is not None and tools.is_file() else None,
        "command": list(command),
        "stages": {stage.name: stage.mode(config) for stage in stages_of(config)},
        **versions(),
    }
    processes = join()
    if processes.count > 1 and (config.rl.unit == "turn" or config.evaluate.episodes):
        key = "rl.unit=turn" if config.rl.unit == "turn" else "evaluate.episodes"
        raise ConfigError(f"{key}: one process plays the episodes; start it without torchrun")
    if processes.count > 1 and config.engine.ahead:
        raise ConfigError("engine.ahead=1: one process samples ahead; start it without torchrun")
    progress = Progress(console) if processes.first else QUIET
    with Run.open(folder, request, progress, STAGES, processes) as run:
        policy = load_policy(model, config)
        fitted = fit(prepared, config, policy.template, policy.context_length, run.progress)
        pipeline = Pipeline(run, model, policy, fitted, config)
        for stage in stages_of(config):
            stage.check(policy.template, fitted.splits.train, config)
        # Not before model and data are known to fit each other.
        sources = source_digests(config.reward)
        if config.rl.unit == "turn" or config.evaluate.episodes:
            sources |= environment_digest(config.episodes)
        run.begin(policy.digests() | sources)
        choose_threads(run, config.model, policy)
        assert fitted.max_tokens is not None, "fitted to the model"
        choose_checkpointing(policy, config, fitted.splits.train, fitted.max_tokens)
        if begin_from is not None:
            run.take_over(begin_from, taken)
        _say_what_comes(run, model, policy, fitted, config)
        return pipeline()


def identity(model: str, prepared: Prepared, config: RunConfig) -> dict[str, Any]:
    """Return what a run folder is the run of, as `run.json` has it."""
    return {
        "model": model_name(model),
        "config": config.model_dump(mode="json"),
        "data": prepared.fingerprints,
    }


def _say_what_comes(
    run: Run, model: str, policy: Policy, fitted: Prepared, config: RunConfig
) -> None:
    for line in outline(model, policy, fitted, config):
        run.progress.say(line)
    names = [BASE, *(stage.name for stage in stages_of(config))]
    done = [name for name in names if (run.folder / _cost(name)).exists()]
    if run.goes_on:
        run.progress.say(f"goes on in {run.folder}; done already: {', '.join(done) or 'nothing'}")
    elif config.engine.kind == "vllm":
        servers = ", ".join(config.engine.urls)
        run.progress.say(f"completions are sampled by {servers}; time: not estimated")
    elif not run.progress.quiet and run.processes.count == 1:  # a trial is of one process
        time = expected_time(policy, fitted, config, run.folder)
        run.progress.say(time or "time: not estimated, for so few steps")


def _cost(name: str) -> str:
    """Return the file that says what a stage took; it is there once the stage is done."""
    return f"checkpoints/{name}.cost.json"
