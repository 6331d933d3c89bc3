"""Figures by tool, worked out by hand."""

from typing import Any

from actwise.conversation import Message, ToolCall
from actwise.results.tools import (
    NO_CALL,
    UNREADABLE,
    ToolUse,
    WrongArgument,
    confusion,
    tool_uses,
    wrong_arguments,
)
from actwise.rewards.judge import judge
from actwise.rewards.settings import JudgeConfig
from actwise.template.parse import parse_completion

FIND = '<tool_call>\n{"name": "find", "arguments": {"id": 1}}\n</tool_call>'
OTHER_ID = FIND.replace("1", "2")
CANCEL = FIND.replace("find", "cancel")


def judged(decision: str, text: str, recorded: list[str]) -> dict[str, Any]:
    """What evaluation writes down of a completion; recorded calls are all of id 1."""
    calls = tuple(ToolCall(name=name, arguments={"id": 1}) for name in recorded)
    gold = Message(role="assistant", content="" if calls else "It costs 7.", tool_calls=calls)
    parsed = parse_completion(text, thinking=False)
    verdict = judge(parsed, gold, [], thinking=False, settings=JudgeConfig()).to_dict()
    return {
        "decision": decision,
        "calls": [{"name": c.name, "arguments": c.arguments} for c in parsed.calls],
        "broken_calls": parsed.broken_calls,
        "verdict": verdict,
    }


RECORDED = {
    "a": ["find"],
    "b": ["find"],
    "c": ["find", "find", "cancel"],
    "d": [],
    "e": [],
    "f": ["cancel"],
    "g": ["cancel"],
}
RECORDS = [
    judged("a", FIND, RECORDED["a"]),
    judged("b", CANCEL, RECORDED["b"]),
    judged("c", FIND + OTHER_ID, RECORDED["c"]),
    judged("d", "It is 7.", RECORDED["d"]),
    judged("e", FIND, RECORDED["e"]),
    judged("f", "Done.", RECORDED["f"]),
    judged("g", CANCEL[:-14], RECORDED["g"]),
]


def test_confusion_by_hand() -> None:
    assert confusion(RECORDS, RECORDED) == {
        ("find", "find"): 3,  # a, and both of c
        ("find", "cancel"): 1,  # b
        ("cancel", NO_CALL): 2,  # c and f
        (NO_CALL, NO_CALL): 1,  # d
        (NO_CALL, "find"): 1,  # e
        ("cancel", UNREADABLE): 1,  # g
    }


def test_tools_by_hand() -> None:
    assert tool_uses(RECORDS, RECORDED) == [
        ToolUse("find", 4, 4, 3, 3, 1, (("cancel", 1),)),
        ToolUse("cancel", 3, 1, 0, 3, 0, ((NO_CALL, 2), (UNREADABLE, 1))),
    ]


def test_a_tool_that_is_never_recorded_is_listed() -> None:
    (only,) = tool_uses([judged("e", FIND, [])], {"e": []})
    assert only == ToolUse("find", 0, 1, 0, 0, 0, ())


def test_arguments_that_are_wrong_most_often_come_first() -> None:
    records = [
        judged("a", OTHER_ID, ["find"]),
        judged("b", OTHER_ID, ["find"]),
        judged("c", FIND, ["find"]),
        judged("d", CANCEL.replace("1", "3"), ["cancel"]),
        judged("e", CANCEL.replace('"id"', '"key"'), ["cancel"]),
    ]
    assert wrong_arguments(records) == [
        WrongArgument("cancel", "id", 2, 2),
        WrongArgument("find", "id", 3, 2),
        WrongArgument("cancel", "key", 1, 1),
    ]
