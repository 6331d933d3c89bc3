"""An experiment as a page: tables in Markdown, written from its JSON alone.

The generated part stands between two marks, so that what a person writes around it (what failed,
and why) stays when it is written again.
"""

from pathlib import Path

from actwise.errors import InputError
from actwise.experiment.cells import Figures, every, interval, markdown, percent, signed, slice_of
from actwise.experiment.certainty import ENOUGH
from actwise.experiment.claims import claims
from actwise.experiment.paper import (
    ANNOTATED,
    BASE,
    BASE_DIRECT,
    CEILING_MODEL,
    OVER_BASE,
    OVER_SFT,
    PROLONGED,
    RL,
    RL_DIRECT,
    SFT,
    START,
    after_rl,
    start_of,
)
from actwise.experiment.pooling import parts_of
from actwise.experiment.trainings import course, on_the_way, time_taken, trainings
from actwise.run.files import write_named
from actwise.training import stages

BySeed = dict[int, float]

_SHARES = {
    "action_accuracy": "right",
    "tool_names": "tool names",
    "arguments": "arguments",
    "answer_correctness": "answer score",
    "needless_calls": "needless calls",
    "missed_calls": "missed calls",
}
_PARTS = {"call": "calls", "answer": "answers", "reasoning": "need reasoning"}
_THOUGHTS = {
    "grounded": "facts stand in the context",
    "sums": "sums right",
    "comparisons": "comparisons right",
    "sound": "all of these",
    "concluded": "act follows",
}
_GIVEN = {
    "own": "its own (control)",
    "swapped": "another decision's",
    "corrupted": "one number wrong",
}
_STAGES = {stages.THINK.name: "start", stages.RL.name: "GRPO"}
_IN_SHORT = (
    BASE,
    SFT,
    RL_DIRECT,
    start_of(0),
    after_rl(0),
    START,
    RL,
    PROLONGED,
    after_rl(80),
    CEILING_MODEL,
)


def write_block(file: Path, name: str, text: str, *, heading: str = "") -> None:
    """Replace what stands between a file's marks `<!-- NAME:begin -->` and `<!-- NAME:end -->`.

    Args:
        file: Markdown; where it does not exist and there is a heading, it is begun.
        name: Name of the marks.
        text: What is put between them.
        heading: First line of a new file.

    Raises:
        InputError: The file is not there, or has not both marks once and in order.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if file.exists():
        old = file.read_text(encoding="utf-8")
    elif heading:
        old = f"# {heading}\n\n{begin}\n{end}\n"
    else:
        raise InputError("no such file", file=str(file), remedy="name one that has the marks")
    before, found, rest = old.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed or begin in after or end in after:
        raise InputError(
            f"has not {begin} and {end} once each",
            file=str(file),
            remedy="put them where the figures belong",
        )
    whole = f"{before}{begin}\n{text.strip()}\n{end}{after}"
    write_named(file, lambda path: path.write_bytes(whole.encode()), remedy="choose another --page")


def page(figures: Figures) -> str:
    """Return the generated part of an experiment's page."""
    parts = [_setting(figures)]
    for split in _splits(figures):
        parts += [f"## On `{split}`", _table(figures, split), _differences(figures, split)]
    if figures["experiment"] == "paper":
        parts += [_beside_the_paper(figures), _learned(figures), on_the_way(figures)]
        parts.append(trainings(figures))
        parts.append(_thoughts(figures))
    elif figures["claims"]:
        parts = [_setting(figures), claims(figures), *parts[1:], course(figures)]
    else:
        parts += [_what_mattered(figures), course(figures)]
    return "\n\n".join([*parts, time_taken(figures)])


def readme_block(figures: Figures) -> str:
    """Return the table and sentences of the README: the paper's comparison, in short."""
    splits = _splits(figures)
    lines = []
    for model in _IN_SHORT:
        rows = [row for split in splits for row in every(figures["rows"], model=model, split=split)]
        if rows:
            cells = [interval(row["metrics"]["action_accuracy"]) for row in rows]
            gains = every(figures["paired"], model=model, against=SFT, slice="all")
            over_sft = "; ".join(signed(gain["relative"], " %") for gain in gains)
            lines.append(
                [
                    _of_seeds(rows[0], figures["seeds"]),
                    *cells,
                    interval(slice_of(rows[0], "reasoning")),
                    over_sft,
                ]
            )
    named = [f"`{split}`" for split in splits]
    header = ["model", *named, f"need reasoning ({named[0]})", f"over {SFT}: {', '.join(named)}"]
    caption = (
        f"Decisions that are right, in per cent, with 95 % intervals over {figures['seeds']} seeds "
        "and their conversations, and relative gains:"
    )
    theirs = (
        "The paper's abstract, of a model of 1.7 billion parameters on other data: "
        f"+{100 * OVER_SFT:.1f} % over SFT, +{100 * OVER_BASE:.0f} % over the base."
    )
    return "\n\n".join([caption, markdown(header, lines), theirs])


def _of_seeds(row: Figures, seeds: int) -> str:
    """Return the name of a row's model, and how many seeds it has if some are missing."""
    found = len(row["seeds"])
    few = f" ({found} seed{'s' if found > 1 else ''})" if found < seeds else ""
    return f"{row['model']}{few}"


def _splits(figures: Figures) -> list[str]:
    return list(dict.fromkeys(row["split"] for row in figures["rows"]))


def _setting(figures: Figures) -> str:
    desk = figures["config"]["desk"]
    sizes = ", ".join(f"{number} {name}" for name, number in desk.items())
    versions = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    return (
        f"{figures['seeds']} seeds; each has conversations of its own ({sizes}), an order of its "
        f"own and its own sampling. {versions}. Shares in per cent, with 95 % bootstrap intervals "
        "that resample seeds and, within them, conversations; shares of all decisions and "
        "differences reach at least as far as Student's t over three seeds or more."
        + _put_together(figures)
        + _unfinished(figures)
    )


def _put_together(figures: Figures) -> str:
    parts = [", ".join(map(str, seeds)) for seeds in parts_of(figures)]
    if len(parts) == 1:
        return ""
    return (
        f" Seeds {'; '.join(parts)} were computed apart: an interval over all of them is made of "
        "those of the parts (`experiment/pooling.py`)."
    )


def _unfinished(figures: Figures) -> str:
    parts = [
        f"{arm} ({len(seeds)} of {figures['seeds']} seeds)"
        for arm, seeds in figures["finished"].items()
        if len(seeds) < figures["seeds"]
    ]
    if not parts:
        return ""
    return (
        f" Not finished: {', '.join(parts)}. Models are compared on the seeds that both have, "
        "which the last column of differences counts."
    )


def _table(figures: Figures, split: str) -> str:
    header = ["model", *_SHARES.values(), *_PARTS.values(), "words of thought"]
    lines = []
    for row in (row for row in figures["rows"] if row["split"] == split):
        shares = [interval(row["metrics"].get(name)) for name in _SHARES]
        parts = [interval(slice_of(row, name)) for name in _PARTS]
        words = row["metrics"].get("thought_words")
        lines.append([row["model"], *shares, *parts, f"{words['value']:.1f}" if words else ""])
    for name, floor in figures["floors"][split].items():
        cells = [f"({name.replace('_', ' ')})", percent(floor)]
        lines.append([*cells, *[""] * (len(header) - len(cells))])
    return f"{markdown(header, lines)}\n\nIn brackets: policies that look at nothing."


def _differences(figures: Figures, split: str) -> str:
    header = ["model", "against", "points", "relative gain", "points, need reasoning", "seeds"]
    lines = []
    for found in every(figures["paired"], split=split, slice="all", metric="action_accuracy"):
        same = {key: found[key] for key in ("split", "model", "against", "metric")}
        reasoning = next(every(figures["paired"], **same, slice="reasoning"), None)
        seeds = " ".join(f"{100 * value:+.1f}" for value in found["per_seed"])
        lines.append(
            [
                found["model"],
                found["against"],
                signed(found["difference"]),
                signed(found["relative"], " %"),
                signed(reasoning and reasoning["difference"]),
                seeds,
            ]
        )
    return "Differences on the same decisions.\n\n" + markdown(header, lines)


def _beside_the_paper(figures: Figures) -> str:
    lines = []
    for against, theirs in ((SFT, OVER_SFT), (BASE, OVER_BASE), (BASE_DIRECT, OVER_BASE)):
        for model in (after_rl(0), RL):
            found = list(every(figures["paired"], model=model, against=against, slice="all"))
            ours = [f"{signed(f['relative'], ' %')} on `{f['split']}`" for f in found]
            lines.append([f"{model}, over {against}", f"+{100 * theirs:.1f} %", "; ".join(ours)])
    return (
        "Relative gains, beside those of the paper's abstract (a model of 1.7 billion parameters "
        "on other data, so the sizes are not comparable, the directions are).\n\n"
        + markdown(["gain", "paper", "here"], lines)
    )


def _learned(figures: Figures) -> str:
    """What part of the way from each start to the ceiling GRPO goes."""
    header = ["annotated", *(f"`{split}`" for split in _splits(figures))]
    right = {
        (row["model"], row["split"]): dict(zip(row["seeds"], row["per_seed"], strict=True))
        for row in figures["rows"]
    }
    lines = []
    ways = [(str(number), start_of(number), after_rl(number)) for number in ANNOTATED]
    for name, *way in [*ways, ("40, prolonged", START, PROLONGED)]:
        cells = [name]
        for split in _splits(figures):
            models = (*way, CEILING_MODEL)
            found = [right[model, split] for model in models if (model, split) in right]
            cells.append(_part_of_the_way(*found) if len(found) == len(models) else "")
        lines.append(cells)
    return (
        "## How far GRPO goes\n\n(GRPO - start) / (ceiling - start), of decisions that are right, "
        f'over the seeds that have all three, and by seed; the ceiling is "{CEILING_MODEL}".\n\n'
        f"{markdown(header, lines)}"
    )


def _part_of_the_way(start: BySeed, rl: BySeed, ceiling: BySeed) -> str:
    """Write what part of the way was gone, over the seeds that have all three and by each."""
    seeds = [seed for seed in start if seed in rl and seed in ceiling]
    if not seeds:
        return ""
    parts = [_part(rl[s] - start[s], ceiling[s] - start[s]) for s in seeds]
    gone, whole = (sum(end[s] - start[s] for s in seeds) for end in (rl, ceiling))
    each = f" ({' '.join(parts)})" if len(seeds) > 1 else ""
    return _part(gone, whole) + each


def _part(gone: float, whole: float) -> str:
    return f"{gone / whole:.2f}" if whole > 0 else "–"


def _thoughts(figures: Figures) -> str:
    quality = [
        [t["model"], t["split"], t["slice"], *(interval(t[name]) for name in _THOUGHTS)]
        for t in figures["thoughts"]
    ]
    given = [
        [
            _STAGES[i["stage"]],
            _GIVEN[i["thought"]],
            str(i["decisions"]),
            *(interval(i[name]) for name in ("keeps", "follows", "other")),
        ]
        for i in figures["interventions"]
    ]
    return "\n\n".join(
        [
            "## Are the thoughts any good?",
            'Share of thoughts of which each is true, among those that hold such a thing; "act '
            'follows": the act refuses where the thought does, and states the number it comes to.',
            markdown(["model", "split", "decisions", *_THOUGHTS.values()], quality),
            "Does the thought matter? On decisions of `test` that need reasoning, what becomes of "
            "the act when another thought is put in its place, in the first arm.",
            markdown(
                [
                    "model",
                    "thought",
                    "decisions",
                    "act stays",
                    "act has the thought's number",
                    "another act",
                ],
                given,
            ),
        ]
    )


def _what_mattered(figures: Figures) -> str:
    lines = []
    for found in every(figures["paired"], split="test", slice="all"):
        low, high = found["difference"]["low"], found["difference"]["high"]
        word = "better" if low > 0 else "worse" if high < 0 else "not told apart"
        if len(found["seeds"]) < ENOUGH:
            word = "too few seeds"
        against = "" if found["against"] == RL else f" (against {found['against']})"
        text = f"* {found['model']}{against}: **{word}**, {signed(found['difference'])}"
        lines.append((found["difference"]["value"], text))
    ordered = [text for _, text in sorted(lines, key=lambda line: line[0])]
    return (
        "## What mattered\n\nPoints on `test`, from the worst change to the best:\n\n"
        + "\n".join(ordered)
    )
