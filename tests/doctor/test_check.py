"""`actwise check`, its page, and the view of a decision's tokens."""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from actwise.cli import main
from actwise.doctor import examine
from actwise.doctor.page import render_page, verdict
from actwise.doctor.show import find_decision, render_tokens
from actwise.errors import InputError
from actwise.formats import Rejected
from actwise.template.render import Template
from talks import calls, says, talk, user


def check(*arguments: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["actwise", "check", *map(str, arguments)])
    try:
        main()
    except SystemExit as done:
        return int(done.code or 0)
    return 0


def line(question: str, answer: str = "Yes.") -> str:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": messages}) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "log.jsonl"
    file.write_text(line("Alder?") + line("Birch?") + line("Birch?"))
    return file


def test_all_outputs_at_once(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page, mended = log.with_name("page.html"), log.with_name("mended.jsonl")
    code = check(log, "--json", "--html", page, "--fix", mended, monkeypatch=monkeypatch)
    captured = capsys.readouterr()
    assert code == 0
    assert "duplicate_conversation" in {f["code"] for f in json.loads(captured.out)["findings"]}
    assert "2 conversations written, 1 left out (duplicate_conversation)" in captured.err
    assert len(mended.read_text().splitlines()) == 2
    assert "3 usable conversations" in page.read_text()


def test_leaks_end_with_exit_code_2(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    test, other = log.with_name("test.jsonl"), log.with_name("other.jsonl")
    test.write_text(line("Birch?"))
    other.write_text(line("Cedar?"))
    assert check(log, "--against", other, monkeypatch=monkeypatch) == 0
    assert check(log, "--against", other, "--against", test, monkeypatch=monkeypatch) == 2
    assert "leaked_conversation: 2" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--fix", "--html"])
def test_nothing_is_overwritten_in_place(
    log: Path, option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = log.read_bytes()
    alias = log.with_name("alias.jsonl")
    alias.symlink_to(log)
    assert check(log, option, alias, monkeypatch=monkeypatch) == 2
    assert "would be overwritten; name another file" in capsys.readouterr().err
    assert log.read_bytes() == before


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def test_the_page_shows_everything_and_runs_nothing() -> None:
    hostile = Rejected("<b>.jsonl", 3, "broken_json", "<script>alert(1)</script>")
    diagnosis = examine([talk(user("abc"), calls(order="lost"), says("<img>")), hostile])
    html = render_page(diagnosis, files=["<i>.jsonl"])
    page = Page(html)
    assert page.open == []
    assert not {"script", "img", "i"} & {tag for tag, _ in page.tags}
    assert not any(key in ("src", "href", "onclick") for _, attrs in page.tags for key in attrs)
    assert "<b>.jsonl:3: <script>alert(1)</script>" in page.text
    for finding in diagnosis.findings:
        assert finding.effect in page.text and finding.remedy in page.text
        assert all(example in page.text for example in finding.examples)
    assert "1 usable conversation: 1 error, 2 warnings, 1 note." in page.text


def test_a_verdict_without_findings() -> None:
    assert verdict(examine([])).startswith("0 usable conversations: 1 error")


# One decision, token by token


def shown(renderable: Any) -> str:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(renderable, soft_wrap=True)
    return capture.get()


def test_what_is_context_and_what_is_trained_on(tiny_tokenizer_dir: Path) -> None:
    template = Template.load(str(tiny_tokenizer_dir))
    first, second = talk(user("Grüße"), says("Hé\n👍", "hm"), user("x"), says("y")).decisions()
    text = shown(render_tokens(template, first))
    context, trained = re.split(r"trained on: \d+ tokens ─*", text)
    assert "Grüße<|im_end|>" in context and "Hé" not in context
    assert trained.strip() == "<think>⏎\nhm⏎\n</think>⏎\n⏎\nHé⏎\n👍<|im_end|>"
    # One token per byte: "<think>" and its end, "\nhm\n", "\n\n", 8 bytes of answer, the stop.
    assert "trained on: 17 tokens" in text
    assert "thinking mode" in text
    text = shown(render_tokens(template, second))
    assert "direct mode" in text and "hm" not in text
    # Without a thought the empty one is context.
    assert text.rpartition("trained on: 2 tokens")[2].strip("─ \n") == "y<|im_end|>"


def test_decisions_are_found_by_id_place_or_line() -> None:
    log = [Rejected("log.jsonl", 1, "broken_json", "cut"), talk(user("a"), says("b"), id="2")]
    renamed = talk(user("c"), says("d"), id="3").model_copy(update={"id": "called"})
    items = [*log, renamed]
    for name in ("called#1", "log.jsonl:3#1", "3#1"):
        assert find_decision(items, name, file="log.jsonl").conversation is renamed
    for name, problem in (
        ("3#0", "log.jsonl:3: the conversation has no decision '0'; its assistant acts in mess"),
        ("4#1", "log.jsonl: holds no conversation '4'"),
        ("4", "log.jsonl: holds no conversation ''"),
        ("1#1", "log.jsonl:1: cut"),
    ):
        with pytest.raises(InputError, match=re.escape(problem)):
            find_decision(items, name, file="log.jsonl")


def test_a_decision_of_any_conversation_of_a_line_is_found() -> None:
    """A record may hold several conversations, whose findings name the same line."""
    short = talk(user("Hi"), says("Hello."), id="a").model_copy(update={"source": "log.jsonl:7"})
    long = talk(user("Hi"), says("Hello."), user("Bye"), says("Bye."), id="b")
    items = [short, long.model_copy(update={"source": "log.jsonl:7"})]
    for name in ("7#3", "log.jsonl:7#3", "b#3"):
        assert find_decision(items, name, file="log.jsonl").conversation.id == "b"
    with pytest.raises(InputError, match=":7: the conversation has no decision '4'"):
        find_decision(items, "7#4", file="log.jsonl")


def test_show(
    log: Path,
    tiny_model_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert check(log, "--show", "2#1", "--model", tiny_model_dir, monkeypatch=monkeypatch) == 0
    out = capsys.readouterr().out
    assert "Birch?" in out and "Alder?" not in out
    assert "trained on: 5 tokens" in out  # four letters and the stop token
