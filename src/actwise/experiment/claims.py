"""What was expected of each recipe, and what came of it, with what it cost."""

from collections.abc import Sequence

from actwise.experiment.cells import Figures, every, markdown, signed
from actwise.experiment.certainty import ENOUGH
from actwise.experiment.measures import MEASURES


def claims(figures: Figures) -> str:
    """Return a row for each claim, with what both cost."""
    header = ["recipe", "work", "metric", "expected", "recipe / control"]
    header += ["`test`", "`shifted`", "so", "by seed", "steps", "sampled tokens", "minutes"]
    lines = []
    for claim in figures["claims"]:
        measure = MEASURES[claim["metric"]]
        factor = 100 if measure.share else 1
        cells = [claim["model"], claim["work"], claim["metric"].replace("_", " ")]
        cells.append(_expected(claim, factor))
        test, shifted = (_pair(figures, claim, split) for split in ("test", "shifted"))
        if test is None:
            lines.append([*cells, "", "not run", *[""] * 6])
            continue
        cells.append(" / ".join(f"{factor * value:.1f}" for value in test["means"]))
        cells += [_cell(pair, measure.share) for pair in (test, shifted)]
        costs = [_cost(figures, arm) for arm in (claim["model"], claim["against"]) if arm]
        lines.append(
            [
                *cells,
                _so(test, claim["sign"], claim["margin"]),
                " ".join(f"{factor * value:+.1f}" for value in test["per_seed"]),
                *map(" / ".join, zip(*costs, strict=True)),
            ]
        )
    return (
        "## Each recipe against its control\n\nMeans on `test` of the recipe / of its control (or "
        "the number that it is held against), and "
        "differences on the same decisions, turns or attempts, shares in points, those of single "
        "seeds on `test`; what is expected "
        "to be the same (=) is so where the whole interval lies within the margin that the recipe "
        "names. Steps of RL, tokens sampled in them and minutes of all that was not shared, which "
        f"depend on what else the machine did; means over the seeds.\n\n{markdown(header, lines)}"
    )


def _pair(figures: Figures, claim: Figures, split: str) -> Figures | None:
    wanted = {key: claim[key] for key in ("model", "against", "than", "metric")}
    return next(every(figures["paired"], **wanted, split=split, slice="all"), None)


def _expected(claim: Figures, factor: float) -> str:
    """Return the sign, and what it is about where that is not the one control of all."""
    if claim["than"] is not None:
        return f"{claim['sign']} than {factor * claim['than']:g}"
    control = claim["against"].removeprefix(f"{claim['model']}-")
    return claim["sign"] if control == "control" else f"{claim['sign']} than {control}"


def _cell(pair: Figures | None, share: bool) -> str:
    """Return a difference: of shares in points, else also in per cent of the control's."""
    if pair is None or share:
        return signed(pair and pair["difference"])
    relative = "" if pair["relative"] is None else f", {100 * pair['relative']['value']:+.0f} %"
    return signed(pair["difference"], factor=1) + relative


def _so(pair: Figures, sign: str, margin: float) -> str:
    low, high = pair["difference"]["low"], pair["difference"]["high"]
    if len(pair["seeds"]) < ENOUGH:
        return "too few seeds"  # what conversations tell says nothing of other seeds
    if sign == "=":
        if -margin < low and high < margin:
            return "**as expected**"
        outside = low > margin or high < -margin
        return "**the other way**" if outside else "not within the margin for sure"
    if low <= 0 <= high:
        return "not told apart"
    return "**as expected**" if (low > 0) == (sign == "+") else "**the other way**"


def _cost(figures: Figures, arm: str) -> tuple[str, str, str]:
    runs = list(every(figures["runs"], arm=arm))
    trainings = [[t for t in run["trainings"].values() if t["sampled_tokens"]] for run in runs]
    tokens = _mean([sum(t["sampled_tokens"] for t in of_run) for of_run in trainings])
    return (
        f"{_mean([sum(t['steps'] for t in of_run) for of_run in trainings]):.0f}",
        f"{tokens / 1e6:.2f} M",
        f"{_mean([sum(run['seconds'].values()) for run in runs]) / 60:.1f}",
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
