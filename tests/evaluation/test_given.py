"""What follows a thought that is given, by a model that says which thought it was given."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from actwise.api.runs import Evaluation
from actwise.conversation import Conversation, Message
from actwise.engine.scripted import ScriptedEngine
from actwise.evaluation.evaluate import Evaluator
from actwise.evaluation.given import GIVEN, at_budget, from_part
from actwise.rewards.settings import JudgeConfig
from actwise.run.progress import Progress
from actwise.template.render import Template

QUIET = Progress(Console(quiet=True))


def talk(name: str, thought: str | None) -> Conversation:
    """Return a conversation whose answer depends on a result."""
    return Conversation(
        id=name,
        messages=(
            Message(role="user", content=f"What is {name}?"),
            Message(role="tool", content='{"price": 46}', tool_call_id="c1"),
            Message(role="assistant", content="It is 46.", reasoning_content=thought),
        ),
    )


TALKS = [talk("W1", "What? Price 46. Say it."), talk("W2", "Hm.")]
OWN = {"W1": "one two three", "W2": "so"}


def script(prompt: str, number: int) -> str:
    """Think as ever, and be right where at least five letters of a thought were given."""
    name = "W1" if "What is W1?" in prompt else "W2"
    _, opened, thought = prompt.rpartition("<think>\n")
    if not opened:
        return f"<think>\n{OWN[name]}\n</think>\n\nIt is 46."
    rest = "" if thought.endswith("</think>") else " more\n</think>"
    right = len(thought.removesuffix("</think>").strip()) >= 5
    return f"{rest}\n\nIt is {46 if right else 47}."


@pytest.fixture
def evaluator(tiny_tokenizer_dir: Path) -> Evaluator:
    template = Template.load(str(tiny_tokenizer_dir))
    return Evaluator(ScriptedEngine(template.tokenizer, script), template, JudgeConfig(), 200)


@pytest.mark.parametrize(
    ("budget", "thoughts", "right"),
    [
        (0, ["", ""], [False, False]),
        (2, ["on", "so"], [False, True]),  # "so" has two tokens, and stays as it was
        (5, ["one t", "so"], [True, True]),
        (13, ["one two three", "so"], [True, True]),
    ],
)
def test_only_longer_thoughts_are_cut_and_what_follows_them_is_new(
    evaluator: Evaluator, budget: int, thoughts: list[str], right: list[bool]
) -> None:
    records = evaluator.evaluate(TALKS, thinking=True)
    assert [r["thought_tokens"] for r in records] == [13, 2]  # a byte is a token here
    found = at_budget(evaluator, TALKS, records, budget, QUIET)
    assert [r["thought"] for r in found] == thoughts
    assert [r["verdict"]["right"] for r in found] == right
    assert [r["decision"] for r in found] == [r["decision"] for r in records]


def test_a_diagnosis_gives_parts_of_the_recorded_thoughts(evaluator: Evaluator) -> None:
    found = {name: from_part(evaluator, TALKS, name, QUIET) for name in GIVEN}
    # Of "Hm." no sub-problem can be given, so it is left out everywhere.
    assert {name: [r["thought"] for r in records] for name, records in found.items()} == {
        "nothing": ["more"],
        "knowledge": ["Known: price 46. more"],
        "plan": ["What? more"],
        "sub-problems": ["What? Price 46. more"],
    }
    assert [records[0]["verdict"]["right"] for records in found.values()] == [
        False,
        True,
        True,
        True,
    ]


def test_the_curve_has_a_point_for_each_budget() -> None:
    of_all = {"model": "m", "mode": "thinking", "split": "data", "decisions": 4, "conversations": 2}
    rows = [
        {"given": name, "metrics": {"action_accuracy": {"value": value}}, **of_all}
        for name, value in (("given plan", 0.9), ("thought of 0", 0.25), ("thought of 16", 0.75))
    ]
    assert Evaluation({"given": rows[:1]}, {}).budget_curve() is None
    chart = Evaluation({"given": rows}, {}).budget_curve()
    assert (
        chart is not None
        and chart.startswith("<svg ")
        and 'xmlns="http://www.w3.org/2000/svg"' in chart
    )
    assert "25.0 % at budget 0, 75.0 % at budget 16" in chart.replace("\u202f", " ")
    assert chart.count('class="point"') == 2 and chart.count('class="best"') == 1
    assert json.dumps(rows)
