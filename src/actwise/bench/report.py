"""What was measured, as a page of Markdown and as a plot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actwise.run.files import write_atomically


def page(found: dict[str, Any]) -> str:
    """Return the tables of a benchmark, as `bench.json` holds it."""
    machine = found["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        "# How fast it is",
        "",
        "Written by the command below. Times are medians over rounds in which all take part.",
        "",
        "```",
        found["command"],
        "```",
        "",
        f"{machine['cores']} cores, {machine['threads']} threads, device {machine['device']}; "
        f"actwise {machine['actwise']}, {versions}.",
        "",
    ]
    if found["request"]["model"]:
        lines += [f"Completions are those of `{found['request']['model']}`.", ""]
    aims = [
        {"shape": record["shape"], **aim} for record in found["records"] for aim in record["aims"]
    ]
    if aims:
        lines += ["## Aims", "", *table(aims), ""]
    for record in found["records"]:
        lines += [f"## {record['part']}, {record['shape']}", ""]
        lines += [f"{note[0].upper()}{note[1:]}." for note in record["notes"]]
        lines += ["", *table(record["rows"]), ""]
        if "profile" in record:
            lines += ["Where the time goes:", "", *table(record["profile"]), ""]
        if "plot" in record:
            lines += [f"![Growth of an update]({record['plot']})", ""]
    if found["not_measured"]:
        lines += ["## Not measured yet", ""]
        lines += [f"* {what}: {why}" for what, why in found["not_measured"].items()]
        lines.append("")
    return "\n".join(lines)


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the lines of a table; its columns are the members of the first row."""
    columns = list(rows[0])
    head = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return head + [f"| {' | '.join(_cell(row[c]) for c in columns)} |" for row in rows]


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return str(value)


def plot_growth(record: dict[str, Any], file: Path) -> None:
    """Draw how an update grows, from the record of the part `scaling`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    panels = figure.subplots(1, 2)
    for panel, axis in zip(panels, ("decisions", "completions of each"), strict=True):
        for who in dict.fromkeys(row["contestant"] for row in record["rows"]):
            of_line = [r for r in record["rows"] if (r["axis"], r["contestant"]) == (axis, who)]
            if of_line:
                numbers = [r["number"] for r in of_line]
                middle = [r["median s"] for r in of_line]
                below = [r["median s"] - r["fastest s"] for r in of_line]
                above = [r["slowest s"] - r["median s"] for r in of_line]
                panel.errorbar(numbers, middle, (below, above), marker="o", capsize=3, label=who)
        panel.set(xlabel=axis, ylabel="seconds of an update", ylim=(0, None))
        panel.legend()
    figure.suptitle(f"Growth of an update ({record['shape']})")
    write_atomically(file, lambda path: figure.savefig(path, format="svg"))
