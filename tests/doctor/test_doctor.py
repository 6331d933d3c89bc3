import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from actwise.doctor import Lengths, examine, render
from actwise.formats import Rejected, read_files
from talks import calls, finding, result, says, talk, user

DATA = Path(__file__).parents[3] / "shared" / "data"


def test_what_the_conversations_consist_of() -> None:
    diagnosis = examine(
        [
            talk(user("ab"), calls(a="b"), result("12345"), says("ok", "because")),
            talk(user("abc"), says("no"), id="y"),
        ]
    )
    assert diagnosis.conversations == 2
    assert diagnosis.decisions == {"call": 1, "answer": 2}
    assert diagnosis.calls_per_tool == {"lookup": 1, "refund": 0}
    assert diagnosis.thoughts == 1
    assert diagnosis.thought_share == pytest.approx(1 / 3)
    assert diagnosis.messages == Lengths(2, 2, 4, 4)
    # "ab" + 'lookup{"a": "b"}' + "12345" + "ok" = 2 + 16 + 5 + 2, and "abc" + "no" = 5
    assert diagnosis.characters == Lengths(5, 5, 25, 25)
    assert [(f.severity, f.code, f.examples) for f in diagnosis.findings] == [
        ("note", "tool_never_called", ["log.jsonl:x: 'refund'"])
    ]


def test_rejections_are_counted_by_reason_with_places() -> None:
    items = [Rejected("a", line, "broken_json", "cut", count=2) for line in range(1, 6)]
    diagnosis = examine([*items, Rejected("b", 1, "bad_start", "odd")], max_examples=2)
    assert diagnosis.rejected == {"broken_json": 5, "bad_start": 1}
    broken = finding(diagnosis, "broken_json")
    assert broken is not None
    assert (broken.severity, broken.count) == ("error", 5)
    assert "in 10 places" in broken.message
    assert broken.examples == ["a:1: cut", "a:2: cut"]
    assert finding(diagnosis, "no_conversation") is not None


def test_duplicates_are_found_whatever_their_call_ids() -> None:
    first = talk(user("order A-77"), calls("c", order="A-77"), id="1")
    again = talk(user("order A-77"), calls("d", order="A-77"), id="2")
    other = talk(user("order A-77"), calls("c", order="A-7"), id="3")
    found = finding(examine([first, again, other, first]), "duplicate_conversation")
    assert found is not None
    assert found.count == 2
    assert found.examples == [
        "log.jsonl:2: same as log.jsonl:1",
        "log.jsonl:1: same as log.jsonl:1",
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"order": "A-77"}, False),
        ({"order": "a-77"}, False),
        ({"order": "A-78"}, True),
        ({"order": {"deep": ["A-78"]}}, True),
        ({"order": "B"}, False),  # too short to prove anything
        ({"speed": "express"}, False),  # stands in the tool's description
        ({"amount": 1250}, False),  # "1,250"
        ({"amount": 1250.0}, False),
        ({"amount": 125}, True),  # not the head of 1250
        ({"amount": 33.5}, False),
        ({"amount": 335}, True),
        ({"flag": True, "nothing": None}, False),
        ({"note": 'say "hi"'}, False),  # escaped in the JSON of the tool's result
        ({"city": "Zürich"}, False),
        ({"order": "thought"}, True),  # thoughts are not shown later
        ({"order": "earlier"}, False),
    ],
)
def test_unreachable_arguments(arguments: dict[str, Any], expected: bool) -> None:
    history = [
        user("My order A-77 cost 1,250 euros, or 33.50 dollars."),
        calls(order="earlier"),
        result(json.dumps({"note": 'say "hi"', "city": "Zürich"})),
        says("hm", "thought"),
    ]
    first = examine([talk(*history)]).unreachable_decisions
    assert first == 1  # "earlier" itself stood nowhere
    assert examine([talk(*history, calls("z", **arguments))]).unreachable_decisions == first + (
        1 if expected else 0
    )


def test_values_that_come_later_do_not_count() -> None:
    late = talk(user("my order?"), calls(order="A-77"), result("A-77"), says("A-77"))
    found = finding(examine([late]), "unreachable_argument")
    assert found is not None
    assert found.examples == ['log.jsonl:x: messages[1] calls with lookup: "A-77"']


def test_a_call_that_is_passed_over() -> None:
    answered = talk(user("A-77"), calls(order="A-77"), result("{}"), says("ok"), id="1")
    open_end = talk(user("A-77"), calls(order="A-77"), id="2")
    passed = talk(user("A-77"), calls(order="A-77"), user("?"), says("ok"), id="3")
    found = finding(examine([answered, open_end, passed]), "unanswered_call")
    assert found is not None
    assert (found.count, found.examples) == (1, ["log.jsonl:3: messages[3]"])


def test_one_kind_of_decision_only() -> None:
    assert finding(examine([talk(user("a"), says("b"))]), "no_call") is not None
    assert finding(examine([talk(user("abc"), calls(x="abc"))]), "no_answer") is not None


def test_nothing_at_all() -> None:
    diagnosis = examine([])
    assert [f.code for f in diagnosis.findings] == ["no_conversation"]
    assert json.loads(json.dumps(diagnosis.to_dict()))["unreachable_share"] == 0.0


def test_render_shows_text_of_logs_as_it_is() -> None:
    diagnosis = examine(
        [talk(user("a"), says("b")), Rejected("log.jsonl", 3, "broken_json", "has a [red] tag")]
    )
    console = Console(width=100)
    with console.capture() as capture:
        console.print(render(diagnosis))
    shown = capture.get()
    assert "log.jsonl:3: has a [red] tag" in shown
    assert "error broken_json: 1 record(s) that cannot be used" in shown
    assert "lookup" in shown


def test_to_dict_is_json() -> None:
    diagnosis = examine([talk(user("abc"), calls(x="abd"))])
    out = json.loads(json.dumps(diagnosis.to_dict()))
    assert out["decisions"] == {"call": 1, "answer": 0}
    assert out["unreachable_share"] == 1.0
    assert {f["code"] for f in out["findings"]} >= {"unreachable_argument", "no_answer"}


def test_taskmaster() -> None:
    path = DATA / "taskmaster4" / "dialogs.jsonl.gz"
    if not path.exists():
        pytest.skip("the Taskmaster-4 dialogs are not beside the checkout")
    diagnosis = examine(read_files([path]))
    assert (diagnosis.conversations, diagnosis.rejected) == (3025, {"broken_json": 15})
    assert len(diagnosis.calls_per_tool) == 8
    assert sum(diagnosis.calls_per_tool.values()) == diagnosis.decisions["call"] == 11988
    assert diagnosis.thoughts == 0
    duplicates = finding(diagnosis, "duplicate_conversation")
    assert duplicates is not None
    assert duplicates.count == 2
