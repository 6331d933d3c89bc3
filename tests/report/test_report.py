"""The report and the table, read back as a reader would."""

import base64
import gzip
import hashlib
import json
import random
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from actwise.errors import InputError, RunError
from actwise.report import write_report, write_table
from actwise.report.folder import read_metrics
from actwise.results.failures import KINDS
from reported import judged, row_by_hand, write_lines, write_run

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


def _read(run: Path) -> Page:
    return Page(write_report(run).read_text("utf-8"))


def test_says_what_was_reached(tmp_path: Path) -> None:
    page = _read(write_run(tmp_path / "autumn"))
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


def test_says_what_was_measured_besides_single_decisions(tmp_path: Path) -> None:
    page = _read(write_run(tmp_path / "run"))
    words = page.words().replace("\u202f", " ")
    assert "RL thinking test turn 150 40 conv. 62.0 % 57.0–67.0 12.5 61 10 diverged" in words
    assert "RL thinking test 200 16 70.0 % 65.0–75.0 90.0 % 85.0–95.0 30.0 % 25.0–35.0" in words
    assert "RL thinking test, given plan 80.0 % 75.0–85.0 200 decisions" in words
    labels = [a["aria-label"] or "" for tag, a in page.tags if tag == "svg" and "aria-label" in a]
    (budget,) = (
        label.replace("\u202f", " ") for label in labels if "by tokens of thought" in label
    )
    assert budget.endswith("40.0 % at budget 0, 60.0 % at budget 16")


def test_the_table_has_what_was_measured_besides(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    lines = write_table(json.loads((run / "results.json").read_text()), 120).splitlines()
    cells = [line.split() for line in lines]
    assert ["RL", "thinking", "test", "turn", "150", "62.0", "57.0–67.0"] in [c[:7] for c in cells]
    assert ["RL", "thinking", "test", "16", "70.0", "90.0", "30.0"] in cells
    assert ["RL", "test", "thought", "of", "16", "200", "60.0", "55.0–65.0"] in cells


EXACT = '{"id": 1234567890123456789, "2": 10.0, "1": {"é": [1.50, true, null]}}'


def content(html: str) -> dict[str, Any]:
    """What the page carries for its script."""
    data = re.search(r'id="data"[^>]*>\s*([A-Za-z0-9+/=]*)\s*</script>', html)
    assert data is not None
    carried: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(data[1])))
    return carried


def test_numbers_are_carried_as_they_were_written(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    file = folder / "conversations.jsonl"
    text = file.read_text().replace('"arguments": {"id": 1}', f'"arguments": {EXACT}')
    file.write_text(text.replace('"parameters": {', '"parameters": {"maximum": 1e400, "k": 2.0, '))
    file = folder / "evaluations" / "sft-direct-test.jsonl"
    file.write_text(file.read_text().replace('{"id": 7}', '{"id": 1234567890123456790}'))
    carried = content(write_report(folder).read_text())
    assert carried["conversations"][0]["messages"][2]["calls"] == [
        {
            "name": "find",
            "arguments": [
                ["id", "1234567890123456789"],
                ["2", "10.0"],
                ["1", '{"é": [1.5, true, null]}'],
            ],
        }
    ]
    sft = next(i for i, model in enumerate(carried["models"]) if model["name"] == "sft")
    did = carried["decisions"][0]["did"][str(sft)]
    assert did["calls"] == [{"name": "find", "arguments": [["id", "1234567890123456790"]]}]
    parameters = carried["tools"][0][0]["function"]["parameters"]
    assert parameters == '{\n "maximum": Infinity,\n "k": 2.0,\n "type": "object"\n}'


def test_counts_what_went_wrong(tmp_path: Path) -> None:
    page = _read(write_run(tmp_path / "run"))
    words = page.words()
    assert (
        "test: kinds of failure outcome base direct base thinking SFT direct RL thinking" in words
    )
    assert "right 0 0 1 50.0 % 1 50.0 % unreadable 0 1 50.0 % 0 0 missed call 1 50.0 %" in words
    assert "needless call 0 0 0 1 50.0 % wrong arguments 0 0 1 50.0 % 0 wrong answer 0 1" in words
    assert "not checkable 1 50.0 % 0 0 0 in all 2 2 2 2" in words
    assert "shifted: kinds of failure outcome RL thinking wrong tool 1 100.0 % in all 1" in words
    # Called once where it is recorded and once where it is not; the other decision is right.
    assert "find 1 2 100.0 % 100.0 % Called against recorded" in words
    assert "recorded ↓ called → find find 1 no call 1" in words
    assert "cancel 1 0 0.0 % 0.0 % track 1 track 0 1 – –" in words
    assert "Arguments most often wrong, where the recorded tool was called" in words
    assert "tool argument wrong of share find id 1 1 100.0 %" in words
    links = [a["href"] for _, a in page.tags if "?" in (a.get("href") or "")]
    assert "#decisions?split=test&model=sft-direct&failure=wrong+arguments" in links
    assert "#decisions?split=test&model=base-direct&verdict=open" in links  # one is not checkable
    failures = {m[1].replace("+", " ") for m in re.finditer(r"failure=([^& ]+)", " ".join(links))}
    assert failures <= KINDS.keys()  # what the filter of this name can be set to


def test_carries_each_conversation_once(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    lines = (run / "conversations.jsonl").read_text().splitlines()
    policy = {"role": "system", "content": "Always be kind. " * 30}
    tools = json.loads(lines[0])["tools"]
    more = [
        {"split": "test", "id": f"d-{i}", "messages": [policy], "tools": tools} for i in range(3)
    ]
    write_lines(run / "conversations.jsonl", [*map(json.loads, lines), *more])
    carried = content(write_report(run).read_text("utf-8"))
    assert [(m["name"], m["mode"]) for m in carried["models"]] == [
        ("base", "direct"),
        ("base", "thinking"),
        ("sft", "direct"),
        ("rl", "thinking"),
    ]
    assert [c["id"] for c in carried["conversations"]] == ["c-1", "c-2", "d-0", "d-1", "d-2"]
    assert carried["texts"] == [policy["content"]]
    assert [c["tools"] for c in carried["conversations"]] == [0, 1, 0, 0, 0]
    for tool in tools:
        tool["function"]["parameters"] = '{\n "type": "object"\n}'
    assert carried["tools"] == [tools, []]
    assert [(d["of"], d["at"], list(d["did"])) for d in carried["decisions"]] == [
        (0, 2, ["0", "1", "2", "3"]),
        (0, 5, ["0", "1", "2", "3"]),
        (1, 1, ["3"]),
    ]


def test_two_thousand_decisions_of_five_models_stay_small(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    draw = random.Random(0)
    vocabulary = ["".join(draw.choices("abcdefghij", k=6)) for _ in range(3000)]

    def text(count: int) -> str:
        return " ".join(draw.choices(vocabulary, k=count))

    policy, answer = text(1500), {"role": "assistant", "content": text(25)}
    turns = [m for _ in range(10) for m in ({"role": "user", "content": text(25)}, answer)]
    conversations = [
        {
            "split": "test",
            "id": f"c{i}",
            "messages": [{"role": "system", "content": policy}, *turns],
        }
        for i in range(200)
    ]
    write_lines(run / "conversations.jsonl", conversations)
    shutil.rmtree(run / "evaluations")
    for name in ("base-direct", "base-thinking", "sft-direct", "think-thinking", "rl-thinking"):
        records = [
            judged(f"c{i}#{at}", False, answer=said, text=f"{thought} {said}", thought=thought)
            for i in range(200)
            for at in range(2, 22, 2)
            for said, thought in [(text(25), text(30))]
        ]
        write_lines(run / "evaluations" / f"{name}-test.jsonl", records)
    assert write_report(run).stat().st_size < 5_000_000


def test_needs_nothing_beside_itself(tmp_path: Path) -> None:
    html = write_report(write_run(tmp_path / "run")).read_text("utf-8")
    tags = Page(html).tags
    assert not {tag for tag, _ in tags} & {"link", "img", "iframe", "object", "base"}
    for _, attributes in tags:
        assert all(not name.startswith("on") and name != "src" for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert "://" not in html and "url(" not in html and "@import" not in html
    assert not re.search(
        r"fetch\(|XMLHttp|import\(|innerHTML|outerHTML|insertAdjacent|eval\(", html
    )
    ids = {attributes.get("id") for _, attributes in tags}
    hrefs = [href for _, attributes in tags if (href := attributes.get("href"))]
    assert all(href[1:].partition("?")[0] in ids for href in hrefs)


def test_runs_its_own_script_and_no_other(tmp_path: Path) -> None:
    html = write_report(write_run(tmp_path / "run", "</script><script>")).read_text("utf-8")
    bodies = re.findall(r"<script([^>]*)>(.*?)</script>", html, re.DOTALL)
    (data, _), (own, body) = bodies
    assert 'type="text/plain"' in data and own == ""
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in html


def test_text_from_data_stays_text(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>\"'>&{{7*7}}<b onclick=x>"
    plain = _read(write_run(tmp_path / "plain"))
    page = _read(write_run(tmp_path / "hostile", hostile))
    assert [tag for tag, _ in page.tags].count("script") == 2
    for _, attributes in page.tags:
        assert "onclick" not in attributes
        # Text from data may be a value (a label, the page's generator), never a name.
        assert set(attributes) <= {name for _, a in plain.tags for name in a} | {"open"}
    assert page.text.count(hostile) > 30
    assert "49" not in page.text.replace(hostile, "")


def test_is_a_pure_function_of_the_folder(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    path = write_report(run)
    first = path.read_bytes()
    assert path == run / "report.html"
    assert write_report(run).read_bytes() == first
    assert {p.name for p in run.iterdir()} == {
        "run.json",
        "results.json",
        "conversations.jsonl",
        "evaluations",
        "metrics",
        "report.html",
    }


def test_a_folder_with_only_run_json_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"actwise": "0.1.0"}')
    words = _read(tmp_path).words()
    assert "This run has no results yet." in words
    assert (
        "Not in the run folder, so not in this report: results.json, metrics/sft.jsonl, "
        "metrics/think.jsonl, metrics/rl.jsonl, conversations.jsonl." in words
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
    assert "results.json, metrics/rl.jsonl, conversations.jsonl" in words


def test_results_without_figures_floors_or_promotion(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"actwise": "0.1.0"}')
    row = row_by_hand("base", "direct", "test", 0.2)
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
    run = write_run(tmp_path / "run")
    path = run / "evaluations" / "rl-thinking-test.jsonl"
    path.write_text(path.read_text().replace("Look it up.", "Hi \\ud83d."))
    carried = content(write_report(run).read_text("utf-8"))
    assert carried["decisions"][0]["did"]["3"]["thought"] == "Hi ?."


def test_a_run_that_goes_on_shows_what_it_has_measured(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "results.json").unlink()
    (run / "evaluations" / "rl-thinking-shifted.jsonl").unlink()
    words = _read(run).words()
    assert "This run is not finished; what it has measured so far is below." in words
    # One of two decisions can be checked, and it is wrong.
    assert "base direct 2 1 conv. 0.0 % 0.0–0.0" in words
    assert "SFT direct 2 1 conv. 50.0 % 50.0–50.0" in words
    assert "promoted" not in words


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("rl-thinking-test", ("c-1#2", "c-9#2"), "c-9#2 is in no conversation"),
        ("rl-thinking-test", ('"verdict"', '"found"'), r"test\.jsonl:1: verdict: Field required"),
        ("rl-thinking-test", ("{", "{{"), r"rl-thinking-test\.jsonl:1: not JSON"),
    ],
)
def test_an_evaluation_that_is_none_is_named(
    tmp_path: Path, name: str, change: tuple[str, str], message: str
) -> None:
    path = write_run(tmp_path / "run") / "evaluations" / f"{name}.jsonl"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(InputError, match=message):
        write_report(tmp_path / "run")


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
    run = write_run(tmp_path / "run")
    (run / "metrics" / "rl.jsonl").write_text(path.read_text())
    (run / "metrics" / "sft.jsonl").write_text("")
    words = _read(run).words()
    assert "could not be read and are left out: 2." in words
    assert "No step is finished yet." in words


def test_needs_no_torch() -> None:
    code = "import actwise.report, sys; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
