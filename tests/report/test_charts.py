"""Charts of the report and its words for figures, against values worked out by hand."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwise.report.charts import MAX_POINTS, curve, nice_ticks, whisker
from actwise.report.folder import Paired, Range
from actwise.report.words import duration, judgement, model_and_mode, number, points, size, span


def test_whisker_puts_figures_where_they_belong() -> None:
    svg = whisker(Range(value=0.1, low=-0.2, high=0.3), css="m1", low=-0.4, high=0.4, marks=[0])
    assert '<line class="range m1" x1="25.00%" x2="87.50%"' in svg
    assert '<circle class="dot m1" cx="62.50%"' in svg
    assert '<line class="mark" x1="50.00%"' in svg
    assert "circle" not in whisker(Range(), css="m1")
    assert 'cx="100.00%"' in whisker(Range(value=7.0), css="m1")


def test_curve_joins_its_points() -> None:
    svg = curve([(10, 0.0), (20, 4.0), (30, 1.0)], title="loss <x>", share=False)
    # Ticks 0, 2, 4 over 118 units; labels of one digit leave 291 units across.
    assert 'd="M19.0 128.0L164.5 10.0L310.0 98.5"' in svg
    assert 'aria-label="loss &lt;x&gt;: 0 at step 10, 1 at step 30"' in svg
    one = curve([(5, 0.7)], title="dev", share=True, best=True)
    # The widest label, "100%", leaves 272 units.
    assert 'class="best" cx="174.0"' in one and ">100%<" in one and one.count(">5<") == 1


def test_a_long_curve_is_thinned_without_losing_its_level() -> None:
    svg = curve([(i, float(i)) for i in range(10_000)], title="t", share=False)
    path = re.search(r'class="raw" d="M([^"]*)"', svg)
    assert path is not None
    heights = [float(point.split()[1]) for point in path[1].split("L")]
    assert len(heights) == MAX_POINTS
    assert heights == sorted(heights, reverse=True)
    # From 128 (value 0) to 10 (value 10,000), but for half a run of 42 steps at each end.
    assert heights[0] == pytest.approx(127.75, abs=0.06)
    assert heights[-1] == pytest.approx(10.25, abs=0.06)


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_ticks_enclose_the_range(low: float, reach: float) -> None:
    high = low + reach
    ticks = nice_ticks(low, high)
    slack = 1e-6 * (ticks[1] - ticks[0])
    assert ticks[0] <= low + slack and high - slack <= ticks[-1]
    assert 2 <= len(ticks) <= 6
    steps = [b - a for a, b in pairwise(ticks)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-6) and steps[0] > 0


def test_ticks_by_hand() -> None:
    assert nice_ticks(0.02, 2.9) == [0, 1, 2, 3]
    assert nice_ticks(0.729, 0.764) == [0.72, 0.74, 0.76, 0.78]
    assert nice_ticks(-0.02, 0.011) == [-0.02, 0, 0.02]
    assert nice_ticks(0, 0) == [-1, 0, 1]


def test_words() -> None:
    assert number(0.78149, share=True) == "78.1\u202f%"
    assert number(-1e-9, share=True) == "0.0\u202f%"
    assert number(None, share=True) == "–"
    assert [number(v, share=False) for v in (52.0, 41.26, 0.012345, -0.5)] == [
        "52",
        "41.3",
        "0.0123",
        "−0.5",
    ]
    assert model_and_mode("rl (thinking)") == ("rl", "thinking")
    assert model_and_mode("my (old) (direct)") == ("my (old)", "direct")
    assert model_and_mode("my (old)") == ("my (old)", "")
    assert model_and_mode("rl") == ("rl", "")
    assert span(Range(value=0.5, low=0.25, high=1.0), share=True) == "25.0–100.0"
    assert span(Range(value=0.5, low=0.25), share=True) == ""
    assert [points(v) for v in (0.081, -0.02, None)] == ["+8.1", "−2.0", "–"]
    for low, high, conversations, found in (
        (0.01, 0.2, 6, "better"),
        (-0.2, -0.01, None, "worse"),
        (0.0, 0.2, 80, "no clear difference"),
        (None, None, 80, "no clear difference"),
        (0.01, 0.2, 5, "no clear difference"),  # all five for one: chance does so in 6 %
    ):
        difference = Range(value=0.1, low=low, high=high)
        pair = Paired(split="test", model="a", against="b", difference=difference)
        assert judgement(pair.model_copy(update={"conversations": conversations})) == found
    assert [duration(s) for s in (7.25, 42.4, 59.9, 200.4, 7500)] == [
        "7.2 s",
        "42 s",
        "1 min 0 s",
        "3 min 20 s",
        "2 h 5 min",
    ]
    assert [size(n) for n in (12, 1500, 2.5e7, 3.21e11)] == ["12 B", "1.5 KB", "25 MB", "321 GB"]
    assert [size(n) for n in (999, 999_499, 999_600_000, 999_600_000_000, 12_345_000_000_000)] == [
        "999 B",
        "999 KB",
        "1 GB",
        "1 TB",
        "12.3 TB",
    ]
