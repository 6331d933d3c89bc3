"""Measure one model on conversations, without training it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from actwise.config import Mode, RunConfig
from actwise.conversation import Conversation
from actwise.data.fit import completion_budget, context_of, count_left_out, divide, rendered
from actwise.data.load import Logs
from actwise.engine.local import LocalEngine
from actwise.errors import InputError
from actwise.evaluation.evaluate import Evaluator
from actwise.evaluation.given import with_all_parts
from actwise.evaluation.judging import spent
from actwise.evaluation.measurements import Record, Subject, of_decisions, of_episodes
from actwise.evaluation.steered import steered
from actwise.model.loading import load_policy
from actwise.model.policy import Policy
from actwise.model.processes import join
from actwise.model.value import ValueModel
from actwise.results.summary import given_row, row
from actwise.run.progress import Progress

_SPLIT = "data"


def measure(
    model: str, logs: Logs, modes: Sequence[Mode], config: RunConfig, *, console: Console
) -> tuple[dict[str, Any], dict[str, list[Record]]]:
    """Measure one model on conversations.

    Args:
        model: Folder or hub name.
        logs: All conversations that the model can hold are measured on.
        modes: Some of "direct", "thinking".
        config: Sections `model`, `reward` and `evaluate` count, and `data.bad_records`.
        console: Where progress is shown.

    Returns:
        Results, with tables like a run's, and the judged decisions by mode and what was given.

    Raises:
        InputError: Nothing fits the model, or there is no thought to give.
    """
    join()
    policy = load_policy(model, config)
    conversations, budget, skipped = _fitting(policy, logs, config)
    if config.evaluate.diagnose and not with_all_parts(conversations):
        raise InputError(
            "no recorded thought has a plan, sub-problems and knowledge to give",
            file=conversations[0].source or conversations[0].id,
            remedy="leave --diagnose out",
        )
    evaluator = Evaluator(LocalEngine(policy), policy.template, config.reward, budget)
    progress, name = Progress(console), Path(model).name
    results: dict[str, Any] = {"models": [name], "rows": [], "skipped": skipped}
    records: dict[str, list[Record]] = {}
    for mode in modes:
        greedy = evaluator.evaluate(
            conversations, thinking=mode == "thinking", progress=progress, title=mode
        )
        results["rows"].append(row(name, mode, _SPLIT, greedy))
        records[mode] = greedy
        subject = Subject(
            policy, evaluator, mode, conversations, greedy, config, progress, mode, Path(model)
        )
        for measurement in of_decisions(config.evaluate, mode):
            found = measurement.measure(subject)
            records[f"{mode}-{measurement.name}"] = found
            measured = measurement.row(name, mode, _SPLIT, found)
            results.setdefault(measurement.table, []).append(measured)
        if subject.thinking and config.evaluate.steering.strength:
            found, vector = _steered(subject)
            records[f"{mode}-steered"] = found
            results.setdefault("given", []).append(given_row("steered", name, mode, _SPLIT, found))
            results |= {} if vector is None else {"steering": vector}
    return results | spent(config.reward), records


def _steered(subject: Subject) -> tuple[list[Record], dict[str, Any] | None]:
    """Return the decisions of a model that is steered, and by what, if it could be."""
    evaluator, vector = steered(
        subject.evaluator,
        subject.policy,
        subject.conversations,
        subject.config.evaluate.steering,
        subject.progress,
        subject.records,
    )
    found = evaluator.evaluate(
        subject.conversations, thinking=True, progress=subject.progress, title="steered"
    )
    return found, None if vector is None else vector.to_dict()


def measure_episodes(
    model: str,
    logs: Mapping[str, Logs],
    modes: Sequence[Mode],
    config: RunConfig,
    *,
    console: Console,
) -> tuple[dict[str, Any], dict[str, list[Record]]]:
    """Let one model act on its own history, and measure whole turns and whole conversations.

    Args:
        model: Folder or hub name.
        logs: Conversations by the name of their split.
        modes: Some of "direct", "thinking".
        config: Sections `model`, `reward`, `evaluate` and `episodes` count.
        console: Where progress is shown.

    Returns:
        Results with a table of episodes, and a record of each episode by mode.

    Raises:
        ModelError: `evaluate.search` is set, and there is no value model to search with.
    """
    policy, folder = load_policy(model, config), Path(model)
    if config.evaluate.search:
        ValueModel.of(policy, folder)
    results: dict[str, Any] = {"models": [folder.name], "episodes": [], "skipped": []}
    records: dict[str, list[Record]] = {mode: [] for mode in modes}
    for split, of_split in logs.items():
        conversations, budget, left_out = _fitting(policy, of_split, config)
        results["skipped"] += left_out
        evaluator = Evaluator(LocalEngine(policy), policy.template, config.reward, budget)
        for mode in modes:
            subject = Subject(
                policy,
                evaluator,
                mode,
                conversations,
                (),
                config,
                Progress(console),
                f"{mode} {split}",
                folder,
            )
            for measurement in of_episodes(config.evaluate):
                found = measurement.measure(subject)
                figures = measurement.row(folder.name, mode, split, found)
                results["episodes"].append(figures)
                named = {"split": split, "search": figures["search"]}
                records[mode] += [{**named, **record} for record in found]
    return results, records


def _fitting(
    policy: Policy, logs: Logs, config: RunConfig
) -> tuple[Sequence[Conversation], int, list[dict[str, Any]]]:
    """Return the conversations that a model can hold, its budget, and what was left out."""
    conversations, unfit = rendered(policy.template, logs.conversations)
    skipped = [*logs.skipped, *count_left_out(unfit, config)]
    if not conversations:
        raise unfit[0].error(len(unfit) - 1)
    budget = completion_budget(policy.template, conversations, config)
    context = context_of(policy.context_length, config)
    conversations, too_long = divide(
        policy.template, conversations, context=context, completion=budget
    )
    skipped += count_left_out(too_long, config)
    if not conversations:
        raise InputError(
            f"no conversation fits the model's context of {context} tokens",
            file=too_long[0].place,
            remedy="use a model with a longer context",
        )
    return conversations, budget, skipped
