"""Budgets and diagnosis on the command line."""

import json
from pathlib import Path

import pytest

from integration.conftest import Actwise


def log(folder: Path) -> Path:
    """Write a conversation in which an answer rests on a result."""
    call = {"id": "c1", "function": {"name": "find", "arguments": {"id": "W1"}}}
    messages = [
        {"role": "user", "content": "Where is W1?"},
        {"role": "assistant", "tool_calls": [call], "reasoning_content": "Find W1."},
        {"role": "tool", "content": '{"way": 12}', "tool_call_id": "c1"},
        {"role": "assistant", "content": "12 km.", "reasoning_content": "How far? 12. Say."},
    ]
    tool = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
    file = folder / "log.jsonl"
    file.write_text(json.dumps({"messages": messages, "tools": [tool]}) + "\n")
    return file


def test_budgets_attempts_and_diagnosis_have_tables_of_their_own(
    actwise: Actwise, tmp_path: Path, tiny_model_dir: Path
) -> None:
    out = tmp_path / "out"
    tiny = ["--model", tiny_model_dir, "--set", "evaluate.max_completion_tokens=40"]
    asked = ["--budget", "4,0,4", "--diagnose", "--set", "evaluate.attempts=2"]
    done = actwise("eval", log(tmp_path), *tiny, *asked, "--out", out)
    assert done.code == 0, done.err
    results = json.loads((out / "results.json").read_text())
    assert [(row["mode"], row["decisions"]) for row in results["rows"]] == [
        ("direct", 2),
        ("thinking", 2),
    ]
    assert [(row["mode"], row["attempts"]) for row in results["attempts"]] == [
        ("direct", 2),
        ("thinking", 2),
    ]
    assert [(row["given"], row["decisions"]) for row in results["given"]] == [
        ("thought of 0", 2),
        ("thought of 4", 2),
        ("given nothing", 1),
        ("given knowledge", 1),
        ("given plan", 1),
        ("given sub-problems", 1),
    ]
    assert "thought of 4" in done.out and "pass@k" in done.out
    assert done.out.count("wrong ") == 2
    assert (out / "budget.svg").read_text().startswith("<svg ")
    records = (out / "thinking-thought-of-0.jsonl").read_text().splitlines()
    assert [json.loads(line)["thought_tokens"] for line in records] == [0, 0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--budget", "a"], "numbers of tokens, such as 0,4,8,16"),
        (["--budget", "4,-1"], "no fewer than 0 tokens"),
        (["--budget", "4", "--mode", "direct"], "measured in thinking mode"),
        (["--diagnose", "--mode", "direct"], "measured in thinking mode"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    actwise: Actwise, tmp_path: Path, given: list[str], said: str
) -> None:
    assert said in actwise("eval", log(tmp_path), "--model", "base", *given).complaint
