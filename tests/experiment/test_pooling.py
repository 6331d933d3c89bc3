"""Seeds that were computed apart and put together: by hand, and against all of them at once."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from actwise.cli.experiment import experiment
from actwise.errors import ConfigError, InputError
from actwise.experiment.collect import collect
from actwise.experiment.page import page
from actwise.experiment.paper import CEILING_MODEL, PAPER, RL
from actwise.experiment.pooling import pooled, pooled_interval, read_figures
from actwise.results.stats import Interval, bootstrap_seeds
from experiment.test_collect import write_experiment


def test_intervals_add_up_in_squares() -> None:
    found = pooled_interval([Interval(0.6, 0.5, 0.8), Interval(0.6, 0.56, 0.75)], [1, 3])
    # A quarter of 0.1 and three of 0.04 below; a quarter of 0.2 and three of 0.15 above.
    assert found.value == pytest.approx(0.6)
    assert found.low == pytest.approx(0.6 - (0.025**2 + 0.03**2) ** 0.5)
    assert found.high == pytest.approx(0.6 + (0.05**2 + 0.1125**2) ** 0.5)


def test_parts_that_disagree_widen_the_interval_to_no_more_than_their_ends() -> None:
    # Each has a standard error of 0.1: 0.3 is 2.1 times as far apart as chance has it.
    one, other = (Interval(v, v - 0.196, v + 0.196) for v in (0.4, 0.7))
    found = pooled_interval([one, other], [1, 1])
    wider = (0.3**2 / (0.1**2 + 0.1**2)) ** 0.5
    assert found.low == pytest.approx(0.55 - wider * 0.196 / 2**0.5)
    far = pooled_interval([one, Interval(3.0, 2.9, 3.1)], [1, 1])
    assert far == pytest.approx((1.7, one.low, 3.1))
    # Parts of several seeds each have in their intervals how much seeds differ.
    assert pooled_interval([one, other], [2, 2]).low == pytest.approx(0.55 - 0.196 / 2**0.5)


def test_ends_may_be_infinite_and_intervals_without_width() -> None:
    found = pooled_interval([Interval(2.0, 1.0, np.inf), Interval(1.0, 1.0, 1.0)], [1, 1])
    assert found == (1.5, 1.0, np.inf)
    assert pooled_interval([Interval(0.0, 0.0, 0.0)] * 2, [2, 1]) == (0, 0, 0)


def test_seeds_that_are_sure_and_differ_are_no_sure_mean() -> None:
    # A slope, one value a seed: the mean of two of them lies anywhere between.
    slopes = [Interval(v, v, v) for v in (1.0, 2.75)]
    assert pooled_interval(slopes, [1, 1]) == (1.875, 1.0, 2.75)
    # One of them has an error of 0.1 and is 0.3 from the other: three times its own interval.
    one, other = Interval(0.0, 0.0, 0.0), Interval(0.3, 0.3 - 0.196, 0.3 + 0.196)
    found = pooled_interval([one, other], [1, 1])
    assert found == pytest.approx((0.15, 0.0, 0.15 + 3 * 0.098))
    assert pooled_interval([one, other], [2, 2]).high == pytest.approx(0.15 + 0.098)


ESTIMATE = st.tuples(*[st.floats(-1, 1)] * 3).map(sorted).map(lambda e: Interval(e[1], e[0], e[2]))


@given(ESTIMATE, ESTIMATE, st.integers(1, 9), st.integers(1, 9))
def test_an_interval_holds_its_mean_and_does_not_depend_on_the_order(
    one: Interval, other: Interval, n: int, m: int
) -> None:
    found = pooled_interval([one, other], [n, m])
    assert found.low - 1e-9 <= found.value <= found.high + 1e-9
    assert found == pytest.approx(pooled_interval([other, one], [m, n]))


def test_two_halves_are_about_as_uncertain_as_the_whole() -> None:
    generator = np.random.default_rng(0)
    levels = generator.normal(0.6, 0.03, 16)
    values = [list((generator.random(300) < level).astype(float)) for level in levels]
    clusters = [[place // 5 for place in range(300)]] * 16
    whole = bootstrap_seeds(values, clusters, seed=0)
    halves = [bootstrap_seeds(values[h], clusters[h], seed=0) for h in (slice(8), slice(8, 16))]
    found = pooled_interval(halves, [8, 8])
    assert found.value == pytest.approx(whole.value)
    assert found.high - found.low == pytest.approx(whole.high - whole.low, rel=0.2)


def write_parts(folder: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the figures of seed 0, of seed 1 and of both; seed 1 has no ceiling."""
    write_experiment(folder)
    (folder / "seed-1" / "ceiling" / "results.json").unlink()
    zero, one, both = (collect(PAPER, folder, seeds) for seeds in ([0], [1], [0, 1]))
    return zero, one, both


def flat(found: Any, place: str = "") -> dict[str, Any]:
    """Return the values of figures by their place, of an interval its mean alone."""
    if isinstance(found, dict) and found.keys() == {"value", "low", "high"}:
        return {place: found["value"]}
    if isinstance(found, dict | list):
        parts = found.items() if isinstance(found, dict) else enumerate(found)
        return {k: v for name, part in parts for k, v in flat(part, f"{place}/{name}").items()}
    return {place: found}


@pytest.mark.parametrize("last_first", [False, True])
def test_all_but_the_ends_of_intervals_is_as_if_computed_together(
    tmp_path: Path, last_first: bool
) -> None:
    zero, one, both = write_parts(tmp_path)
    parts = [json.loads(json.dumps(one)), zero] if last_first else [zero, one]
    found = pooled([(part, "") for part in parts])
    assert found.pop("parts") == [[0], [1]]
    for figures in (found, both):
        figures["runs"].sort(key=lambda run: (run["seed"], run["arm"]))
        # The mean of gains relative to something is not the gain of the means.
        pairs = [p | {"relative": None} for p in figures["paired"] if p["slice"] == "all"]
        figures["paired"] = sorted(pairs, key=lambda p: (p["split"], p["model"], p["against"]))
    expected, got = flat(both), flat(found)
    numbers = {place: value for place, value in expected.items() if isinstance(value, float)}
    # Both seeds have two decisions, but not as many of every kind.
    uneven = {p for p in numbers if "/slices/" in p or ("/metrics/" in p and "/action" not in p)}
    found_numbers = {place: got.pop(place) for place in numbers}
    for place in numbers.keys() - uneven:
        assert found_numbers[place] == pytest.approx(numbers[place]), place
    assert got == {place: value for place, value in expected.items() if place not in numbers}


def test_what_one_part_has_alone_stays_as_it_is(tmp_path: Path) -> None:
    zero, one, _ = write_parts(tmp_path)
    rows = {(r["model"], r["split"]): r for r in pooled([(one, ""), (zero, "")])["rows"]}
    (alone,) = (r for r in zero["rows"] if (r["model"], r["split"]) == (CEILING_MODEL, "test"))
    assert rows[CEILING_MODEL, "test"] == alone
    # Seed 0 has two of two right and seed 1 one of two, each without doubt.
    row = rows[RL, "test"]
    assert (row["seeds"], row["per_seed"]) == ([0, 1], [1.0, 0.5])


def test_figures_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    zero, one, both = write_parts(tmp_path)
    with pytest.raises(InputError, match=r"a.json: has seed 1 of annotated-40 already; .* --seeds"):
        pooled([(one, ""), (both, "a.json")])
    longer = json.loads(json.dumps(zero))
    longer["config"]["rl"]["steps"] = 7
    with pytest.raises(InputError, match=r"its runs had rl.steps=7, others have 400"):
        pooled([(one, ""), (longer, "a.json")])
    with pytest.raises(InputError, match="holds figures of recipes, not of paper"):
        pooled([(one, ""), (zero | {"experiment": "recipes"}, "a.json")])
    for text in ("{}", "[1]", "{", ""):
        file = tmp_path / "other.json"
        file.write_text(text)
        with pytest.raises(InputError, match=r"other.json: .*; name the JSON that --page wrote"):
            read_figures(file)
    with pytest.raises(InputError, match="FileNotFoundError"):
        read_figures(tmp_path / "none.json")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(experiment, arguments)


def test_a_page_holds_the_seeds_of_two_machines(tmp_path: Path) -> None:
    out, written, part = tmp_path / "runs", tmp_path / "page.md", tmp_path / "part.json"
    write_parts(out)
    options = ("paper", "--finished", "--out", str(out), "--page", str(written))
    assert invoke(*options, "--seeds", "1").exit_code == 0
    assert "1 seeds; each has" in written.read_text()
    assert "computed apart" not in written.read_text()
    beside = written.with_suffix(".json")
    refused = invoke(*options, "--seeds", "1-1", "--with", str(beside))
    assert isinstance(refused.exception, ConfigError) and "another name" in str(refused.exception)
    beside.rename(part)
    for _ in range(2):  # it can be said again
        added = invoke(*options, "--seeds", "1-1", "--with", str(part))
        assert added.exit_code == 0, added.output
    assert "Seeds 0; 1 were computed apart" in written.read_text()
    figures = json.loads(beside.read_text())
    assert figures["seeds"] == 2
    assert page(figures).strip() in written.read_text()
    for known in (options, ("paper", "--out", str(tmp_path / "new"))):
        again = invoke(*known, "--seeds", "1", "--with", str(part))
        assert "part.json: has seed 0 of annotated-40 already" in str(again.exception)
    assert not (tmp_path / "new").exists()  # refused before anything was computed
    assert json.loads(beside.read_text()) == figures


def test_a_page_is_written_from_figures_without_a_run(tmp_path: Path) -> None:
    out, written = tmp_path / "runs", tmp_path / "page.md"
    parts = write_parts(out)[:2]
    for number, figures in enumerate(parts):
        (tmp_path / f"{number}.json").write_text(json.dumps(figures))
    options = ["--finished", "--out", str(tmp_path / "none"), "--page", str(written)]
    files = [text for n in (0, 1) for text in ("--with", str(tmp_path / f"{n}.json"))]
    done = invoke("paper", *options, *files)
    assert done.exit_code == 0, done.output
    assert json.loads(written.with_suffix(".json").read_text())["seeds"] == 2
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("seeds", ["x", "0", "4-3", "3-", "-1", "2-x", "1.5"])
def test_seeds_that_are_none_are_refused_in_a_line(seeds: str) -> None:
    found = invoke("paper", "--finished", f"--seeds={seeds}")
    assert found.exit_code == 2
    assert "'--seeds'" in found.output and repr(seeds) in found.output
