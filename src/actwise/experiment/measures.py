"""What an experiment compares models by, and from which files of a run each figure comes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actwise.experiment.design import Model
from actwise.results.attempts import ATTEMPT_METRICS, failed
from actwise.results.episodes import EPISODE_METRICS
from actwise.results.stats import bootstrap_seeds
from actwise.results.summary import METRICS, Record, slices_of
from actwise.run.files import read_records
from actwise.training.stages import THINK

Value = Callable[[Record], float | None]

SPLITS = ("test", "shifted")
OF_DECISIONS: dict[str, Value] = {
    **METRICS,
    "thought_words": lambda r: len(r["thought"].split()) if r["thought"] else None,
}
"""Value of each measure at a greedy decision; None where it does not apply."""


@dataclass(frozen=True)
class Place:
    """One model of one seed on one split."""

    folder: Path
    """Its run folder."""
    first: Path
    """That of the first arm of its seed."""
    model: Model
    split: str

    def decisions(self, stage: str | None = None) -> list[Record]:
        """Return greedy decisions of the model, or of the one that another stage of it left."""
        of = self.model if stage is None else Model("", "", stage, self.model.mode)
        return read_records(self.folder / of.evaluation(self.split))

    def measured(self, name: str) -> list[Record]:
        """Return the records of a measurement; none where it was not measured."""
        return _if_there(self.folder / self.model.measurement(self.split, name))


@dataclass(frozen=True)
class Measure:
    """One figure by which models are compared."""

    value: Value
    """At a record; None where it does not apply."""
    read: Callable[[Place], list[Record]] = Place.decisions
    """Records with "decision" and "conversation", the same for all models of a seed."""
    share: bool = True
    """Whether it is written in points."""


def _turns(place: Place) -> list[Record]:
    return [{**r, "decision": r["turn"]} for r in place.measured("turn")]


def _searched(place: Place) -> list[Record]:
    """Return turns with what became of them by choosing steps, and what greedily."""
    greedy = {r["turn"]: r["success"] for r in place.measured("turn")}
    return [
        {**r, "decision": r["turn"], "gain": _difference(r["success"], greedy[r["turn"]])}
        for r in place.measured("turn-search")
    ]


def _act_share(record: Record) -> float | None:
    """Return the tokens before the first act as a share of those before the answer of a turn."""
    act, answer = record["tokens_before_act"], record["tokens_before_answer"]
    return act[0] / answer[0] if act and answer and answer[0] else None


def _conversations(place: Place) -> list[Record]:
    return [{**r, "decision": r["turn"]} for r in place.measured("conversation")]


def _attempts(place: Place) -> list[Record]:
    return place.measured("attempts")


def _once_failed(place: Place) -> list[Record]:
    """Return decisions of which the first arm's start was right in none of its attempts."""
    start = Model("", "", THINK.name, "thinking")
    attempts = _if_there(place.first / start.measurement(place.split, "attempts"))
    keys = {record["decision"] for record in attempts if failed(record)}
    return [record for record in place.decisions() if record["decision"] in keys]


def _started(place: Place) -> list[Record]:
    return place.decisions(THINK.name)


def _gained(place: Place) -> list[Record]:
    """Return decisions with what became of them since the start of the same arm."""
    before = {r["decision"]: r["verdict"]["right"] for r in _started(place)}
    return [
        {**r, "gain": _difference(r["verdict"]["right"], before[r["decision"]])}
        for r in place.decisions()
    ]


def _difference(after: bool | None, before: bool | None) -> float | None:
    return None if after is None or before is None else float(after) - float(before)


def _course(place: Place) -> list[Record]:
    """Return one record, about the training that left the model; it is of no split."""
    if place.split != SPLITS[0]:
        return []
    steps = read_records(place.folder / f"metrics/{place.model.stage}.jsonl")
    scores = {s["step"]: s["dev_action_accuracy"] for s in steps if "dev_action_accuracy" in s}
    return [{"decision": "", "conversation": "", "slope": late_slope(scores)}]


def mean_over_seeds(of_seeds: Sequence[Sequence[Record]], value: Value) -> dict[str, Any] | None:
    """Return the mean of a measure and its interval; None where it applies nowhere."""
    pairs = [
        [(float(v), r["conversation"]) for r in records if (v := value(r)) is not None]
        for records in of_seeds
    ]
    pairs = [of_seed for of_seed in pairs if of_seed]
    if not pairs:
        return None
    values = [[v for v, _ in of_seed] for of_seed in pairs]
    clusters = [[c for _, c in of_seed] for of_seed in pairs]
    return bootstrap_seeds(values, clusters, seed=0)._asdict()


def in_slice(records: Sequence[Record], name: str) -> list[Record]:
    """Return the decisions of a slice; see `results.summary.slices_of`."""
    return [r for r in records if name == "all" or name in slices_of(r)]


def late_slope(scores: Mapping[int, float]) -> float | None:
    """Return by how much a score rises in 100 steps, by least squares over the second half.

    Args:
        scores: By step; None is returned where fewer than two lie in the second half.
    """
    late = [(step, score) for step, score in scores.items() if 2 * step > max(scores)]
    if len(late) < 2:
        return None
    steps, values = zip(*late, strict=True)
    return 100 * float(np.polyfit(steps, values, 1)[0])


def _if_there(file: Path) -> list[dict[str, Any]]:
    return read_records(file) if file.exists() else []


_RIGHT = METRICS["action_accuracy"]
_LENGTHS = ("thought_words", "thought_tokens")

MEASURES: dict[str, Measure] = {
    **{name: Measure(value, share=name not in _LENGTHS) for name, value in OF_DECISIONS.items()},
    "turn_success": Measure(EPISODE_METRICS["success"], _turns),
    "act_share": Measure(_act_share, _turns),
    "search_gain": Measure(lambda r: r["gain"], _searched),
    "conversation_success": Measure(EPISODE_METRICS["success"], _conversations),
    **{
        name: Measure(EPISODE_METRICS[name], _turns, share=False)
        for name in ("tokens_before_act", "tokens_before_answer")
    },
    **{name: Measure(value, _attempts) for name, value in ATTEMPT_METRICS.items()},
    "once_failed": Measure(_RIGHT, _once_failed),
    "start_accuracy": Measure(_RIGHT, _started),
    "rl_gain": Measure(lambda r: r["gain"], _gained),
    "development_slope": Measure(lambda r: r["slope"], _course),
}
"""By the names that claims have: of greedy decisions, of turns and conversations on the model's own
history, of several attempts, of decisions that the start always failed, of the start itself, of
what RL added to it, and the slope of the development score over the second half of the steps."""
