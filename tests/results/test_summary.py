"""The table and the differences, against examples worked out by hand."""

import math
from typing import Any

import pytest

from actwise.results.summary import (
    best_on_development,
    paired,
    row,
    share_right,
    verdict_sentence,
)

WRONG_CALL: dict[str, Any] = {"tool_names": False, "arguments": 0.0, "recall": 0.0}
ANSWER: dict[str, Any] = {"tool_names": None, "arguments": None, "recall": 1.0}


def record(
    decision: str,
    kind: str,
    *,
    right: bool | None,
    labels: tuple[str, ...] = (),
    stop: str = "stop",
    thought_tokens: int = 0,
    **verdict: Any,
) -> dict[str, Any]:
    return {
        "decision": decision,
        "conversation": decision.partition("#")[0],
        "kind": kind,
        "labels": list(labels),
        "stop": stop,
        "thought_tokens": thought_tokens,
        "verdict": {
            "right": right,
            "format": 1.0,
            "tool_names": True,
            "arguments": 1.0,
            "recall": 1.0,
            "answer_correctness": None,
            "missed_call": False,
            "needless_call": False,
            **verdict,
        },
    }


# Two conversations: three of five decisions are right; one of three calls is missed, one of two
# answers calls; the second has labels.
RECORDS = [
    record("a#2", "call", right=True, thought_tokens=10),
    record("a#4", "answer", right=True, **ANSWER | {"answer_correctness": 1.0}, thought_tokens=20),
    record("b#2", "call", right=False, labels=("reasoning",), missed_call=True, **WRONG_CALL),
    record(
        "b#4", "call", right=True, labels=("reasoning", "refund"), thought_tokens=30, arguments=0.5
    ),
    record(
        "b#6",
        "answer",
        right=False,
        needless_call=True,
        stop="length",
        format=0.0,
        **ANSWER | {"recall": 0.0, "answer_correctness": 0.0},
    ),
]


def test_a_row_by_hand() -> None:
    table_row = row("sft", "direct", "test", RECORDS)
    assert {k: table_row[k] for k in ("model", "mode", "split", "decisions", "conversations")} == {
        "model": "sft",
        "mode": "direct",
        "split": "test",
        "decisions": 5,
        "conversations": 2,
    }
    values = {name: interval["value"] for name, interval in table_row["metrics"].items()}
    assert values == pytest.approx(
        {
            "action_accuracy": 3 / 5,
            "tool_names": 2 / 3,
            "arguments": (1 + 0 + 0.5) / 3,
            "recall": 3 / 5,
            "answer_correctness": 1 / 2,
            "missed_calls": 1 / 3,
            "needless_calls": 1 / 2,
            "not_checkable": 0,
            "format": 4 / 5,
            "truncated": 1 / 5,
            "thought_tokens": 60 / 5,
        }
    )
    slices = {
        name: (part["decisions"], part["action_accuracy"]["value"])
        for name, part in table_row["slices"].items()
    }
    assert slices == {
        "answer": (2, 0.5),
        "call": (3, pytest.approx(2 / 3)),
        "reasoning": (2, 0.5),
        "refund": (1, 1.0),
    }


def test_intervals_are_over_conversations() -> None:
    # Conversation a is wholly right and b right once in three: draws of two conversations give
    # accuracies of 1/3 (b twice), 3/5 and 1, and each of the extremes has a quarter of the draws.
    assert row("sft", "direct", "test", RECORDS)["metrics"]["action_accuracy"] == pytest.approx(
        {"value": 3 / 5, "low": 1 / 3, "high": 1.0}
    )


def test_metrics_that_apply_nowhere_are_left_out() -> None:
    calls = [r for r in RECORDS if r["kind"] == "call"]
    metrics = row("sft", "direct", "test", calls)["metrics"]
    assert "answer_correctness" not in metrics
    assert "needless_calls" not in metrics


def rights(pattern: str) -> list[dict[str, Any]]:
    """Return RECORDS with other verdicts: 1 is right."""
    return [
        {**r, "verdict": {**r["verdict"], "right": flag == "1"}}
        for r, flag in zip(RECORDS, pattern, strict=True)
    ]


def test_differences_by_hand() -> None:
    ours, theirs = rights("11011"), rights("10010")
    found = {
        d["slice"]: d
        for d in paired("test", ("rl (thinking)", ours), ("sft (direct)", theirs[::-1]))
    }
    assert list(found) == ["all", "answer", "call", "reasoning", "refund"]
    values = {name: d["difference"]["value"] for name, d in found.items()}
    assert values == pytest.approx(
        {"all": 2 / 5, "answer": 1.0, "call": 0.0, "reasoning": 0.0, "refund": 0.0}
    )
    assert {name: d["conversations"] for name, d in found.items()} == {
        "all": 2,
        "answer": 2,
        "call": 2,
        "reasoning": 1,
        "refund": 1,
    }
    assert found["all"]["relative"] == pytest.approx(4 / 2 - 1)
    assert found["answer"]["relative"] is None  # nothing to be relative to
    assert found["answer"]["relative_interval"] is None
    # Conversation a gains 1 of 2, b 1 of 3: the extremes are a twice and b twice.
    assert found["all"]["difference"] == pytest.approx({"value": 0.4, "low": 1 / 3, "high": 1 / 2})
    assert {(d["split"], d["model"], d["against"]) for d in found.values()} == {
        ("test", "rl (thinking)", "sft (direct)")
    }


def test_what_cannot_be_checked_counts_in_no_accuracy() -> None:
    # Right, wrong, open and open; the other model: right, open, right and open.
    ours = [
        record(f"{c}#2", "answer", right=right, **ANSWER)
        for c, right in zip("abcd", (True, False, None, None), strict=True)
    ]
    theirs = [
        record(f"{c}#2", "answer", right=right, **ANSWER)
        for c, right in zip("abcd", (True, None, True, None), strict=True)
    ]
    assert share_right(ours) == 1 / 2
    assert math.isnan(share_right(ours[2:]))
    metrics = row("rl", "thinking", "test", ours)["metrics"]
    assert metrics["action_accuracy"]["value"] == 1 / 2
    assert metrics["not_checkable"]["value"] == 2 / 4
    # Both can be checked in conversation a alone.
    (found, _) = paired("test", ("rl", ours), ("sft", theirs))
    assert found["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert paired("test", ("rl", ours[2:]), ("sft", theirs)) == []
    open_row = row("rl", "thinking", "test", ours[2:])
    assert "action_accuracy" not in open_row["metrics"]
    assert open_row["slices"]["answer"] == {"decisions": 2, "action_accuracy": {}}
    said = verdict_sentence([open_row], [], "sft (direct)", ("rl", "sft"))
    assert said == (
        "On test, no decision can be checked. 2 conversations are few to tell models apart by. "
        "Promoted by the development split: sft (direct)."
    )


def rows_and_differences(
    low: float, high: float, conversations: int = 30
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rows = [
        {
            "model": model,
            "mode": mode,
            "split": split,
            "conversations": conversations,
            "metrics": {"action_accuracy": {"value": value, "low": 0, "high": 1}},
        }
        for split in ("test", "shifted")
        for model, mode, value in (("base", "direct", 0.25), ("rl", "thinking", 0.6))
    ]
    differences = [
        {
            "split": split,
            "model": "rl (thinking)",
            "against": against,
            "slice": name,
            "conversations": conversations,
            "difference": {"value": 0.05, "low": low, "high": high},
            "relative": 0.125,
        }
        for split in ("test", "shifted")
        for against in ("sft (direct)", "base (thinking)")
        for name in ("all", "call")
    ]
    return rows, differences


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0.01, 0.09, "better than sft (direct): +5.0 points (+1.0 to +9.0), +12.5 % relative"),
        (-0.01, 0.11, "not told apart from sft (direct): +5.0 points (-1.0 to +11.0). Promoted"),
        (-0.2, -0.1, "worse than sft (direct)"),
    ],
)
def test_the_sentence_says_what_was_found_on_the_first_split(
    low: float, high: float, found: str
) -> None:
    headline = ("rl (thinking)", "sft (direct)")
    sentence = verdict_sentence(*rows_and_differences(low, high), "rl (thinking)", headline)
    assert sentence.startswith("On test, rl (thinking) is ")
    assert found in sentence
    assert sentence.count("points") == 1
    assert sentence.endswith("Promoted by the development split: rl (thinking).")


def test_the_sentence_warns_of_few_conversations() -> None:
    headline = ("rl (thinking)", "sft (direct)")
    few = verdict_sentence(*rows_and_differences(-0.3, 0.3, 9), "rl", headline)
    assert "(-30.0 to +30.0). 9 conversations are few to tell models apart by. Promoted" in few
    assert "few" not in verdict_sentence(*rows_and_differences(-0.3, 0.3, 30), "rl", headline)


def test_five_conversations_tell_no_models_apart() -> None:
    headline = ("rl (thinking)", "sft (direct)")
    for low, high in ((0.1, 0.3), (-0.3, -0.1)):
        said = verdict_sentence(*rows_and_differences(low, high, 5), "rl (thinking)", headline)
        assert "is not told apart from sft (direct): +5.0 points" in said and "relative" not in said


def test_the_sentence_gives_the_shares_where_there_is_nothing_to_compare() -> None:
    rows, _ = rows_and_differences(0.0, 0.1)
    assert verdict_sentence(rows, [], "base (direct)", None) == (
        "On test, base (direct) is right on 25.0 %. rl (thinking) is right on 60.0 %. "
        "Promoted by the development split: base (direct)."
    )


def test_the_best_on_development_is_the_earliest_of_equals() -> None:
    assert best_on_development({"base": 0.2, "sft": 0.7, "rl": 0.7}) == "sft"
    assert best_on_development({"base": float("nan"), "sft": 0.1}) == "sft"


def test_without_scores_the_last_trained_model_is_promoted() -> None:
    assert best_on_development(dict.fromkeys(("base", "sft", "rl"), math.nan)) == "rl"
