"""Thoughts that are corrupted, and blocks of pages that are replaced."""

from pathlib import Path
from typing import Any

import pytest

from actwise.conversation import Conversation, Message, ToolCall
from actwise.engine.scripted import ScriptedEngine
from actwise.errors import InputError
from actwise.experiment.interventions import corrupt, intervene
from actwise.experiment.page import write_block
from actwise.template.render import Template


@pytest.mark.parametrize(
    ("thought", "known", "expected"),
    [
        ("43 - 4 = 39.", {"43", "4"}, ("43 - 4 = 40.", "40")),
        # 16 and 14 stand in the conversation; the day before the sum is another fact.
        (
            "Day 15: 27 - 12 = 15. 15 > 14: too late.",
            {"27", "12", "14", "16"},
            ("Day 15: 27 - 12 = 17. 17 > 14: too late.", "17"),
        ),
        ("Pay 99.", set(), ("Pay 98.", "98")),
        ("It is done.", set(), None),
        ("5 + 5 = 10.", {str(number) for number in range(100)}, None),  # -1 is of two characters
    ],
)
def test_one_number_is_corrupted(
    thought: str, known: set[str], expected: tuple[str, str] | None
) -> None:
    assert corrupt(thought, known) == expected


def paying(name: str, owed: int) -> Conversation:
    pay = ToolCall(name="pay", arguments={"amount": owed + 4}, id="c1")
    return Conversation(
        id=name,
        tools=({"type": "function", "function": {"name": "pay"}},),
        messages=(
            Message(role="system", content="The fee is 4."),
            Message(role="user", content=f"I owe {owed}."),
            Message(role="assistant", tool_calls=(pay,), labels=("reasoning",)),
        ),
    )


def text(thought: str, amount: str) -> str:
    call = f'<tool_call>\n{{"name": "pay", "arguments": {{"amount": {amount}}}}}\n</tool_call>'
    return f"<think>\n{thought}\n</think>\n\n{call}"


def judged(name: str, owed: int) -> dict[str, Any]:
    thought = f"Pay {owed} + 4 = {owed + 4}."
    return {
        "decision": f"{name}#2",
        "conversation": name,
        "kind": "call",
        "labels": ["reasoning"],
        "thought": thought,
        "text": text(thought, str(owed + 4)),
        "stop": "stop",
    }


@pytest.mark.parametrize(("obeys", "outcome"), [(True, "follows"), (False, "keeps")])
def test_an_act_follows_its_thought_or_not(
    tiny_tokenizer_dir: Path, obeys: bool, outcome: str
) -> None:
    template = Template.load(str(tiny_tokenizer_dir))
    owed = {"A": 20, "B": 50}

    def act(prompt: str, _: int) -> str:
        thought = prompt.rpartition("<think>")[2]
        said = thought.partition("= ")[2].partition(".")[0]
        own = next(amount + 4 for amount in owed.values() if f"I owe {amount}." in prompt)
        return text("", said if obeys else str(own)).partition("</think>")[2]

    found = intervene(
        ScriptedEngine(template.tokenizer, act),
        template,
        [paying(*item) for item in owed.items()],
        [judged(*item) for item in owed.items()],
        limit=5,
        max_tokens=200,
    )
    assert found == [
        {
            "decision": f"{name}#2",
            "conversation": name,
            "own": "keeps",
            "swapped": outcome,
            "corrupted": outcome,
        }
        for name in owed
    ]


def test_a_block_is_replaced_and_what_stands_around_it_stays(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    write_block(file, "figures", "one", heading="Title")
    file.write_text(file.read_text() + "\nNotes.\n")
    write_block(file, "figures", "two")
    assert file.read_text() == (
        "# Title\n\n<!-- figures:begin -->\ntwo\n<!-- figures:end -->\n\nNotes.\n"
    )


@pytest.mark.parametrize("content", [None, "no marks", "<!-- x:end --> <!-- x:begin -->"])
def test_a_file_without_marks_is_left_alone(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "page.md"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError):
        write_block(file, "x", "text")
    assert content is None or file.read_text() == content
