"""The page of the server, in a browser."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from actwise.desk import generate
from actwise.model.policy import Policy
from actwise.serving.app import Limits
from browser import PHONE
from serving.conftest import Start

DECISION = generate("test", 1, seed=5)[0].decisions()[0]
SYSTEM, QUESTION = (message.content for message in DECISION.history)
TOOLS = list(DECISION.conversation.tools)


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    """The page; at the end, nothing has gone wrong or elsewhere."""
    page = browser.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda r: r.url.startswith(url) or problems.append(r.url))
    page.set_default_timeout(120_000)
    page.goto(url)
    page.get_by_label("base (thinking)").wait_for()
    yield page
    page.close()
    assert problems == []


def ask(page: Any, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_label("Message").press("Enter")
    page.locator("#send:enabled").wait_for()


def offer(page: Any, tools: str) -> None:
    page.get_by_text("System prompt and tools").click()
    page.get_by_label("System prompt", exact=True).fill(SYSTEM)
    page.get_by_label("Tools, a JSON array").fill(tools)


def test_one_talks_and_hands_results_on(page: Any, client: OpenAI) -> None:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
    how = {"model": "base", "tools": TOOLS, "seed": 0, "max_tokens": 150, "logprobs": True}
    (choice,) = client.chat.completions.create(messages=messages, **how).choices
    call = choice.message.tool_calls[0]
    offer(page, json.dumps(TOOLS))
    page.get_by_label("Most tokens").fill("150")
    ask(page, QUESTION)
    answer = page.get_by_label("Answer of base")
    assert answer.locator(".call strong").inner_text() == call.function.name
    assert answer.locator(".call pre").inner_text() == call.function.arguments
    thought = answer.get_by_text(choice.message.reasoning_content, exact=True)
    assert not thought.is_visible()
    answer.get_by_text("Thought", exact=True).press("Enter")
    assert thought.is_visible()
    written = "".join(token.token for token in choice.logprobs.content)
    answer.get_by_text("As it was written").click()
    assert answer.locator("details:last-of-type pre").text_content() == written
    page.get_by_role("button", name="Regenerate").click()
    page.locator("#send:enabled").wait_for()
    assert page.get_by_label("Answer of base").count() == 1
    page.get_by_label(f"Result of {call.function.name}").fill('{"a": "<b>1</b>"}')
    page.get_by_role("button", name="Hand on").click()
    page.get_by_label("Answer of base").nth(1).wait_for()
    page.locator("#send:enabled").wait_for()
    assert page.get_by_label("Result", exact=True).inner_text() == 'Result\n{"a": "<b>1</b>"}'
    page.reload()
    page.get_by_label("Answer of base").nth(1).wait_for()
    assert page.get_by_label("You").inner_text() == f"You\n{QUESTION}"
    page.get_by_role("button", name="Reset").click()
    assert page.locator("#history").inner_text() == ""


@pytest.mark.parametrize(("too_much", "kept"), [("logprob", 2), ("role", 0)])
def test_one_talks_on_where_the_tab_can_keep_no_more(page: Any, too_much: str, kept: int) -> None:
    full = """word => {
      const keep = Storage.prototype.setItem;
      Storage.prototype.setItem = function (key, value) {
        if (value.includes(word)) throw new DOMException("full", "QuotaExceededError");
        keep.call(this, key, value);
      };
    }"""
    page.evaluate(full, too_much)
    page.get_by_label("Most tokens").fill("5")
    for number in range(2):
        ask(page, "Hi")
        page.get_by_label("Answer of base").nth(number).get_by_text("As it was written").wait_for()
    page.reload()
    page.get_by_label("base (thinking)").wait_for()
    assert page.get_by_label("You").count() == kept


def test_models_answer_side_by_side(page: Any) -> None:
    page.get_by_label("sft (direct)").check()
    page.get_by_label("Most tokens").fill("30")
    ask(page, "<img src=x onerror=alert(1)>")
    assert page.get_by_label("You").inner_text() == "You\n<img src=x onerror=alert(1)>"
    for name in ("base", "sft"):
        page.get_by_label(f"Answer of {name}").wait_for()
    other = page.get_by_role("button", name="Go on with this")
    other.press("Enter")
    pressed = page.locator("button[aria-pressed=true]")
    assert pressed.count() == 1
    assert "sft" in pressed.locator("xpath=..").inner_text()
    ask(page, "Hello")
    assert page.get_by_label("Answer of sft").count() == 2


def test_mistakes_are_told_beside_their_field(page: Any) -> None:
    offer(page, "[{")
    page.get_by_label("Message").fill("Hi")
    page.get_by_role("button", name="Send").click()
    assert "The tools are no JSON array" in page.locator("#tools-problem").inner_text()
    assert page.locator("#history").inner_text() == ""
    assert page.get_by_label("Message").input_value() == "Hi"
    page.get_by_label("Tools, a JSON array").fill("[]")
    page.get_by_label("base (thinking)").uncheck()
    page.get_by_role("button", name="Send").click()
    assert page.get_by_role("alert").inner_text() == "Choose a model."


def test_everything_has_a_name_and_fits_a_phone(browser: Any, url: str) -> None:
    colours = []
    for scheme in ("light", "dark"):
        page = browser.new_page(viewport=PHONE, color_scheme=scheme)
        page.goto(url)
        page.get_by_label("base (thinking)").wait_for()
        page.get_by_text("System prompt and tools").click()
        page.get_by_label("Most tokens").fill("40")
        ask(page, "x" * 300)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        nameless = "[...document.querySelectorAll('input, select, textarea')]"
        nameless += ".filter(f => !f.labels.length).map(f => f.id)"
        assert page.evaluate(nameless) == []
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    assert colours[0] != colours[1]


def test_a_key_is_asked_for_and_a_completion_can_be_stopped(
    browser: Any, start: Start, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = policy.model.forward

    def slow(**given: Any) -> Any:
        time.sleep(0.05)
        return forward(**given)

    monkeypatch.setattr(policy.model, "forward", slow)
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.goto(start(api_key="sk-right", limits=Limits(max_tokens=2000)))
    page.get_by_text("This server wants an API key.").wait_for()
    page.get_by_label("API key").fill("sk-right")
    page.get_by_label("API key").press("Tab")
    page.get_by_label("base (thinking)").wait_for()
    page.get_by_label("Most tokens").fill("1900")
    page.get_by_label("Temperature").fill("2")
    page.get_by_label("Seed").fill("1")  # with which the model goes on for long
    page.get_by_label("Message").fill("Hi")
    page.get_by_label("Message").press("Enter")
    page.locator("#stop:enabled").press("Enter")
    page.get_by_label("Answer of base").get_by_text("stopped").wait_for()
    page.get_by_label("Most tokens").fill("9999")
    ask(page, "Again")
    page.get_by_text("max_tokens: at most 2000 here").wait_for()
    page.close()
