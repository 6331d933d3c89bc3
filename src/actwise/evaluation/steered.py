"""An evaluator whose model is steered, by a vector that is found in the model's own thoughts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from actwise.config import SteeringConfig
from actwise.conversation import Conversation, all_decisions
from actwise.engine.local import LocalEngine
from actwise.engine.steering import Steering, find_steering
from actwise.evaluation.evaluate import Evaluator
from actwise.model.policy import Policy
from actwise.run.progress import Progress


def steered(
    evaluator: Evaluator,
    policy: Policy,
    conversations: Sequence[Conversation],
    config: SteeringConfig,
    progress: Progress,
    records: Sequence[dict[str, Any]] | None = None,
) -> tuple[Evaluator, Steering | None]:
    """Return an evaluator like another, but steered, and what is added.

    Args:
        evaluator: Measures the policy.
        policy: As it is.
        conversations: Where the policy's own thoughts are looked at; their records are not used.
        config: Where and how much.
        progress: Where it is told that nothing can be steered.
        records: What the evaluator found on them, if it has been asked.
    """
    conversations = conversations[: config.conversations]
    if records is None:
        records = evaluator.evaluate(conversations, thinking=True)
    decisions = {d.key: d for d in all_decisions(conversations)}
    thoughts = [
        (decision, r["thought"])
        for r in records
        if r["thought"] and (decision := decisions.get(r["decision"])) is not None
    ]
    steering = find_steering(policy, thoughts, layer=config.layer, strength=config.strength)
    if steering is None:
        progress.say("nothing is steered: no sentence of the thoughts reflects or changes course")
        return evaluator, None
    return replace(evaluator, engine=LocalEngine(policy, steering=steering)), steering
