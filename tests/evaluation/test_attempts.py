"""Several sampled completions of each decision."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from actwise.engine.scripted import ScriptedEngine
from actwise.evaluation.attempts import attempts
from actwise.evaluation.evaluate import Evaluator
from actwise.results.attempts import attempts_row, failed
from actwise.rewards.settings import JudgeConfig
from actwise.run.progress import Progress
from actwise.template.render import Template
from talks import says, talk, user

TALKS = [talk(user(f"How many in {i}?"), says("It is 7."), id=str(i)) for i in range(4)]
TALKS.append(talk(user("How is it?"), says("The trail follows the old railway."), id="open"))


def script(prompt: str, number: int) -> str:
    """In the conversation N the first N of four completions are right; the last cannot be told."""
    if "How is it" in prompt:
        return "It runs along where trains once went."
    right = number < int(prompt.partition("How many in ")[2][0])
    return f"It is {7 if right else 8}."


@pytest.fixture
def records(tiny_tokenizer_dir: Path) -> list[dict[str, Any]]:
    template = Template.load(str(tiny_tokenizer_dir))
    evaluator = Evaluator(ScriptedEngine(template.tokenizer, script), template, JudgeConfig(), 99)
    shown = StringIO()
    found = attempts(
        evaluator,
        TALKS,
        4,
        thinking=False,
        generator=torch.Generator(),
        progress=Progress(Console(file=shown, width=200)),
        title="four times",
    )
    assert "four times" in shown.getvalue()
    return found


def test_each_decision_says_how_many_of_its_completions_are_right(
    records: list[dict[str, Any]],
) -> None:
    counted = [(r["conversation"], r["attempts"], r["checked"], r["right"]) for r in records]
    assert counted == [(str(i), 4, 4, i) for i in range(4)] + [("open", 4, 0, 0)]
    assert [r["conversation"] for r in records if failed(r)] == ["0"]


def test_the_row_has_the_share_that_is_right_at_once_ever_and_sometimes(
    records: list[dict[str, Any]],
) -> None:
    row = attempts_row("rl", "direct", "test", records)
    assert (row["decisions"], row["attempts"]) == (5, 4)
    means = {name: interval["value"] for name, interval in row["metrics"].items()}
    # 0, 1, 2 and 3 of four; what cannot be checked does not count.
    assert means == pytest.approx({"pass_at_1": 6 / 16, "pass_at_k": 3 / 4, "live": 3 / 4})
