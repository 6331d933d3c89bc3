"""Decisions worth reading: those on which the models of a run differ."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from actwise.conversation import Conversation, Decision, all_decisions

Record = dict[str, Any]
ModelMode = tuple[str, str]
"""Name of a model and its mode."""


def choose_examples(
    split: str,
    conversations: Sequence[Conversation],
    records: Mapping[ModelMode, Sequence[Record]],
    *,
    limit: int,
    gold_text: Callable[[Decision], str],
) -> list[dict[str, Any]]:
    """Return decisions that some models get right and others wrong, spread over the split.

    Args:
        split: Name of the split.
        conversations: Conversations of the split.
        records: Judged decisions of each model; all have the same decisions.
        limit: How many at most.
        gold_text: Renders a recorded action.
    """
    by_model = {key: {r["decision"]: r for r in of_model} for key, of_model in records.items()}
    telling = [
        decision
        for decision in all_decisions(conversations)
        if {True, False} <= {of[decision.key]["verdict"]["right"] for of in by_model.values()}
    ]
    step = max(1, math.ceil(len(telling) / limit)) if limit else 1
    return [
        {
            "decision": decision.key,
            "split": split,
            "kind": decision.kind,
            "labels": list(decision.gold.labels),
            "context": [message.to_dict(thought=False) for message in decision.history],
            "gold": gold_text(decision),
            "completions": [
                {"model": model, "mode": mode, **_shown(of[decision.key])}
                for (model, mode), of in by_model.items()
            ],
        }
        for decision in (telling[::step] if limit else [])
    ]


def _shown(record: Record) -> dict[str, Any]:
    verdict = record["verdict"]
    return {
        "text": record["text"].rpartition("</think>")[2].strip(),
        "thought": record["thought"],
        "right": verdict["right"],
        "notes": [*verdict["notes"], *verdict["errors"]],
    }
