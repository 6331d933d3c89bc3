"""The page of runs on real logs, from folders with few decisions."""

import json
from pathlib import Path
from typing import Any

from tools.real_model.page import figures, page

BLANK = {
    "tool_names": None,
    "arguments": None,
    "recall": None,
    "answer_correctness": None,
    "missed_call": False,
    "needless_call": False,
    "format": 1.0,
}


def write(file: Path, records: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


def evaluation(right: list[bool]) -> list[dict[str, Any]]:
    """Four conversations of a call and an answer each; the calls' verdicts are given."""
    return [
        {
            "decision": f"{i}#{kind}",
            "conversation": str(i),
            "kind": kind,
            "labels": [],
            "stop": "stop",
            "thought_tokens": 0,
            "verdict": BLANK | {"right": right[i] if kind == "call" else False},
        }
        for i in range(4)
        for kind in ("call", "answer")
    ]


def run(folder: Path, seed: int, **right: list[bool]) -> Path:
    for name, of_calls in right.items():
        file = folder / "evaluations" / f"{name.replace('_', '-')}-test.jsonl"
        write(file, evaluation(of_calls))
    (folder / "run.json").write_text(json.dumps({"seed": seed}))
    return folder


def test_runs_of_a_seed_are_one_table_and_unfinished_ones_are_shown(tmp_path: Path) -> None:
    first = run(tmp_path / "one", 7, base_direct=4 * [False], sft_direct=[True, *3 * [False]])
    second = run(tmp_path / "two", 7, rl_thinking=[True, True, True, False])
    other = run(tmp_path / "three", 8, base_direct=4 * [False])
    rollouts = [
        {"step": step, "decision": "0#call", "right": step > 1 and i == 0}
        for step in (1, 2)
        for i in range(4)
    ]
    write(second / "rollouts" / "rl.jsonl", rollouts)
    names = ("reward", "live_groups", "closed", "truncated", "entropy", "thought_words")
    steps = [{"step": n, **dict.fromkeys(names, 0.5)} for n in (1, 2)]
    write(second / "metrics" / "rl.jsonl", steps)
    found = figures([first, second, other])
    assert [of_one["seed"] for of_one in found] == [7, 8]
    rows = {(r["model"], r["mode"]): r for r in found[0]["rows"]}
    assert rows["sft", "direct"]["slices"]["call"]["action_accuracy"]["value"] == 0.25
    (calls,) = [d for d in found[0]["paired"] if d["slice"] == "call"]
    assert calls["against"] == "sft, direct"
    assert calls["difference"]["value"] == 0.5  # two more of four
    # One of two groups has a right completion, one of its four.
    assert found[0]["rl"][0]["right in any"] == 0.5
    assert found[0]["rl"][0]["right in one"] == 0.125
    text = page(found)
    assert "**Seed 7**: 8 decisions are tested, 4 of them calls." in text
    assert "| rl, thinking over sft, direct | calls | +50.0 (" in text
    assert text.count("**Seed") == 2
