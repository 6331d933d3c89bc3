"""Measure one model on conversations, without training it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from actwise.config import RunConfig
from actwise.data.fit import completion_budget, context_of, count_left_out, divide, rendered
from actwise.data.load import Logs
from actwise.engine.local import LocalEngine
from actwise.errors import InputError
from actwise.evaluation.evaluate import Evaluator
from actwise.evaluation.judging import spent
from actwise.model.loading import load_policy
from actwise.results.summary import row
from actwise.run.progress import Progress


def measure(
    model: str,
    logs: Logs,
    modes: Sequence[str],
    config: RunConfig,
    *,
    console: Console,
) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """Measure one model on conversations.

    Args:
        model: Folder or hub name.
        logs: All conversations that the model can hold are measured on.
        modes: Some of "direct", "thinking".
        config: Sections `model`, `reward` and `evaluate` count, and `data.bad_records`.
        console: Where progress is shown.

    Returns:
        Results, with a table like a run's, and the judged decisions by mode.
    """
    policy = load_policy(model, config)
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
    evaluator = Evaluator(LocalEngine(policy), policy.template, config.reward, budget)
    records = {
        mode: evaluator.evaluate(
            conversations, thinking=mode == "thinking", progress=Progress(console), title=mode
        )
        for mode in modes
    }
    rows = [row(Path(model).name, mode, "data", of_mode) for mode, of_mode in records.items()]
    results = {"models": [Path(model).name], "rows": rows, "skipped": skipped}
    return results | spent(config.reward), records
