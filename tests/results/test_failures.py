"""Each wrong action is of one kind."""

from typing import Any

import pytest

from actwise.results.failures import OUTCOMES, failures_sentence, kind_of_failure, outcome

CALL = {"right": False, "errors": [], "missed_call": False, "needless_call": False}


def record(kind: str = "call", stop: str = "stop", **verdict: Any) -> dict[str, Any]:
    return {"kind": kind, "stop": stop, "verdict": {**CALL, "tool_names": False, **verdict}}


@pytest.mark.parametrize(
    ("judged", "kind"),
    [
        (record(right=True), None),
        (record("answer", right=None), None),
        (record(stop="length", missed_call=True), "cut off"),
        (record(errors=["broken_json"], tool_names=True), "unreadable"),
        (record(errors=["unclosed_thought"], missed_call=True), "unreadable"),
        # A fault of form alone leaves the action what it is.
        (record(errors=["missing_thought"], missed_call=True), "missed call"),
        (record("answer", needless_call=True), "needless call"),
        (record(tool_names=False), "wrong tool"),
        (record(tool_names=True), "wrong arguments"),
        (record("answer", tool_names=None), "wrong answer"),
    ],
)
def test_the_kind_of_a_failure(judged: dict[str, Any], kind: str | None) -> None:
    assert kind_of_failure(judged) == kind
    known = {True: "right", None: "not checkable"}
    assert outcome(judged) == (kind or known[judged["verdict"]["right"]])
    assert outcome(judged) in OUTCOMES


def test_the_commonest_kind_comes_first() -> None:
    judged = [record("answer"), record(), record("answer"), record(right=True)]
    assert failures_sentence(judged) == "3 decisions: 2 wrong answer, 1 wrong tool"
    assert failures_sentence([record(right=True)]) == "nothing"
