"""The page of a run in a browser, as a reader uses it."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from actwise.report import write_report
from browser import PHONE
from reported import write_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow


def expect(subject: Any) -> Any:
    """Playwright's assertions, which wait; imported where there is a browser."""
    from playwright.sync_api import expect

    return expect(subject)


HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(write_run(tmp_path_factory.mktemp("runs") / "autumn")).as_uri()


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    """A page on which no script fails and nothing is asked of the network."""
    page = browser.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    page.on("request", lambda r: None if r.url.startswith("file:") else problems.append(r.url))
    yield page
    page.close()
    assert problems == []


def opened(page: "Page", address: str, fragment: str = "") -> list[str]:
    """Open the page and return the decisions that it lists."""
    page.goto("about:blank")
    page.goto(address + fragment)
    return listed(page)


def listed(page: "Page") -> list[str]:
    # Not `wait_for_function`: the page's policy forbids to evaluate texts.
    expect(page.locator("#count")).to_contain_text("decisions")
    return page.locator("#list summary > b").all_inner_texts()


ALL = ["c-1#2", "c-1#5", "c-2#1"]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, ALL),
        ({"split": "shifted"}, ["c-2#1"]),
        ({"model": "sft-direct"}, ["c-1#2", "c-1#5"]),
        ({"verdict": "right"}, ["c-1#2", "c-1#5"]),
        ({"verdict": "right", "model": "sft-direct"}, ["c-1#5"]),
        ({"verdict": "open"}, ["c-1#5"]),
        ({"verdict": "differ"}, ["c-1#2", "c-1#5"]),
        ({"kind": "answer"}, ["c-1#5"]),
        ({"recorded": "cancel"}, ["c-2#1"]),
        ({"recorded": "no call"}, ["c-1#5"]),
        ({"called": "track"}, ["c-2#1"]),
        ({"called": "find", "model": "sft-direct"}, ["c-1#2"]),
        ({"failure": "wrong arguments"}, ["c-1#2"]),
        ({"failure": "wrong arguments", "model": "rl-thinking"}, []),
        ({"label": "reasoning"}, ["c-1#5"]),
    ],
)
def test_filters(page: "Page", address: str, chosen: dict[str, str], expected: list[str]) -> None:
    opened(page, address)
    for name, value in chosen.items():
        page.locator(f"#filters [name={name}]").select_option(value)
    expect(page.locator("#list > li")).to_have_count(len(expected))
    assert listed(page) == expected
    said = "3 decisions" if len(expected) == 3 else f"{len(expected)} of 3 decisions"
    assert page.inner_text("#count") == said
    # The address holds the filters: the same page is there after a reload.
    page.reload()
    assert listed(page) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("AT THE DOOR", ["c-1#5"]),
        ("where is my", ["c-1#2", "c-1#5"]),
        ("c-2#1", ["c-2#1"]),
        ("hall", []),
        ("as it was written", ALL),
        ("missing: door", ["c-1#5"]),
    ],
)
def test_search(page: "Page", address: str, words: str, expected: list[str]) -> None:
    opened(page, address)
    page.locator("#filters [name=q]").fill(words)
    expect(page).to_have_url(re.compile("q="))
    assert listed(page) == expected


def test_a_link_leads_to_a_decision_and_its_filters(page: "Page", address: str) -> None:
    opened(page, address, "#decisions?split=test&model=rl-thinking")
    page.locator("#list summary").nth(1).click()
    expect(page).to_have_url(re.compile("open="))
    link = page.locator("#list a").get_attribute("href")
    assert link == "#decisions?split=test&model=rl-thinking&open=c-1%235"
    assert listed(page) == ["c-1#2", "c-1#5"]
    assert opened(page, address, link) == ["c-1#2", "c-1#5"]
    shown = page.locator("details.example[open]")
    expect(shown).to_have_count(1)
    assert "Hello?" in shown.inner_text()
    assert page.locator("summary:focus b").inner_text() == "c-1#5"
    assert page.locator("#filters [name=model]").input_value() == "rl-thinking"


def test_a_number_of_a_table_leads_to_its_decisions(page: "Page", address: str) -> None:
    opened(page, address)
    page.locator("#mistakes a[href*='failure=wrong+arguments']").first.click()
    expect(page.locator("#list > li")).to_have_count(1)
    assert listed(page) == ["c-1#2"]
    assert page.locator("#filters [name=model]").input_value() == "sft-direct"


def test_a_decision_side_by_side(page: "Page", address: str) -> None:
    opened(page, address, "#decisions?open=c-1%232")
    body = page.locator("details.example[open] .body")
    expect(body.locator(".answer")).to_have_count(5)
    assert body.locator(".answer b").all_inner_texts() == [
        "recorded",
        "base direct",
        "base thinking",
        "SFT direct",
        "RL thinking",
    ]
    assert body.locator(".answer header span").all_inner_texts() == [
        "✗ missed call",
        "✗ unreadable",
        "✗ wrong arguments",
        "✓ right",
    ]
    recorded, _, broken, sft, rl = body.locator(".answer").all()
    assert recorded.locator("pre").inner_text() == "find\n  id: 1"
    assert "No action that can be read." in broken.inner_text()
    assert sft.locator("del").all_inner_texts() == ["1"]
    assert sft.locator("ins").all_inner_texts() == ["7"]
    assert rl.locator("ins, del").count() == 0
    assert rl.locator(".thought pre").inner_text() == "Look it up."
    # Against another model: SFT's own call is plain, the record is marked.
    page.locator("#filters [name=against]").select_option("sft-direct")
    expect(page).to_have_url(re.compile("against="))
    page.locator("#list summary").first.click()
    answers = page.locator("details.example[open] .answer")
    expect(answers).to_have_count(5)
    recorded, *_, sft, rl = answers.all()
    assert sft.locator("ins, del").count() == 0
    assert recorded.locator("del").all_inner_texts() == ["7"]
    assert rl.locator("ins").all_inner_texts() == ["1"]


def test_numbers_that_a_browser_would_round_stay(page: "Page", tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    for name in ("conversations", "evaluations/sft-direct-test"):
        file = folder / f"{name}.jsonl"
        text = file.read_text().replace('{"id": 1}', '{"id": 1234567890123456789, "eur": 10.0}')
        file.write_text(text.replace('{"id": 7}', '{"id": 1234567890123456790, "eur": 10.0}'))
    opened(page, write_report(folder).as_uri(), "#decisions?open=c-1%232")
    recorded, _, _, sft, _ = page.locator("details.example[open] .answer").all()
    assert recorded.locator("pre").inner_text() == "find\n  id: 1234567890123456789\n  eur: 10.0"
    assert sft.locator("ins").all_inner_texts() == ["1234567890123456790"]


def test_a_conversation_with_its_tools(page: "Page", address: str) -> None:
    opened(page, address, "#decisions?open=c-1%235")
    body = page.locator("details.example[open] .body")
    shown = body.locator(":scope > .message .role").all_inner_texts()
    assert shown == ["assistant", "tool", "user"]
    # What is folded is made when it is opened.
    body.get_by_text("Earlier messages (2)").click()
    body.get_by_text("Be kind.").wait_for()
    body.get_by_text("Tools on offer (1)").click()
    body.get_by_text("Finds an order.").wait_for()
    body.get_by_text("Parameters").click()
    body.get_by_text('"type": "object"').wait_for()


def test_csv_of_what_is_shown(page: "Page", address: str) -> None:
    opened(page, address, "#decisions?model=rl-thinking&split=test")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    text = Path(download.value.path()).read_text("utf-8-sig")
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert first["decision"] == "c-1#2" and first["verdict"] == "right"
    assert first["recorded"] == first["action"] == "find\n  id: 1"
    assert (first["model"], first["mode"], first["reward"]) == ("rl", "thinking", "1")
    assert second["outcome"] == "needless call"
    # A spreadsheet would compute it.
    assert second["thought"] == "'=1+1"


def test_curves_tell_their_values(page: "Page", address: str) -> None:
    opened(page, address)
    figure = page.locator("#curves figure").filter(has_text="dev accuracy").first
    said, curve = figure.locator("figcaption span"), figure.locator("svg")
    both = "61.0\u202f% → 58.0\u202f%"
    assert said.inner_text() == both
    curve.hover(position={"x": 60, "y": 20})
    assert said.inner_text() == "step 20: 61.0\u202f%"
    page.mouse.move(0, 0)
    assert said.inner_text() == both
    curve.focus()
    page.keyboard.press("End")
    assert said.inner_text() == "step 40: 58.0\u202f%"
    page.keyboard.press("ArrowLeft")
    assert curve.get_attribute("aria-valuetext") == said.inner_text() == "step 20: 61.0\u202f%"
    assert curve.get_attribute("role") == "slider"


def test_labels_of_curves_are_not_clipped(page: "Page", address: str) -> None:
    opened(page, address)
    # Boxes of texts in the units of the picture, which begins at 0.
    lefts = page.evaluate(
        "[...document.querySelectorAll('svg.curve text')].map(t => t.getBBox().x)"
    )
    assert min(lefts) >= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(browser: "Browser", address: str, scheme: str) -> None:
    page = browser.new_page(viewport=PHONE, color_scheme=scheme)
    opened(page, address, "#decisions?open=c-1%232")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.close()


def test_everything_can_be_reached_by_keyboard(page: "Page", address: str) -> None:
    opened(page, address, "#decisions?open=c-1%232")
    page.keyboard.press("Enter")  # the summary has the focus
    assert page.locator("details.example[open]").count() == 0
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("open=c-1%235"))
    # What can be used has a name.
    for role in ("button", "combobox", "searchbox", "link"):
        for found in page.get_by_role(role).all():
            assert found.evaluate("e => e.innerText || e.labels?.[0]?.innerText"), role


def test_what_models_write_is_never_markup(page: "Page", tmp_path: Path) -> None:
    run = write_run(tmp_path / "hostile", HOSTILE)
    opened(page, write_report(run).as_uri(), "#decisions?open=c-1%232")
    for fold in page.locator("details.example[open] details summary").all():
        fold.click()
    page.locator("#list summary").nth(1).click()
    assert page.title() == "hostile: actwise report"
    assert page.locator("img").count() == 0 and page.locator("script").count() == 2
    assert HOSTILE in page.inner_text("#list")
