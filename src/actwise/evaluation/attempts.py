"""Several sampled completions of each decision: what a model gets right at least sometimes.

A greedy score tells nothing of what RL has to begin with, or has left: with k completions of each
decision, pass@k is the share of which any is right, and only decisions of which some are and others
not would be learned from.
"""

from collections.abc import Sequence
from typing import Any

import torch

from actwise.conversation import Conversation, all_decisions
from actwise.engine import SamplingParams
from actwise.engine.rollouts import Group, groups_of
from actwise.evaluation.evaluate import Evaluator
from actwise.evaluation.judging import judge_groups
from actwise.run.progress import Progress

_CHUNK = 8
"""Conversations between two signs of progress."""


def attempts(
    evaluator: Evaluator,
    conversations: Sequence[Conversation],
    number: int,
    *,
    thinking: bool,
    generator: torch.Generator,
    progress: Progress,
    title: str,
) -> list[dict[str, Any]]:
    """Return how many of several completions of each decision are right.

    Args:
        evaluator: Says what is sampled, and how it is judged; at temperature 1.
        conversations: What is measured on.
        number: Completions of each decision.
        thinking: The mode.
        generator: Source of randomness, on the model's device.
        progress: Where it is shown, under `title`.
        title: See `progress`.

    Returns:
        "decision", "conversation", "kind", "labels", "attempts", and of them "checked" and "right".
    """
    template = evaluator.template
    params = SamplingParams(evaluator.max_tokens, template.stop_token_ids)
    records: list[dict[str, Any]] = []
    with progress.track(title, len(conversations)) as show:
        for begin in range(0, len(conversations), _CHUNK):
            chunk = conversations[begin : begin + _CHUNK]
            completed = evaluator.engine.generate(
                groups_of(template, all_decisions(chunk), thinking=thinking),
                num_generations=number,
                params=params,
                generator=generator,
            )
            judged = judge_groups(
                template, completed, thinking=thinking, settings=evaluator.settings
            )
            records += [_record(group) for group in judged]
            show(begin + len(chunk), any_right=_any_right(records))
    return records


def _record(group: Group) -> dict[str, Any]:
    verdicts = [r.verdict.right for r in group.rollouts if r.verdict.right is not None]
    return {
        "decision": group.decision.key,
        "conversation": group.conversation.id,
        "kind": group.decision.kind,
        "labels": list(group.decision.gold.labels),
        "attempts": len(group.rollouts),
        "checked": len(verdicts),
        "right": sum(verdicts),
    }


def _any_right(records: Sequence[dict[str, Any]]) -> float:
    checked = [r["right"] > 0 for r in records if r["checked"]]
    return sum(checked) / max(1, len(checked))
