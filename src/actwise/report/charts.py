"""Charts as inline SVG, coloured by the page's style sheet.

Horizontal scales are in per cent of the width, so dots and whiskers stretch with the page while
their labels, which are HTML beside them, keep their size.
"""

import json
import math
from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from actwise.report.folder import Range
from actwise.report.words import number

WIDTH, HEIGHT = 320, 150
_RIGHT, _TOP, _BOTTOM = 10, 10, 22
_CHARACTER, _GAP = 6.6, 6
"""Width of a digit or a per cent sign of a label, at most, and the space beside it."""
MAX_POINTS = 240
"""A curve of more steps is drawn through the means of this many runs of steps."""

Point = tuple[float, float]


def whisker(
    figure: Range,
    *,
    css: str,
    low: float = 0.0,
    high: float = 1.0,
    grid: Sequence[float] = (0, 0.25, 0.5, 0.75, 1),
    marks: Sequence[float] = (),
) -> Markup:
    """Draw a figure as a dot on a line that spans its range.

    Args:
        figure: What to draw; only the grid where it has no value.
        css: Class of the dot and its line.
        low: Value at the left edge.
        high: Value at the right edge.
        grid: Where thin vertical lines go; the lines of rows below each other join.
        marks: Where dashed vertical lines go, such as floors.
    """

    def x(value: float) -> str:
        return f"{min(max((value - low) / (high - low), 0.0), 1.0) * 100:.2f}%"

    parts = [_vertical("grid", x(value)) for value in grid]
    parts += [_vertical("mark", x(value)) for value in marks]
    if figure.low is not None and figure.high is not None:
        parts.append(
            Markup('<line class="range {}" x1="{}" x2="{}" y1="50%" y2="50%"/>').format(
                css, x(figure.low), x(figure.high)
            )
        )
    if figure.value is not None:
        parts.append(
            Markup('<circle class="dot {}" cx="{}" cy="50%"/>').format(css, x(figure.value))
        )
    return Markup('<svg class="whisker" aria-hidden="true">{}</svg>').format(Markup("").join(parts))


def _vertical(css: str, x: str) -> Markup:
    return Markup('<line class="{}" x1="{}" x2="{}" y1="0" y2="100%"/>').format(css, x, x)


def curve(
    points: Sequence[Point], *, title: str, share: bool, best: bool = False, along: str = "step"
) -> Markup:
    """Draw a figure over the steps of training.

    Args:
        points: (step, value) by rising step; at least one.
        title: What the figure is, for readers who cannot see it.
        share: Whether the values are written in per cent.
        best: Whether to ring the highest value; the points are then few, and shown.
        along: What it is drawn over, in a word.

    Returns:
        The picture; "data-values" holds what `curves.js` shows of each point that is drawn: where
        it lies, and its step and value in words.
    """
    drawn = _thin(points)
    low, high = min(y for _, y in drawn), max(y for _, y in drawn)
    ticks = nice_ticks(*((0.0, 1.0) if share and low == high else (low, high)))
    labels = [f"{100 * tick:.4g}%" if share else f"{tick:.4g}" for tick in ticks]
    left = round(_CHARACTER * max(map(len, labels)) + 2 * _GAP)
    first, last = points[0][0], points[-1][0]

    def x(step: float) -> float:
        across = (step - first) / (last - first) if last > first else 0.5
        return left + across * (WIDTH - left - _RIGHT)

    def y(value: float) -> float:
        up = (value - ticks[0]) / (ticks[-1] - ticks[0])
        return HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM)

    def path(line: Sequence[Point]) -> str:
        return "M" + "L".join(f"{x(step):.1f} {y(value):.1f}" for step, value in line)

    parts = [
        Markup(
            '<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            '<text x="{text}" y="{base:.1f}" text-anchor="end">{label}</text>'
        ).format(
            left=left,
            right=WIDTH - _RIGHT,
            y=y(tick),
            text=left - _GAP,
            base=y(tick) + 4,
            label=label,
        )
        for tick, label in zip(ticks, labels, strict=True)
    ]
    for step, anchor in {first: "middle" if first == last else "start", last: "end"}.items():
        if anchor == "end" and first == last:
            anchor = "middle"
        parts.append(
            Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{:g}</text>').format(
                x(step), HEIGHT - 5, anchor, step
            )
        )
    smooth = _smooth(drawn)
    parts.append(
        Markup('<path class="{}" d="{}"/>').format("line" if smooth is None else "raw", path(drawn))
    )
    if smooth is not None:
        parts.append(Markup('<path class="line" d="{}"/>').format(path(smooth)))
    if best or len(drawn) == 1:
        parts += [_dot("point", x(step), y(value)) for step, value in drawn]
    if best:
        step, value = max(points, key=lambda point: point[1])
        parts.append(_dot("best", x(step), y(value)))
    label = (
        f"{title}: {number(points[0][1], share=share)} at {along} {first:g}, "
        f"{number(points[-1][1], share=share)} at {along} {last:g}"
    )
    values = [
        [round(x(step), 1), round(y(value), 1), f"{along} {step:.6g}: {number(value, share=share)}"]
        for step, value in drawn
    ]
    return Markup(
        '<svg class="curve" viewBox="0 0 {} {}" role="img" aria-label="{}" data-values="{}">'
        "{}</svg>"
    ).format(
        WIDTH,
        HEIGHT,
        label,
        json.dumps(values, ensure_ascii=False, separators=(",", ":")),
        Markup("").join(parts),
    )


def standalone(chart: Markup) -> str:
    """Return a chart as a file of its own, with the colours that a page's style sheet gives it."""
    begin, rest = str(chart).split(">", 1)
    return f'{begin} xmlns="http://www.w3.org/2000/svg"><style>{_STYLE}</style>{rest}\n'


_STYLE = (
    "text{font:11px sans-serif;fill:#5a636e}.grid{stroke:#dde1e6}path{fill:none}"
    ".line,.raw{stroke:#2f6feb;stroke-width:2}.point{r:3px;fill:#2f6feb}"
    ".best{r:6px;fill:none;stroke:#2f6feb}"
)


def _dot(css: str, x: float, y: float) -> Markup:
    return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}"/>').format(css, x, y)


def nice_ticks(low: float, high: float) -> list[float]:
    """Return three to six round numbers at equal distances that enclose a range."""
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        low, high = low - (abs(low) / 2 or 1), high + (abs(high) / 2 or 1)
    rough = (high - low) / 3
    magnitude = 10.0 ** math.floor(math.log10(rough))
    size = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= rough * 0.999)
    start, end = math.floor(low / size + 1e-9), math.ceil(high / size - 1e-9)
    # 3 * 0.1 is 0.30000000000000004.
    return [float(f"{index * size:.12g}") for index in range(start, end + 1)]


def _thin(points: Sequence[Point]) -> list[Point]:
    if len(points) <= MAX_POINTS:
        return list(points)
    edges = [round(index * len(points) / MAX_POINTS) for index in range(MAX_POINTS + 1)]
    return [_mean(points[start:end]) for start, end in pairwise(edges)]


def _smooth(points: Sequence[Point]) -> list[Point] | None:
    """Return a running mean over an eighth of the points; None when there are too few."""
    if len(points) < 24:
        return None
    half = len(points) // 16
    return [
        (points[i][0], _mean(points[max(i - half, 0) : i + half + 1])[1])
        for i in range(len(points))
    ]


def _mean(points: Sequence[Point]) -> Point:
    return (
        sum(step for step, _ in points) / len(points),
        sum(value for _, value in points) / len(points),
    )
