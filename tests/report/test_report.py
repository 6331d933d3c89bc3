"""The report and the table, read back as a reader would."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from actwise.errors import InputError, RunError
from actwise.report import write_report, write_table
from actwise.report.charts import MAX_POINTS, curve, nice_ticks, whisker
from actwise.report.folder import Range, read_metrics
from actwise.report.words import duration, judgement, model_and_mode, number, points, size, span

VOID = {"meta", "br", "hr", "img", "input", "link"}
INLINE = {"b", "code"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; fails on tags that do not close."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in INLINE:
            self.text += " "
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag not in INLINE:
            self.text += " "

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text += data

    def words(self) -> str:
        return re.sub(r"\s+", " ", self.text)


def _figure(value: float, reach: float = 0.05) -> dict[str, float]:
    return {"value": value, "low": value - reach, "high": value + reach}


def _row(model: str, mode: str, split: str, accuracy: float) -> dict[str, Any]:
    return {
        "model": model,
        "mode": mode,
        "split": split,
        "decisions": 200,
        "conversations": 40,
        "metrics": {
            "action_accuracy": _figure(accuracy),
            "tool_names": _figure(accuracy + 0.1),
            "thought_tokens": {"value": 41.26, "low": 30, "high": None},
            "politeness": {"value": 3.25},
        },
        "slices": {
            "call": {"decisions": 120, "action_accuracy": _figure(accuracy + 0.01)},
            "reasoning": {"decisions": 30, "action_accuracy": _figure(accuracy - 0.2)},
        },
    }


def _run(folder: Path, hostile: str = "") -> Path:
    """A whole run folder; `hostile` is put into every text that comes from data."""
    h = hostile
    (folder / "metrics").mkdir(parents=True)
    record = {
        "actwise": "0.1.0" + h,
        "command": ["actwise", "demo", "--out", "my runs" + h],
        "seed": 7,
        "config": {"rl": {"steps": 50, "weights" + h: {"tool": 1.0}}, "model": "desk" + h},
        "versions": {"torch" + h: "2.13.0" + h},
        "data": [{"file": "a.jsonl" + h, "sha256": "ab12" + h, "conversations": 90, "rejected": 4}],
        "created": "2026-01-02T03:04:05" + h,
    }
    results = {
        "models": ["base", "sft", "rl" + h],
        "rows": [
            _row("base", "direct", "test", 0.25),
            _row("sft", "direct", "test", 0.7),
            _row("rl" + h, "thinking", "test" + h, 0.781),
            _row("rl" + h, "direct", "test", 0.5),
        ],
        "floors": {"test": {"always answer" + h: 0.214, "commonest call": 0.1}},
        "paired": [
            {
                "split": "test" + h,
                "model": "rl" + h + " (thinking)",
                "against": "sft" + h,
                "slice": "all",
                "difference": {"value": 0.081, "low": 0.03, "high": 0.132},
                "relative": 0.1157,
            },
            {
                "split": "test" + h,
                "model": "rl" + h,
                "against": "base" + h,
                "slice": "reasoning" + h,
                "difference": {"value": -0.5, "low": -0.62, "high": -0.4},
            },
        ],
        "promoted": "rl" + h,
        "verdict": "RL beats SFT." + h,
        "stages": [
            {"name": "sft" + h, "seconds": 200.4, "peak_memory": 1_500_000_000},
            {"name": "rl", "seconds": 7.25},
        ],
        "skipped": [{"reason": "too long" + h, "count": 12, "examples": ["a.jsonl:88" + h]}],
    }
    if h:
        results["rows"][0]["metrics"]["m" + h] = _figure(0.5)  # type: ignore[index]
        results["rows"][0]["slices"]["s" + h] = results["rows"][0]["slices"]["call"]  # type: ignore[index]
    context = [
        {"role": "system" + h, "content": "Be kind." + h},
        {"role": "user", "content": "Where is my order?" + h},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"type": "function", "function": {"name": "find" + h, "arguments": {"id" + h: 1}}}
            ],
        },
        {"role": "tool", "content": '{"at": "door"}' + h},
        {"role": "user", "content": "Hello?" + h},
    ]
    completion = {"model": "rl" + h, "mode": "thinking" + h, "text": "At the door." + h}
    completion |= {"thought": "The tool says door." + h, "notes": ["says it all" + h]}
    example = {
        "decision": "c-1#4" + h,
        "split": "test" + h,
        "kind": "answer" + h,
        "labels": ["reasoning" + h],
        "context": context,
        "gold": "It is at the door." + h,
        "completions": [completion | {"right": True}, completion | {"right": False}],
    }
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "examples.json").write_text(json.dumps([example]))
    for stage in ("sft", "think", "rl"):
        lines = [{"step": s, "loss": 3.0 / s, "kl": 0.0, "note" + h: h} for s in range(1, 41)]
        lines[19]["dev_action_accuracy"] = 0.61
        lines[39]["dev_action_accuracy"] = 0.58
        path = folder / "metrics" / f"{stage}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def _read(run: Path) -> Page:
    return Page(write_report(run).read_text("utf-8"))


def test_says_what_was_reached(tmp_path: Path) -> None:
    page = _read(_run(tmp_path / "autumn"))
    words = page.words()
    assert "actwise report: autumn" in words
    assert "RL beats SFT. Promoted model: RL" in words
    # The headline: the promoted model's first row, and the paired difference.
    assert "Right decisions on test 78.1 %" in words
    assert "range 73.1–83.1; 200 decisions in 40 conversations" in words
    assert "+8.1 points against SFT" in words
    assert "without any model: 21.4 % (always answer)" in words
    # The table, with a metric it has no words for.
    assert "RL thinking 200 40 conv. 78.1 % 73.1–83.1 88.1 % 83.1–93.1 41.3 3.25" in words
    assert "politeness" in words
    assert "call 120 decisions base direct 26.0 % 21.0–31.0 SFT direct 71.0 %" in words
    assert "label decisions base direct SFT direct RL thinking RL direct reasoning 30" in words
    assert "reasoning 30 5.0 % 0.0–10.0 50.0 % 45.0–55.0 58.1 % 53.1–63.1" in words
    assert "test RL thinking SFT all +8.1 +3.0 to +13.2 better +11.6 %" in words
    assert "Differences by kind and label (1)" in words
    assert "−70 0 +70 test RL base reasoning −50.0 −62.0 to −40.0 worse –" in words
    assert "0 throughout, so not drawn: KL." in words
    assert "Best: 61.0 % at step 20." in words
    assert "too long 12 a.jsonl:88" in words
    assert "actwise demo --out 'my runs'" in words
    assert "sft 3 min 20 s 1.5 GB rl 7.2 s not recorded in all 3 min 28 s" in words
    assert "a.jsonl 90 4 ab12" in words
    assert "rl.weights.tool 1.0" in words
    assert "Share of decisions that are right" in words


def test_shows_examples_side_by_side_with_the_thought_apart(tmp_path: Path) -> None:
    page = _read(_run(tmp_path / "run"))
    words = page.words()
    assert "c-1#4 test answer reasoning ✓ RL ✗ RL" in words
    assert "2 earlier messages system Be kind. user Where is my order? assistant" in words
    assert '{"name": "find", "arguments": {"id": 1}}' in words
    assert "recorded It is at the door. RL thinking ✓ right thought The tool says door." in words
    assert "At the door. says it all RL thinking ✗ wrong" in words
    assert sum(attributes.get("class") == "thought" for _, attributes in page.tags) == 2


def test_needs_nothing_beside_itself(tmp_path: Path) -> None:
    html = write_report(_run(tmp_path / "run")).read_text("utf-8")
    tags = Page(html).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object", "base"}
    for _, attributes in tags:
        assert all(not name.startswith("on") and name != "src" for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert "://" not in html and "url(" not in html and "@import" not in html
    ids = {attributes.get("id") for _, attributes in tags}
    assert all(a["href"][1:] in ids for _, a in tags if a.get("href"))  # type: ignore[index]


def test_text_from_data_stays_text(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>\"'>&{{7*7}}<b onclick=x>"
    plain = _read(_run(tmp_path / "plain"))
    page = _read(_run(tmp_path / "hostile", hostile))
    assert "script" not in {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert "onclick" not in attributes
        # Text from data may be a value (a label, the page's generator), never a name.
        assert set(attributes) <= {name for _, a in plain.tags for name in a} | {"open"}
    assert page.text.count(hostile) > 50
    assert '{"name": "find' in page.text and "49" not in page.text.replace(hostile, "")


def test_is_a_pure_function_of_the_folder(tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    path = write_report(run)
    first = path.read_bytes()
    assert path == run / "report.html"
    assert write_report(run).read_bytes() == first
    assert {p.name for p in run.iterdir()} == {
        "run.json",
        "results.json",
        "examples.json",
        "metrics",
        "report.html",
    }


def test_a_folder_with_only_run_json_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"actwise": "0.1.0"}')
    words = _read(tmp_path).words()
    assert "This run has no results yet." in words
    assert (
        "Not in the run folder, so not in this report: results.json, metrics/sft.jsonl, "
        "metrics/think.jsonl, metrics/rl.jsonl, examples.json." in words
    )
    assert "Nothing was skipped" not in words
    assert "the stage has not run" in words


def test_a_run_with_other_stages_shows_theirs(tmp_path: Path) -> None:
    record = {"actwise": "0.1.0", "stages": {"warm": "direct", "rl": "thinking"}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    (tmp_path / "metrics").mkdir()
    for name in ("warm", "sft"):
        (tmp_path / f"metrics/{name}.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    words = _read(tmp_path).words()
    assert "warm" in words and "RL: learning which thoughts" in words
    assert "SFT: learning" not in words
    assert "results.json, metrics/rl.jsonl, examples.json" in words


def test_results_without_figures_floors_or_promotion(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"actwise": "0.1.0"}')
    row = _row("base", "direct", "test", 0.2)
    row["metrics"] = {"action_accuracy": {"value": float("nan"), "low": None, "high": None}}
    (tmp_path / "results.json").write_text(json.dumps({"rows": [row | {"slices": {}}]}))
    words = _read(tmp_path).words()
    assert "No verdict yet. No model was promoted." in words
    assert "base direct 200 40 conv. –" in words
    assert "No floors were computed for this split." in words
    assert "nan" not in words.lower()
    assert "Nothing was skipped." in words


def test_a_folder_without_run_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"run\.json"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"rows": [],\n "floors": {', r"results\.json:2: not JSON"),
        ('{"rows": [{"model": "rl"}]}', r"results\.json: rows\.0\.mode: Field required"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "run.json").write_text('{"actwise": "0.1.0"}')
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(InputError, match=message):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_half_an_emoji_from_a_model_does_not_stop_the_report(tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    path = run / "examples.json"
    path.write_text(path.read_text().replace("At the door.", "Hi \\ud83d."))
    assert "Hi ?." in _read(run).words()


def test_metrics_of_a_run_that_was_cut_off_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "rl.jsonl"
    path.write_text(
        '{"step": 1, "loss": 0.5, "stage": "rl", "kl": NaN}\n'
        '{"step": 2, "lo{"step": 2, "loss": 0.4}\n'
        "[1]\n"
        '{"step": 3, "loss": 0.35}\n'
        '{"step": 2, "loss": 0.3}\n'
        '{"step": 3, "loss": 0.2}\n'
        '{"step": 4, "loss"'
    )
    metrics = read_metrics(path)
    expected = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.3}, {"step": 3, "loss": 0.2}]
    assert metrics.steps == expected
    assert metrics.unreadable == 2
    run = _run(tmp_path / "run")
    (run / "metrics" / "rl.jsonl").write_text(path.read_text())
    (run / "metrics" / "sft.jsonl").write_text("")
    words = _read(run).words()
    assert "could not be read and are left out: 2." in words
    assert "No step is finished yet." in words


def test_needs_no_torch() -> None:
    code = "import actwise.report, sys; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# --- the table of the terminal --------------------------------------------------------------------


def test_table(tmp_path: Path) -> None:
    results = json.loads((_run(tmp_path / "run") / "results.json").read_text())
    text = write_table(results, width=120)
    rows = [line.split() for line in text.splitlines() if line]
    assert ["RL", "thinking", "test", "78.1", "73.1–83.1", "79.1", "58.1", "88.1"] + ["–"] * 4 + [
        "41.3"
    ] in rows
    assert ["(always", "answer)", "floor", "test", "21.4"] in rows
    assert all(line == line.rstrip() for line in text.splitlines())
    assert max(cell_len(line) for line in text.splitlines()) <= 120
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_column_of_the_table_is_cut_or_left_out(tmp_path: Path, width: int) -> None:
    results = json.loads((_run(tmp_path / "run") / "results.json").read_text())
    lines = write_table(results, width=width).splitlines()
    assert max(map(cell_len, lines[:-1])) <= width
    rows = [line.split() for line in lines if line.startswith("RL ")]
    found = [cell for row in rows if row[1:3] == ["thinking", "test"] for cell in row[3:]]
    assert found == ["78.1", "73.1–83.1", "79.1", "58.1", "88.1"] + ["–"] * 4 + ["41.3"]
    assert "…" not in "".join(lines)


def test_table_prints_names_as_they_are() -> None:
    text = write_table({"rows": [_row("[red]x[/red]", "direct", "[b]", 0.5)]})
    assert "[red]x[/red]" in text and "[b]" in text


# --- charts and words -----------------------------------------------------------------------------


def test_whisker_puts_figures_where_they_belong() -> None:
    svg = whisker(Range(value=0.1, low=-0.2, high=0.3), css="m1", low=-0.4, high=0.4, marks=[0])
    assert '<line class="range m1" x1="25.00%" x2="87.50%"' in svg
    assert '<circle class="dot m1" cx="62.50%"' in svg
    assert '<line class="mark" x1="50.00%"' in svg
    assert "circle" not in whisker(Range(), css="m1")
    assert 'cx="100.00%"' in whisker(Range(value=7.0), css="m1")


def test_curve_joins_its_points() -> None:
    svg = curve([(10, 0.0), (20, 4.0), (30, 1.0)], title="loss <x>", share=False)
    # Ticks 0, 2, 4 over 118 units; 268 units across.
    assert 'd="M42.0 128.0L176.0 10.0L310.0 98.5"' in svg
    assert 'aria-label="loss &lt;x&gt;: 0 at step 10, 1 at step 30"' in svg
    one = curve([(5, 0.7)], title="dev", share=True, best=True)
    assert 'class="best" cx="176.0"' in one and ">100%<" in one and one.count(">5<") == 1


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
    assert judgement(Range(value=0.1, low=0.01, high=0.2)) == "better"
    assert judgement(Range(value=-0.1, low=-0.2, high=-0.01)) == "worse"
    assert judgement(Range(value=0.1, low=0.0, high=0.2)) == "no clear difference"
    assert judgement(Range(value=0.1)) == "no clear difference"
    assert [duration(s) for s in (7.25, 42.4, 59.9, 200.4, 7500)] == [
        "7.2 s",
        "42 s",
        "1 min 0 s",
        "3 min 20 s",
        "2 h 5 min",
    ]
    assert [size(n) for n in (12, 1500, 2.5e7, 3.21e11)] == ["12 B", "1.5 KB", "25 MB", "321 GB"]
