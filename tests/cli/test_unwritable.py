"""What cannot be written: the option that helps is named, and nothing that was found is lost."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from actwise.api.runs import EpisodeEvaluation, Evaluation
from actwise.cli import cli
from actwise.config import RunConfig
from actwise.results.summary import given_row, row
from actwise.run.files import check_writable
from integration.conftest import Actwise
from reported import judged, write_run

LOG = '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}'


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """A file, below which there can be no other."""
    (tmp_path / "taken").write_text("")
    return tmp_path / "taken"


def test_where_eval_would_write_is_tried_before_the_model_is_opened(
    actwise: Actwise, tmp_path: Path, taken: Path
) -> None:
    (tmp_path / "log.jsonl").write_text(LOG)
    asked = ["eval", tmp_path / "log.jsonl", "--model", tmp_path / "no-model", "--out"]
    for out in (taken, taken / "x"):
        assert actwise(*asked, out).complaint == (
            f"{out}: cannot be written: Not a directory; choose another --out"
        )


def test_trying_leaves_nothing_behind(tmp_path: Path) -> None:
    check_writable(tmp_path)
    check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--html", "--fix"])
def test_check_names_the_option_that_named_the_file(
    actwise: Actwise, tmp_path: Path, taken: Path, option: str
) -> None:
    (tmp_path / "log.jsonl").write_text(LOG)
    done = actwise("check", tmp_path / "log.jsonl", option, taken / "x")
    assert done.code == 2
    assert done.err.endswith(f"cannot be written: Not a directory; choose another {option}\n")


def test_two_results_cannot_have_one_file(actwise: Actwise, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(LOG)
    (tmp_path / "link").symlink_to("x")
    for html in ("x", "link"):
        done = actwise(
            "check", tmp_path / "log.jsonl", "--fix", tmp_path / "x", "--html", tmp_path / html
        )
        assert done.complaint == f"--fix and --html are the same file, {tmp_path / 'x'}; name two"
    assert not (tmp_path / "x").exists()


def test_figures_of_another_machine_are_not_written_over(
    actwise: Actwise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.json").write_text("{}")
    asked = ["experiment", "paper", "--finished", "--page", "page.md", "--with"]
    said = actwise(*asked, tmp_path / "page.json").complaint
    assert said.endswith("page.json is what --page writes anew; keep it under another name")


def test_a_port_that_is_none_is_refused(actwise: Actwise, tmp_path: Path) -> None:
    done = actwise("report", write_run(tmp_path / "run"), "--watch", "--port", "70000")
    assert "'--port': 70000 is not in the range 0<=x<=65535" in done.complaint


def test_a_report_that_cannot_be_written_is_still_a_table(actwise: Actwise, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "report.html" / "in").mkdir(parents=True)
    table = actwise("report", write_run(tmp_path / "same")).out.rpartition("report: ")[0]
    done = actwise("report", run)
    assert "action" in table
    assert done.out == table
    assert done.complaint == (
        f"{run / 'report.html'}: cannot be written: Is a directory; "
        "make the folder of the run writable, or copy it"
    )


def test_what_eval_found_is_written_before_it_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = judged("c-1#2", True)
    results = {
        "rows": [row("m", "thinking", "data", [record])],
        "given": [
            given_row(f"thought of {tokens}", "m", "thinking", "data", [record])
            for tokens in (0, 8)
        ],
        "skipped": [],
    }
    found = Evaluation(results, {"thinking": [record]})
    monkeypatch.setattr("actwise.api.evaluate", lambda *_, **__: found)
    monkeypatch.setattr("io.text_encoding", lambda encoding, _level=2: encoding or "cp1252")

    def nobody_reads(_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("actwise.cli.training.echo_json", nobody_reads)
    asked = ["eval", "log.jsonl", "--model", "m", "--mode", "thinking", "--json"]
    done = CliRunner().invoke(cli, [*asked, "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, BrokenPipeError)
    assert json.loads((tmp_path / "out" / "results.json").read_text("utf-8")) == results
    assert "at budget 8" in (tmp_path / "out" / "budget.svg").read_text("utf-8")


def test_the_command_of_a_server_may_hold_any_character(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def evaluated(*_: object, config: RunConfig, **__: object) -> EpisodeEvaluation:
        asked.append(config.episodes.mcp)
        return EpisodeEvaluation({"episodes": [], "skipped": []}, {})

    monkeypatch.setattr("actwise.api.evaluate_episodes", evaluated)
    command = 'python "Läden 😀\\道具.py" --quiet'
    done = CliRunner().invoke(cli, ["eval", "log.jsonl", "--model", "m", "--mcp", command])
    assert (done.exit_code, asked) == (0, [command])


def test_a_comparison_whose_page_cannot_be_written_is_still_told(
    actwise: Actwise, tmp_path: Path, taken: Path
) -> None:
    run = write_run(tmp_path / "run")
    done = actwise("compare", run, run, "--page", taken / "x.html")
    assert done.out == actwise("compare", run, run).out != ""
    assert done.complaint.endswith("cannot be written: Not a directory; choose another --page")
