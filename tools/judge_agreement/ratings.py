"""Does the reward agree with people? Checked on rated steps of Taskmaster-3 and Taskmaster-4.

Each record of TM-3-2020/reward and TM-4-2024/reward (github.com/google-research-datasets/
Taskmaster, one JSON object a line) holds a context, what a model generated there, and whether
people accepted it (1) or not (0). There is no recorded action, but several generations may share a
context: those that people accepted are records for the others. A generation earns the best reward
that it gets against any of them; its own acceptance is never used.

Tools have no schemas in these files, so arguments compare without.

What is left without a record is measured on all steps: whether a call is one that was offered, is
no repetition and invents no argument; whether an answer is no repetition and invents no fact.

    python tools/judge_agreement/ratings.py FILE.jsonl.gz ... [--embedding MODEL]

A verdict "not checkable" counts half.

AUC is the chance that a step people accepted gets more than one they did not (ties count half).
Balanced accuracy is the mean of the shares of accepted and refused steps that are told rightly, by
a threshold chosen on one half of the contexts and measured on the other, both ways round. Intervals
are 95 % bootstrap intervals over contexts.
"""

import argparse
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from actwise.conversation import Message, ToolCall
from actwise.rewards.facts import read
from actwise.rewards.judge import judge, texts
from actwise.rewards.settings import JudgeConfig, LocalEmbedding
from actwise.rewards.similar import local_similarities
from actwise.template.parse import ParsedCompletion

Floats = NDArray[np.float64]
RESAMPLES = 1000
SCORES: dict[str, Literal["binary", "graded"]] = {
    "reward, binary": "binary",
    "reward, graded": "graded",
}
UNDECIDED = 0.5
"""Counts for a verdict that is neither right nor wrong."""


@dataclass(frozen=True)
class Step:
    """One generation and what people thought of it."""

    context: tuple[Message, ...]
    key: str
    """The same for steps that share a context."""
    action: Message
    accepted: bool


def read_steps(path: Path) -> list[Step]:
    """Read the rated steps of one file."""
    steps = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            turns = json.loads(record["context"])
            key = json.dumps(turns, sort_keys=True)
            action = message(json.loads(record["generation"]))
            steps.append(Step(tuple(map(message, turns)), key, action, record["reward"] == 1))
    return steps


def message(turn: dict[str, Any]) -> Message:
    """Turn one entry of a context into a message."""
    if turn["role"] == "user":
        return Message(role="user", content=turn["text"])
    if turn["role"] == "api":
        return Message(role="tool", content=json.dumps(turn["response"]))
    calls = turn.get("api", {})
    return Message(
        role="assistant",
        content=turn.get("text", ""),
        tool_calls=tuple(ToolCall(name=name, arguments=calls[name]) for name in calls),
    )


def against_records(
    steps: Sequence[Step], embedding: LocalEmbedding | None
) -> Iterator[tuple[Step, dict[str, float]]]:
    """Yield the steps whose context holds another accepted generation, with their scores."""
    settings = {
        name: JudgeConfig(tool_accuracy=kind, embedding=embedding) for name, kind in SCORES.items()
    }
    by_context = defaultdict(list)
    for step in steps:
        by_context[step.key].append(step)
    for group in by_context.values():
        for step in group:
            records = [other.action for other in group if other is not step and other.accepted]
            if not records:
                continue
            verdicts = {
                name: [verdict(step, record, of_score) for record in records]
                for name, of_score in settings.items()
            }
            scores = {name: max(v.reward for v in found) for name, found in verdicts.items()}
            found = [v.right for v in verdicts["reward, binary"]]
            right = max(UNDECIDED if one is None else float(one) for one in found)
            same = float(any(identical(step.action, record) for record in records))
            yield step, {**scores, "right": right, "identical": same}


def identical(one: Message, other: Message) -> bool:
    """Whether two actions are the same to the letter: what a comparison of strings would tell."""
    return one.content == other.content and [c.model_dump() for c in one.tool_calls] == [
        c.model_dump() for c in other.tool_calls
    ]


def verdict(step: Step, record: Message, settings: JudgeConfig) -> Any:
    """Judge a generation against one record."""
    completion = ParsedCompletion(None, step.action.tool_calls, step.action.content, ())
    answers = not (step.action.tool_calls or record.tool_calls) and step.action.content
    similarity = None
    if isinstance(settings.embedding, LocalEmbedding) and answers:
        pair = (step.action.content, record.content)
        (similarity,) = local_similarities(settings.embedding, [pair])
    return judge(
        completion,
        record,
        [],
        thinking=False,
        settings=settings,
        context=step.context,
        similarity=similarity,
    )


def carried_on(path: Path) -> tuple[int, int]:
    """Return how many refused steps go on in the context of another record, and how many as said.

    Where people corrected what they refused, the next contexts would hold the correction.
    """
    with gzip.open(path, "rt", encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    went_on = defaultdict(set)
    for record in records:
        turns = json.loads(record["context"])
        for index, turn in enumerate(turns):
            if turn["role"] == "agent":
                went_on[json.dumps(turns[:index])].add(json.dumps(turn))
    refused = [r for r in records if r["reward"] != 1 and r["context"] in went_on]
    return len(refused), sum(r["generation"] in went_on[r["context"]] for r in refused)


def without_records(step: Step, offered: set[str]) -> dict[str, float]:
    """Return what can be said of a step that is compared with nothing."""
    before = [m for m in step.context if m.role == "assistant"]
    calls = [(call.name, call.arguments) for m in before for call in m.tool_calls]
    said = " ".join(texts(step.context)).casefold()
    checks = {"no repetition": float(all(step.action.content != m.content for m in before))}
    if step.action.tool_calls:
        ours = [(call.name, call.arguments) for call in step.action.tool_calls]
        values = [value for _, arguments in ours for value in leaves(arguments)]
        grounded = [float(value.casefold() in said) for value in values]
        checks = {
            "no repetition": float(not any(call in calls for call in ours)),
            "tool on offer": float(all(name in offered for name, _ in ours)),
            "nothing invented": float(np.mean(grounded)) if grounded else 1.0,
        }
    else:
        facts = read(step.action.content).facts
        stated = [any(read(text).states(f) for text in texts(step.context)) for f in facts]
        checks["nothing invented"] = float(np.mean(stated)) if stated else 1.0
    return {**checks, "all checks": float(np.mean(list(checks.values())))}


def leaves(value: Any) -> Iterator[str]:
    """Yield the values in arguments that would have to stand somewhere, as text."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from leaves(part)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


def auc(scores: Floats, accepted: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve; NaN where all were accepted or none."""
    high, low = scores[accepted], scores[~accepted]
    if not len(high) or not len(low):
        return float("nan")
    return float(mannwhitneyu(high, low).statistic / (len(high) * len(low)))


def balanced_accuracy(scores: Floats, accepted: NDArray[np.bool_], threshold: float) -> float:
    """Return the mean of the shares told rightly, where at least `threshold` means accepted."""
    told = scores >= threshold
    return float((told[accepted].mean() + (~told[~accepted]).mean()) / 2)


def cross_fitted(
    scores: Floats, accepted: NDArray[np.bool_], contexts: NDArray[np.int64], seed: int
) -> float:
    """Return the balanced accuracy with thresholds from the other half of the contexts."""
    names = np.unique(contexts)
    half = np.random.default_rng(seed).permutation(len(names)) < len(names) // 2
    first = np.isin(contexts, names[half])
    found = []
    for chosen, measured in ((first, ~first), (~first, first)):
        if not all(0 < accepted[part].sum() < part.sum() for part in (chosen, measured)):
            return float("nan")
        thresholds = np.unique(scores[chosen])
        best = max(thresholds, key=lambda t: balanced_accuracy(scores[chosen], accepted[chosen], t))
        found.append(balanced_accuracy(scores[measured], accepted[measured], best))
    return float(np.mean(found))


def interval(scores: Floats, accepted: NDArray[np.bool_], contexts: NDArray[np.int64]) -> str:
    """Return the 95 % interval of the AUC, resampling whole contexts."""
    draw = np.random.default_rng(0)
    places = [np.flatnonzero(contexts == name) for name in np.unique(contexts)]
    found = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([places[i] for i in draw.integers(len(places), size=len(places))])
        found.append(auc(scores[rows], accepted[rows]))
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return f"{low:.3f}–{high:.3f}"


def report(title: str, judged: Sequence[tuple[Step, dict[str, float]]]) -> None:
    """Print the table of one set of judged steps."""
    print(f"\n{title}")
    print(
        f"{'steps':8} {'score':18} {'accepted':>8} {'refused':>8} {'AUC':>6}  "
        f"{'95 %':12} {'balanced':>8}"
    )
    kinds = {
        "all": [True] * len(judged),
        "calls": [bool(step.action.tool_calls) for step, _ in judged],
        "answers": [not step.action.tool_calls for step, _ in judged],
    }
    numbers = {key: i for i, key in enumerate(dict.fromkeys(step.key for step, _ in judged))}
    for kind, of_kind in kinds.items():
        chosen = [pair for pair, wanted in zip(judged, of_kind, strict=True) if wanted]
        accepted = np.array([step.accepted for step, _ in chosen], dtype=bool)
        contexts = np.array([numbers[step.key] for step, _ in chosen])
        for name in {name: None for _, scores in chosen for name in scores}:
            if any(name not in scores for _, scores in chosen):
                continue
            values = np.array([scores[name] for _, scores in chosen])
            print(
                f"{kind:8} {name:18} {accepted.sum():8} {(~accepted).sum():8} "
                f"{auc(values, accepted):6.3f}  {interval(values, accepted, contexts):12} "
                f"{cross_fitted(values, accepted, contexts, seed=0):8.3f}"
            )


def main() -> None:
    """Print the agreement of the reward with the ratings of each file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--embedding", metavar="MODEL", help="of sentence-transformers")
    given = parser.parse_args()
    embedding = LocalEmbedding(model=given.embedding) if given.embedding else None
    for path in given.files:
        steps = read_steps(path)
        # What was offered is not recorded; what the contexts call was.
        offered = {call.name for step in steps for m in step.context for call in m.tool_calls}
        print(
            f"{path}: {len(steps)} steps in {len({s.key for s in steps})} contexts, "
            f"{sum(s.accepted for s in steps)} accepted"
        )
        print(
            "refused steps that go on in another context: {}, of them as generated: {}".format(
                *carried_on(path)
            )
        )
        report(
            "against accepted steps of the same context", list(against_records(steps, embedding))
        )
        report("without a record", [(step, without_records(step, offered)) for step in steps])
        print()


if __name__ == "__main__":
    main()
