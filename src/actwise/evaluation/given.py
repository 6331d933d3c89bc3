"""What a model does after a thought that is given: its own cut short, or part of the recorded one.

*Budget*: each thought is cut to so many tokens and closed, and the model has to act; accuracy
against the budget tells how much of the thinking is of use (T1, arXiv:2501.11651). *Diagnosis*: the
model goes on from knowledge, a plan or the solved sub-problems of the recorded thought, and what
each of them is worth tells what it lacks (SPARKLE, arXiv:2506.04723).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from actwise.conversation import Conversation, Decision, all_decisions
from actwise.engine.rollouts import Group, after_thought
from actwise.evaluation.evaluate import Evaluator
from actwise.run.progress import Progress
from actwise.thoughts.injection import gathered
from actwise.thoughts.kinds import sentences

Record = dict[str, Any]

_CHUNK = 128
"""Decisions between two signs of progress."""

NOTHING = "nothing"
GIVEN: Mapping[str, Callable[[Decision, str], str | None]] = {
    NOTHING: lambda decision, thought: "",
    "knowledge": gathered,
    "plan": lambda decision, thought: sentences(thought)[0],
    "sub-problems": lambda decision, thought: " ".join(sentences(thought)[:-1]) or None,
}
"""What is given of a recorded thought: the fields that it rests on, its first sentence, or all of
its sentences but the last; None where it has no such part."""


def at_budget(
    evaluator: Evaluator,
    conversations: Sequence[Conversation],
    records: Sequence[Record],
    budget: int,
    progress: Progress,
) -> list[Record]:
    """Return what becomes of evaluated decisions when thoughts may have so many tokens.

    Args:
        evaluator: The one that made the records.
        conversations: Those of the records.
        records: From `Evaluator.evaluate` in thinking mode.
        budget: Tokens of thought; shorter thoughts and what follows them stay as they are.
        progress: Where it is shown.
    """
    template = evaluator.template
    decisions = {d.key: d for d in all_decisions(conversations)}
    cut = {
        record["decision"]: template.decode(template.encode(record["thought"])[:budget])
        for record in records
        if record["thought_tokens"] > budget
    }
    groups = (after_thought(template, decisions[k], t, closed=True) for k, t in cut.items())
    title = f"thought of {budget} tokens"
    changed = {r["decision"]: r for r in _completed(evaluator, groups, len(cut), title, progress)}
    return [changed.get(record["decision"], record) for record in records]


def from_part(
    evaluator: Evaluator, conversations: Sequence[Conversation], name: str, progress: Progress
) -> list[Record]:
    """Return what a model does from a part of recorded thoughts on.

    Args:
        evaluator: Measures the model.
        conversations: Only decisions with a thought that has all of the parts count, so that what
            is given is all that differs.
        name: Which part, by the names of `GIVEN`.
        progress: Where it is shown.
    """
    whole = [(d, of_one[name]) for d, of_one in with_all_parts(conversations)]
    groups = (after_thought(evaluator.template, d, part) for d, part in whole)
    return list(_completed(evaluator, groups, len(whole), f"given {name}", progress))


def with_all_parts(
    conversations: Sequence[Conversation],
) -> list[tuple[Decision, dict[str, str]]]:
    """Return the decisions whose recorded thought has all of the parts, with these by name."""
    found = []
    for decision in all_decisions(conversations):
        if not (thought := decision.gold.reasoning_content):
            continue
        parts = {name: part(decision, thought) for name, part in GIVEN.items()}
        whole = {name: part for name, part in parts.items() if part is not None}
        if len(whole) == len(GIVEN):
            found.append((decision, whole))
    return found


def _completed(
    evaluator: Evaluator, groups: Iterator[Group], number: int, title: str, progress: Progress
) -> Iterator[Record]:
    with progress.track(title, number) as show:
        done = 0
        while chunk := [group for _, group in zip(range(_CHUNK), groups, strict=False)]:
            yield from evaluator.complete(chunk, thinking=True)
            done += len(chunk)
            show(done)
