"""How the trainings of an experiment went, and what they took, as tables."""

from collections.abc import Sequence

from actwise.experiment.cells import Figures, markdown, percent
from actwise.experiment.measures import late_slope
from actwise.training import stages

_PARTS_OF_GRPO = 8


def on_the_way(figures: Figures) -> str:
    """Return development scores after parts of GRPO's steps, means over the seeds."""
    header = ["arm", "seeds", "steps", "before", *(f"{n}/{_PARTS_OF_GRPO}" for n in _numbers())]
    header.append("in 100 steps")
    lines = []
    for arm in dict.fromkeys(run["arm"] for run in figures["runs"]):
        runs = [r for r in figures["runs"] if r["arm"] == arm and _last_rl(r)]
        if not runs:
            continue
        trainings = [run["trainings"][_last_rl(run)] for run in runs]
        before = sum(map(_before_rl, runs)) / len(runs)
        scores = [[_score_after(t, n / _PARTS_OF_GRPO) for t in trainings] for n in _numbers()]
        lines.append(
            [
                arm,
                str(len(runs)),
                str(max(t["steps"] for t in trainings)),
                percent(before),
                *(percent(sum(of_seeds) / len(of_seeds)) for of_seeds in scores),
                _rise(trainings),
            ]
        )
    return (
        "Development scores before GRPO and after parts of its steps, means over the seeds; and "
        "the points by which they rise in 100 steps, over the second half.\n\n"
        + markdown(header, lines)
    )


def trainings(figures: Figures) -> str:
    """Return a row for each training that was computed."""
    header = ["seed", "arm", "stage", "steps (best)", "best dev.", "last dev.", "reward"]
    header += ["live groups", "entropy", "words of thought"]
    lines = []
    for run in figures["runs"]:
        for stage, training in run["trainings"].items():
            if stage not in run["seconds"]:
                continue  # taken from the first arm
            lines.append(
                [
                    str(run["seed"]),
                    run["arm"],
                    stage,
                    f"{training['steps']} ({training['best_step']})",
                    percent(run["development"][stage]),
                    percent(training["last"]),
                    *(
                        _from_to([training], name) if f"first_{name}" in training else ""
                        for name in ("reward", "live_groups", "entropy", "thought_words")
                    ),
                ]
            )
    return (
        "## Each training\n\nDevelopment scores; reward, live groups, entropy in nats per token "
        "and words of thought from the first tenth of GRPO's steps to the last.\n\n"
        f"{markdown(header, lines)}"
    )


def course(figures: Figures) -> str:
    """Return a row for each arm: the beginning and the end of its GRPO, means over the seeds."""
    header = [
        "changed",
        "before",
        "best",
        "last",
        "reward",
        "live groups",
        "entropy",
        "words of thought",
    ]
    lines = []
    for arm in dict.fromkeys(run["arm"] for run in figures["runs"]):
        runs = [run for run in figures["runs"] if run["arm"] == arm]
        rl = [run["trainings"][name] for run in runs if (name := _last_rl(run))]
        if not rl:
            continue
        before = [_before_rl(run) for run in runs]
        scores = [before, *([t[name] for t in rl] for name in ("best", "last"))]
        lines.append(
            [
                figures["changed"].get(arm, "(nothing)"),
                *(percent(sum(values) / len(values)) for values in scores),
                *(
                    _from_to(rl, name)
                    for name in ("reward", "live_groups", "entropy", "thought_words")
                ),
            ]
        )
    return (
        "## How GRPO went\n\nMeans over the seeds, of several rounds the last. Development scores "
        "before it, the best of its own evaluations and the last one; and from its first tenth to "
        "its last: reward, share of live groups, entropy in nats per token, words of thought.\n\n"
        + markdown(header, lines)
    )


def time_taken(figures: Figures) -> str:
    """Return a sentence on the hours of all and the seconds of each stage."""
    seconds = figures["seconds"]
    by_stage: dict[str, list[float]] = {}
    for run in figures["runs"]:
        for stage, value in run["seconds"].items():
            by_stage.setdefault(stage, []).append(value)
    means = ", ".join(f"{s} {sum(v) / len(v):.0f} s" for s, v in by_stage.items())
    return f"Computing took {seconds / 3600:.1f} hours in all, one thread each; a run: {means}."


def _rise(trainings: Sequence[Figures]) -> str:
    """Write the mean slope of the second half; nothing where it has too few scores."""
    scores = [{int(step): score for step, score in t["scores"].items()} for t in trainings]
    slopes = [slope for of_seed in scores if (slope := late_slope(of_seed)) is not None]
    return f"{100 * sum(slopes) / len(slopes):+.2f}" if slopes else "–"


def _last_rl(run: Figures) -> str:
    """Return the name of the last stage of RL; "" where there is none."""
    found = [name for name in run["trainings"] if name.partition("_")[0] == stages.RL.name]
    return found[-1] if found else ""


def _numbers() -> range:
    return range(1, _PARTS_OF_GRPO + 1)


def _score_after(training: Figures, part: float) -> float:
    """Return the last development score up to a part of the steps; the first where none is."""
    scores = {int(step): score for step, score in training["scores"].items()}
    step = max((s for s in scores if s <= part * training["steps"]), default=min(scores))
    return scores[step]


def _from_to(trainings: Sequence[Figures], name: str) -> str:
    ends = []
    for when in ("first", "last"):
        values = [t[f"{when}_{name}"] for t in trainings if f"{when}_{name}" in t]
        ends.append(f"{sum(values) / len(values):.3g}" if values else "none")
    return " to ".join(ends)


def _before_rl(run: Figures) -> float:
    development: dict[str, float] = run["development"]
    of_round = _last_rl(run).removeprefix(stages.RL.name)  # "_2" of the second
    before = (f"{stages.THINK.name}{of_round}", stages.SFT.name, stages.BASE)
    return next(development[name] for name in before if name in development)
