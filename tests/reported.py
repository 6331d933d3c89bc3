"""A run folder written by hand, for reports."""

import json
from pathlib import Path
from typing import Any


def figure(value: float, reach: float = 0.05) -> dict[str, float]:
    return {"value": value, "low": value - reach, "high": value + reach}


def row_by_hand(model: str, mode: str, split: str, accuracy: float) -> dict[str, Any]:
    return {
        "model": model,
        "mode": mode,
        "split": split,
        "decisions": 200,
        "conversations": 40,
        "metrics": {
            "action_accuracy": figure(accuracy),
            "tool_names": figure(accuracy + 0.1),
            "thought_tokens": {"value": 41.26, "low": 30, "high": None},
            "politeness": {"value": 3.25},
        },
        "slices": {
            "call": {"decisions": 120, "action_accuracy": figure(accuracy + 0.01)},
            "reasoning": {"decisions": 30, "action_accuracy": figure(accuracy - 0.2)},
        },
    }


def write_run(folder: Path, hostile: str = "") -> Path:
    """A whole run folder; `hostile` is put into every text that comes from data."""
    h = hostile
    (folder / "metrics").mkdir(parents=True)
    record = {
        "actwise": "0.1.0" + h,
        "command": ["actwise", "demo", "--out", "my runs" + h],
        "seed": 7,
        "config": {"rl": {"steps": 50, "weights" + h: {"tool": 1.0}}, "model": "desk" + h},
        "versions": {"torch" + h: "2.13.0" + h},
        "data": [{"file": "a.jsonl" + h, "sha256": "ab12" + h, "conversations": 90, "rejected": 4}],
        "created": "2026-01-02T03:04:05" + h,
    }
    results = {
        "models": ["base", "sft", "rl" + h],
        "rows": [
            row_by_hand("base", "direct", "test", 0.25),
            row_by_hand("sft", "direct", "test", 0.7),
            row_by_hand("rl" + h, "thinking", "test" + h, 0.781),
            row_by_hand("rl" + h, "direct", "test", 0.5),
        ],
        "episodes": [
            {
                "model": "rl" + h,
                "mode": "thinking",
                "split": "test" + h,
                "unit": "turn",
                "episodes": 150,
                "conversations": 40,
                "metrics": {
                    "success": figure(0.62),
                    "tokens_before_act": {"value": 12.5},
                    "tokens_before_answer": {"value": 61.0},
                },
                "ends": {"answered": 140, "diverged": 10},
                "problems": {"no such order" + h: 3},
            }
        ],
        "attempts": [
            {
                "model": "rl" + h,
                "mode": "thinking",
                "split": "test" + h,
                "decisions": 200,
                "attempts": 16,
                "metrics": {
                    "pass_at_1": figure(0.7),
                    "pass_at_k": figure(0.9),
                    "live": figure(0.3),
                },
            }
        ],
        "given": [
            {"given": given + h, **row_by_hand("rl" + h, "thinking", "test" + h, accuracy)}
            for given, accuracy in (
                ("thought of 0", 0.4),
                ("thought of 16", 0.6),
                ("given nothing", 0.65),
                ("given plan", 0.8),
            )
        ],
        "floors": {"test": {"always answer" + h: 0.214, "commonest call": 0.1}},
        "paired": [
            {
                "split": "test" + h,
                "model": "rl" + h + " (thinking)",
                "against": "sft" + h,
                "slice": "all",
                "difference": {"value": 0.081, "low": 0.03, "high": 0.132},
                "relative": 0.1157,
            },
            {
                "split": "test" + h,
                "model": "rl" + h,
                "against": "base" + h,
                "slice": "reasoning" + h,
                "difference": {"value": -0.5, "low": -0.62, "high": -0.4},
            },
        ],
        "promoted": "rl" + h,
        "verdict": "RL beats SFT." + h,
        "stages": [
            {"name": "sft" + h, "seconds": 200.4, "peak_memory": 1_500_000_000},
            {"name": "rl", "seconds": 7.25},
        ],
        "skipped": [{"reason": "too long" + h, "count": 12, "examples": ["a.jsonl:88" + h]}],
    }
    if h:
        results["rows"][0]["metrics"]["m" + h] = figure(0.5)  # type: ignore[index]
        results["rows"][0]["slices"]["s" + h] = results["rows"][0]["slices"]["call"]  # type: ignore[index]
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "results.json").write_text(json.dumps(results))
    write_decisions(folder, h)
    for stage in ("sft", "think", "rl"):
        lines = [{"step": s, "loss": 3.0 / s, "kl": 0.0, "note" + h: h} for s in range(1, 41)]
        lines[19]["dev_action_accuracy"] = 0.61
        lines[39]["dev_action_accuracy"] = 0.58
        path = folder / "metrics" / f"{stage}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def write_decisions(folder: Path, h: str = "") -> None:
    """Write two conversations with three decisions, and what four models did there.

    c-1#2 calls find(id=1), c-1#5 answers, both of `test`; c-2#1 of `shifted` calls find and cancel.
    """
    find = {"name": "find", "arguments": {"id": 1}}
    tool = {"name": "find", "description": "Finds an order." + h, "parameters": {"type": "object"}}
    conversations = [
        {
            "split": "test",
            "id": "c-1",
            "messages": [
                {"role": "system", "content": "Be kind." + h},
                {"role": "user", "content": "Where is my order?" + h},
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"type": "function", "function": find}],
                    "labels": ["lookup" + h],
                },
                {"role": "tool", "content": '{"at": "door"}' + h},
                {"role": "user", "content": "Hello?" + h},
                {"role": "assistant", "content": "It is at the door." + h, "labels": ["reasoning"]},
            ],
            "tools": [{"type": "function", "function": tool}],
        },
        {
            "split": "shifted",
            "id": "c-2",
            "messages": [
                {"role": "user", "content": "Find 2, cancel 3"},
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [
                        {"type": "function", "function": {"name": n, "arguments": {"id": i}}}
                        for n, i in (("find", 2), ("cancel", 3))
                    ],
                },
            ],
        },
    ]
    write_lines(folder / "conversations.jsonl", conversations)
    call, answer = "c-1#2", "c-1#5"
    models: dict[str, list[dict[str, Any]]] = {
        "base-direct-test": [
            judged(call, False, answer="No." + h, missed_call=True),
            judged(answer, None, answer="Yes." + h),
        ],
        "base-thinking-test": [
            judged(call, False, errors=["unclosed_thought"], text="<think>" + h),
            judged(answer, False, answer="It is at the hall.", notes=["missing: door" + h]),
        ],
        "sft-direct-test": [
            judged(call, False, calls=[{"name": "find", "arguments": {"id": 7}}], wrong=["id"]),
            judged(answer, True, answer="It is at the door." + h),
        ],
        "rl-thinking-test": [
            judged(call, True, calls=[find], thought="Look it up." + h),
            judged(answer, False, calls=[find], needless_call=True, thought="=1+1"),
        ],
        "rl-thinking-shifted": [
            judged("c-2#1", False, calls=[find, {"name": "track" + h, "arguments": {"a" + h: h}}])
        ],
    }
    for name, records in models.items():
        write_lines(folder / "evaluations" / f"{name}.jsonl", records)


def judged(
    decision: str,
    right: bool | None,
    *,
    calls: list[dict[str, Any]] | None = None,
    answer: str = "",
    text: str = "as it was written",
    thought: str = "",
    errors: list[str] | None = None,
    notes: list[str] | None = None,
    wrong: list[str] | None = None,
    missed_call: bool = False,
    needless_call: bool = False,
) -> dict[str, Any]:
    """Return a line of an evaluation; `wrong` are arguments of find."""
    is_answer = decision == "c-1#5"
    verdict = {
        "right": right,
        "reward": 1.0 if right else 0.0,
        "format": 0.0 if errors else 1.0,
        "tool_names": None if is_answer else bool(calls) and decision != "c-2#1",
        "arguments": None if is_answer else float(bool(right)),
        "recall": float(bool(right)),
        "answer_correctness": float(bool(right)) if is_answer else None,
        "missed_call": missed_call,
        "needless_call": needless_call,
        "errors": errors or [],
        "comparisons": [
            {"tool": "find", "argument": name, "equal": False, "decided_by": "number"}
            for name in wrong or []
        ],
        "notes": notes or [],
    }
    return {
        "decision": decision,
        "conversation": decision.partition("#")[0],
        "kind": "answer" if is_answer else "call",
        "labels": [],
        "text": text,
        "thought": thought,
        "calls": calls or [],
        "broken_calls": 0,
        "answer": answer,
        "tokens": 5,
        "thought_tokens": 2,
        "stop": "stop",
        "verdict": verdict,
    }


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    """Write a file of JSON lines."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
