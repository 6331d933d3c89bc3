"""Measure one model on conversations, without training it."""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console

from actwise.config import Mode, RunConfig
from actwise.conversation import Conversation
from actwise.data.fit import completion_budget, context_of, count_left_out, divide, rendered
from actwise.data.load import Logs
from actwise.engine.choosing import Choice
from actwise.engine.local import LocalEngine
from actwise.errors import InputError
from actwise.evaluation.episodes import UNITS, evaluate_episodes
from actwise.evaluation.evaluate import Evaluator
from actwise.evaluation.given import at_budget, diagnosed
from actwise.evaluation.judging import spent
from actwise.evaluation.steered import steered
from actwise.model.loading import load_policy
from actwise.model.policy import Policy
from actwise.model.processes import join
from actwise.model.value import ValueModel
from actwise.results.episodes import episode_row
from actwise.results.summary import row
from actwise.run.progress import Progress

THINKING: Mode = "thinking"


def measure(
    model: str,
    logs: Logs,
    modes: Sequence[Mode],
    config: RunConfig,
    *,
    console: Console,
    budgets: Sequence[int] = (),
    diagnose: bool = False,
) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """Measure one model on conversations.

    Args:
        model: Folder or hub name.
        logs: All conversations that the model can hold are measured on.
        modes: Some of "direct", "thinking".
        config: Sections `model`, `reward` and `evaluate` count, and `data.bad_records`.
        console: Where progress is shown.
        budgets: Tokens to which thoughts are cut, too; see `given`.
        diagnose: Whether parts of recorded thoughts are given, too; see `given`.

    Returns:
        Results, with a table like a run's, and the judged decisions by mode and what was given.

    Raises:
        InputError: Nothing fits the model, or there is no thought to give.
    """
    join()
    policy = load_policy(model, config)
    conversations, budget, skipped = _fitting(policy, logs, config)
    evaluator = Evaluator(LocalEngine(policy), policy.template, config.reward, budget)
    records: dict[str, list[dict[str, Any]]] = {
        mode: evaluator.evaluate(
            conversations, thinking=mode == "thinking", progress=Progress(console), title=mode
        )
        for mode in modes
    }
    rows = [row(Path(model).name, mode, "data", of_mode) for mode, of_mode in records.items()]
    given: dict[str, list[dict[str, Any]]] = {}
    for tokens in budgets:
        given[f"thought of {tokens}"] = at_budget(
            evaluator, conversations, records[THINKING], tokens, Progress(console)
        )
    steering, vector = config.evaluate.steering, None
    if steering.strength and THINKING in records:
        own = records[THINKING]
        other, found = steered(evaluator, policy, conversations, steering, Progress(console), own)
        given["steered"] = other.evaluate(conversations, thinking=True)
        vector = None if found is None else found.to_dict()
    if diagnose:
        from_parts = diagnosed(evaluator, conversations, Progress(console))
        if not all(from_parts.values()):
            raise InputError(
                "no recorded thought has a plan, sub-problems and knowledge to give",
                file=conversations[0].source or conversations[0].id,
                remedy="leave --diagnose out",
            )
        given |= {f"given {name}": of_one for name, of_one in from_parts.items()}
    rows += [row(Path(model).name, THINKING, name, of_one) for name, of_one in given.items()]
    records |= {f"{THINKING}-{name.replace(' ', '-')}": of_one for name, of_one in given.items()}
    results = {"models": [Path(model).name], "rows": rows, "skipped": skipped}
    if vector is not None:
        results["steering"] = vector
    return results | spent(config.reward), records


def measure_episodes(
    model: str,
    logs: Mapping[str, Logs],
    modes: Sequence[str],
    config: RunConfig,
    *,
    console: Console,
    search: int = 0,
) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """Let one model act on its own history, and measure whole turns and whole conversations.

    Args:
        model: Folder or hub name.
        logs: Conversations by the name of their split.
        modes: Some of "direct", "thinking".
        config: Sections `model`, `reward`, `evaluate` and `episodes` count.
        console: Where progress is shown.
        search: Measure, too, with each step chosen among so many by the model's value model.

    Returns:
        Results with a table of episodes, and a record of each episode by mode.

    Raises:
        ModelError: There is no value model to search with.
    """
    policy = load_policy(model, config)
    choices: list[Choice | None] = [None]
    if search:
        choices.append(Choice(policy, ValueModel.of(policy, Path(model)), search))
    rows, skipped = [], []
    records: dict[str, list[dict[str, Any]]] = {mode: [] for mode in modes}
    for split, of_split in logs.items():
        conversations, budget, left_out = _fitting(policy, of_split, config)
        skipped += left_out
        evaluator = Evaluator(LocalEngine(policy), policy.template, config.reward, budget)
        for mode, unit, choice in product(modes, UNITS, choices):
            number = 0 if choice is None else choice.number
            found = evaluate_episodes(
                policy,
                evaluator,
                conversations,
                config,
                thinking=mode == "thinking",
                unit=unit,
                progress=Progress(console),
                title=f"{mode} {unit} {split}" + (f", best of {number}" if number else ""),
                choice=choice,
            )
            rows.append(episode_row(Path(model).name, mode, split, unit, found, number))
            records[mode] += [{"split": split, "search": number, **record} for record in found]
    return {"models": [Path(model).name], "episodes": rows, "skipped": skipped}, records


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
